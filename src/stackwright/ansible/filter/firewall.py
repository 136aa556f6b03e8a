"""Filters of the role `firewall`: rules stay open until all their users have moved to the new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Rule = dict[str, Any]


def firewall_union(rules: Iterable[Rule], previous: Iterable[Rule], peers: str = "sources") -> list[Rule]:
    """Return rules that allow what `rules` or `previous` allow; `peers` is the key with the addresses.

    If both have a port, the rate limit of `rules` is used: two limits on one port would both apply.
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
    """The filters of the role `firewall`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"firewall_union": firewall_union, "firewall_peers": firewall_peers}
