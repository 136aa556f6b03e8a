"""How the network of an environment on AWS is divided: a subnet per zone and kind, stable when a zone is added."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from stackwright.model.addressing import AddressError

#: Kind -> its share of the network, as bits below the network's prefix, and its first block of that size.
#: Public holds load balancers and NAT, private the servers, isolated the data: half for servers, an eighth for the others each.
#: The order and the shares are part of the addresses.
_KINDS: Mapping[str, tuple[int, int]] = {"private": (1, 0), "public": (3, 4), "isolated": (3, 5)}
#: Room for as many zones as any region has, so that one more moves no subnet.
_ZONE_BITS = 3
_ZONES = 8
#: AWS takes subnets from /16 to /28, and keeps five addresses of each for itself.
SMALLEST_PREFIX, LARGEST_PREFIX = 28, 16
KINDS = tuple(_KINDS)


def plan(cidr: str, zones: Sequence[str]) -> dict[str, dict[str, str]]:
    """Kind -> zone -> subnet.

    Depends for each zone on its letter alone: removing `b` does not move `c`. Raises AddressError where the network is
    too small (smaller than /22) or larger than a VPC may be (/16).
    """
    network = ipaddress.IPv4Network(cidr)
    longest = network.prefixlen + max(bits for bits, _ in _KINDS.values()) + _ZONE_BITS
    if longest > SMALLEST_PREFIX or network.prefixlen < LARGEST_PREFIX:
        largest = SMALLEST_PREFIX - (longest - network.prefixlen)
        raise AddressError(f"{cidr} cannot be divided into subnets: a network from /{LARGEST_PREFIX} to /{largest}")
    return {kind: {zone: str(_subnet(network, kind, zone)) for zone in zones} for kind in _KINDS}


def ipv6_index(kind: str, zone: str) -> int:
    """Which /64 of the VPC's /56 a subnet has."""
    return KINDS.index(kind) * _ZONES + _place(zone)


def _subnet(network: ipaddress.IPv4Network, kind: str, zone: str) -> ipaddress.IPv4Network:
    bits, block = _KINDS[kind]
    whole = _nth(network, bits, block)
    return _nth(whole, _ZONE_BITS, _place(zone))


def _nth(network: ipaddress.IPv4Network, bits: int, number: int) -> ipaddress.IPv4Network:
    prefix = network.prefixlen + bits
    first = int(network.network_address) + number * 2 ** (32 - prefix)
    return ipaddress.IPv4Network((first, prefix))


def _place(zone: str) -> int:
    return ord(zone[-1]) - ord("a")
