from django.http import HttpResponse

from pat_tokens import authentication
from pat_tokens.exceptions import TokenError
from pat_tokens.guards import refusal, set_cache_headers


class TinyView:
    """A view with one requirement for GET, which returns the name of the token's owner."""

    def __init__(self, requirement):
        self.requirement = requirement

    def __call__(self, request, **kwargs):
        secret = authentication.read_secret(request)
        try:
            token = authentication.authenticate(secret, self.requirement, kwargs, request=request)
        except TokenError as error:
            return refusal(error)
        response = HttpResponse(token.user.get_username())
        set_cache_headers(request, response)
        return response
