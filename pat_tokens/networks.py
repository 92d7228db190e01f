"""Addresses of clients, and networks in CIDR notation: pure functions."""

from __future__ import annotations

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_address(text: object) -> Address | None:
    """Return the address that `text` names, or None.

    Without a zone, which no database can store, and as IPv4 where IPv6 maps one (RFC 4291 section 2.5.5.2).
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
    """Return what one client can be expected to have: an IPv4 address, or the /64 network of an IPv6 address."""
    ip = parse_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(ip), 64), strict=False))
    return None if ip is None else str(ip)
