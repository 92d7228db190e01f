"""A site with its own user model, other token schemes and no admin; `tests/test_custom_user_site.py` runs it."""
