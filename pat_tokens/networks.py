"""Client addresses, and networks in CIDR notation, as pure functions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

X_FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"
FORWARDED = (X_FORWARDED_FOR, "HTTP_FORWARDED", "HTTP_X_REAL_IP")  # keys of `request.META`

_UNIX_SOCKET = "unix:"  # what nginx writes for a peer that came through one
_MAPPED_LENGTH = 96  # of ::ffff:0:0/96, the IPv4 addresses within IPv6


def parse_address(text: object) -> Address | None:
    """Return the address in `text`, or None if it isn't one.

    Zones are removed, because databases can't store them, and mapped IPv4 addresses become IPv4 (RFC 4291 section
    2.5.5.2).
    """
    if not isinstance(text, str):
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def network_of(address: str | None) -> str | None:
    """Return the range that one client can control: an IPv4 address, or the /64 network of an IPv6 address."""
    ip = parse_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return None if ip is None else str(ip)


def parse_network(text: str) -> Network:
    """Return the network that `text` names; an address is one of length 32 or 128.

    Raises ValueError. If only host bits or a zone are wrong, its second argument is the network without them.
    """
    address, slash, length = text.strip().partition("/")
    address, zone, _name = address.partition("%")
    network = ipaddress.ip_network(address + slash + length, strict=False)
    is_exact = int(ipaddress.ip_address(address)) == int(network.network_address)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_LENGTH:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:  # addresses of clients are compared as IPv4
            network = ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_LENGTH))
    if zone or not is_exact:
        raise ValueError("host bits or a zone", str(network))
    return network


@lru_cache(maxsize=256)
def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Return these networks, which are known to be valid."""
    return tuple(parse_network(text) for text in texts)


def is_in(address: Address | str | None, networks: Iterable[str]) -> bool:
    """Return whether `address` lies in one of `networks`. An unknown address doesn't."""
    parsed = parse_address(address) if isinstance(address, str) else address
    return parsed is not None and any(parsed in network for network in parse_networks(tuple(networks)))


def are_within(networks: Iterable[str], limits: Iterable[str]) -> bool:
    """Return whether each address in `networks` lies in `limits`, where no networks, and no limits, mean everywhere."""
    inner, outer = parse_networks(tuple(networks)), parse_networks(tuple(limits))
    if not outer:
        return True
    return bool(inner) and all(_is_within(network, outer) for network in inner)


def _is_within(network: Network, limits: tuple[Network, ...]) -> bool:
    same: list[Any] = [limit for limit in limits if limit.version == network.version]
    # Adjacent networks together can hold one that none of them holds.
    merged: Iterable[Any] = ipaddress.collapse_addresses(same)
    return any(network.subnet_of(limit) for limit in merged)


def address_headers(request: HttpRequest) -> dict[str, Any]:
    """Return what says where a request comes from, without its other headers, which can hold a secret."""
    return {name: request.META[name] for name in ("REMOTE_ADDR", *FORWARDED) if name in request.META}


def find_client(meta: Mapping[str, Any], proxies: Sequence[str]) -> str | None:
    """Return the address of the client, or None if it can't be known for sure.

    `proxies` are the networks of trusted proxies. Behind one of them, or behind a Unix socket, it is the rightmost
    address of `X-Forwarded-For` that isn't a proxy: a client can write anything left of it. Without trusted proxies,
    `REMOTE_ADDR` is the client, unless a header says that there is a proxy.
    """
    peer = meta.get("REMOTE_ADDR") or ""
    if not proxies:
        return None if any(name in meta for name in FORWARDED) else peer
    if (parsed := parse_address(peer)) is not None and not is_in(parsed, proxies):
        return peer
    for text in reversed(meta.get(X_FORWARDED_FOR, "").split(",")):
        address = _without_port(text.strip())
        if address == _UNIX_SOCKET:
            continue
        if (parsed := parse_address(address)) is None:
            return None
        if not is_in(parsed, proxies):
            return address
    return None


def _without_port(text: str) -> str:
    if text == _UNIX_SOCKET:
        return text
    # Some proxies add the port: 203.0.113.9:51324, [2001:db8::1]:51324, or [2001:db8::1].
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, _colon, _port = text.partition(":")
    return host if text.count(":") == 1 else text
