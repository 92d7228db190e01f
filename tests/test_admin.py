import uuid
from types import SimpleNamespace

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.core.validators import RegexValidator
from django.db import connection
from django.db.models import CharField
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import timezone
from pytest_django.asserts import assertContains

from pat_tokens import services
from pat_tokens.activity import Actor
from pat_tokens.admin import PersonalAccessTokenAdmin, require_keys
from pat_tokens.authentication import authenticate
from pat_tokens.crypto import is_well_formed, make_secret
from pat_tokens.models import Activity, PersonalAccessToken, Scope
from pat_tokens.requirements import ANY_TOKEN
from tests.factories import ChannelFactory, TokenFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.test_admin")]

staff_site = admin.AdminSite(name="staff")
staff_site.register(PersonalAccessToken, PersonalAccessTokenAdmin)


class Scopes(admin.TabularInline):
    """An inline of a site that anybody can edit."""

    model = Scope
    fields = ("entity_type", "entity_id", "operation")
    has_add_permission = has_change_permission = has_delete_permission = lambda *args: True


class WithInlines(PersonalAccessTokenAdmin):
    inlines = (Scopes,)


class Tokens(admin.StackedInline):
    """An inline of a site that knows nothing of our services."""

    model = PersonalAccessToken
    extra = 0


class WithTokens(admin.ModelAdmin):
    inlines = (Tokens,)
    fields = ("first_name",)


class Plain(admin.ModelAdmin):
    list_display = ("pk", "expires_at")
    list_editable = ("expires_at",)
    change_form_template = add_form_template = "admin/change_form.html"  # ours are for our admin alone
    change_list_template = "admin/change_list.html"


site_with_inlines = admin.AdminSite(name="inlines")
site_with_inlines.register(PersonalAccessToken, WithInlines)
plain_site = admin.AdminSite(name="plain")
plain_site.register(get_user_model(), WithTokens)
plain_site.register(PersonalAccessToken, Plain)
plain_site.register(Scope)
urlpatterns = [
    path("admin/", admin.site.urls),
    path("staff/", staff_site.urls),
    path("inlines/", site_with_inlines.urls),
    path("plain/", plain_site.urls),
    path("", include("tests.urls")),
]


def url(page, *args, site="admin"):
    return reverse(f"{site}:pat_tokens_personalaccesstoken_{page}", args=args)


def login(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss(db):
    """A superuser, logged in."""
    return login(UserFactory(username="boss", is_staff=True, is_superuser=True))


@pytest.fixture
def staff(db):
    """Log in a staff user with these permissions on tokens."""

    def make(*verbs):
        user = UserFactory(is_staff=True)
        codes = [verb if verb == "create_for_others" else f"{verb}_personalaccesstoken" for verb in verbs]
        user.user_permissions.set(Permission.objects.filter(codename__in=codes))
        return login(user)

    return make


def form(owner, **fields):
    return {"user": owner.pk, "name": "deploy", "description": "", "duration": "30d", "scopes": "", **fields}


@pytest.mark.parametrize("site", ["admin", "staff"])
def test_create_shows_secret_once(boss, user, channel, site):
    assert "_addanother" not in boss.get(url("add", site=site)).content.decode()
    scopes = f"channels:{channel.pk}:publish\r\n\r\npages:*:read\r\n"
    answer = boss.post(url("add", site=site), form(user, scopes=scopes))
    token = PersonalAccessToken.objects.get()
    page = url("change", token.pk, site=site)
    assert (answer.status_code, answer["Location"]) == (302, page)
    shown = boss.get(page)
    secret = str(shown.context["revealed"].secret)
    assert is_well_formed(secret, "pat")
    assert secret in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert shown["Referrer-Policy"] == "no-referrer"
    assert authenticate(secret, ANY_TOKEN).user == user
    assert sorted(map(str, token.scope_set.keys())) == [f"channels:{channel.pk}:publish", "pages:*:read"]
    again = boss.get(page)
    assert secret not in again.content.decode()
    traces = [*LogEntry.objects.values(), *Session.objects.values()]
    assert secret not in str(traces)
    assert secret not in str([message.message for message in shown.context["messages"]])


def test_digests_are_never_shown(boss, token):
    for page in (url("changelist"), url("change", token.pk), url("add"), url("history", token.pk)):
        content = boss.get(page).content.decode()
        assert token.digest not in content
        assert "digest" not in content


def test_digests_cannot_be_probed(boss, token):
    for lookup in (
        "digest__startswith",
        "previous_digest__startswith",
        "name_key",
        "digest",
        "user__password__startswith",
    ):
        assert boss.get(url("changelist"), {lookup: token.digest[:3]}).status_code in (302, 400)


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"name": ""}, "name", "required"),
        ({"name": "TAKEN"}, "name", "already a token"),
        ({"duration": "2y"}, "duration", "not one of the available choices"),
        ({"description": "x" * 1001}, "description", "at most 1000"),
        ({"scopes": "channels"}, "scopes", "channels: write type:id:operation"),
        ({"scopes": "pages:*:read\nboats:*:read"}, "scopes", "boats:*:read: Unknown entity type"),
        ({"scopes": "channels:0:read"}, "scopes", "channels:0:read: No such entity"),
        ({"scopes": "pages:*:read\n" * 501}, "scopes", "at most 500 scopes"),
        ({"user": 0}, "user", "not one of the available choices"),
    ],
)
def test_errors_are_shown_at_their_field(boss, make_token, user, fields, field, message):
    taken = make_token(name="taken")
    answer = boss.post(url("add"), form(user, **fields))
    assert answer.status_code == 200
    assert message in " ".join(answer.context["adminform"].form.errors[field])
    assert PersonalAccessToken.objects.get() == taken
    assert not LogEntry.objects.exists()


def test_maximum_number_of_tokens_applies(boss, token, user, settings):
    settings.PAT_TOKENS_MAX_TOKENS_PER_USER = 1
    answer = boss.post(url("add"), form(user, name="more"))
    assert "reached the maximum number of tokens" in str(answer.context["adminform"].form.non_field_errors())


def test_only_entities_of_owner_can_be_granted(boss, user):
    foreign = ChannelFactory(owner=UserFactory())
    answer = boss.post(url("add"), form(user, scopes=f"channels:{foreign.pk}:read"))
    assert "No such entity" in str(answer.context["adminform"].form.errors)
    assert not PersonalAccessToken.objects.exists()


def test_only_name_and_description_can_be_edited(boss, token, user, stranger):
    before = PersonalAccessToken.objects.values().get()
    data = form(stranger, name=" renamed ", description="for CI", digest="0" * 64, hint="x", expires_at_0="2000-01-01")
    assert boss.post(url("change", token.pk), data).status_code == 302
    after = PersonalAccessToken.objects.values().get()
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"name", "name_key", "description"}
    assert after["name"] == "renamed"


def test_duplicate_name_is_an_error(boss, token, make_token):
    make_token(name="taken")
    answer = boss.post(url("change", token.pk), {"name": "Taken", "description": ""})
    assert "already a token" in str(answer.context["adminform"].form.errors["name"])
    token.refresh_from_db()
    assert token.name == "deploy"


def test_scopes_are_shown_by_name(boss, make_token, user, channel):
    gone = ChannelFactory(owner=user)
    token = make_token(f"channels:{channel.pk}:publish", f"channels:{gone.pk}:read", "pages:*:list")
    gone.delete()
    content = boss.get(url("change", token.pk)).content.decode()
    assert channel.name in content
    assert "All Pages, now and in future" in content
    assert "No effect" in content


def test_labels_are_escaped(boss, make_token, user):
    evil = ChannelFactory(owner=user, name="<script>alert(1)</script>")
    token = make_token(f"channels:{evil.pk}:read", name="<script>alert(2)</script>")
    for page in (url("change", token.pk), url("changelist"), url("revoke", token.pk), url("regenerate", token.pk)):
        assert "<script>alert" not in boss.get(page).content.decode()


def test_search_by_owner_and_name(boss, token, stranger):
    services.create_token(stranger, name="backup")
    for term, names in {"owner": ["deploy"], "stranger": ["backup"], "backup": ["backup"], "nothing": []}.items():
        assert [one.name for one in boss.get(url("changelist"), {"q": term}).context["cl"].result_list] == names


def test_search_is_limited_to_first_words(boss, make_token):
    make_token(name="one two three four five six seven eight")
    for term, count in {
        "one two three four five six seven eight": 1,
        "eight seven six five four three two one " + "more " * 2000: 1,
        "more one two three four five six seven eight": 0,
    }.items():
        answer = boss.get(url("changelist"), {"q": term})
        assert answer.status_code == 200
        assert answer.context["cl"].result_count == count


def test_long_name_is_shortened_in_list(boss, make_token):
    make_token(name="x" * 255)
    assertContains(boss.get(f"{url('changelist')}?o=1"), f">{'x' * 59}…</a>")


def test_filters(boss, make_token):
    make_token("channels:*:read", name="reader")
    services.revoke_token(make_token("pages:*:read", name="dead"))
    for query, names in {
        "status=active": ["reader"],
        "status=revoked": ["dead"],
        "status=nonsense": ["dead", "reader"],
        "entity_type=pages": ["dead"],
        "entity_type=boats": ["dead", "reader"],
    }.items():
        answer = boss.get(f"{url('changelist')}?{query}")
        assert sorted(one.name for one in answer.context["cl"].result_list) == names


def test_actions_revoke_and_delete(boss, make_token):
    one, other, kept = make_token(name="one"), make_token(name="other"), make_token(name="kept")
    chosen = {"_selected_action": [one.pk, other.pk]}
    boss.post(url("changelist"), {"action": "revoke_selected", **chosen})
    assert set(PersonalAccessToken.objects.revoked()) == {one, other}
    assert LogEntry.objects.count() == 2
    boss.post(url("changelist"), {"action": "delete_selected", "post": "yes", **chosen})
    assert PersonalAccessToken.objects.get() == kept


def test_delete_uses_service(boss, token, monkeypatch):
    seen = []
    monkeypatch.setattr(services, "delete_token", lambda token, actor: seen.append(token))
    boss.post(url("delete", token.pk), {"post": "yes"})
    boss.post(url("changelist"), {"action": "delete_selected", "post": "yes", "_selected_action": [token.pk]})
    assert seen == [token, token]


def test_revoke_asks_for_confirmation(boss, token):
    page = url("revoke", token.pk)
    assert "It stops working immediately" in boss.get(page).content.decode()
    token.refresh_from_db()
    assert token.is_active
    assert boss.post(page)["Location"] == url("change", token.pk)
    token.refresh_from_db()
    assert token.is_revoked


def test_regenerate_keeps_the_lifetime_by_default(boss, make_token):
    for action in ("regenerate", "rotate"):
        token = make_token(user=UserFactory(), duration="90d")
        url = reverse(f"admin:pat_tokens_personalaccesstoken_{action}", args=[token.pk])
        page = boss.get(url)
        assert page.context["form"]["duration"].value() == ""
        assert boss.post(url, {"duration": ""}).status_code == 302
        before, token = token, PersonalAccessToken.objects.get(pk=token.pk)
        assert token.digest != before.digest
        assert (token.expires_at - token.issued_at).days == 90


def test_regenerate_shows_secret_once(boss, make_token):
    token = services.revoke_token(make_token("pages:*:read", name="deploy"))
    page = url("regenerate", token.pk)
    assert boss.get(page).status_code == 200
    assert boss.post(page, {"duration": "9y"}).context["form"].errors
    token.refresh_from_db()
    assert token.is_revoked
    shown = boss.get(boss.post(page, {"duration": "7d"})["Location"])
    new = str(shown.context["revealed"].secret)
    assert authenticate(new, ANY_TOKEN) == token
    assert new not in boss.get(url("change", token.pk)).content.decode()
    assert new not in str(LogEntry.objects.values())


def test_rotates_finishes_and_cancels(boss, make_token):
    token = make_token("pages:*:read", name="deploy")
    page = url("rotate", token.pk)
    assert boss.get(page).context["form"]["grace_period"].value() == "24h"
    assert set(boss.post(page, {"duration": "9y", "grace_period": "9y"}).context["form"].errors) == {"duration"}
    assert set(boss.post(page, {"duration": "7d", "grace_period": "9y"}).context["form"].errors) == {"grace_period"}
    shown = boss.get(boss.post(page, {"duration": "60d", "grace_period": ""})["Location"])
    new = str(shown.context["revealed"].secret)
    assert token.hint in shown.content.decode()
    for secret in (token.secret, new):
        assert authenticate(secret, ANY_TOKEN) == token
    assert "still works" in str(boss.post(page, {"duration": "7d", "grace_period": "1h"}).context["form"].errors)
    assert boss.get(url("cancel_rotation", token.pk)).status_code == 200
    boss.post(url("cancel_rotation", token.pk))
    assert token.hint == PersonalAccessToken.objects.get().hint
    boss.post(page, {"duration": "60d", "grace_period": "1h"})
    boss.post(url("finish_rotation", token.pk))
    assert PersonalAccessToken.objects.get().previous_secret is None
    again = boss.post(url("finish_rotation", token.pk), follow=True)
    assert "no previous secret that still works" in again.content.decode()
    assert [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")] == [
        *("Rotated.", "The rotation was canceled.", "Rotated.", "The previous secret was stopped."),
    ]


def test_permissions_are_enforced(staff, token, user):
    viewer, adder, blind, nobody = staff("view"), staff("view", "add"), staff("add"), login(user)
    assert viewer.get(url("changelist")).status_code == 200
    assert viewer.get(url("change", token.pk)).status_code == 200
    for client in (viewer, adder, blind, nobody):
        for page in ("revoke", "regenerate", "rotate", "finish_rotation", "cancel_rotation", "delete"):
            assert client.post(url(page, token.pk), {"post": "yes", "duration": "7d"}).status_code in (302, 403)
        assert client.post(url("change", token.pk), {"name": "x", "description": ""}).status_code in (302, 403)
        client.post(url("changelist"), {"action": "revoke_selected", "_selected_action": [token.pk]})
    for client in (viewer, blind, nobody):
        client.post(url("add"), form(user, name="new"))
    found = PersonalAccessToken.objects.get()
    assert (found.digest, found.name, found.is_active) == (token.digest, "deploy", True)
    assert "Revoke</a>" not in viewer.get(url("change", token.pk)).content.decode()
    assert adder.post(url("add"), form(user, name="new")).status_code == 200
    assert PersonalAccessToken.objects.count() == 1
    adder = staff("view", "add", "create_for_others")
    assert adder.post(url("add"), form(user, name="new")).status_code == 302


def _superuser(owner):
    owner.is_superuser = True


def _permission(owner):
    owner.user_permissions.add(Permission.objects.get(codename="delete_user"))


def _permission_of_a_group(owner):
    group = Group.objects.create(name="editors")
    group.permissions.add(Permission.objects.get(codename="delete_user"))
    owner.groups.add(group)


def _permission_while_inactive(owner):
    _permission(owner)
    owner.is_active = False


@pytest.fixture(params=["add", "save as new", "regenerate", "rotate"])
def take_over(request, user, token):
    """Try to get a secret of `user` in one of the admin's ways."""

    def post(client):
        match request.param:
            case "add":
                return client.post(url("add"), form(user, name="stolen"))
            case "save as new":
                page = url("change", token.pk)
                return client.post(page, {**form(user, name="stolen"), "_saveasnew": "1"})
        return client.post(url(request.param, token.pk), {"duration": "7d"})

    return post


def tokens():
    return list(PersonalAccessToken.objects.order_by("pk").values())


@pytest.mark.parametrize("change", [_superuser, _permission, _permission_of_a_group, _permission_while_inactive])
def test_owner_with_more_rights_is_protected(staff, user, take_over, change):
    client = staff("view", "add", "change", "create_for_others")
    change(user)
    user.save()
    before = tokens()
    take_over(client)
    assert tokens() == before


def test_forms_of_owner_with_more_rights_are_refused(staff, user, token):
    client = staff("view", "add", "change", "create_for_others")
    assert [client.get(url(page, token.pk)).status_code for page in ("regenerate", "rotate")] == [200, 200]
    _superuser(user)
    user.save()
    assert [client.get(url(page, token.pk)).status_code for page in ("regenerate", "rotate")] == [403, 403]


@pytest.mark.parametrize("verbs", [("view", "add"), ("view", "change"), ("view", "add", "change", "delete")])
def test_creating_for_others_needs_permission(staff, take_over, verbs):
    before = tokens()
    take_over(staff(*verbs))
    assert tokens() == before


def test_staff_with_permission_can_act_for_others(staff, user, take_over):
    before = tokens()
    take_over(staff("view", "add", "change", "create_for_others"))
    assert tokens() != before


@pytest.mark.parametrize("change", ["add", "edit", "delete"])
def test_inlines_of_a_site_change_nothing(boss, make_token, change):
    token = make_token("channels:*:read")
    (scope,) = token.scope_set.all()
    rows = {"scope_set-TOTAL_FORMS": "2", "scope_set-INITIAL_FORMS": "1", "scope_set-0-id": str(scope.pk)}
    rows |= {"scope_set-0-token": str(token.pk), "scope_set-1-token": str(token.pk)}
    key = {"entity_type": "channels", "entity_id": "*", "operation": "read"}
    wide = {**key, "operation": "delete"}
    rows |= {f"scope_set-0-{name}": value for name, value in (wide if change == "edit" else key).items()}
    rows |= {f"scope_set-1-{name}": value for name, value in (wide.items() if change == "add" else ())}
    rows |= {"scope_set-0-DELETE": "on"} if change == "delete" else {}
    page = url("change", token.pk, site="inlines")
    assert "channels" in boss.get(page).content.decode()
    answer = boss.post(page, {"name": "renamed", "description": "", **rows})
    assert answer.status_code == 302
    token.refresh_from_db()
    assert token.name == "renamed"
    assert [str(one.key) for one in token.scope_set.all()] == ["channels:*:read"]


@pytest.fixture
def token_fields(make_token, user):
    """The fields of a form for a token of the owner, as a browser sends them unchanged."""
    token = make_token("channels:*:read", name="deploy", allowed_networks=["10.0.0.0/8"])
    ends = timezone.localtime(token.expires_at)
    return token, {
        "user": user.pk,
        "name": "deploy",
        "description": "",
        "allowed_networks": "10.0.0.0/8",
        "expires_at_0": f"{ends:%Y-%m-%d}",
        "expires_at_1": f"{ends:%H:%M:%S}",
    }


CHANGES = [
    {"expires_at_0": "2099-01-01"},
    {"expires_at_0": "", "expires_at_1": ""},
    {"allowed_networks": ""},
    {"name": "other"},
    {"description": "other"},
]


def rows_of_inline(token, fields, count=1):
    rows = {"personal_access_tokens-TOTAL_FORMS": count, "personal_access_tokens-INITIAL_FORMS": 1, "first_name": "x"}
    return rows | {f"personal_access_tokens-0-{name}": value for name, value in {**fields, "id": token.pk}.items()}


@pytest.mark.parametrize("change", CHANGES)
def test_plain_admin_of_a_site_changes_no_token(boss, token_fields, change):
    token, fields = token_fields
    before = tokens()
    page = reverse("plain:auth_user_change", args=[token.user_id])
    assert "own pages" in boss.post(page, rows_of_inline(token, fields | change)).content.decode()
    assert "own pages" in boss.post(url("change", token.pk, site="plain"), fields | change).content.decode()
    assert tokens() == before


def test_plain_admin_of_a_site_adds_and_moves_no_token(boss, token_fields):
    token, fields = token_fields
    before = tokens()
    new = {f"personal_access_tokens-1-{name}": value for name, value in {**fields, "name": "new"}.items()}
    page = reverse("plain:auth_user_change", args=[token.user_id])
    answers = [
        boss.post(page, rows_of_inline(token, fields, count=2) | new),
        boss.post(url("add", site="plain"), fields | {"name": "new"}),
        boss.post(url("change", token.pk, site="plain"), fields | {"user": UserFactory(is_superuser=True).pk}),
    ]
    row = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": token.pk, "_save": "Save"}
    row |= {"form-0-expires_at_0": "2099-01-01", "form-0-expires_at_1": "0:0"}
    answers.append(boss.post(url("changelist", site="plain"), row))
    assert ["own pages" in answer.content.decode() for answer in answers] == [True] * 4
    assert tokens() == before


def test_plain_admin_of_a_site_changes_no_scope(boss, token_fields):
    token, _fields = token_fields
    (scope,) = token.scope_set.all()
    wide = {"token": token.pk, "entity_type": "channels", "entity_id": "*", "operation": "delete"}
    for page in (reverse("plain:pat_tokens_scope_add"), reverse("plain:pat_tokens_scope_change", args=[scope.pk])):
        assert "own pages" in boss.post(page, wide).content.decode()
    assert [str(one.key) for one in token.scope_set.all()] == ["channels:*:read"]


@pytest.mark.parametrize("language", ["en", "zh-hans"])  # in Chinese, the form's time has no seconds
def test_plain_admin_of_a_site_saves_unchanged_tokens(boss, token_fields, settings, language):
    settings.LANGUAGE_CODE = language
    token, fields = token_fields
    if language == "zh-hans":
        fields["expires_at_1"] = fields["expires_at_1"][:5]
    page = reverse("plain:auth_user_change", args=[token.user_id])
    assert boss.post(page, rows_of_inline(token, fields)).status_code == 302
    token.user.refresh_from_db()
    assert token.user.first_name == "x"


@pytest.fixture
def strict_site(db):
    """Validate each row before it is saved, like some sites do."""

    def validate(instance, **kwargs):
        if isinstance(instance, PersonalAccessToken | Scope):
            instance.full_clean()

    pre_save.connect(validate)
    yield
    pre_save.disconnect(validate)


def test_services_write_validated_rows(strict_site, make_token):
    token = services.update_token(make_token("channels:*:read"), name="renamed")
    services.regenerate_token(token)
    services.rotate_token(token)
    token.refresh_from_db()
    assert token.name == "renamed"


def test_regenerate_is_hidden_if_refused(staff, token):
    page = url("change", token.pk)
    assert "Regenerate</a>" not in staff("view", "change").get(page).content.decode()
    assert "Regenerate</a>" in staff("view", "change", "create_for_others").get(page).content.decode()


def test_own_tokens_need_no_extra_permission(user):
    user.is_staff = True
    user.save()
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["add_personalaccesstoken", "view_personalaccesstoken"])
    )
    login(user).post(url("add"), form(user, name="mine"))
    assert PersonalAccessToken.objects.get().name == "mine"


@pytest.mark.parametrize(("page", "key"), [("add", ()), ("change", (uuid.uuid4(),)), ("change", ("1",))])
def test_every_creating_view_asks_for_password(boss, user, settings, page, key):
    settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 600
    path = url(page, *key)
    response = boss.post(path, {**form(user), "_saveasnew": "1"})
    assert "pat_password" in response.content.decode()
    assert not PersonalAccessToken.objects.exists()
    response = boss.post(path, {**form(user), "_saveasnew": "1", "pat_password": "secret-password"})
    assert PersonalAccessToken.objects.count() == 1


def test_other_session_does_not_show_secret(boss, staff, user):
    boss.post(url("add"), form(user))
    token = PersonalAccessToken.objects.get()
    assert not staff("view").get(url("change", token.pk)).context["revealed"].secret
    assert boss.get(url("change", token.pk)).context["revealed"].secret


def test_unknown_ids_are_not_found(boss):
    for page in ("change", "revoke", "regenerate"):
        assert boss.get(url(page, "7")).status_code in (302, 404)


@pytest.mark.parametrize("key", ["abc", "0", "\0", "<b>", "é"])
def test_actions_on_invalid_ids_are_bad_requests(boss, token, key):
    for action in ("delete_selected", "revoke_selected"):
        for more in ({}, {"post": "yes"}):
            data = {"action": action, "_selected_action": [str(token.pk), key], **more}
            assert boss.post(url("changelist"), data).status_code == 400
    token.refresh_from_db()
    assert token.is_active


@pytest.mark.parametrize("key", [CharField(validators=[RegexValidator("new")]), CharField(choices=[("a", "A")])])
def test_keys_that_only_forms_refuse_are_valid(key):
    """Older rows can have them."""
    key.set_attributes_from_name("id")
    require_keys(SimpleNamespace(_meta=SimpleNamespace(pk=key)), ["old user"])


@pytest.mark.parametrize("key", ["abc", "1.5", "\0", "9" * 30])
def test_invalid_user_is_a_bad_request(boss, key):
    assert boss.get(url("add"), {"user": key}).status_code == 400
    assert boss.post(url("add"), {"user": key, "name": "new", "duration": "30d"}).status_code == 400


def test_number_of_queries_is_constant(boss, make_token, user):
    def count(page):
        with CaptureQueriesContext(connection) as queries:
            assert boss.get(page).status_code == 200
        return len(queries)

    token = make_token(f"channels:{ChannelFactory(owner=user).pk}:read")
    few = count(url("changelist")), count(url("change", token.pk))
    for _number in range(5):
        make_token()
    services.add_scopes(token, [("channels", ChannelFactory(owner=user).pk, "read") for _number in range(10)])
    assert (count(url("changelist")), count(url("change", token.pk))) == few


@pytest.mark.parametrize("site", ["admin", "staff"])
def test_activity_of_a_token_and_of_a_user_can_be_read(boss, user, make_token, stranger, site):
    token, other = make_token("channels:*:read", name="first"), make_token(name="second")
    services.update_token(token, name="renamed", actor=Actor(stranger, "page", "203.0.113.7", "curl/8.5"))
    services.delete_token(other)
    TokenFactory(user=stranger, name="foreign")
    assert url("activity", token.pk, site=site) in boss.get(url("change", token.pk, site=site)).content.decode()
    page = boss.get(url("activity", token.pk, site=site))
    assert [(act.row.kind, act.row.token_name) for act in page.context["rows"]] == [
        ("updated", "renamed"),
        ("created", "first"),
    ]
    text = page.content.decode()
    for part in ("stranger", "203.0.113.7 (curl/8.5)", "+ channels:*:read", f"?owner={user.pk}"):
        assert part in text
    page = boss.get(url("owner_activity", site=site), {"owner": user.pk})
    assert [act.row.kind for act in page.context["rows"]] == ["deleted", "updated", "created", "created"]
    assert boss.post(url("owner_activity", site=site) + f"?owner={user.pk}").status_code in (200, 403, 405)
    assert Activity.objects.count() == 5


def test_activity_needs_the_permission_to_view(staff, boss, user, token):
    paths = [url("activity", token.pk), f"{url('owner_activity')}?owner={user.pk}"]
    for verbs, status in ((["view"], 200), (["add", "delete"], 403)):
        client = staff(*verbs)
        assert [client.get(path).status_code for path in paths] == [status, status]
    for owner in ("", "0", "x", "9" * 40):
        assert boss.get(url("owner_activity"), {"owner": owner}).status_code == 404
    assert boss.get(url("activity", uuid.uuid4())).status_code == 404


def test_user_with_activity_can_be_deleted(boss, token, user):
    services.revoke_token(token)
    assert boss.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Activity.objects.exists()


@pytest.mark.parametrize("site", ["admin", "staff"])
def test_secret_is_never_part_of_a_url(boss, token, make_token, user, site):
    other = make_token(name="other")
    for secret, page, said in (
        (token.secret, url("change", token.pk, site=site), f"This is the secret of “{token.name}”."),
        (f"Bearer {other.secret}", url("change", other.pk, site=site), "This is the secret of “other”."),
        (make_secret("pat"), url("changelist", site=site), "No token has this secret."),
        (token.secret[:30], url("changelist", site=site), "This is not a complete secret."),
    ):
        for asked, view, query in (
            (boss.post, "search", {"q": secret}),
            (boss.get, "changelist", {"q": secret}),
            (boss.get, "changelist", {"user": secret}),
            (boss.get, "changelist", {secret: "1"}),
            (boss.get, "add", {"name": secret}),
        ):
            answer = asked(url(view, site=site), query)
            assert answer.url == page
            shown = boss.get(page).content.decode()
            assert said in shown
            assert ("It was part of the URL" in shown) == (asked == boss.get)
            assert secret not in shown + answer.content.decode()
    for answer in (boss.get(url("search")), boss.post(url("search"), {"q": "deploy"})):
        assert answer.url == url("changelist")


@pytest.mark.parametrize("view", ["change", "delete", "history", "revoke", "activity"])
def test_secret_instead_of_an_id_is_looked_up(boss, client, token, view):
    answer = boss.get(url(view, token.secret))
    assert answer.url == url("change", token.pk)
    shown = boss.get(answer.url).content.decode()
    assert f"This is the secret of “{token.name}”." in shown
    assert token.secret not in shown
    assert client.get(url(view, token.secret)).url == url("changelist")


def test_secret_in_url_does_not_reach_the_login_page(client, staff, token):
    for asked in (client, staff("add")):
        answer = asked.get(url("changelist"), {"q": token.secret})
        assert answer.url == url("changelist")
    assert staff("add").post(url("search"), {"q": token.secret}).status_code == 403


def test_list_counts_secrets_under_other_peppers(boss, make_token, settings):
    make_token()
    assert "pepper" not in boss.get(url("changelist")).content.decode()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key"
    boss = login(boss_user := UserFactory(username="chief", is_staff=True, is_superuser=True))
    assert "1 secret of an active token is stored under an older pepper" in boss.get(url("changelist")).content.decode()
    settings.SECRET_KEY_FALLBACKS = []
    boss.force_login(boss_user)
    assert "a pepper that is no longer configured" in boss.get(url("changelist")).content.decode()


def test_peppers_are_counted_only_for_the_list(boss, token, staff):
    def queries(send):
        with CaptureQueriesContext(connection) as captured:
            send()
        return [query["sql"] for query in captured if "pepper_id" in query["sql"] and "COUNT(" in query["sql"]]

    assert len(queries(lambda: boss.get(url("changelist")))) == 1
    data = {"action": "revoke_selected", "_selected_action": token.pk}
    assert queries(lambda: boss.post(url("changelist"), data)) == []
    assert queries(lambda: staff("add").get(url("changelist"))) == []


def test_pages_have_one_title_in_every_theme(boss, token, settings, tmp_path):
    pages = [
        url("regenerate", token.pk),
        url("activity", token.pk),
        url("departure", token.user.pk),
    ]
    for path_of_page in pages:
        page = boss.get(path_of_page)
        assert page.content.decode().count(f"<h1>{page.context['title']}</h1>") == 1
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin/base_site.html").write_text("{% block content %}{% endblock %}")  # has no title
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
    for path_of_page in pages:
        page = boss.get(path_of_page)
        assert page.content.decode().count(f"<h1>{page.context['title']}</h1>") == 1


@pytest.fixture
def deleted_early(monkeypatch):
    """Delete a token, or its owner, after the admin has found the token."""

    def delete_after(found):
        get_object = PersonalAccessTokenAdmin.get_object

        def get_object_and_delete(self, request, object_id, from_field=None):
            token = get_object(self, request, object_id, from_field)
            if token is not None:  # the second time
                found(token).delete()
            return token

        monkeypatch.setattr(PersonalAccessTokenAdmin, "get_object", get_object_and_delete)

    return delete_after


@pytest.mark.parametrize("found", [PersonalAccessToken.objects.all, lambda: PersonalAccessToken.objects.get().user])
@pytest.mark.parametrize("page", ["revoke", "regenerate", "rotate", "finish_rotation", "cancel_rotation"])
def test_token_deleted_before_action(token, boss, deleted_early, found, page):
    deleted_early(lambda token: found())
    answer = boss.post(url(page, token.pk), {"duration": "7d"})
    assert answer.status_code == 404
    assert not PersonalAccessToken.objects.exists()


def test_owner_deleted_before_form_is_shown(token, boss, deleted_early):
    deleted_early(lambda token: get_user_model().objects.filter(pk=token.user_id))
    assert boss.get(url("change", token.pk)).status_code == 302


def test_token_deleted_before_action_on_several(make_token, boss, monkeypatch):
    gone, kept = make_token(name="gone"), make_token(name="kept")
    revoke = PersonalAccessTokenAdmin._revoke

    def delete_and_revoke(self, request, token):
        PersonalAccessToken.objects.filter(pk=gone.pk).delete()
        revoke(self, request, token)

    monkeypatch.setattr(PersonalAccessTokenAdmin, "_revoke", delete_and_revoke)
    chosen = {"action": "revoke_selected", "_selected_action": [gone.pk, kept.pk]}
    assertContains(boss.post(url("changelist"), chosen, follow=True), "1 token was revoked.")
    kept.refresh_from_db()
    assert kept.is_revoked
