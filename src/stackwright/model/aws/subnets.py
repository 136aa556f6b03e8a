"""The division of an AWS environment's network: a subnet per zone and kind, stable when a zone is added."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence

from stackwright.model.addressing import AddressError, places

#: Kind -> its share of the network, as bits below the network's prefix, and its first block of that size.
#: Public holds load balancers and NAT, private the servers, isolated the data: half is for servers, an eighth for each
#: of the others. The order and the shares determine the addresses.
_KINDS: Mapping[str, tuple[int, int]] = {"private": (1, 0), "public": (3, 4), "isolated": (3, 5)}
#: Room for as many zones as any region has, so that an additional zone moves no subnet.
_ZONE_BITS = 3
_ZONES = 8
#: AWS accepts subnets from /16 to /28, and reserves five addresses of each.
SMALLEST_PREFIX, LARGEST_PREFIX = 28, 16
KINDS = tuple(_KINDS)
#: Kind of the subnets -> the tiers whose hosts are in them.
_TIERS: Mapping[str, tuple[str, ...]] = {
    "public": ("server", "edge"),
    "private": ("app", "database", "cache", "ops"),
}
#: Reservations are whole blocks of eight, to keep their number small; the first has the addresses that AWS reserves.
_RESERVED_BLOCK = 8


def plan(cidr: str, zones: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return kind -> zone -> subnet.

    The result for a zone depends only on its letter: removing `b` does not move `c`. Raises AddressError if the network
    is too small (smaller than /22) or larger than a VPC may be (/16).
    """
    network = ipaddress.IPv4Network(cidr)
    longest = network.prefixlen + max(bits for bits, _ in _KINDS.values()) + _ZONE_BITS
    if longest > SMALLEST_PREFIX or network.prefixlen < LARGEST_PREFIX:
        largest = SMALLEST_PREFIX - (longest - network.prefixlen)
        raise AddressError(f"{cidr} cannot be divided into subnets: a network from /{LARGEST_PREFIX} to /{largest}")
    return {name: {zone: str(_subnet(network, name, zone)) for zone in zones} for name in _KINDS}


def kind(tier: str) -> str:
    """Return the kind of the subnets that the hosts of a tier are in."""
    return next(name for name, tiers in _TIERS.items() if tier in tiers)


def reserved(
    blocks: Mapping[str, Mapping[str, str]], addresses: Collection[str]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the CIDRs that AWS must not assign: kind -> zone -> CIDRs, for the kinds that have hosts at `addresses`.

    They cover the positions of the kind's tiers, so that the address of a host that is added later is free, and the
    addresses of hosts outside of these positions.
    """
    reservations: dict[str, dict[str, tuple[str, ...]]] = {}
    hosts = [ipaddress.IPv4Address(address) for address in addresses]
    for name, tiers in _TIERS.items():
        networks = {zone: ipaddress.IPv4Network(cidr) for zone, cidr in blocks[name].items()}
        if not any(host in network for host in hosts for network in networks.values()):
            continue
        first, last = places(tiers)
        first = max(first // _RESERVED_BLOCK, 1) * _RESERVED_BLOCK
        last = (last // _RESERVED_BLOCK + 1) * _RESERVED_BLOCK - 1
        reservations[name] = {zone: _reserved(network, first, last, hosts) for zone, network in networks.items()}
    return reservations


def _reserved(
    network: ipaddress.IPv4Network, first: int, last: int, hosts: Sequence[ipaddress.IPv4Address]
) -> tuple[str, ...]:
    # AWS reserves the last address of a subnet.
    last = min(last, network.num_addresses - _RESERVED_BLOCK - 1)
    ranges = list(ipaddress.summarize_address_range(network[first], network[last])) if first <= last else []
    outliers = [host for host in hosts if host in network and not any(host in block for block in ranges)]
    return (*map(str, ranges), *(f"{host}/32" for host in outliers))


def ipv6_index(kind: str, zone: str) -> int:
    """Return the index of the subnet's /64 in the VPC's /56."""
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
