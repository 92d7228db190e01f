"""A plain Bootstrap 5 site with the data of the demo, for a picture of the app for Bootstrap."""
