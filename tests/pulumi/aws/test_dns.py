"""Names without an engine: every record with all of its inputs, and what Route 53 would refuse."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest
from aws_context import REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.dns import Dns, DnsArgs, DnsRecordArgs
from stackwright.testing.recording import Properties, Recording, record

ZONE = "Z0123456789ABCDEFGHIJ"
LOAD_BALANCER = {"values": ["test-lb-1.eu-central-1.elb.amazonaws.com"], "zone_id": "Z215JYRZR1TBD5"}
CLOUDFRONT = {"values": ["d111111abcdef8.cloudfront.net"], "zone_id": "Z2FDTNDATAQYW2"}
COMPUTED = {
    "aws:route53/zone:Zone": lambda inputs: {"zoneId": "id of the internal zone"},
    "aws:route53/record:Record": lambda inputs: {"fqdn": inputs["name"]},
}
INTERNAL = {
    ("stackwright:aws:Dns", "dns"): {},
    ("aws:route53/zone:Zone", "dns-internal"): {
        "name": "test.internal",
        "comment": "taaleem, test: names inside the network",
        "vpcs": [{"vpcId": "vpc-1", "vpcRegion": REGION}],
        "tags": tags("test.internal"),
    },
}


def alias(**more: Any) -> DnsRecordArgs:
    return DnsRecordArgs(kind="alias", **(LOAD_BALANCER | more))


def args(**more: Any) -> DnsArgs:
    fixed: dict[str, Any] = {
        "context": context(),
        "hosted_zone_id": ZONE,
        "hosted_zone_name": "example.org",
        "internal_domain": "test.internal",
        "vpc_id": "vpc-1",
    }
    return DnsArgs(**(fixed | more))


def run(**more: Any) -> Recording:
    def program() -> None:
        Dns("dns", args(**more))

    return record(program, stack="test", computed=COMPUTED)


def created(name: str, kind: str, **more: Any) -> tuple[tuple[str, str], Properties]:
    zone = ZONE if name.startswith("dns-public") else "id of the internal zone"
    domain = re.sub(r"^dns-(public|private)-|-ipv6$", "", name).replace("any.", "*.")
    return ("aws:route53/record:Record", name), {"zoneId": zone, "name": domain, "type": kind, **more}


def target(*, evaluates: bool = True, to: dict[str, Any] = LOAD_BALANCER) -> list[Properties]:
    return [{"name": to["values"][0], "zoneId": to["zone_id"], "evaluateTargetHealth": evaluates}]


def test_both_zones_hold_these_records_and_no_other() -> None:
    recording = run(
        public={
            "example.org": alias(ipv6=True),
            "*.example.org": DnsRecordArgs(kind="CNAME", values=["example.org"], ttl_seconds=300),
        },
        private={
            "database.test.internal": DnsRecordArgs(kind="CNAME", values=["db.abc.eu-central-1.rds.amazonaws.com"]),
            "app1.test.internal": DnsRecordArgs(kind="A", values=["10.20.0.10"], ipv6_values=["2a05:d014:1:2300::a"]),
        },
    )
    database = {"ttl": 60, "records": ["db.abc.eu-central-1.rds.amazonaws.com"]}
    recording.seal(
        {
            **INTERNAL,
            **dict(
                [
                    created("dns-public-example.org", "A", aliases=target()),
                    created("dns-public-example.org-ipv6", "AAAA", aliases=target()),
                    created("dns-public-any.example.org", "CNAME", ttl=300, records=["example.org"]),
                    created("dns-private-database.test.internal", "CNAME", **database),
                    created("dns-private-app1.test.internal", "A", ttl=60, records=["10.20.0.10"]),
                    created("dns-private-app1.test.internal-ipv6", "AAAA", ttl=60, records=["2a05:d014:1:2300::a"]),
                ]
            ),
        }
    )
    assert {each.parent for each in recording.resources if each.name != "dns"} == {"dns"}
    assert not any(each.secrets or each.protect for each in recording.resources)
    assert recording.component_outputs["dns"] == {
        "zoneId": "id of the internal zone",
        "internalDomain": "test.internal",
        "publicNames": {"example.org": "example.org", "*.example.org": "*.example.org"},
        "privateNames": {name: name for name in ("database.test.internal", "app1.test.internal")},
    }


def test_an_environment_without_public_names_needs_no_public_zone() -> None:
    recording = run(hosted_zone_id=None, hosted_zone_name=None)
    recording.seal(INTERNAL)
    assert recording.component_outputs["dns"]["publicNames"] == {}


def test_what_an_alias_answers_depends_on_health_except_for_cloudfront() -> None:
    def program() -> None:
        known = pulumi.Output.from_input(CLOUDFRONT["zone_id"])
        other = pulumi.Output.from_input(LOAD_BALANCER["zone_id"])
        records = {
            "a.example.org": alias(),
            "b.example.org": alias(evaluate_health=False),
            "c.example.org": alias(**CLOUDFRONT),
            "d.example.org": alias(**(CLOUDFRONT | {"zone_id": known})),
            "e.example.org": alias(zone_id=other),
        }
        Dns("dns", args(public=records))

    recording = record(program, stack="test", computed=COMPUTED)
    answers = {
        letter: recording.named(f"dns-public-{letter}.example.org").inputs["aliases"][0]["evaluateTargetHealth"]
        for letter in "abcde"
    }
    assert answers == {"a": True, "b": False, "c": False, "d": False, "e": True}


def test_a_record_that_changes_its_kind_stays_the_same_resource() -> None:
    """Route 53 changes it in one step; a second record of the name would be refused."""
    name = "app.example.org"
    kinds = [
        alias(),
        DnsRecordArgs(kind="A", values=["203.0.113.5"]),
        DnsRecordArgs(kind="CNAME", values=["other.example.org"]),
    ]
    for record_args in kinds:
        recording = run(public={name: record_args})
        assert recording.named(f"dns-public-{name}").inputs["name"] == name


def test_a_record_waits_for_what_it_names() -> None:
    def program() -> None:
        Dns("dns", args(private={"a.test.internal": DnsRecordArgs(kind="A", values=["10.0.0.1"])}))

    recording = record(program, stack="test", computed=COMPUTED)
    assert "dns-internal" in recording.named("dns-private-a.test.internal").depends_on


def cname(*values: str, **more: Any) -> DnsRecordArgs:
    return DnsRecordArgs(kind="CNAME", values=values, **more)


def address(*values: str, **more: Any) -> DnsRecordArgs:
    return DnsRecordArgs(kind="A", values=values, **more)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hosted_zone_id": "/hostedzone/Z1"}, "hosted_zone_id is '/hostedzone/Z1', accepted: an id such as Z01234567"),
        ({"hosted_zone_name": "Example.org"}, "hosted_zone_name is 'Example.org', accepted: a name in lower case"),
        ({"internal_domain": "internal"}, "internal_domain is 'internal', accepted: a name in lower case"),
        (
            {"hosted_zone_id": None, "public": {"a.example.org": address("203.0.113.5")}},
            "hosted_zone_id and hosted_zone_name are missing, accepted: those of the zone of `public`",
        ),
        (
            {"public": {"example.org": cname("other.example.com")}},
            "public[example.org].kind is 'CNAME' at the top of its zone, accepted: alias, A",
        ),
        (
            {"private": {"test.internal": cname("a.test.internal")}},
            "private[test.internal].kind is 'CNAME' at the top of its zone, accepted: alias, A",
        ),
        (
            {"public": {"a.example.com": address("203.0.113.5")}},
            "public has 'a.example.com', accepted: example.org or a name below it, in lower case",
        ),
        ({"public": {"aexample.org": address("203.0.113.5")}}, "public has 'aexample.org', accepted: example.org or"),
        ({"public": {"A.example.org": address("203.0.113.5")}}, "public has 'A.example.org', accepted: example.org or"),
        (
            {"public": {"a.*.example.org": address("203.0.113.5")}},
            "public has 'a.*.example.org', accepted: example.org",
        ),
        (
            {"private": {f"{'a' * 64}.test.internal": address("10.0.0.1")}},
            f"private has '{'a' * 64}.test.internal', accepted: test.internal or a name below it",
        ),
        (
            {"public": {"a.example.org": DnsRecordArgs(kind="MX", values=["mail"])}},
            "public[a.example.org].kind is 'MX', accepted: alias, A, CNAME",
        ),
        (
            {"public": {"a.example.org": address("203.0.113.5", ttl_seconds=0)}},
            "public[a.example.org].ttl_seconds is 0, accepted: 1 to 172800",
        ),
        (
            {"public": {"a.example.org": cname("b.example.org", ttl_seconds=200_000)}},
            "public[a.example.org].ttl_seconds is 200000, accepted: 1 to 172800",
        ),
        (
            {"public": {"a.example.org": alias(ttl_seconds=60)}},
            "public[a.example.org].ttl_seconds goes with no record of the kind 'alias', accepted: none",
        ),
        (
            {"public": {"a.example.org": alias(zone_id=None)}},
            "public[a.example.org].zone_id is missing, accepted: the hosted zone of what the alias means",
        ),
        (
            {"public": {"a.example.org": alias(zone_id="zone")}},
            "public[a.example.org].zone_id is 'zone', accepted: an id such as",
        ),
        (
            {"public": {"a.example.org": alias(**CLOUDFRONT, evaluate_health=True)}},
            "public[a.example.org].evaluate_health is True, accepted: False for CloudFront",
        ),
        (
            {"private": {"a.test.internal": alias(**CLOUDFRONT)}},
            "private[a.test.internal] is an alias of CloudFront, accepted: one in `public`",
        ),
        (
            {"public": {"a.example.org": alias(values=["b.example.org", "c.example.org"])}},
            "public[a.example.org].values has 2, accepted: one name",
        ),
        ({"public": {"a.example.org": cname()}}, "public[a.example.org].values has 0, accepted: one name"),
        (
            {"public": {"a.example.org": cname("A.example.org.")}},
            "public[a.example.org].values has 'A.example.org.', accepted: another full name",
        ),
        (
            {"public": {"a.example.org": cname("10.0.0.1 ")}},
            "public[a.example.org].values has '10.0.0.1 ', accepted: another full name",
        ),
        ({"public": {"a.example.org": address()}}, "public[a.example.org].values is empty, accepted: at least one"),
        (
            {"public": {"a.example.org": address("a.example.com")}},
            "public[a.example.org].values has 'a.example.com', accepted: IPv4 addresses",
        ),
        (
            {"public": {"a.example.org": address("203.0.113.5", ipv6_values=["203.0.113.6"])}},
            "public[a.example.org].ipv6_values has '203.0.113.6', accepted: IPv6 addresses",
        ),
        (
            {"public": {"a.example.org": address("203.0.113.5", "203.0.113.5")}},
            "public[a.example.org].values is 203.0.113.5, 203.0.113.5, accepted: each value once",
        ),
        (
            {"public": {"a.example.org": address(*(f"10.0.{n // 256}.{n % 256}" for n in range(401)))}},
            "public[a.example.org].values has 401 values, accepted: at most 400",
        ),
        (
            {"public": {"a.example.org": cname("b.example.org", ipv6=True)}},
            "public[a.example.org].ipv6 goes with no record of the kind 'CNAME', accepted: none",
        ),
        (
            {"public": {"a.example.org": cname("b.example.org", ipv6_values=["::1"])}},
            "public[a.example.org].ipv6_values goes with no record of the kind 'CNAME', accepted: none",
        ),
        (
            {"public": {"a.example.org": address("203.0.113.5", zone_id=ZONE)}},
            "public[a.example.org].zone_id goes with no record of the kind 'A', accepted: none",
        ),
    ],
)
def test_a_wrong_argument_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(f"DnsArgs.{message}")) as caught:
        args(**wrong)
    assert len(str(caught.value).splitlines()) == 1


def test_all_problems_are_told_at_once() -> None:
    records = {"a.example.org": address("x", ttl_seconds=0), "example.org": cname("b.example.org")}
    with pytest.raises(ValueError, match="DnsArgs") as caught:
        args(internal_domain="internal", public=records)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "DnsArgs.internal_domain",
        "DnsArgs.public[a.example.org].ttl_seconds",
        "DnsArgs.public[a.example.org].values",
        "DnsArgs.public[example.org].kind",
    ]


def test_what_is_off_is_no_mistake() -> None:
    found = args(public={"a.example.org": cname("b.example.org.", ipv6=False, evaluate_health=False)})
    assert found.public is not None


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([Dns])
    outputs = ["internalDomain", "privateNames", "publicNames", "zoneId"]
    assert sorted(found["component_definitions"]["Dns"].outputs) == outputs
    assert {"Context", "DnsRecordArgs"} <= set(found["type_definitions"])
    assert all(each.properties for each in found["type_definitions"].values())
