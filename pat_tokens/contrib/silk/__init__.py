"""Support for django-silk, so that it records the SELECT of the token like other queries."""
