"""Support for django-silk: it records the SELECT of the token like other queries."""
