"""The management API: users manage their tokens; a token can only show and revoke itself.

The responses don't depend on the site's REST_FRAMEWORK settings. `PAT_TOKENS_MANAGEMENT_AUTHENTICATION` and the site's
policy decide which credentials can manage tokens.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NoReturn, cast

from django.core.exceptions import ObjectDoesNotExist, SuspiciousOperation
from django.db.models import Prefetch, prefetch_related_objects
from django.http import QueryDict
from django.http.multipartparser import MultiPartParserError
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext
from django.views.decorators.debug import sensitive_variables
from rest_framework import exceptions, status, views, viewsets
from rest_framework.authentication import SessionAuthentication
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from pat_tokens import services
from pat_tokens.activity import Actor
from pat_tokens.conf import conf
from pat_tokens.contrib.rest_framework.authentication import PersonalAccessTokenAuthentication
from pat_tokens.contrib.rest_framework.exceptions import (
    ReauthenticationAPIException,
    TokenAPIException,
    as_validation_error,
    complete,
)
from pat_tokens.contrib.rest_framework.filtersets import (
    MAX_TERM_LENGTH,
    UNUSED_FOR,
    ActivityFilterSet,
    TokenFilterBackend,
    TokenFilterSet,
    TokenSelectionFilterSet,
    find_parameter_errors,
)
from pat_tokens.contrib.rest_framework.pagination import ActivityPagination, PagePagination, UncountedPagination
from pat_tokens.contrib.rest_framework.parsers import StrictJSONParser
from pat_tokens.contrib.rest_framework.permissions import (
    NOT_IN_PERSON,
    CanHaveTokens,
    HasToken,
    IsOwnerInPerson,
    IsUser,
)
from pat_tokens.contrib.rest_framework.serializers import (
    ExplainSerializer,
    InputSerializer,
    PersonalAccessTokenActivitySerializer,
    PersonalAccessTokenCreateSerializer,
    PersonalAccessTokenEntitySerializer,
    PersonalAccessTokenEntityTypeSerializer,
    PersonalAccessTokenMissingScopeSerializer,
    PersonalAccessTokenRegenerateSerializer,
    PersonalAccessTokenRotateSerializer,
    PersonalAccessTokenRowSerializer,
    PersonalAccessTokenScopesAddSerializer,
    PersonalAccessTokenScopeSerializer,
    PersonalAccessTokenSerializer,
    PersonalAccessTokenUpdateSerializer,
)
from pat_tokens.csrf import find_forgery
from pat_tokens.entities import registry
from pat_tokens.exceptions import (
    WRITE_OUTAGES,
    Conflict,
    InvalidInput,
    ReauthenticationRequired,
    TemporarilyUnavailable,
)
from pat_tokens.inspection.explain import explain
from pat_tokens.links import page_path
from pat_tokens.log_events import log_outage
from pat_tokens.models import Activity, PersonalAccessToken, Scope, Via
from pat_tokens.policy import grantable_operations, grantable_presets, grantable_types
from pat_tokens.querysets import ActivityQuerySet, TokenQuerySet
from pat_tokens.requirements import ANY_TOKEN
from pat_tokens.scope_usage import find_missing
from pat_tokens.secret_search import query_holds_secret
from pat_tokens.users import sensitive_actions
from pat_tokens.users.managed import find_managed_tokens, find_owner
from pat_tokens.validation import clean_unused_for

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

OWNER = "owner"  # the parameter that names the user whose tokens a request is about
MAX_SCOPES_IN_LIST = 20  # of each token
IN_URL = gettext_noop(
    "Don't send a secret as part of a URL, because servers and proxies store URLs. To see which token it belongs to, "
    "send it in the header %(header)s to current/. Regenerate the token if others can read what was stored."
)


class ManagementViewSet(viewsets.GenericViewSet[Any]):
    """The base class of all views here.

    None of them has a class attribute `queryset`: if a site registers tokens as an entity type, a requirement would be
    inferred from it. Without one, the views refuse every token.
    """

    authentication_classes: Any = (PersonalAccessTokenAuthentication,)
    renderer_classes = (JSONRenderer,)
    parser_classes = (StrictJSONParser,)
    content_negotiation_class = DefaultContentNegotiation
    metadata_class = SimpleMetadata
    versioning_class = None
    pagination_class: Any = PagePagination
    filter_backends: Any = ()

    def get_exception_handler(self) -> Any:
        """Return DRF's own handler, so that errors have the documented format on every site."""
        return views.exception_handler

    def handle_exception(self, exc: Exception) -> Response:
        """Convert errors that DRF doesn't handle: those of services, and rows that were deleted in the meantime."""
        if isinstance(exc, InvalidInput):
            exc = as_validation_error(exc)
        elif isinstance(exc, Conflict):
            exc = TokenAPIException(exc)
        elif isinstance(exc, (PersonalAccessToken.DoesNotExist, Scope.DoesNotExist)):
            exc = exceptions.NotFound()
        elif isinstance(exc, (SuspiciousOperation, MultiPartParserError)):
            # The CSRF check reads the form, which can be invalid or too large.
            exc = exceptions.ParseError()
        elif isinstance(exc, WRITE_OUTAGES):
            log_outage(exc)
            exc = TokenAPIException(TemporarilyUnavailable())
        return complete(super().handle_exception(exc), exc)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a secret in the URL, such as one that is searched for."""
        super().initial(request, *args, **kwargs)
        if query_holds_secret(request.query_params):
            raise exceptions.ValidationError(_(IN_URL) % {"header": conf.header})

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep responses out of caches: they are about one user, and some contain a secret."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response

    @property
    def user(self) -> AbstractBaseUser:
        """The user of the request; the permissions have checked that it is a user of this site."""
        return cast("AbstractBaseUser", self.request.user)

    @property
    def actor(self) -> Actor:
        """Who changes a token with this request."""
        return Actor.of_request(self.request._request, Via.API, user=self.user)

    @cached_property
    def owner(self) -> AbstractBaseUser:
        """The user of the request, or the one that `?owner=` names, if the user manages their tokens."""
        names = self.request.query_params.getlist(OWNER)
        if len(names) > 1 or "" in names:
            raise exceptions.ValidationError({OWNER: [pgettext("pat_tokens", "Give one username.")]})
        try:
            return cast("AbstractBaseUser", find_owner(self.user, names[0] if names else None))
        except ObjectDoesNotExist:
            raise exceptions.NotFound from None

    def require_reauthentication(self, owner: Any) -> None:
        """Refuse the request if the user has to confirm their identity, with the URL of a page for it."""
        try:
            sensitive_actions.require(self.request._request, owner)
        except ReauthenticationRequired as error:
            path = page_path("reauthenticate") if error.by_password else error.url
            url = self.request.build_absolute_uri(path) if path else None
            raise ReauthenticationAPIException(error, url=url) from None

    def read(self, serializer_class: type[InputSerializer]) -> dict[str, Any]:
        """Return the body as arguments of a service: the fields, and `errors` found so far."""
        body = self.request.data
        if isinstance(body, QueryDict) and self.request.META.get("CONTENT_LENGTH") not in ("", "0", None):
            # If the CSRF check has already read a form, DRF treats it as an empty body.
            raise exceptions.UnsupportedMediaType(str(self.request.content_type))
        values, errors = serializer_class(data=body).read()
        return {**values, "errors": errors}

    def reject(self, errors: Mapping[str, Any] | None = None) -> None:
        """Raise ValidationError for the `errors` of parameters, and for a body, if any.

        DELETE takes no parameters but filters.
        """
        if errors is None and self.request.method == "DELETE":
            errors = find_parameter_errors(self.request.query_params)
        errors = {**(errors or {}), **self.read(InputSerializer)["errors"]}
        if errors:
            raise exceptions.ValidationError(errors)


class PersonViewSet(ManagementViewSet):
    """The base class of views for users in person. Refuses tokens.

    The site's default classes don't apply, because a restricted credential, such as an OAuth token with few scopes,
    could create a token that can do more.
    """

    permission_classes: Any = (IsAuthenticated, IsUser, IsOwnerInPerson, CanHaveTokens)

    def get_authenticators(self) -> list[Any]:
        """Return our class, which refuses tokens, and the classes that the site trusts to manage tokens."""
        return [*super().get_authenticators(), *(cls() for cls in _import_all(conf.management_authentication))]

    def get_permissions(self) -> list[Any]:
        return [*super().get_permissions(), *(cls() for cls in _import_all(conf.management_permissions))]

    def perform_authentication(self, request: Request) -> None:
        """Check CSRF for users with a session, even if middleware tells Django not to."""
        super().perform_authentication(request)
        by_session = isinstance(request.successful_authenticator, SessionAuthentication)
        if by_session and find_forgery(request._request) is not None:
            raise exceptions.PermissionDenied("CSRF Failed: the CSRF token is missing or incorrect.")

    def permission_denied(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        """Name the setting that decides which credentials are accepted."""
        if not request.successful_authenticator:
            raise exceptions.NotAuthenticated(NOT_IN_PERSON)
        super().permission_denied(request, message, code)


class OwnTokensViewSet(PersonViewSet):
    """The base class of views that find the tokens of the user, and of those whose tokens they manage."""

    def get_queryset(self) -> TokenQuerySet:
        return PersonalAccessToken.objects.for_user(self.owner).select_related("user")

    def get_token(self) -> PersonalAccessToken:
        tokens = find_managed_tokens(self.user).select_related("user", "previous")
        return tokens.get(pk=_to_uuid(self.kwargs["token_id"]))


class TokenViewSet(OwnTokensViewSet):
    """The user's tokens."""

    serializer_class = PersonalAccessTokenSerializer
    filter_backends = (TokenFilterBackend,)
    filterset_class = TokenFilterSet

    def list(self, request: Request) -> Response:
        tokens = self.get_queryset().sorted_by().with_scope_count().select_related("previous")
        scopes = Scope.objects.sorted()[:MAX_SCOPES_IN_LIST]
        tokens = tokens.prefetch_related(Prefetch("scope_set", scopes, to_attr="listed_scopes"))
        page = self.paginate_queryset(self.filter_queryset(tokens))
        return self.get_paginated_response(PersonalAccessTokenRowSerializer(page, many=True).data)

    @sensitive_variables()
    def create(self, request: Request) -> Response:
        self.require_reauthentication(self.owner)
        fields = self.read(PersonalAccessTokenCreateSerializer)
        token, secret = services.create_token(self.owner, actor=self.actor, **fields)
        return Response({**_describe(token), "secret": secret}, status=status.HTTP_201_CREATED)

    def destroy_all(self, request: Request) -> Response:
        selection = TokenSelectionFilterSet(_without_owner(request.query_params), self.get_queryset())
        self.reject(selection.errors)
        return Response({"deleted": services.delete_tokens(self.owner, selection.qs, actor=self.actor)})

    def retrieve(self, request: Request, token_id: str) -> Response:
        return Response(_describe(self.get_token()))

    def partial_update(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        fields = self.read(PersonalAccessTokenUpdateSerializer)
        token = services.update_token(
            token, actor=self.actor, before_widening=partial(self.require_reauthentication, token.user), **fields
        )
        return Response(_describe(token))

    def destroy(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        self.reject()
        services.delete_token(token, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def revoke(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        self.reject()
        return Response(_describe(services.revoke_token(token, actor=self.actor)))

    @sensitive_variables()
    def regenerate(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        self.require_reauthentication(token.user)
        fields = self.read(PersonalAccessTokenRegenerateSerializer)
        token, secret = services.regenerate_token(token, actor=self.actor, **fields)
        return Response({**_describe(token), "secret": secret})

    @sensitive_variables()
    def rotate(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        self.require_reauthentication(token.user)
        token, secret = services.rotate_token(token, actor=self.actor, **self.read(PersonalAccessTokenRotateSerializer))
        return Response({**_describe(token), "secret": secret})

    def finish_rotation(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        self.reject({})
        return Response(_describe(services.finish_rotation(token, actor=self.actor)))

    def cancel_rotation(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        self.reject({})
        return Response(_describe(services.cancel_rotation(token, actor=self.actor)))

    def explain(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        asked = ExplainSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        return Response(explain(token, **asked.validated_data, request=request._request).as_dict())


class ScopeViewSet(OwnTokensViewSet):
    """The scopes of a token."""

    serializer_class = PersonalAccessTokenScopeSerializer
    pagination_class = None

    def list(self, request: Request, token_id: str) -> Response:
        return Response(_describe_scopes(self.get_token()))

    def create(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        self.require_reauthentication(token.user)
        fields = {"scopes": (), **self.read(PersonalAccessTokenScopesAddSerializer)}
        services.add_scopes(token, actor=self.actor, **fields)
        return Response(_describe_scopes(token), status=status.HTTP_201_CREATED)

    def destroy_all(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        errors, selected = find_parameter_errors(request.query_params, (UNUSED_FOR,)), None
        if UNUSED_FOR in request.query_params and UNUSED_FOR not in errors:
            try:
                selected = token.scope_set.unused_since(clean_unused_for(request.query_params[UNUSED_FOR]))
            except InvalidInput as error:
                errors |= error.errors
        self.reject(errors)
        return Response({"deleted": services.delete_scopes(token, selected, actor=self.actor)})

    def destroy(self, request: Request, token_id: str, scope_id: str) -> Response:
        scopes = Scope.objects.select_related("token").filter(token=self.get_token())
        scope = scopes.get(pk=_to_uuid(scope_id))
        self.reject()
        services.delete_scope(scope, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class MissingScopeViewSet(OwnTokensViewSet):
    """The scopes that a token recently lacked."""

    serializer_class = PersonalAccessTokenMissingScopeSerializer

    def list(self, request: Request, token_id: str) -> Response:
        page = self.paginate_queryset(find_missing(self.get_token()))
        return self.get_paginated_response(PersonalAccessTokenMissingScopeSerializer(page, many=True).data)


class ActivityViewSet(OwnTokensViewSet):
    """What happened to my tokens."""

    serializer_class = PersonalAccessTokenActivitySerializer
    pagination_class = ActivityPagination
    filter_backends = (TokenFilterBackend,)
    filterset_class = ActivityFilterSet

    def list(self, request: Request) -> Response:
        return self._list(Activity.objects.for_owner(self.owner))

    def list_for_token(self, request: Request, token_id: str) -> Response:
        token = self.get_token()
        return self._list(Activity.objects.for_token(token.pk).for_owner(token.user))

    def _list(self, rows: ActivityQuerySet) -> Response:
        page = self.paginate_queryset(self.filter_queryset(rows))
        return self.get_paginated_response(PersonalAccessTokenActivitySerializer(page, many=True).data)


class EntityTypeViewSet(PersonViewSet):
    """The entity types of the site, with their operations."""

    serializer_class = PersonalAccessTokenEntityTypeSerializer
    pagination_class = None

    def list(self, request: Request) -> Response:
        types = grantable_types(self.owner)
        context = {"user": self.owner, "presets": {preset.name for preset in grantable_presets(self.owner)}}
        return Response(PersonalAccessTokenEntityTypeSerializer(types, many=True, context=context).data)


class EntityViewSet(PersonViewSet):
    """The entities that the user can choose for scopes."""

    serializer_class = PersonalAccessTokenEntitySerializer
    pagination_class = UncountedPagination

    def list(self, request: Request, entity_type: str) -> Response:
        found = registry.get(entity_type)
        if found is None or not grantable_operations(self.owner, found):
            raise exceptions.NotFound
        page = self.paginate_queryset(found.find(self.owner, _read_search(request)))
        rows = PersonalAccessTokenEntitySerializer(page, many=True, context={"entity_type": found}).data
        return self.get_paginated_response(rows)


class CurrentTokenViewSet(ManagementViewSet):
    """The token of the request, whatever its scopes: show it, or revoke it."""

    permission_classes: Any = (HasToken,)
    serializer_class = PersonalAccessTokenSerializer
    pat_requirements = {"retrieve": ANY_TOKEN, "revoke": ANY_TOKEN}

    @property
    def token(self) -> PersonalAccessToken:
        return cast("PersonalAccessToken", self.request.auth)

    def permission_denied(self, request: Request, message: str | None = None, code: str | None = None) -> NoReturn:
        """Ask for a token, because sessions aren't accepted here."""
        raise exceptions.NotAuthenticated(message)

    def retrieve(self, request: Request) -> Response:
        return Response(_describe(self.token))

    def revoke(self, request: Request) -> Response:
        actor = Actor.of_request(request._request, Via.TOKEN, user=self.user)
        services.revoke_token(self.token, actor=actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _without_owner(query: QueryDict) -> QueryDict:
    rest = query.copy()
    rest.pop(OWNER, None)
    return rest


def _import_all(classes: Sequence[str | type[Any]]) -> list[Any]:
    return [import_string(one) if isinstance(one, str) else one for one in classes]


def _to_uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise exceptions.NotFound from None


def _read_search(request: Request) -> str:
    term = request.query_params.get("search", "")
    if len(term) > MAX_TERM_LENGTH or "\0" in term:
        message = _("At most %(limit)d characters, and no null characters.") % {"limit": MAX_TERM_LENGTH}
        raise exceptions.ValidationError({"search": [message]})
    return term


def _describe(token: PersonalAccessToken) -> dict[str, Any]:
    prefetch_related_objects([token], "user", Prefetch("scope_set", Scope.objects.sorted()))
    return PersonalAccessTokenSerializer(token).data


def _describe_scopes(token: PersonalAccessToken) -> Any:
    return PersonalAccessTokenScopeSerializer(token.scope_set.sorted(), many=True).data
