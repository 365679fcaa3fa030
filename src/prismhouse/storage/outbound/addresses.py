"""Which IP addresses a fetch may reach: public ones, and those that the operator opened."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

__all__ = ["Network", "is_open", "networks_of"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# They carry an IPv4 address that a gateway would reach: NAT64 (RFC 6052, RFC 8215).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
# A cloud's own service at a public address (Azure); all other metadata services stand at private ones.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})


def networks_of(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return networks from CIDR texts; raise ValueError naming a bad one."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


def is_open(text: str, allowed: Sequence[Network] = ()) -> bool:
    """Say whether a fetch may connect to the address."""
    address: Address = ipaddress.ip_address(text.split("%", 1)[0])
    if _within(address, allowed):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_open(str(address.ipv4_mapped), allowed)
        if address.sixtofour is not None or address.teredo is not None or address.is_site_local:
            return False
    if _within(address, _TRANSLATED) or address in _METADATA:
        return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    )


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
