"""Links that fill in a form, including malicious ones."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from pat_tokens.entities import Preset, registry
from pat_tokens.models import PersonalAccessToken
from pat_tokens.policy import Policy
from tests.factories import ChannelFactory, TokenFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def create(person):
    """Follow a link to the form for a new token."""
    return lambda **query: person.get("/pats/create/?" + urlencode(query, doseq=True))


def rows(page):
    """Return the selected scopes of the form, and `type:id:` for each row without operations."""
    found = []
    for form in page.context["formset"]:
        for entity_id in form.values["entity_id"] or [""]:
            start = f"{form.values['entity_type']}:{entity_id}:"
            found += [start + name for name in form.values["operations"]] or [start]
    return found


def field(page, name):
    return page.context["form"][name].value()


def banner(page):
    """Return the text of the banner, with normalized whitespace."""
    match = re.search(r'<div class="pat-alert pat-alert-warning".*?</div>', page.content.decode(), re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", match[0])).split()) if match else ""


def post_as_is(person, page, url="/pats/create/", **changes):
    """Submit the form as the link filled it in."""
    data = {}
    for form in page.context["formset"]:
        for name in ("entity_type", "entity_id", "operations"):
            data[f"{form.prefix}-{name}"] = form.values[name]
    if page.context["prefill"].is_new:
        data |= {name: field(page, name) or "" for name in ("name", "duration", "description")}
    return person.post(url, data | changes)


class TestCreate:
    def test_everything_is_filled_in_and_nothing_is_created(self, create, channel, person):
        page = create(
            name="Backup",
            description="Nightly",
            duration="7d",
            scope=[f"channels:{channel.pk}:read", f"channels:{channel.pk}:publish", "devices:*:list"],
        )
        assert not PersonalAccessToken.objects.exists()
        assert (field(page, "name"), field(page, "description"), field(page, "duration")) == ("Backup", "Nightly", "7d")
        assert rows(page) == [f"channels:{channel.pk}:read", f"channels:{channel.pk}:publish", "devices:*:list"]
        assert "filled in by a link. Check what the token will be able to do." in banner(page)
        assert "Never give its secret to the person who sent you the link." in banner(page)
        assert "future ones: All Devices, now and in future" in banner(page)
        assert post_as_is(person, page).status_code == 302
        token = PersonalAccessToken.objects.get()
        assert token.name == "Backup"
        assert set(map(str, token.scope_set.all())) == set(rows(page))

    def test_entities_with_same_operations_share_a_block(self, create, user, person):
        pump, lamp, fan = (ChannelFactory(owner=user).pk for _ in range(3))
        scopes = [f"channels:{pump}:publish", f"channels:{lamp}:publish", f"channels:{fan}:publish"]
        page = create(scope=[*scopes, f"channels:{fan}:read", "channels:*:list", "channels:?:publish", "pages:*:list"])
        assert [(form.values["entity_id"], form.values["operations"]) for form in page.context["formset"]] == [
            ([str(pump), str(lamp)], ["publish"]),
            ([str(fan)], ["publish", "read"]),
            (["*"], ["list"]),
            ([], ["publish"]),
            (["*"], ["list"]),
        ]
        page = create(scope=[f"channels:{pump}:delete", f"channels:{lamp}:delete", f"channels:{fan}:read"])
        assert rows(page) == [f"channels:{pump}:", f"channels:{lamp}:", f"channels:{fan}:read"]
        assert len(page.context["formset"].forms) == 2

    def test_no_banner_without_parameters(self, person):
        assert banner(person.get("/pats/create/")) == ""

    def test_dangerous_operations_are_listed_and_not_ticked(self, create, channel, person):
        page = create(scope=[f"channels:{channel.pk}:delete", f"channels:{channel.pk}:read", "devices:*:delete"])
        assert rows(page) == [f"channels:{channel.pk}:read", "devices:*:"]
        assert f"select them below if you want them: Delete – {channel.name} Delete – All Devices" in banner(page)
        text = page.content.decode()
        assert text.count("Asked for") == 2
        assert not re.search(r'value="delete"[^>]*checked', text)

    def test_entity_can_be_left_to_user(self, create):
        page = create(scope=["channels:?:publish", "channels:?:read", "channels:?:create"])
        assert rows(page) == ["channels::publish", "channels::read", "channels:*:create"]

    def test_duration_is_at_most_default(self, case, create):
        for asked, filled in (
            ("24h", "24h"),
            ("P7D", "7d"),
            ("12h", "12h"),
            ("PT90M", "PT5400S"),
            ("30d", "30d"),
            ("31d", "30d"),
            ("1y", "30d"),
            ("never", "30d"),
            ("0d", "30d"),
            ("-1d", "30d"),
            ("soon", "30d"),
            ("9" * 3000 + "d", "30d"),
            ("", "30d"),
        ):
            with case(asked):
                page = create(name="x", duration=asked)
                assert field(page, "duration") == filled
                assert f'<option value="{filled}"' in page.content.decode()
                is_left_out = filled == "30d" and asked not in ("30d", "")
                assert ("Left out" in banner(page)) == is_left_out

    def test_link_never_turns_off_expiration(self, create, settings):
        settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
        settings.PAT_TOKENS_DEFAULT_DURATION = "never"
        assert field(create(name="x"), "duration") == "366d"
        assert field(create(name="x", duration="never"), "duration") == "366d"
        assert field(create(name="x", duration="90d"), "duration") == "90d"

    def test_preset_fills_in_scopes(self, create, presets, channel):
        registry.register_preset(
            Preset("publisher", "Publisher", ["channels:?:publish", "devices:*:read", "devices:*:delete"])
        )
        page = create(preset=["publisher", "pages-read-only", "no-such"], scope="pages:*:update")
        expected = ["channels::publish", "devices:*:read", "pages:*:list", "pages:*:read", "pages:*:update"]
        assert rows(page) == expected
        assert "Delete – All Devices" in banner(page)
        assert "Left out, because it is unknown here, not allowed, or not yours: no-such" in banner(page)


class TestCopy:
    def test_copy_fills_in_all_fields(self, create, person, make_token, channel):
        scopes = {f"channels:{channel.pk}:read", "devices:*:list", f"channels:{channel.pk}:publish"}
        source = make_token(*scopes, name="deploy", description="for CI", duration="7d")
        page = create(copy=source.pk)
        assert "filled in from “deploy”" in banner(page)
        assert (field(page, "name"), field(page, "description")) == ("deploy 2", "for CI")
        assert field(page, "duration") == "7d"
        assert post_as_is(person, page).status_code == 302
        copy = PersonalAccessToken.objects.get(name="deploy 2")
        assert set(map(str, copy.scope_set.all())) == scopes
        assert copy.digest != source.digest
        assert field(create(copy=source.pk), "name") == "deploy 3"

    def test_banner_warns_of_sender_of_link(self, create, make_token):
        source = make_token("channels:*:read")
        assert "If somebody sent you a link" in banner(create(copy=source.pk))
        for extra in ({"scope": "channels:*:list"}, {"name": "mine"}, {"no-such": "x"}):
            assert "the person who sent you the link" in banner(create(copy=source.pk, **extra))

    def test_other_parameters_override_copy(self, create, make_token):
        page = create(copy=make_token("channels:*:read").pk, name="mine", duration="24h", scope="devices:*:read")
        assert (field(page, "name"), field(page, "duration")) == ("mine", "24h")
        assert rows(page) == ["channels:*:read", "devices:*:read"]

    def test_long_lifetime_is_cut_to_default(self, create, make_token, settings):
        settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
        assert field(create(copy=make_token(duration="1y").pk), "duration") == "30d"
        assert field(create(copy=make_token(duration="never").pk), "duration") == "30d"

    def test_networks_are_named_and_left_out(self, create, person, make_token):
        page = create(copy=make_token("channels:*:read", allowed_networks=["10.0.0.0/8", "2001:db8::/32"]).pk)
        assert not field(page, "allowed_networks")
        assert banner(page).endswith("aren't copied; enter them below if you want them: 10.0.0.0/8 2001:db8::/32")

    def test_copied_name_stays_within_limit(self, create, make_token):
        name = field(create(copy=make_token(name="n" * 255).pk), "name")
        assert name == "n" * 253 + " 2"

    def test_other_users_token_is_not_copied(self, case, create, stranger):
        theirs = TokenFactory(user=stranger, name="secret plan", scopes=[("channels", "*", "read")])
        for text in (str(theirs.pk), "no-uuid", "", "0" * 36):
            with case(text):
                page = create(copy=text)
                assert rows(page) == ["::"]
                assert "secret plan" not in page.content.decode()
        assert str(theirs.pk) in banner(create(copy=theirs.pk))

    def test_scopes_without_effect_are_left_out(self, create, make_token, channel):
        source = make_token(f"channels:{channel.pk}:read", "channels:*:list")
        scope = f"channels:{channel.pk}:read"
        channel.delete()
        page = create(copy=source.pk)
        assert rows(page) == ["channels:*:list"]
        assert scope in banner(page)


class TestPresets:
    """Presets are chosen on the page, so their dangerous operations are selected."""

    @pytest.fixture(autouse=True)
    def manager(self, presets):
        registry.register_preset(Preset("manager", "Manager", ["channels:*:read", "channels:?:delete"], "All of it."))

    def test_they_are_offered(self, person):
        page = person.get("/pats/create/")
        offered = re.findall(r'<option value="([^"]+)">([^<]+)</option>', page.content.decode().split("id_preset")[2])
        assert page.content.index(b'id="id_preset"') < page.content.index(b'name="scopes-0-entity_type"')
        assert offered[:2] == [("manager", "Manager – All of it."), ("channels-read-only", "Read only: Channels")]

    def test_using_one_keeps_what_was_typed(self, person):
        typed = {"name": "kept", "scopes-0-entity_type": "devices", "scopes-0-operations": "read"}
        page = person.post("/pats/create/", {**typed, "step": "preset", "preset": "manager"})
        assert field(page, "name") == "kept"
        assert rows(page) == ["devices::read", "channels:*:read", "channels::delete"]
        assert banner(page) == ""

    def test_empty_row_is_replaced(self, person):
        page = person.post("/pats/create/", {"scopes-0-entity_type": "", "step": "preset", "preset": "manager"})
        assert rows(page) == ["channels:*:read", "channels::delete"]
        for preset in ("", "no-such"):
            page = person.post("/pats/create/", {"scopes-0-entity_type": "", "step": "preset", "preset": preset})
            assert rows(page) == ["::"]

    def test_only_what_can_be_granted(self, person, settings):
        class Narrow(Policy):
            def can_grant(self, user, entity_type, operation, token=None):
                return entity_type.name == "channels" and operation.name == "read"

        settings.PAT_TOKENS_POLICY = Narrow
        page = person.get("/pats/create/?scope=channels:*:list&scope=channels:*:read&scope=devices:*:read")
        assert rows(page) == ["channels:*:read"]
        assert "channels:*:list devices:*:read" in banner(page)
        registry.register_preset(Preset("reader", "Reader", ["channels:*:read"]))
        page = person.get("/pats/create/")
        assert [preset.name for preset in page.context["presets"]] == ["reader"]
        page = person.post("/pats/create/", {"step": "preset", "preset": "reader"})
        assert rows(page) == ["channels:*:read"]
        page = person.post("/pats/create/", {"step": "preset", "preset": "manager"})
        assert rows(page) == ["::"]


class TestAddScopes:
    def test_missing_scope_is_filled_in_and_added(self, person, token, channel):
        url = f"/pats/{token.pk}/scopes/add/?scope=channels:{channel.pk}:publish"
        page = person.get(url)
        assert rows(page) == [f"channels:{channel.pk}:publish"]
        assert "Add only what you need." in banner(page)
        assert not token.scope_set.exists()
        assert post_as_is(person, page, url).status_code == 302
        assert str(token.scope_set.get()) == f"channels:{channel.pk}:publish"

    def test_dangerous_scope_is_not_selected(self, person, token, channel):
        url = f"/pats/{token.pk}/scopes/add/?scope=channels:{channel.pk}:delete"
        page = person.get(url)
        assert rows(page) == [f"channels:{channel.pk}:"]
        assert post_as_is(person, page, url).status_code == 200
        assert not token.scope_set.exists()

    def test_nothing_but_scopes(self, person, token):
        page = person.get(f"/pats/{token.pk}/scopes/add/?preset=channels-read-only&name=new&copy={token.pk}")
        assert rows(page) == ["::"]
        assert "preset name copy" in banner(page)

    def test_other_users_token_is_not_found(self, person, stranger):
        theirs = TokenFactory(user=stranger)
        assert person.get(f"/pats/{theirs.pk}/scopes/add/?scope=channels:*:read").status_code == 404


class TestMaliciousLinks:
    """Whatever a link contains, nothing is created, selected or shown that the user didn't choose."""

    MARKUP = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7|add:7 }}{% load x %}'

    def test_hundreds_of_scopes(self, create, user, django_assert_max_num_queries):
        channels = [ChannelFactory(owner=user) for _ in range(60)]
        scopes = [f"channels:{one.pk}:read" for one in channels] + ["pages:*:delete"] * 900
        with django_assert_max_num_queries(10):
            page = create(scope=scopes)
        assert len(rows(page)) == 50
        assert len(page.context["formset"].forms) == 1
        assert "Only the first 50 scopes were filled in." in banner(page)
        assert create(scope=["x"] * 1001).status_code == 400  # Django's limit

    def test_junk_is_named_up_to_a_limit(self, create):
        page = create(scope=[f"junk {number} " + "x" * 5000 for number in range(49)])
        assert len(page.context["prefill"].left_out) == 21
        assert len(banner(page)) < 3000
        assert rows(page) == ["::"]

    def test_markup_in_every_parameter(self, create, person, token):
        names = ("name", "description", "duration", "preset", "scope", "copy", "other", self.MARKUP)
        page = create(**dict.fromkeys(names, self.MARKUP))
        added = person.get(f"/pats/{token.pk}/scopes/add/?{urlencode({'scope': self.MARKUP, self.MARKUP: 1})}")
        for text in (page.content.decode(), added.content.decode()):
            assert "<script>alert" not in text
            assert "<img src=x" not in text
            assert "14" not in banner(page)
            assert "&lt;script&gt;" in text

    def test_other_users_entities_look_missing(self, create, stranger):
        theirs = ChannelFactory(owner=stranger, name="Secret room")
        for entity_id in (theirs.pk, 987654321, "no-number", "-1", "1e5", "*", "**"):
            page = create(scope=f"channels:{entity_id}:read")
            assert "Secret room" not in page.content.decode()
            if entity_id != "*":
                assert rows(page) == ["::"]
                assert banner(page).endswith(f"not yours: channels:{entity_id}:read")

    def test_several_entities_in_a_link(self, create, person, user, stranger):
        own = [ChannelFactory(owner=user, name=f"own {number}") for number in range(2)]
        theirs = ChannelFactory(owner=stranger, name="Secret room")
        ids = [own[0].pk, theirs.pk, own[1].pk, "*", "**", "9" * 300, self.MARKUP]
        page = create(scope=[f"channels:{entity_id}:{name}" for entity_id in ids for name in ("read", "delete")])
        assert rows(page) == [f"channels:{own[0].pk}:read", f"channels:{own[1].pk}:read", "channels:*:read"]
        assert "Secret room" not in page.content.decode()
        assert "<script>alert" not in page.content.decode()
        for part in (f"channels:{theirs.pk}:read", "channels:**:delete", "future ones: All Channels", "Delete – own 1"):
            assert part in banner(page)
        assert not re.search(r'value="delete"[^>]*checked', page.content.decode())

    def test_several_entities_in_a_post(self, person, user, stranger, django_assert_max_num_queries):
        """What a form on another site would send, if CSRF protection didn't stop it."""
        own, theirs = ChannelFactory(owner=user, name="own"), ChannelFactory(owner=stranger, name="Secret room")
        row = {"scopes-0-entity_type": "channels", "scopes-0-operations": ["read", "list"]}
        for ids in ([own.pk, theirs.pk], [own.pk, self.MARKUP], [own.pk, "x" * 20_000], [own.pk, "\0"], range(900)):
            with django_assert_max_num_queries(12):
                page = person.post("/pats/create/", {"name": "x", "duration": "7d", **row, "scopes-0-entity_id": ids})
            assert page.status_code == 200
            assert "Secret room" not in page.content.decode()
            assert "<script>alert" not in page.content.decode()
            assert not PersonalAccessToken.objects.exists()
        assert "A token can have at most 500 scopes." in page.content.decode()
        page = person.post("/pats/create/", {"name": "x", **row, "scopes-0-entity_id": [own.pk, theirs.pk]})
        (messages,) = (form.errors["entity_id"] for form in page.context["formset"])
        assert [message.split(":")[0] for message in messages] == [str(theirs.pk)]

    def test_very_long_and_strange_values(self, case, create):
        for value in ("x" * 20_000, "\0", "\ud800".encode("utf-8", "surrogatepass"), "\u202e", "a\nb", "💥" * 300):
            with case(value[:5]):
                page = create(name=value, description=value, duration=value, preset=value, scope=value, copy=value)
                assert page.status_code == 200
                assert len(field(page, "name") or "") <= 255
                assert len(field(page, "description") or "") <= 1000
                assert "\0" not in page.content.decode()

    def test_networks_dates_and_steps_are_ignored(self, create, person):
        page = create(
            expires_at="2030-01-01", expires_on="2030-01-01", allowed_networks="0.0.0.0/0", step="add", timezone="x"
        )
        assert banner(page).endswith("expires_at expires_on allowed_networks step timezone")
        assert field(page, "duration") == "30d"
        assert field(page, "expires_on") is None
        assert len(page.context["formset"].forms) == 1

    def test_form_of_link_needs_csrf_token(self, user, client):
        from django.test import Client

        strict = Client(enforce_csrf_checks=True)
        strict.force_login(user)
        assert strict.post("/pats/create/?scope=channels:*:read", {"name": "x", "duration": "7d"}).status_code == 403

    def test_page_is_not_framed_or_cached_and_needs_login(self, create, client, token):
        page = create(scope="channels:*:read")
        assert page["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
        assert "no-store" in page["Cache-Control"]
        client.logout()
        for path in ("/pats/create/?scope=channels:*:read", f"/pats/{token.pk}/scopes/add/?scope=channels:*:read"):
            assert client.get(path)["Location"].startswith("/accounts/login/?next=/pats/")

    def test_secret_in_link_is_removed(self, person, make_token):
        token = make_token()
        answer = person.get(f"/pats/create/?name={token.secret}&scope=channels:*:read")
        assert (answer.status_code, answer["Location"]) == (302, "/pats/create/")

    def test_password_prompt_keeps_link(self, person, settings):
        settings.PAT_TOKENS_REAUTHENTICATE_AFTER = 300
        session = person.session
        session["pat_tokens_reauthenticated_at"] = 0
        session.save()
        page = person.get("/pats/create/?scope=channels:*:read")
        assert "formset" not in (page.context or {})


def test_copy_of_token_that_expired_long_ago(create, make_token):
    source = make_token("channels:*:read", duration="7d")
    past = timezone.now() - timedelta(days=900)
    PersonalAccessToken.objects.filter(pk=source.pk).update(issued_at=past, expires_at=past + timedelta(hours=36))
    assert field(create(copy=source.pk), "duration") == "36h"
