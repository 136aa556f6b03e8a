"""The edge for nginx: defaults, mistakes, and what the neutral model becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stackwright.model import edge_nginx
from stackwright.testing import edge_contract

ROOT = Path(__file__).parents[3]
CONTRACT = edge_contract.load(ROOT / "tests/contract/edge.yml")
SPEC = yaml.safe_load((ROOT / "roles/nginx/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]


def site(**given: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "server_names": ["shop.test"],
        "upstreams": [{"name": "shop", "members": [{"address": "127.0.0.1", "port": 5005}]}],
        "locations": [{"path": "/", "upstream": "shop"}],
        **given,
    }


def of_spec(options: dict[str, Any]) -> dict[str, Any]:
    """An optional option without a default is None for the templates."""
    return {name: option.get("default") for name, option in options.items() if not option.get("required")}


@pytest.mark.parametrize("kind", edge_nginx.DEFAULTS)
def test_defaults_are_those_of_the_spec(kind: str) -> None:
    options = SPEC["nginx_sites"]["options"]
    place = {
        "site": options,
        "members": options["upstreams"]["options"]["members"]["options"],
        "cache": options["locations"]["options"]["cache"]["options"],
        "health": options["upstreams"]["options"]["health"]["options"],
    }
    assert edge_nginx.DEFAULTS[kind] == of_spec(place[kind] if kind in place else options[kind]["options"])


def neutral() -> dict[str, dict[str, Any]]:
    sites = edge_nginx.nginx_sites(CONTRACT.sites, certificate_folder="/tls", static_root="/srv")
    return {each["name"]: each for each in sites}


def locations(each: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(location.get("match", "prefix"), location["path"]): location for location in each["locations"]}


def test_a_path_is_a_segment_and_what_is_below_it() -> None:
    assert set(locations(neutral()["shop"])) == {
        ("prefix", "/"),
        ("exact", "/api/events"),
        ("prefix", "/api/events/"),
        ("exact", "/api/health"),
        ("exact", "/api/login"),
        ("prefix", "/api/login/"),
        ("exact", "/api/search"),
        ("prefix", "/api/search/"),
        ("prefix", "/_next/static/"),
        ("prefix", "/public/"),
    }


def test_a_limit_holds_for_every_location_below_its_path() -> None:
    each = {**CONTRACT.sites[0], "limits": [dict(CONTRACT.sites[0]["limits"][0], name="api", path="/api")]}
    found = locations(edge_nginx.nginx_sites([each], certificate_folder="/tls", static_root="/srv")[0])
    limited = {place for place, location in found.items() if location["limits"]}
    assert limited == {
        ("exact", "/api"),
        ("prefix", "/api/"),
        ("exact", "/api/events"),
        ("prefix", "/api/events/"),
        ("exact", "/api/health"),
    }


def test_a_limited_path_behaves_like_the_route_around_it() -> None:
    location = locations(neutral()["shop"])["prefix", "/api/search/"]
    assert (location["websocket"], location["buffering"], location["upstream"]) == (True, True, "shop")


def test_connecting_is_bounded_per_attempt_and_in_all() -> None:
    timeouts = neutral()["shop"]["timeouts"]
    assert (timeouts["connect_seconds"], timeouts["next_upstream_seconds"]) == (5, 75)


def test_only_blind_methods_take_members_out() -> None:
    assert "max_fails" not in neutral()["shop"]["upstreams"][0]["members"][0]
    for name in ("turns", "sticky", "weighted"):
        assert neutral()[name]["upstreams"][0]["members"][0]["max_fails"] == 3


def test_an_instance_is_checked_once_for_all_its_upstreams() -> None:
    sites = edge_nginx.normalise(edge_nginx.nginx_sites(CONTRACT.sites, certificate_folder="/tls", static_root="/srv"))
    checks = edge_nginx.health_checks(sites)["checks"]
    assert [(check["port"], check["upstreams"]) for check in checks] == [
        (5005, ["shop", "weighted", "sticky", "turns"]),
        (5006, ["shop", "weighted", "sticky", "turns"]),
        (5007, ["shop", "sticky", "turns"]),
        (5008, ["shop", "sticky", "turns"]),
    ]
    model = CONTRACT.sites[0]["upstreams"][0]["health"]
    for key in ("interval_seconds", "timeout_seconds", "failures", "retry_after_seconds"):
        assert {check[key] for check in checks} == {model[key]}, key
    assert {check["path"] for check in checks} == {model["ready_path"]}


def test_the_strictest_tls_version_holds() -> None:
    assert edge_nginx.tls_min_version(CONTRACT.sites) == "1.2"
    assert edge_nginx.tls_min_version([*CONTRACT.sites, {"tls": {"min_version": "1.3"}}]) == "1.3"


@pytest.mark.parametrize(
    ("sites", "said"),
    [
        ([site(name="a b")], "the name may have letters"),
        ([site(), site()], "site name 'shop' is used 2 times"),
        ([site(), site(name="b")], "server name 'shop.test' is used 2 times"),
        ([site(), site(name="b", server_names=["b.test"])], "upstream name 'shop' is used 2 times"),
        ([site(server_names=[])], "server_names is empty"),
        ([site(server_names=["x;y"])], "server name 'x;y' is no host name"),
        ([site(tls={"certificates": []})], "one ECDSA and one RSA"),
        ([site(hsts={"max_age_seconds": 1})], "hsts without tls"),
        ([site(headers={"X Y": "z"})], "'X Y' is no header name"),
        ([site(headers={"X": "a\nb"})], "line ends and '$' cannot be sent"),
        ([site(headers={"X": "$host"})], "line ends and '$' cannot be sent"),
        ([site(headers={"strict-transport-security": "x"})], "is the edge's own"),
        ([site(request_headers_removed=["X;"])], "'X;' is no header name"),
        ([site(compression={"types": ["text"]})], "'text' is no media type"),
        ([site(compression={"types": ["text/event-stream"]})], "would hold up"),
        ([site(limits=[{"zone": "a", "rate": "fast"}])], "rate 'fast' is not like"),
        ([site(limits=[{"zone": "a", "rate": "1r/s"}] * 2)], "zones are unique"),
        ([site(limits=[{"zone": "a", "rate": "1r/s", "methods": ["post"]}])], "words in capitals"),
        ([site(locations=[{"path": "x", "upstream": "shop"}])], "a path starts with '/'"),
        ([site(locations=[{"path": "/{", "upstream": "shop"}])], "a path starts with '/'"),
        ([site(locations=[{"path": "/"}])], "type proxy wants an upstream"),
        ([site(locations=[{"path": "/", "upstream": "x"}])], "upstream 'x' is not declared; there are: shop"),
        ([site(locations=[{"path": "/", "upstream": "shop"}] * 2)], "is there twice"),
        ([site(locations=[{"path": "/", "upstream": "shop", "limits": ["x"]}])], "limit 'x' is not declared"),
        ([site(locations=[{"path": "/", "upstream": "shop", "directory": "/x"}])], "are for type static"),
        ([site(locations=[{"path": "/s", "type": "static", "directory": "/x"}])], "ends in '/'"),
        ([site(locations=[{"path": "/s/", "type": "static", "directory": "x"}])], "wants a directory"),
        ([site(upstreams=[{"name": "shop", "members": []}])], "has no members"),
        ([site(upstreams=[{**site()["upstreams"][0], "health": {"path": "ready"}}])], "health path 'ready'"),
        (
            [site(upstreams=[{**site()["upstreams"][0], "health": {"path": "/", "failures": 0}}])],
            "health failures is 0; at least 1",
        ),
    ],
)
def test_mistakes_are_named(sites: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(edge_nginx.EdgeError) as error:
        edge_nginx.normalise(sites)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("method", "member", "said"),
    [
        ("least_conn", {"address": "localhost"}, "the address is no IP address"),
        ("least_conn", {"port": 0}, "ports are 1 to 65535"),
        ("least_conn", {"port": 5006}, "is there twice"),
        ("ip_hash", {"backup": True}, "ip_hash has no backup members"),
        ("round_robin", {"weight": 2}, "weights want the method 'weighted'"),
    ],
)
def test_mistakes_of_members_are_named(method: str, member: dict[str, Any], said: str) -> None:
    members = [{"address": "127.0.0.1", "port": 5005} | member, {"address": "127.0.0.1", "port": 5006}]
    with pytest.raises(edge_nginx.EdgeError) as error:
        edge_nginx.normalise([site(upstreams=[{"name": "shop", "method": method, "members": members}])])
    assert said in str(error.value)


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(edge_nginx.EdgeError) as error:
        edge_nginx.normalise([site(name="a b", server_names=[], locations=[{"path": "x"}])])
    assert len(str(error.value).splitlines()) == 4


@given(st.integers(1, 10_000), st.sampled_from("sm"))
def test_after_retry_after_there_is_room_for_a_request(requests: int, per: str) -> None:
    limits = [{"zone": "a", "rate": f"{requests}r/{per}"}]
    (limit,) = edge_nginx.normalise([site(limits=limits)])[0]["limits"]
    assert limit["retry_after"] * requests / {"s": 1, "m": 60}[per] >= 1
    assert limit["retry_after"] >= 1


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n$")))
def test_a_quoted_value_is_one_word(value: str) -> None:
    inner = edge_nginx.quote(value)[1:-1]
    unescaped, rest = "", iter(inner)
    for character in rest:
        assert character != '"'
        unescaped += next(rest) if character == "\\" else character
    assert unescaped == value
