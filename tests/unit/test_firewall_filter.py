"""Ports that nothing is to use any more stay open until everything that uses them has moved."""

from __future__ import annotations

from stackwright.ansible.filter.firewall import firewall_union


def rule(port: int, *sources: str, protocol: str = "tcp", **more: object) -> dict[str, object]:
    return {"name": f"port-{port}", "port": port, "protocol": protocol, "sources": list(sources), **more}


def test_a_port_that_moves_is_open_at_both_places() -> None:
    union = firewall_union([rule(5105, "10.0.0.1")], [rule(5005, "10.0.0.1")])
    assert [found["port"] for found in union] == [5105, 5005]


def test_sources_of_both_are_admitted_once() -> None:
    (union,) = firewall_union([rule(5432, "10.0.0.1", "10.0.0.2")], [rule(5432, "10.0.0.2", "10.0.0.3")])
    assert union["sources"] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_protocols_are_told_apart() -> None:
    assert len(firewall_union([rule(53, "any")], [rule(53, "any", protocol="udp")])) == 2


def test_the_new_rate_limit_counts() -> None:
    (union,) = firewall_union([rule(443, "any", rate_per_second=9)], [rule(443, "any", rate_per_second=1)])
    assert union["rate_per_second"] == 9


def test_a_second_time_changes_nothing() -> None:
    rules, previous = [rule(1, "a"), rule(2, "b")], [rule(2, "c"), rule(3, "d")]
    union = firewall_union(rules, previous)
    assert firewall_union(rules, union) == union
    assert rules == [rule(1, "a"), rule(2, "b")], "the inputs were changed"
