"""Filters of the role `firewall`: rules that stay open until everything that uses them has moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Rule = dict[str, Any]


def firewall_union(rules: Iterable[Rule], previous: Iterable[Rule], peers: str = "sources") -> list[Rule]:
    """Return rules that admit what `rules` or `previous` admit; `peers` is the key with the addresses.

    A rate limit is that of `rules` where both have the port: two limits on one port would both count.
    """
    union = {(rule["protocol"], rule["port"]): {**rule, peers: list(rule[peers])} for rule in rules}
    for rule in previous:
        known = union.setdefault((rule["protocol"], rule["port"]), {**rule, peers: list(rule[peers])})
        known[peers] += [peer for peer in rule[peers] if peer not in known[peers]]
    return list(union.values())


def firewall_peers(rules: Iterable[Rule], peers: str = "sources") -> list[Rule]:
    """Return name, port and `peers` of each rule; `peers` is the key with the addresses."""
    return [{"name": rule["name"], "port": rule["port"], "peers": rule[peers]} for rule in rules]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"firewall_union": firewall_union, "firewall_peers": firewall_peers}
