"""A login backend without passwords."""

from django.contrib.auth import get_user_model


class EmailLink:
    def authenticate(self, request, link=None):
        return None

    def get_user(self, key):
        return get_user_model().objects.filter(key=key).first()
