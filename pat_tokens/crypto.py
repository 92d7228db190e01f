"""Create, validate, digest and compare secrets.

A secret is `<prefix>_<body><checksum>`. The 43 base62 characters of the body hold more than 256 random bits. The
checksum is the CRC32 of everything before it, in 6 base62 characters. It lets scanners, and this package, recognize
typos without a query.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
BASE = len(ALPHABET)
_PAIRS = [one + other for one in ALPHABET for other in ALPHABET]  # two digits at a time
BODY_LENGTH = 43  # 43 * log2(62) = 256.03 bits
CHECKSUM_LENGTH = 6  # 62 ** 6 > 2 ** 32
HINT_LENGTH = 4
DIGEST_LENGTH = 64  # hexadecimal characters of SHA-256

PART_LENGTH = 16  # characters of a secret after its prefix; without them, more than 160 random bits stay unknown
LEGACY_KEY_LENGTH = 40  # hexadecimal characters, like the keys of DRF's authtoken: 160 random bits

_LEGACY_KEY = re.compile(rf"[0-9a-f]{{{LEGACY_KEY_LENGTH}}}", re.ASCII)
PEPPER_ID_LENGTH = 8  # hexadecimal characters; enough to tell a site's peppers apart

_PEPPER_CONTEXT = b"pat_tokens.pepper.v1"
_PEPPER_ID_CONTEXT = b"pat_tokens.pepper_id.v1"


class HiddenRepr:
    """Hides the repr, because error reports show the repr of every local variable."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"


class SecretText(HiddenRepr, str):
    """A string with a hidden repr.

    No function of this package binds a plain secret, or a part of one, to a name: parts of a secret are wrapped in the
    same expression.
    """

    __slots__ = ()


class SecretBytes(HiddenRepr, bytes):
    """Bytes with a hidden repr, also once they are decoded."""

    __slots__ = ()

    def __str__(self) -> str:
        return repr(self)

    def decode(self, *args: Any, **kwargs: Any) -> SecretText:
        return SecretText(super().decode(*args, **kwargs))


def make_secret(prefix: str) -> str:
    """Return a new secret that starts with `prefix` and an underscore."""
    head = SecretText(f"{prefix}_{''.join(secrets.choice(ALPHABET) for _ in range(BODY_LENGTH))}")
    return SecretText(head + checksum(head))


def checksum(head: str) -> str:
    """Return the six base62 characters of the CRC32 of `head`, most significant first."""
    number = zlib.crc32(head.encode("ascii"))
    rest, last = divmod(number, BASE * BASE)
    first, middle = divmod(rest, BASE * BASE)
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def is_well_formed(secret: str, prefix: str) -> bool:
    """Return whether `secret` has the prefix, length, alphabet and checksum of a secret. Accepts any string."""
    start = len(prefix) + 1
    if len(secret) != start + BODY_LENGTH + CHECKSUM_LENGTH or not secret.startswith(prefix + "_"):
        return False
    if not (secret.isascii() and secret[start:].isalnum()):
        return False
    return checksum(SecretText(secret[:-CHECKSUM_LENGTH])) == secret[-CHECKSUM_LENGTH:]


def holds_secret(text: str, prefix: str) -> bool:
    """Return whether there is a well-formed secret anywhere in `text`."""
    # map() instead of a loop: no local variable of any frame is ever bound to a plain secret.
    candidates = map(SecretText, _candidates(prefix).findall(text))
    return any(map(partial(is_well_formed, prefix=prefix), candidates))


@lru_cache(maxsize=8)
def _candidates(prefix: str) -> re.Pattern[str]:
    # In a lookahead, so that candidates can overlap.
    return re.compile(rf"(?=({prefix}_[A-Za-z0-9]{{{BODY_LENGTH + CHECKSUM_LENGTH}}}))")


def hint(secret: str, prefix: str) -> str:
    """Return the characters that are stored for display, such as `pat_…x7Qa`; all of them are from the checksum."""
    return f"{prefix}_…{secret[-HINT_LENGTH:]}"


def is_legacy_key(text: str) -> bool:
    """Return whether `text` has the format of a key of DRF's authtoken, which secrets never have."""
    return len(text) == LEGACY_KEY_LENGTH and _LEGACY_KEY.fullmatch(text) is not None


def legacy_hint(key: str) -> str:
    """Return the characters of an imported key that are stored for display, such as `…9f3a`; 144 bits stay unknown."""
    return f"…{key[-HINT_LENGTH:]}"


@lru_cache(maxsize=64)
def _mac_of(pepper: str) -> hmac.HMAC:
    # A separate key, so that nothing that SECRET_KEY signs elsewhere is a valid digest.
    key = SecretBytes(hmac.digest(pepper.encode(), _PEPPER_CONTEXT, "sha256"))
    return hmac.new(key, digestmod="sha256")


def digest(secret: str, pepper: str) -> str:
    """Return the HMAC-SHA-256 of `secret` under a key derived from `pepper`, as 64 hexadecimal characters.

    A fast keyed hash instead of a slow password hash, because the secret has 256 random bits (OWASP Cryptographic
    Storage Cheat Sheet; NIST SP 800-63B section 5.1.2.2 on look-up secrets of high entropy).
    """
    mac = _mac_of(pepper).copy()  # cheaper than deriving the key again
    mac.update(secret.encode())
    return mac.hexdigest()


@lru_cache(maxsize=64)
def pepper_id(pepper: str) -> str:
    """Return a short id of `pepper`, stored with each digest; the pepper can't be derived from it."""
    return hmac.digest(pepper.encode(), _PEPPER_ID_CONTEXT, "sha256").hex()[:PEPPER_ID_LENGTH]


def digests(secret: str, peppers: Sequence[str]) -> list[str]:
    """Return the digest of `secret` under each of `peppers`, in their order."""
    return [digest(secret, pepper) for pepper in peppers]


def is_among(digest: str, digests: Sequence[str]) -> bool:
    """Return whether `digest` is one of `digests`, comparing each in constant time."""
    same = False
    for other in digests:
        same |= hmac.compare_digest(digest, other)
    return same


def fold(text: str) -> str:
    """Return 64 hexadecimal characters that are equal for strings that count as the same name."""
    return hashlib.sha256(text.encode()).hexdigest()


def split(secret: str) -> tuple[bytes, bytes]:
    """Split `secret` into two shares. Each share alone is random noise (a one-time pad)."""
    pad = SecretBytes(secrets.token_bytes(len(secret)))
    return pad, SecretBytes(a ^ b for a, b in zip(secret.encode("ascii"), pad, strict=True))


def join(pad: bytes, share: bytes) -> str | None:
    """Return the secret that `split` split into these shares, or None if they don't belong together."""
    if len(pad) != len(share):
        return None
    try:
        return SecretText(bytes(a ^ b for a, b in zip(pad, share, strict=True)).decode("ascii"))
    except UnicodeDecodeError:
        return None


def part_pattern(prefix: str, *, legacy: bool) -> str:
    """Return a regular expression, for Python and JavaScript, of a part of a secret or, if `legacy`, of an old key."""
    pattern = f"{re.escape(prefix)}_[0-9A-Za-z]{{{PART_LENGTH},}}"
    return pattern + rf"|\b[0-9a-f]{{{LEGACY_KEY_LENGTH}}}\b" if legacy else pattern


__all__ = ["is_well_formed"]
