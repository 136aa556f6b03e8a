"""Properties of what is known of AWS without asking it: subnets, zones, names."""

from __future__ import annotations

import contextlib
import ipaddress
import re
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stackwright.model import addressing, naming
from stackwright.model.aws import names, regions, subnets

ZONES = st.sets(st.sampled_from("abcdef"), min_size=1).map(
    lambda letters: [f"us-east-1{each}" for each in sorted(letters)]
)
ENVIRONMENTS = st.from_regex(naming.ENVIRONMENT_NAME, fullmatch=True)
WORDS = st.from_regex(r"[a-z](-?[a-z0-9]){1,30}", fullmatch=True).filter(lambda word: not word.endswith("s3alias"))
#: First words that some service keeps for itself.
RESERVED = re.compile(r"(internal|sg)(-|$)|aws$")
#: What a service wants in front of the environment's name.
FRONT = {"kms_alias": "alias/", "parameter": "/", "waf_log_group": "aws-waf-logs-"}


@st.composite
def networks(draw: st.DrawFn) -> str:
    """Networks that can be divided: /16 to /22."""
    prefix = draw(st.integers(16, 22))
    return str(ipaddress.IPv4Network((draw(st.integers(0, 2**prefix - 1)) << (32 - prefix), prefix)))


def flat(plan: dict[str, dict[str, str]]) -> list[str]:
    return [cidr for zones in plan.values() for cidr in zones.values()]


@given(cidr=networks(), zones=ZONES)
def test_subnets_lie_in_the_network_and_apart(cidr: str, zones: list[str]) -> None:
    plan = subnets.plan(cidr, zones)
    assert set(plan) == {"public", "private", "isolated"}
    assert all(list(each) == zones for each in plan.values())
    assert all(addressing.within(cidr, each) for each in flat(plan))
    assert addressing.overlaps(flat(plan)) == ()


@given(cidr=networks(), zones=ZONES)
def test_aws_takes_every_subnet(cidr: str, zones: list[str]) -> None:
    for each in flat(subnets.plan(cidr, zones)):
        assert subnets.LARGEST_PREFIX <= ipaddress.IPv4Network(each).prefixlen <= subnets.SMALLEST_PREFIX


@given(cidr=networks(), zones=ZONES, more=st.sampled_from("abcdef"))
def test_no_subnet_moves_when_a_zone_comes_or_goes(cidr: str, zones: list[str], more: str) -> None:
    before, after = subnets.plan(cidr, zones), subnets.plan(cidr, sorted({*zones, f"us-east-1{more}"}))
    for kind in subnets.KINDS:
        assert before[kind].items() <= after[kind].items()


@given(cidr=networks(), zones=ZONES)
def test_servers_have_more_room_than_what_serves_them(cidr: str, zones: list[str]) -> None:
    plan = {kind: ipaddress.IPv4Network(zones[0]) for kind, zones in pairs(subnets.plan(cidr, zones)).items()}
    assert plan["private"].num_addresses == 4 * plan["public"].num_addresses == 4 * plan["isolated"].num_addresses


def pairs(plan: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    return {kind: list(zones.values()) for kind, zones in plan.items()}


@given(zones=ZONES)
def test_every_subnet_has_its_own_ipv6_block(zones: list[str]) -> None:
    places = [subnets.ipv6_index(kind, zone) for kind in subnets.KINDS for zone in zones]
    # A VPC has a /56: 256 blocks.
    assert len(set(places)) == len(places)
    assert all(0 <= place < 256 for place in places)


@pytest.mark.parametrize("cidr", ["10.0.0.0/15", "10.0.0.0/23", "10.0.0.0/28"])
def test_a_network_of_the_wrong_size_is_refused(cidr: str) -> None:
    message = f"{cidr} cannot be divided into subnets: a network from /16 to /22"
    with pytest.raises(addressing.AddressError, match=re.escape(message)):
        subnets.plan(cidr, ["us-east-1a"])


@pytest.mark.parametrize("region", regions.ZONES)
def test_a_region_has_zones_in_order_and_each_once(region: str) -> None:
    letters = regions.ZONES[region]
    assert len(letters) >= 2
    assert all(one < other for one, other in pairwise(letters))
    # The plan has room for eight.
    assert set(letters) <= set("abcdefgh")


@given(region=st.sampled_from(sorted(regions.ZONES)), wanted=st.integers(-1, 8))
def test_as_many_zones_as_are_wanted_or_an_error(region: str, wanted: int) -> None:
    there = regions.ZONES[region]
    if 2 <= wanted <= len(there):
        assert regions.zones(region, wanted) == tuple(f"{region}{letter}" for letter in there[:wanted])
    else:
        with pytest.raises(ValueError, match=f"^{region} has the zones .*: at least two of them are needed$"):
            regions.zones(region, wanted)


@given(region=st.sampled_from(sorted(regions.ZONES)), letters=st.lists(st.sampled_from("abcdef"), max_size=6))
def test_the_zones_that_are_wanted_or_an_error(region: str, letters: list[str]) -> None:
    if len(set(letters)) == len(letters) >= 2 and set(letters) <= set(regions.ZONES[region]):
        assert regions.zones(region, tuple(letters)) == tuple(f"{region}{letter}" for letter in letters)
    else:
        with pytest.raises(ValueError, match="at least two of them are needed"):
            regions.zones(region, tuple(letters))


@given(region=st.sampled_from(sorted(regions.ZONES)), first=st.integers(2, 6), more=st.integers(0, 4))
def test_one_zone_more_changes_none_of_the_others(region: str, first: int, more: int) -> None:
    assume(first + more <= len(regions.ZONES[region]))
    assert regions.zones(region, first + more)[:first] == regions.zones(region, first)


@given(kind=st.sampled_from(sorted(names.RULES)), environment=WORDS, parts=st.lists(WORDS, min_size=1, max_size=12))
def test_a_name_is_one_that_its_service_takes(kind: str, environment: str, parts: list[str]) -> None:
    rule = names.RULES[kind]
    assume(not RESERVED.match(environment))
    found = names.name(kind, FRONT.get(kind, "") + environment, *parts)
    assert len(found) <= rule.limit
    assert re.fullmatch(rule.pattern, found)


@given(kind=st.sampled_from(sorted(names.RULES)), environment=ENVIRONMENTS, part=WORDS)
def test_for_any_environment_there_is_a_good_name_or_an_error(kind: str, environment: str, part: str) -> None:
    rule = names.RULES[kind]
    found = None
    with contextlib.suppress(ValueError):
        found = names.name(kind, FRONT.get(kind, "") + environment, part)
    if found is None:
        assert re.search(r"--|-$", environment) or RESERVED.match(environment)
    else:
        assert len(found) <= rule.limit
        assert re.fullmatch(rule.pattern, found)


@given(
    kind=st.sampled_from(sorted(names.RULES)),
    environment=WORDS,
    start=st.text("ab", min_size=60, max_size=80),
    ends=st.sets(st.text("ab", min_size=1, max_size=6), min_size=2, max_size=2),
)
def test_names_that_are_cut_stay_apart(kind: str, environment: str, start: str, ends: set[str]) -> None:
    assume(not RESERVED.match(environment))
    first, second = (names.name(kind, FRONT.get(kind, "") + environment, start + end) for end in sorted(ends))
    assert first != second


@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("load_balancer", ("internal", "app")),
        ("load_balancer", ("test-", "app")),
        ("target_group", ("internal", "app")),
        ("security_group", ("sg", "app")),
        ("bucket", ("xn-", "backups")),
        ("bucket", ("test", "logs-s3alias")),
        ("database", ("a--b", "main")),
        ("kms_alias", ("test", "data")),
        ("kms_alias", ("alias/aws/test", "data")),
        ("parameter", ("test", "host-keys")),
        ("log_group", ("aws", "app")),
        ("load_balancer", ("internal-tools", "app")),
    ],
)
def test_a_name_that_its_service_would_refuse_is_an_error(kind: str, parts: tuple[str, ...]) -> None:
    with pytest.raises(
        ValueError, match=f"is no name of a {kind.replace('_', ' ')}: .*, at most {names.RULES[kind].limit}"
    ):
        names.name(kind, *parts)


@settings(max_examples=50)
@given(networks(), ZONES, st.integers(1, 11), st.integers(1, 11))
def test_every_host_is_reserved_and_none_of_the_addresses_that_aws_keeps(
    cidr: str, zones: list[str], edges: int, apps: int
) -> None:
    plan = subnets.plan(cidr, zones)
    with contextlib.suppress(addressing.AddressError):
        hosts = [
            addressing.address(plan[subnets.kind(tier)][zones[0]], tier, number)
            for tier, count in (("edge", edges), ("app", apps))
            for number in range(1, count + 1)
        ]
        found = subnets.reserved(plan, hosts)
        blocks = {
            zone: [ipaddress.IPv4Network(block) for kind in found for block in found[kind][zone]] for zone in zones
        }
        for host in hosts:
            assert sum(ipaddress.IPv4Address(host) in block for block in blocks[zones[0]]) == 1
        for kind, by_zone in found.items():
            for zone, made in by_zone.items():
                subnet = ipaddress.IPv4Network(plan[kind][zone])
                kept = [*(subnet[place] for place in range(4)), subnet.broadcast_address]
                for block in map(ipaddress.IPv4Network, made):
                    assert block.subnet_of(subnet)
                    assert not any(address in block for address in kept)


def test_the_blocks_of_the_usual_network_are_few_and_leave_the_rest_to_aws() -> None:
    plan = subnets.plan("10.65.0.0/20", ["eu-central-1a"])
    found = subnets.reserved(plan, ["10.65.8.21", "10.65.0.41"])
    assert found == {
        "public": {"eu-central-1a": ("10.65.8.8/29", "10.65.8.16/28")},
        "private": {"eu-central-1a": ("10.65.0.24/29", "10.65.0.32/27", "10.65.0.64/29")},
    }
    assert list(subnets.reserved(plan, ["10.65.0.41"])) == ["private"]
    assert subnets.reserved(plan, []) == {}
