"""While instances change their ports, an edge has the previous ones until the new ones answer."""

from __future__ import annotations

from typing import Any

from stackwright.model.wiring import edge_members, edge_sites_with

STACK = {"groups": {"app": ["app1"]}}


def member(port: int, host: str = "app1") -> dict[str, Any]:
    return {"host": host, "address": f"10.0.0.{host[-1]}", "port": port, "weight": 1}


def sites(*members: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "emr", "upstreams": [{"name": "emr", "members": list(members)}]}]


def test_previous_ports_stay() -> None:
    found = edge_sites_with(sites(member(5105)), edge_members(sites(member(5005))), STACK)
    assert edge_members(found) == {"emr": [member(5105), member(5005)]}


def test_a_second_time_changes_nothing() -> None:
    found = edge_sites_with(sites(member(5105)), edge_members(sites(member(5005))), STACK)
    assert edge_sites_with(sites(member(5105)), edge_members(found), STACK) == found


def test_hosts_that_go_are_out_at_once() -> None:
    found = edge_sites_with(sites(member(5005)), edge_members(sites(member(5005), member(5005, "app2"))), STACK)
    assert edge_members(found) == {"emr": [member(5005)]}


def test_a_new_weight_of_the_same_member_counts() -> None:
    found = edge_sites_with(sites(member(5005) | {"weight": 3}), edge_members(sites(member(5005))), STACK)
    assert edge_members(found) == {"emr": [member(5005) | {"weight": 3}]}


def test_nothing_is_kept_of_an_upstream_that_is_gone() -> None:
    assert edge_members(edge_sites_with(sites(), {"lab": [member(5005)]}, STACK)) == {"emr": []}
