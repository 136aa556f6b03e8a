"""Addresses of hosts that are created: inside their network, unique, and stable when a host is added."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

#: The order determines the addresses: append only.
BLOCKS = ("server", "edge", "app", "database", "cache", "ops")
_BLOCK = 10


class AddressError(ValueError):
    """A network is too small for its hosts."""


def offset(tier: str, number: int) -> int:
    """Return the position of the tier's host `number` (from 1) in the network.

    Each tier has a block of ten: edge1 .21, app1 .31, database1 .41. Hosts from the tenth on take turns after the
    blocks. The result depends only on the arguments, so that no host moves when another is added or removed.
    """
    block = BLOCKS.index(tier)
    if number < _BLOCK:
        return _BLOCK * (block + 1) + number
    return _BLOCK * (len(BLOCKS) + 1) + (number - _BLOCK) * len(BLOCKS) + block


def places(tiers: Iterable[str]) -> tuple[int, int]:
    """Return the first and the last position of the blocks of `tiers`."""
    blocks = [BLOCKS.index(tier) + 1 for tier in tiers]
    return _BLOCK * min(blocks), _BLOCK * max(blocks) + _BLOCK - 1


def address(cidr: str, tier: str, number: int) -> str:
    """Return the address of the tier's host `number` (from 1) in `cidr`."""
    network = ipaddress.IPv4Network(cidr)
    position = offset(tier, number)
    # The last address is the broadcast address.
    if position >= network.num_addresses - 1:
        raise AddressError(f"{cidr} has no place for {tier} host {number}, which needs more than {position} addresses")
    return str(network[position])


def gateway(cidr: str) -> str:
    """Return the first address: the container network's bridge, or a cloud's router."""
    return str(ipaddress.IPv4Network(cidr)[1])


def usable(cidr: str, candidate: str) -> bool:
    """Return whether a host may have the address `candidate` in `cidr`."""
    network, host = ipaddress.IPv4Network(cidr), ipaddress.IPv4Address(candidate)
    return host in network and host not in (network.network_address, network.broadcast_address)


def within(cidr: str, part: str) -> bool:
    """Return whether the network `part` lies in `cidr`."""
    return ipaddress.IPv4Network(part).subnet_of(ipaddress.IPv4Network(cidr))


def overlaps(networks: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return every pair of positions in `networks` whose networks overlap."""
    parsed = [ipaddress.IPv4Network(cidr) for cidr in networks]
    places = range(len(parsed))
    return tuple((i, j) for i in places for j in places[i + 1 :] if parsed[i].overlaps(parsed[j]))


def split(cidr: str, names: Iterable[str], prefix: int) -> dict[str, str]:
    """Return a subnet of length `prefix` for each name, in order: appending names moves no existing subnet."""
    network = ipaddress.IPv4Network(cidr)
    subnet_names = list(names)
    if prefix < network.prefixlen or len(subnet_names) > 2 ** (prefix - network.prefixlen):
        raise AddressError(f"{cidr} has no place for {len(subnet_names)} subnets of /{prefix}")
    subnets = network.subnets(new_prefix=prefix)
    return {name: str(subnet) for name, subnet in zip(subnet_names, subnets, strict=False)}
