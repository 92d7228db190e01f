import pytest
from hypothesis import given
from hypothesis import strategies as st

from pat_tokens.scopes import ALL, Decision, RequiredScope, ScopeKey, absorb, decide

TYPES = st.sampled_from(["channels", "clients"])
IDS = st.sampled_from(["1", "2", "3"])
OPERATIONS = st.sampled_from(["read", "list", "delete"])
KEYS = st.builds(ScopeKey, TYPES, IDS | st.just(ALL), OPERATIONS)
NEEDS = st.builds(
    RequiredScope, TYPES, OPERATIONS, IDS | st.just(ALL), st.booleans(), st.lists(KEYS, max_size=2).map(tuple)
)
WORLD = [
    ScopeKey(entity_type, entity_id, operation)
    for entity_type in ("channels", "clients")
    for entity_id in ("1", "2", "3", "not there yet")
    for operation in ("read", "list", "delete")
]


def may(scopes, what):
    """Brute force: return everything that the scopes allow, including future entities."""
    spelled = set()
    for scope in scopes:
        spelled |= {thing for thing in WORLD if scope == thing or scope == thing._replace(entity_id=ALL)}
    return what in spelled


@given(st.sets(KEYS), NEEDS)
def test_decide_matches_brute_force(scopes, required_scope):
    decision = decide(scopes, required_scope)

    def things(needed):
        return [t for t in WORLD if t.entity_type == needed.entity_type and t.operation == needed.operation]

    def has(needed):
        if needed.entity_id == ALL:
            return all(may(scopes, t) for t in things(needed))
        return may(scopes, needed)

    needed, others = required_scope.scope, required_scope.also
    some = required_scope.filtered and any(may(scopes, t) for t in things(needed))
    missing = {one for one in others if not has(one)}
    if not has(needed) and (not some or needed in missing):
        missing.add(needed)
    assert bool(decision) == (not missing)
    assert decision.limited == (not missing and not has(needed))
    assert set(decision.missing) == missing
    assert len(decision.missing) == len(missing)


@given(st.sets(KEYS), KEYS, NEEDS)
def test_more_scopes_never_remove_access(scopes, more, required_scope):
    if decide(scopes, required_scope):
        assert decide(scopes | {more}, required_scope)


@given(NEEDS)
def test_no_scopes_allow_nothing(required_scope):
    assert not decide(set(), required_scope)


@given(st.sets(KEYS))
def test_none_is_always_allowed(scopes):
    assert decide(scopes, None) == Decision()


def test_missing_scopes_are_returned():
    decision = decide([ScopeKey("channels", "7", "publish")], RequiredScope("channels", "publish", "42"))
    assert [str(scope) for scope in decision.missing] == ["channels:42:publish"]


@given(st.sets(KEYS), st.lists(KEYS), NEEDS)
def test_absorb_changes_no_decision(held, added, required_scope):
    redundant, new = absorb(held, added)
    assert decide((held - redundant) | set(new), required_scope) == decide(held | set(added), required_scope)


@given(st.sets(KEYS), st.lists(KEYS))
def test_absorb_removes_redundant_scopes(held, added):
    redundant, new = absorb(held, added)
    result = (held - redundant) | set(new)
    assert len(new) == len(set(new))
    assert not held & set(new)
    assert not [one for one in result for other in result if one != other and other.covers(one)]


def test_scope_on_all_absorbs_same_operation_only():
    single, wide = ScopeKey("channels", "1", "read"), ScopeKey("channels", ALL, "read")
    others = {ScopeKey("channels", "1", "list"), ScopeKey("clients", "1", "read")}
    assert absorb({single, *others}, [wide]) == ({single}, [wide])
    assert absorb({wide}, [single, *sorted(others)]) == (set(), sorted(others))


@given(KEYS, st.text(min_size=1))
def test_parse_reverses_str(key, entity_id):
    key = key._replace(entity_id=entity_id)
    assert ScopeKey.parse(str(key)) == key


@pytest.mark.parametrize("text", ["", ":", "::", "a:b", "a:b:", ":b:c", "a::c"])
def test_incomplete_scope_is_value_error(text):
    with pytest.raises(ValueError, match="entity type:entity id:operation"):
        ScopeKey.parse(text)


def test_limited_list_still_needs_other_scopes():
    required_scope = RequiredScope("channels", "list", filtered=True, also=(ScopeKey("clients", "1", "read"),))
    held = [ScopeKey("channels", "1", "list")]
    assert decide(held, required_scope) == Decision(required_scope.also, required_scope=required_scope)
    assert decide([*held, *required_scope.also], required_scope) == Decision(
        limited=True, required_scope=required_scope
    )


def test_filtered_list_is_limited_to_ids():
    required_scope = RequiredScope("channels", "list", filtered=True)
    assert decide([ScopeKey("channels", "1", "list")], required_scope) == Decision(
        limited=True, required_scope=required_scope
    )
    assert decide([ScopeKey("channels", "*", "list")], required_scope) == Decision(required_scope=required_scope)
    for other in (("channels", "1", "read"), ("devices", "1", "list")):
        assert decide([ScopeKey(*other)], required_scope) == Decision(
            missing=(required_scope.scope,), required_scope=required_scope
        )
    assert not decide([ScopeKey("channels", "1", "list")], required_scope._replace(filtered=False))
