"""The number of queries of each page is constant, and so is that of translations of pages with tables."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation.trans_real import DjangoTranslation

from pat_tokens import services, urls
from pat_tokens.models import PersonalAccessToken, Scope
from tests.factories import ChannelFactory

pytestmark = pytest.mark.django_db

NEW_SCOPE = {"scopes-0-entity_type": "devices", "scopes-0-entity_id": "*", "scopes-0-operation": "read"}
NEW = {"name": "new", "duration": "7d", "description": ""}
# Two of them are for session and user.
PAGES = {
    ("get", "token_list"): {},
    ("get", "activity_list"): {},
    ("post", "token_search"): {"q": "pat_" + "x" * 49},
    ("get", "token_create"): {},
    ("post", "token_create"): NEW,
    ("get", "tokens_delete"): {},
    ("post", "tokens_delete"): {"number": 1},
    ("get", "selected_delete"): {},
    ("post", "selected_delete"): {},
    ("get", "selected_revoke"): {},
    ("post", "selected_revoke"): {},
    ("get", "reauthenticate"): {},
    ("post", "columns"): {"columns": ["name"]},
    ("get", "entity_list"): {"q": "c"},
    ("get", "token_detail"): {},
    ("get", "token_edit"): {},
    ("post", "token_edit"): {"name": "renamed"},
    ("get", "token_revoke"): {},
    ("post", "token_revoke"): {},
    ("get", "token_regenerate"): {},
    ("post", "token_regenerate"): {"duration": "7d"},
    ("get", "token_rotate"): {},
    ("post", "token_rotate"): {"grace_period": "1h", "duration": "7d"},
    ("get", "rotation_grace_period"): {},
    ("post", "rotation_grace_period"): {"grace_period": "2d"},
    ("get", "rotation_finish"): {},
    ("post", "rotation_finish"): {},
    ("get", "rotation_cancel"): {},
    ("post", "rotation_cancel"): {},
    ("get", "token_delete"): {},
    ("post", "token_delete"): {},
    ("get", "scopes_add"): {},
    ("post", "scopes_add"): NEW_SCOPE,
    ("get", "scopes_delete"): {},
    ("post", "scopes_delete"): {},
    ("get", "scopes_unused"): {},
    ("post", "scopes_unused"): {},
    ("get", "scope_delete"): {},
    ("post", "scope_delete"): {},
}
OF_SEVERAL = ("tokens_delete", "selected_delete", "selected_revoke")
MOST = {"get": 8, "post": 25}


def keywords(name, token):
    """The URL keywords of a page."""
    made = {"columns": {"table": "tokens"}, "entity_list": {"entity_type": "channels"}}
    if name in made:
        return made[name]
    found = {"pk": token.pk} if "<uuid:pk>" in str(next(p.pattern for p in urls.urlpatterns if p.name == name)) else {}
    if name == "token_edit":
        found["field"] = "name"
    if name == "scope_delete":
        found["scope_pk"] = token.scope_set.exclude(entity_id="*")[0].pk
    return found


@pytest.mark.parametrize(("method", "name"), PAGES)
def test_pages_make_constant_queries(client, user, make_token, method, name):
    client.force_login(user)
    counts, statuses = [], []
    for many in (1, 12):  # more than one page of a list
        PersonalAccessToken.objects.all().delete()
        tokens = [make_token("channels:*:list") for _ in range(many)]
        channels = [ChannelFactory(owner=user) for _ in range(many)]
        Scope.objects.bulk_create(
            Scope(token=tokens[0], entity_type="channels", entity_id=str(one.pk), operation="read") for one in channels
        )
        path = reverse(f"pat_tokens:{name}", kwargs=keywords(name, tokens[0]))
        if name.startswith("rotation_"):
            services.rotate_token(tokens[0])
        fields = PAGES[method, name]
        if name in OF_SEVERAL:
            ids = [str(token.pk) for token in tokens]
            fields = {"id": ids} if method == "get" else {"ids": ",".join(ids), "active": ",".join(ids), "number": many}
        with CaptureQueriesContext(connection) as queries:
            answer = getattr(client, method)(path, fields)
        counts.append(len(queries))
        statuses.append(answer.status_code)
    assert set(statuses) <= {200, 302}, answer.content
    assert counts[0] == counts[1] <= MOST[method]


def test_every_page_has_query_count():
    assert {name for _, name in PAGES} == {pattern.name for pattern in urls.urlpatterns}


@pytest.mark.parametrize("name", ["token_list", "token_detail", "scopes_unused"])
def test_texts_are_translated_once_for_all_rows(client, user, make_token, monkeypatch, name):
    translated = []
    find = DjangoTranslation.gettext
    monkeypatch.setattr(DjangoTranslation, "gettext", lambda self, text: translated.append(text) or find(self, text))
    client.force_login(user)
    token = make_token("channels:*:list", "channels:*:delete")
    path = reverse(f"pat_tokens:{name}", kwargs=keywords(name, token))

    def translate():
        translated.clear()
        assert client.get(path, {"rows": 100}).status_code == 200
        return sorted(translated)

    few = translate()
    for number in range(1, 10):
        make_token("channels:*:list", name=f"other {number}")
        Scope.objects.create(token=token, entity_type="channels", entity_id=str(number), operation="delete")
        ChannelFactory(owner=user, pk=number)
    assert translate() == few
