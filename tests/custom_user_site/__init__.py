"""A site with a custom user model, other token schemes and no admin; run by `tests/test_custom_user_site.py`."""
