import random
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pat_tokens import crypto

PREFIXES = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)


@given(PREFIXES)
def test_new_secret_is_well_formed(prefix):
    secret = crypto.make_secret(prefix)
    assert crypto.is_well_formed(secret, prefix)
    assert set(secret) <= set(string.ascii_letters + string.digits + "_")
    assert secret.startswith(f"{prefix}_")
    assert len(secret) == len(prefix) + 1 + 43 + 6


def test_body_has_at_least_256_random_bits():
    assert len(crypto.ALPHABET) ** crypto.BODY_LENGTH >= 2**256
    bodies = {crypto.make_secret("pat")[4:47] for _ in range(1000)}
    assert len(bodies) == 1000
    assert set("".join(bodies)) == set(crypto.ALPHABET)


def test_body_is_not_from_predictable_generator():
    bodies = set()
    for _ in range(2):
        random.seed(7)
        bodies.add(crypto.make_secret("pat"))
    assert len(bodies) == 2


def test_checksum_is_crc32_in_base62():
    secret = crypto.make_secret("pat")
    number = 0
    for character in secret[-6:]:
        number = number * 62 + (string.digits + string.ascii_uppercase + string.ascii_lowercase).index(character)
    assert number == zlib.crc32(secret[:-6].encode())


@given(st.text())
def test_any_string_is_accepted(text):
    assert crypto.is_well_formed(text, "pat") is False
    assert crypto.is_well_formed("pat_" + text, "pat") is False


@given(st.data())
def test_wrong_character_is_detected(data):
    secret = crypto.make_secret("pat")
    position = data.draw(st.integers(0, len(secret) - 1))
    character = data.draw(st.sampled_from([c for c in string.printable + "é०" if c != secret[position]]))
    wrong = secret[:position] + character + secret[position + 1 :]
    assert not crypto.is_well_formed(wrong, "pat")


@pytest.mark.parametrize("change", [lambda s: s[:-1], lambda s: s + "0", lambda s: " " + s, lambda s: s + "\n"])
def test_wrong_length_is_detected(change):
    assert not crypto.is_well_formed(change(crypto.make_secret("pat")), "pat")


def test_wrong_prefix_is_detected():
    assert not crypto.is_well_formed(crypto.make_secret("pat"), "dop")


def test_digest_depends_on_secret_and_pepper():
    digests = {crypto.digest(secret, pepper) for secret in ("one", "two") for pepper in ("salt", "pepper")}
    assert len(digests) == 4
    assert all(len(digest) == crypto.DIGEST_LENGTH for digest in digests)
    assert crypto.digests("one", ["salt", "pepper"]) == [crypto.digest("one", "salt"), crypto.digest("one", "pepper")]


def test_digest_is_stable():
    # HMAC-SHA-256 under a key that is the HMAC-SHA-256 of "pat_tokens.pepper.v1" under the pepper, from OpenSSL:
    # if this value changes, all existing tokens stop working.
    assert crypto.digest("pat_secret", "pepper") == "050dd1b65cfacc271957537161c8bcf839e760cb9f7bfa2c5a6d3bb817ccb2b1"


def test_digest_differs_from_django_signature():
    import hashlib
    import hmac

    plain = hmac.new(b"key", b"secret", hashlib.sha256).hexdigest()
    assert crypto.digest("secret", "key") != plain


def test_is_among_requires_equal_digest():
    one, other = crypto.digests("one", ["salt", "pepper"])
    assert crypto.is_among(one, [one, other])
    assert crypto.is_among(other, [one, other])
    assert not crypto.is_among(crypto.digest("two", "salt"), [one, other])
    assert not crypto.is_among(one, [])


def test_repr_is_hidden():
    secret = crypto.make_secret("pat")
    assert repr(secret) == repr(crypto.join(*crypto.split(secret))) == "<secret>"


def test_legacy_hint_has_four_characters():
    assert crypto.legacy_hint("0123456789abcdef0123456789abcdef01234567") == "…4567"


def test_hint_has_prefix_and_four_characters():
    secret = crypto.make_secret("pat")
    assert crypto.hint(secret, "pat") == f"pat_…{secret[-4:]}"


@given(st.text(string.ascii_letters + string.digits + "_", min_size=1))
def test_shares_join_to_secret(secret):
    pad, share = crypto.split(secret)
    assert crypto.join(pad, share) == secret
    assert crypto.join(pad, share[:-1]) is None


def test_shares_differ_each_time():
    secret = crypto.make_secret("pat")
    shares = [crypto.split(secret) for _ in range(20)]
    assert len({pad for pad, _share in shares}) == 20
    assert len({share for _pad, share in shares}) == 20


def test_shares_of_different_secrets_do_not_join():
    pad, _share = crypto.split("pat_one")
    assert crypto.join(pad, bytes(255 - byte for byte in pad)) is None
