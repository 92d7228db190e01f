"""A test site with one view of each kind."""
