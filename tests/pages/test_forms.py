"""Forms keep the input and pass it to services."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.utils import timezone

from pat_tokens.entities import registry
from pat_tokens.pages.forms import OWN_DATE, DurationForm, RegenerateForm
from pat_tokens.pages.scope_formset import ScopeFormSet, suggest
from pat_tokens.scopes import ScopeKey
from pat_tokens.validation import DurationRules
from tests.factories import ChannelFactory


def formset(user, **fields):
    data = QueryDict(mutable=True)
    for key, value in fields.items():
        data.setlist(f"scopes-{key}", value if isinstance(value, list) else [value])
    return ScopeFormSet(user, data)


def test_form_creates_scope_per_operation(user):
    found = formset(user, **{"3-entity_type": "channels", "3-entity_id": "7", "3-operations": ["read", "list"]})
    assert found.scopes == [ScopeKey("channels", "7", "read"), ScopeKey("channels", "7", "list")]


def test_empty_rows_and_unknown_fields_are_ignored(user):
    found = formset(user, **{"0-entity_type": "", "x-entity_type": "channels", "99999999-entity_id": "1"})
    assert found.scopes == []


def test_rows_are_added_removed_and_searched(user):
    found = formset(user, **{"0-entity_type": "channels", "4-entity_type": "devices"})
    for step, types in (
        ("add", ["channels", "devices", ""]),
        ("remove-4", ["channels"]),
        ("remove-1", ["channels", "devices"]),
        ("nonsense", ["channels", "devices"]),
    ):
        assert [form.values["entity_type"] for form in found.after_step(step)] == types


def test_number_of_rows_read_is_limited(user, settings):
    settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 3
    many = {f"{number}-entity_type": "channels" for number in range(50)}
    assert len(formset(user, **many).forms) == 4


def test_scope_errors_are_shown_at_their_row(user):
    found = formset(
        user,
        **{
            "0-entity_type": "channels",
            "0-entity_id": "*",
            "0-operations": ["read", "list"],
            "2-entity_type": "channels",
            "2-entity_id": "999",
            "2-operations": ["read", "list"],
        },
    )
    found.add_service_errors([{}, {}, {"entity_id": ["gone"]}, {"entity_id": ["gone"], "operation": ["no"]}])
    assert found.errors == [{}, {"entity_id": ["gone"], "operations": ["no"]}]


def test_summary_uses_entity_names(user, channel):
    found = formset(
        user,
        **{
            "0-entity_type": "channels",
            "0-entity_id": str(channel.pk),
            "0-operations": ["delete"],
            "1-entity_type": "devices",
            "1-entity_id": "*",
            "1-operations": ["list"],
        },
    )
    told = [(one.entities, [label.operation for label in one.operations]) for one in found.capabilities]
    assert told == [([channel.name], ["Delete"]), (["All Devices, now and in future"], ["List"])]
    assert found.capabilities[0].is_dangerous


class TestSeveralEntities:
    def test_each_entity_gets_each_operation(self, user):
        found = formset(
            user, **{"0-entity_type": "channels", "0-entity_id": ["7", "8", "", "7"], "0-operations": ["read", "list"]}
        )
        assert list(map(str, found.scopes)) == [f"channels:{pk}:{name}" for pk in (7, 8) for name in ("read", "list")]

    def test_all_entities_stand_for_single_ones(self, user):
        names = ["create", "read"]
        found = formset(user, **{"0-entity_type": "channels", "0-entity_id": ["7", "*"], "0-operations": names})
        assert list(map(str, found.scopes)) == ["channels:*:create", "channels:*:read"]

    def test_row_without_entity_asks_for_one(self, user):
        found = formset(user, **{"0-entity_type": "channels", "0-entity_id": ["", ""], "0-operations": "read"})
        assert found.scopes == [ScopeKey("channels", "", "read")]
        assert formset(user, **{"0-entity_type": "", "0-entity_id": ["", ""]}).scopes == []

    def test_product_is_limited_before_it_is_made(self, user, settings, django_assert_num_queries):
        settings.PAT_TOKENS_MAX_SCOPES_PER_TOKEN = 20
        many = [str(number) for number in range(5000)]
        row = {"entity_type": "channels", "entity_id": many, "operations": many}
        found = formset(user, **{f"{number}-{key}": value for number in range(30) for key, value in row.items()})
        assert len(found.scopes) == 21
        with django_assert_num_queries(1):
            assert sum(len(form.chosen) for form in found) == 21
        assert found.capabilities == []

    def test_errors_name_the_entity(self, user, channel):
        ids = [str(channel.pk), "999"]
        found = formset(user, **{"0-entity_type": "channels", "0-entity_id": ids, "0-operations": ["read", "list"]})
        found.add_service_errors([{}, {}, {"entity_id": ["gone"]}, {"entity_id": ["gone"], "operation": ["no"]}])
        assert found.errors == [{"entity_id": ["999: gone"], "operations": ["no"]}]

    def test_select_offers_what_is_not_chosen(self, user, channel):
        other = ChannelFactory(owner=user, name="Other")
        (form,) = formset(user, **{"0-entity_type": "channels", "0-entity_id": [str(channel.pk), "junk"]})
        assert form.chosen == [(str(channel.pk), channel.name), ("junk", "junk")]
        offered = [value for value, _label in form.fields["entity_id"].choices]
        assert offered == ["", "*", str(other.pk)]


class TestRedundantScopes:
    @pytest.fixture
    def told(self, user):
        def told(token=None, **fields):
            data = QueryDict(mutable=True)
            for key, value in fields.items():
                data.setlist(f"scopes-{key}", value if isinstance(value, list) else [value])
            found = ScopeFormSet(user, data, token=token).redundant
            return [
                [f"{label.operation} {label.entity}" for label in labels]
                for labels in (found.included, found.present, found.replaced)
            ]

        return told

    def test_all_includes_single_ones(self, told, channel):
        row = {"0-entity_type": "channels", "0-entity_id": ["*", str(channel.pk)], "0-operations": ["read", "create"]}
        assert told(**row) == [[f"Read {channel.name}"], [], []]
        more = {"1-entity_type": "channels", "1-entity_id": str(channel.pk), "1-operations": ["read", "publish"]}
        assert told(**row, **more) == [[f"Read {channel.name}"], [], []]

    def test_scopes_of_token_count(self, told, make_token, channel, user):
        other = ChannelFactory(owner=user, name="Other")
        token = make_token(f"channels:{channel.pk}:read", "channels:*:list", f"channels:{other.pk}:publish")
        every = {"0-entity_type": "channels", "0-entity_id": "*", "0-operations": ["read", "list"]}
        assert told(token, **every) == [[], ["List All Channels, now and in future"], [f"Read {channel.name}"]]
        ids = [str(channel.pk), str(other.pk)]
        single = {"0-entity_type": "channels", "0-entity_id": ids, "0-operations": ["publish", "list"]}
        assert told(token, **single) == [[f"List {channel.name}", "List Other"], ["Publish Other"], []]

    def test_nothing_chosen_needs_no_query(self, told, token, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert told(token) == [[], [], []]


def test_suggestions_are_limited(user, stranger):
    for _number in range(25):
        ChannelFactory(owner=user)
    ChannelFactory(owner=stranger, name="Secret one")
    pairs, has_more = suggest(registry.get("channels"), user)
    assert (len(pairs), has_more) == (20, True)
    assert suggest(registry.get("channels"), user, "Secret") == ([], False)


def expiry(**data):
    form = DurationForm(data, rules=DurationRules(User()))
    assert form.is_valid(), form.errors
    return form.expiry


def test_duration_is_passed_to_service():
    assert expiry(duration="7d") == {"duration": "7d"}
    assert expiry() == {"duration": None}


def test_date_ends_in_browser_time_zone():
    when = expiry(duration=OWN_DATE, expires_on="2031-07-01", timezone="Europe/Berlin")["expires_at"]
    assert when == datetime(2031, 7, 1, 21, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("zone", ["", "\0", "../../etc/passwd", "Nowhere/Land", "x" * 5000])
def test_invalid_time_zone_falls_back_to_site(zone):
    when = expiry(duration=OWN_DATE, expires_on="2031-07-01", timezone=zone)["expires_at"]
    assert when == datetime(2031, 7, 1, 23, 59, 59, tzinfo=timezone.get_current_timezone())


@pytest.mark.parametrize(
    "data",
    [
        {"duration": OWN_DATE},
        {"duration": OWN_DATE, "expires_on": "nonsense"},
        {"duration": "7d", "expires_on": "2031-07-01"},
    ],
)
def test_missing_date_is_an_error(data):
    assert list(DurationForm(data, rules=DurationRules(User())).errors) == ["expires_on"]


def test_six_durations_and_date_are_offered():
    values = [value for value, _label in DurationForm(rules=DurationRules(User())).fields["duration"].widget.choices]
    assert values == ["24h", "7d", "30d", "60d", "90d", "1y", OWN_DATE]


def test_durations_over_maximum_are_not_offered(settings):
    settings.PAT_TOKENS_MAX_DURATION = "30d"
    values = [value for value, _label in DurationForm(rules=DurationRules(User())).fields["duration"].widget.choices]
    assert values == ["24h", "7d", "30d", OWN_DATE]


def test_never_is_offered_only_if_allowed(settings):
    settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
    assert DurationForm(rules=DurationRules(User())).fields["duration"].widget.choices[-1] == ("never", "No expiration")


@pytest.mark.parametrize(("duration", "seconds"), [("90d", 90 * 86400), ("1y", 366 * 86400)])
def test_regenerating_offers_previous_lifetime(make_token, settings, duration, seconds):
    settings.PAT_TOKENS_MAX_DURATION = "366d"
    form = RegenerateForm(token=make_token(duration=duration))
    assert form["duration"].initial == ""
    first = form.fields["duration"].widget.choices[0]
    assert first[0] == ""
    assert first[1].startswith("As long as before (")
    (shown,) = [option for option in form["duration"].subwidgets if option.data["selected"]]
    assert abs(int(shown.data["attrs"]["data-pat-seconds"]) - seconds) <= 86400


def test_regenerating_token_that_never_expires(make_token, settings):
    settings.PAT_TOKENS_ALLOW_NO_EXPIRY = True
    token = make_token(duration="never")
    assert "No expir" in RegenerateForm(token=token).fields["duration"].widget.choices[0][1]
