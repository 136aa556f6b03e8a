"""Estimates: every type has a price or a reason, sums are right, and what is not known is said."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pulumi_aws
import pytest
from rich.console import Console

from stackwright.cli.app import app as cli
from stackwright.cost import Assumptions, estimate, lines_for, prices, report
from stackwright.cost.assumptions import changed
from stackwright.cost.estimate import CHARGES
from stackwright.cost.free import FREE
from stackwright.cost.prices import Price, Prices
from stackwright.model.aws import sizes
from stackwright.testing.recording import Recording, Registered

# The SDK says it of every old type of its own when it is loaded.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests" / "pulumi" / "aws" / "golden"
REGION = "eu-central-1"
REGIONS = ("eu-central-1", "eu-west-1", "me-central-1", "us-east-1")
INSTANCE = "aws:ec2/instance:Instance"
DATABASE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
GROUP = "aws:autoscaling/group:Group"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"


def declared(token: str, name: str = "one", /, *, parent: str = "", protect: bool = False, **inputs: Any) -> Registered:
    custom = not token.startswith("stackwright:")
    return Registered(type=token, name=name, custom=custom, inputs=inputs, parent=parent, protect=protect)


def known(*kinds: str, usd: float = 1.0, verified: bool = True) -> Prices:
    """A list where each kind costs the same, so that sums are plain."""
    price = Price(unit="hour", usd=usd, source="test", verified=verified, date="2026-11-23")
    return Prices(regions={REGION: dict.fromkeys(kinds, price)})


def found(*resources: Registered, **assumptions: float) -> dict[str, tuple[float | None, float | None]]:
    """What -> (quantity, USD), without the environment's traffic."""
    lines = lines_for(resources, REGION, Assumptions(**assumptions))
    return {line.what: (line.quantity, line.usd) for line in lines if line.resource != "(environment)"}


def usd(kind: str, region: str = REGION) -> float:
    price = prices.shipped().find(region, kind)
    assert price is not None, kind
    return price.usd


def golden(name: str) -> Recording:
    """The golden graph of an environment, as it was recorded."""
    graph = json.loads((GOLDEN / f"{name}.json").read_text())
    resources = []
    for key, inputs in graph.items():
        token, name = key.split()
        options = inputs.pop("(options)", {})
        parent, protect = options.get("parent", ""), options.get("protect", False)
        resources.append(declared(token, name, parent=parent, protect=protect, **inputs))
    return Recording(resources=tuple(resources), outputs={})


def staging() -> Recording:
    return golden("taaleem-staging")


def component_tokens() -> Iterator[str]:
    """The type of every resource that a component of ours creates, from its source."""
    for file in sorted((ROOT / "src" / "stackwright" / "infra" / "aws").glob("*.py")):
        for module, kind in re.findall(r"\baws\.([a-z0-9]+)\.([A-Z]\w*)\(", file.read_text()):
            token = getattr(getattr(getattr(pulumi_aws, module), kind), "pulumi_type", None)
            # Enumerations have one, too.
            if token and re.fullmatch(r"aws:\w+/[a-z]\w*:\w+", token):
                yield token


def shown(*arguments: Any, width: int = 200, **options: Any) -> str:
    console = Console(file=io.StringIO(), width=width)
    report.show(*arguments, console, **options)
    return console.file.getvalue()  # type: ignore[attr-defined]


# The file of prices


def test_the_file_keeps_its_schema() -> None:
    schema = json.loads((ROOT / "schemas" / "aws-prices.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(prices.FILE.read_text()), schema)
    assert (prices.FILE.parent / prices.SCHEMA).resolve() == ROOT / "schemas" / "aws-prices.schema.json"


def test_the_schema_says_what_the_code_reads() -> None:
    price = json.loads((ROOT / "schemas" / "aws-prices.schema.json").read_text())["$defs"]["Price"]
    fields = [field.name for field in dataclasses.fields(Price)]
    assert list(price["properties"]) == fields
    assert price["required"] == fields
    assert tuple(price["properties"]["unit"]["enum"]) == prices.UNITS


def test_the_file_is_as_it_would_be_written() -> None:
    assert prices.text(prices.read()) == prices.FILE.read_text()


def test_nobody_looked_a_price_up_unless_the_file_says_so() -> None:
    for kinds in prices.shipped().regions.values():
        for kind, price in kinds.items():
            assert price.verified == price.source.startswith(("https://pricing.", "AWS price list")), kind


@pytest.mark.parametrize("region", REGIONS)
def test_every_size_has_a_price_in_every_region(region: str) -> None:
    wanted = [
        *(f"ec2/{name}" for name in sizes.SERVERS),
        *(f"ec2-windows/{name}" for name, one in sizes.SERVERS.items() if one.architecture == "x86_64"),
        *(f"rds-postgresql/{name}/{zones}" for name in sizes.DATABASES for zones in ("single", "multi")),
        *(f"cache-{engine}/{name}" for name in sizes.CACHES for engine in ("redis", "valkey")),
    ]
    assert [kind for kind in wanted if prices.shipped().find(region, kind) is None] == []


def test_regions_have_the_same_kinds() -> None:
    assert {frozenset(prices.shipped().regions[region]) for region in REGIONS} == {
        frozenset(prices.shipped().regions[REGION])
    }


def test_two_zones_cost_more_than_one() -> None:
    for region in REGIONS:
        for kind, price in prices.shipped().regions[region].items():
            if kind.endswith("/single"):
                assert usd(kind.replace("/single", "/multi"), region) > price.usd


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    file.write_text('{"regions": {"eu-central-1": {"nat/gb": {"usd": 1}}}}')
    with pytest.raises(ValueError, match=r"prices.json: no file of prices .*accepted: what .*aws-prices.schema.json"):
        prices.read(file)


# Coverage


@pytest.mark.parametrize("name", ["taaleem-staging", "taaleem-production", "taaleem-windows-aws"])
def test_all_of_an_environment_is_known(name: str) -> None:
    recording = golden(name)
    lines = lines_for(recording, REGION)
    assert [line for line in lines if line.state == "unknown"] == []
    # Each resource has a line of its own, but what a policy of scaling costs, which is the group's.
    mute = {each.name for each in recording.resources if each.type == "aws:autoscaling/policy:Policy"}
    resources = {each.name for each in recording.resources if each.type.startswith("aws:")} - mute
    assert {line.resource for line in lines} == resources | {"(environment)"}


@pytest.mark.parametrize("name", ["taaleem-staging", "taaleem-production", "taaleem-windows-aws"])
def test_every_type_of_an_environment_is_priced_or_free_for_a_reason(name: str) -> None:
    types = {each.type for each in golden(name).resources if each.type.startswith("aws:")}
    assert sorted(types - {*CHARGES, *FREE}) == [], "cost/charges_*.py, or cost/free.py with the reason"


def test_every_use_that_costs_is_a_named_assumption() -> None:
    """What is marked as assumed is the whole of what the assumptions make of the total, and nothing else is."""
    whole = estimate(golden("taaleem-production"), REGION)
    assumed = {field.name: 0.0 for field in dataclasses.fields(Assumptions)}
    bare = estimate(golden("taaleem-production"), REGION, Assumptions(**assumed))
    assert {"scaling_share", "nat_gb", "cdn_gb", "firewall_requests_million", "log_gb"} <= set(whole.by_assumption)
    assert sum(whole.by_assumption.values()) == pytest.approx(whole.total_usd - bare.total_usd)
    # Servers of a group that always run cost by no assumption, though how many there are on average is one.
    servers = sum(line.usd or 0 for line in bare.lines if line.assumed)
    assert whole.assumed_usd - servers == pytest.approx(whole.total_usd - bare.total_usd, rel=0.02)


def test_size_c_is_priced_part_by_part() -> None:
    found = {
        (line.resource.removeprefix("taaleem-production-"), line.what)
        for line in lines_for(golden("taaleem-production"), REGION)
    }
    assert {
        ("database-database", "PostgreSQL on db.m7g.xlarge in two zones"),
        ("database-database", "secret of the master user, which RDS keeps"),
        ("database-database", "enhanced monitoring, log lines"),
        ("cache-sessions", "2 x Valkey on cache.t4g.micro"),
        ("app-group", "2.5 x c7i.xlarge"),
        ("app-group", "alarms of target tracking"),
        ("cdn-distribution", "out to people"),
        ("web-firewall-acl", "7 rules"),
        ("network-nat-c", "NAT gateway"),
        ("network-endpoints-ssm", "endpoint in 3 zones"),
        ("key-key", "key"),
        ("alarms-dashboard", "dashboard"),
    } <= found


def test_every_type_that_a_component_creates_is_priced_or_free_for_a_reason() -> None:
    unheard_of = sorted({token for token in component_tokens() if token not in CHARGES and token not in FREE})
    assert unheard_of == [], "say what it costs in cost/charges_*.py, or why it costs nothing in cost/free.py"


def test_no_type_is_both_and_all_are_types_of_the_sdk() -> None:
    assert set(CHARGES) & set(FREE) == set()
    for token in (*CHARGES, *FREE):
        module, kind = re.fullmatch(r"aws:(\w+)/\w+:(\w+)", token).groups()  # type: ignore[union-attr]
        assert getattr(getattr(pulumi_aws, module), kind).pulumi_type == token


def test_an_unknown_type_is_no_zero() -> None:
    (line,) = lines_for([declared("aws:redshift/cluster:Cluster")], REGION)
    assert (line.state, line.usd) == ("unknown", None)
    assert line.note == "nothing is known of aws:redshift/cluster:Cluster"


def test_components_and_providers_are_no_lines() -> None:
    assert lines_for([declared("stackwright:aws:Dns"), declared("pulumi:providers:aws")], REGION) == []


def test_what_is_free_says_why() -> None:
    (line,) = lines_for([declared("aws:iam/role:Role")], REGION)
    assert (line.state, line.usd, line.note) == ("free", 0, "IAM is free of charge")


@pytest.mark.parametrize("name", ["taaleem-staging", "taaleem-production"])
def test_the_how_to_of_a_first_run_says_what_the_table_says(name: str) -> None:
    text = (ROOT / "docs/how-to/first-run-aws.md").read_text()
    month = estimate(golden(name), REGION).total_usd
    # As it is recorded: a graph that changes may cost something else, which belongs there.
    row = f"| `{name}` | about {round(month, -1):,.0f} USD | {month / 30.4:,.0f} USD |"
    assert row in text
    assert set(re.findall(r"stackwright ([a-z]+) <?(?:env|taaleem)", text)) <= {
        command.name or command.callback.__name__.replace("_", "-")
        for command in cli.registered_commands
        if command.callback
    }


# Charges


def test_a_server_with_its_disk() -> None:
    disk = {"volumeType": "gp3", "volumeSize": 100, "iops": 4000, "throughput": 225}
    server = declared(
        INSTANCE,
        instanceType="t3.medium",
        monitoring=True,
        rootBlockDevice=disk,
        creditSpecification={"cpuCredits": "unlimited"},
        associatePublicIpAddress=True,
    )
    assert found(server, surplus_cpu_hours=10) == {
        "t3.medium": (730, 730 * usd("ec2/t3.medium")),
        "detailed monitoring": (7, 7 * usd("cloudwatch/metric")),
        "CPU above what is earned": (10, 10 * usd("ec2/surplus-t3")),
        "public IPv4 address": (730, 730 * usd("ipv4/hour")),
        "root disk, gp3": (100, 100 * usd("ebs/gp3-gb")),
        "root disk, operations above 3000": (1000, 1000 * usd("ebs/gp3-iops")),
        "root disk, MB/s above 125": (100, 100 * usd("ebs/gp3-mbps")),
    }


def test_windows_costs_its_licence() -> None:
    server = declared(INSTANCE, instanceType="m7i.large", ami="resolve:ssm:/aws/service/ami-windows-latest/x")
    lines = found(server)
    assert lines["m7i.large"] == (730, 730 * usd("ec2/m7i.large"))
    # As remembered, 0.046 USD an hour for each of its two CPUs.
    assert lines["licence of Windows, m7i.large"] == (730, pytest.approx(730 * 2 * 0.046))
    both = sum(lines[what][1] or 0 for what in ("m7i.large", "licence of Windows, m7i.large"))
    assert both == pytest.approx(730 * usd("ec2-windows/m7i.large"))
    [licence] = [line for line in lines_for([server], REGION) if "licence" in line.what]
    assert not licence.verified


@pytest.mark.parametrize("missing", ["ec2-windows/t3.micro", "ec2/t3.micro"])
def test_a_licence_without_a_price_is_unknown(missing: str) -> None:
    server = declared(INSTANCE, instanceType="t3.micro", ami="resolve:ssm:/aws/service/ami-windows-latest/x")
    kinds = {"ec2-windows/t3.micro", "ec2/t3.micro", "ebs/gp3-gb"} - {missing}
    lines = lines_for([server], REGION, known=known(*kinds))
    [licence] = [line for line in lines if "licence" in line.what]
    assert (licence.state, licence.usd, licence.note) == ("unknown", None, f"no price of {missing} in {REGION}")


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({}, "instanceType is missing"),
        ({"instanceType": object()}, "instanceType is not known yet"),
        ({"instanceType": "u-6tb1.metal"}, "no price of ec2/u-6tb1.metal in eu-central-1"),
        ({"instanceType": "t3.micro"}, "its size is the image's"),
        ({"instanceType": "t3.micro", "rootBlockDevice": object()}, "the disk is not known yet"),
    ],
)
def test_a_gap_is_said(inputs: dict[str, Any], why: str) -> None:
    unknown = [line for line in lines_for([declared(INSTANCE, **inputs)], REGION) if line.state == "unknown"]
    assert why in [line.note for line in unknown]
    assert all(line.usd is None for line in unknown)


def test_a_region_without_prices_is_said() -> None:
    (line,) = lines_for([declared("aws:ec2/eip:Eip")], "ap-south-1")
    assert line.state == "unknown"
    assert line.note.startswith("no price of ipv4/hour in ap-south-1: ap-south-1 is not in the file")


def test_a_resource_elsewhere_costs_what_it_costs_there() -> None:
    group = declared("aws:cloudwatch/logGroup:LogGroup", region="us-east-1", retentionInDays=30)
    assert found(group, log_gb=10)["log lines"] == (10, 10 * usd("cloudwatch/log-gb", "us-east-1"))


def scaling(**group: Any) -> list[Registered]:
    ebs = {"volumeType": "gp3", "volumeSize": 20}
    template = declared(
        TEMPLATE, "app-template", instanceType="c7g.large", blockDeviceMappings=[{"deviceName": "/dev/x", "ebs": ebs}]
    )
    other = declared(TEMPLATE, "job-template", instanceType="m7g.large")
    return [template, other, declared(GROUP, "app-group", minSize=2, maxSize=6, **group)]


@pytest.mark.parametrize("reference", ["app-template-id", None])
def test_a_scaling_group_runs_its_average_of_servers(reference: str | None) -> None:
    lines = found(*scaling(launchTemplate={"id": reference}), scaling_share=0.25)
    assert lines["3 x c7g.large"] == (2190, 2190 * usd("ec2/c7g.large"))
    assert lines["3 disks, gp3"] == (60, 60 * usd("ebs/gp3-gb"))


def test_spot_costs_its_share_and_a_warm_pool_its_disks() -> None:
    mixed = {
        "launchTemplate": {"launchTemplateSpecification": {"launchTemplateId": "app-template-id"}},
        "instancesDistribution": {"onDemandBaseCapacity": 1, "onDemandPercentageAboveBaseCapacity": 50},
    }
    resources = scaling(mixedInstancesPolicy=mixed, warmPool={"minSize": 2})
    lines = found(*resources, scaling_share=0.75, spot_share=0.5)
    assert lines["3 x c7g.large"][0] == 3 * 730
    assert lines["2 x c7g.large on spot, as hours at the full price"][0] == 730
    assert lines["7 disks, gp3"][0] == 140


def test_a_group_without_its_template_is_unknown() -> None:
    (line,) = [each for each in lines_for([declared(GROUP, minSize=1, maxSize=1)], REGION) if each.type == GROUP]
    assert (line.state, line.note) == ("unknown", f"what it refers to ({TEMPLATE}) is not declared here")


@pytest.mark.parametrize(("multi", "zones", "words"), [(True, "multi", "two zones"), (False, "single", "one zone")])
def test_a_database_by_its_zones(multi: bool, zones: str, words: str) -> None:
    lines = found(
        declared(
            DATABASE,
            engine="postgres",
            instanceClass="db.m7g.large",
            multiAz=multi,
            allocatedStorage=500,
            storageType="gp3",
            iops=13_000,
            storageThroughput=600,
            performanceInsightsRetentionPeriod=31,
        ),
        database_backup_gb=40,
    )
    assert lines == {
        f"PostgreSQL on db.m7g.large in {words}": (730, 730 * usd(f"rds-postgresql/db.m7g.large/{zones}")),
        "storage, gp3": (500, 500 * usd(f"rds/gp3-gb/{zones}")),
        "operations a second": (1000, 1000 * usd(f"rds/gp3-iops/{zones}")),
        "MB/s": (100, 100 * usd(f"rds/gp3-mbps/{zones}")),
        "backups above the database's size": (40, 40 * usd("rds/backup-gb")),
        "Performance Insights beyond a week": (2, 2 * usd("rds/insights-vcpu")),
    }


def test_copies_of_backups_cost_what_their_region_asks_for() -> None:
    token = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
    lines = found(declared(token, region="eu-west-1"), database_copy_gb=10)
    assert lines == {"copies of backups": (10, 10 * usd("rds/backup-gb", "eu-west-1"))}


def test_a_proxy_is_paid_by_its_databases_cpus() -> None:
    database = declared(DATABASE, "db", engine="postgres", instanceClass="db.r7g.xlarge", allocatedStorage=20)
    proxy = declared("aws:rds/proxy:Proxy", "proxy")
    assert found(database, proxy)["proxy of 4 CPUs"] == (2920, 2920 * usd("rds/proxy-vcpu"))
    (alone,) = lines_for([proxy], REGION)
    assert (alone.state, alone.note) == ("unknown", "the database of this proxy is not declared here")


def test_a_replica_without_a_size_is_half_known() -> None:
    replica = declared(DATABASE, instanceClass="db.m7g.large", replicateSourceDb="main-id")
    assert [line.state for line in lines_for([replica], REGION)] == ["priced", "unknown"]


def test_another_engine_is_unknown() -> None:
    (line,) = lines_for([declared(DATABASE, engine="mysql", instanceClass="db.m7g.large")], REGION)
    assert (line.state, line.note) == ("unknown", "a database of engine mysql")


def test_a_cache_by_engine_and_nodes() -> None:
    store = declared(CACHE, nodeType="cache.t4g.small", engine="valkey", numCacheClusters=2, snapshotRetentionLimit=8)
    assert found(store, cache_backup_gb=2) == {
        "2 x Valkey on cache.t4g.small": (1460, 1460 * usd("cache-valkey/cache.t4g.small")),
        "7 more snapshots": (14, 14 * usd("cache/backup-gb")),
    }


def test_what_serves_people() -> None:
    lines = found(
        declared("aws:lb/loadBalancer:LoadBalancer", "lb", loadBalancerType="application", subnets=["a", "b"]),
        declared("aws:wafv2/webAcl:WebAcl", "acl", rules=[{"name": "x"}, {"name": "y"}]),
        declared("aws:cloudfront/distribution:Distribution", "cdn"),
        load_balancer_units=2,
        cdn_gb=10,
        firewall_requests_million=3,
    )
    assert lines["application load balancer"][0] == 730
    assert lines["capacity units"] == (1460, 1460 * usd("lb/application-unit"))
    assert lines["public IPv4 addresses in 2 zones"] == (1460, 1460 * usd("ipv4/hour"))
    assert lines["2 rules"] == (2, 2 * usd("waf/rule"))
    assert lines["out to people"] == (10, 10 * usd("cloudfront/gb"))


def test_endpoints_by_zones_and_gateways_for_nothing() -> None:
    endpoint = "aws:ec2/vpcEndpoint:VpcEndpoint"
    lines = found(
        declared(endpoint, "ssm", vpcEndpointType="Interface", subnetIds=["a", "b", "c"]),
        declared(endpoint, "s3", vpcEndpointType="Gateway"),
    )
    assert lines["endpoint in 3 zones"] == (2190, 2190 * usd("endpoint/hour"))
    assert lines["gateway"] == (None, 0)


def test_an_alarm_is_paid_by_its_metrics() -> None:
    alarm = "aws:cloudwatch/metricAlarm:MetricAlarm"
    queries = [
        {"id": "e", "expression": "a/b"},
        {"id": "a", "metric": {"metricName": "a"}},
        {"id": "b", "metric": {"metricName": "b"}},
    ]
    lines = found(declared(alarm, "ratio", metricQueries=queries), declared(alarm, "fast", period=10))
    assert lines["alarm on 2 metrics"][0] == 2
    assert lines["alarm on 1 metric"][0] == 3


def test_target_tracking_makes_two_alarms_that_the_group_pays() -> None:
    policy = "aws:autoscaling/policy:Policy"
    resources = [
        *scaling(launchTemplate={"id": "app-template-id"}, tags=[{"key": "stackwright:tier", "value": "app"}]),
        declared(policy, "app-cpu", policyType="TargetTrackingScaling", autoscalingGroupName="app-group"),
        declared(policy, "step", policyType="StepScaling"),
    ]
    lines = {line.what: line for line in lines_for(resources, REGION)}
    assert lines["alarms of target tracking"].usd == 2 * usd("cloudwatch/alarm")
    assert lines["alarms of target tracking"].tier == "app"
    assert (lines["policy"].state, lines["policy"].resource) == ("free", "step")


def test_what_rds_makes_beside_a_database_costs_too() -> None:
    inputs = {"engine": "postgres", "instanceClass": "db.m7g.large", "allocatedStorage": 20, "storageType": "gp3"}
    lines = found(declared(DATABASE, **inputs, manageMasterUserPassword=True, monitoringInterval=60), log_gb=3)
    assert lines["secret of the master user, which RDS keeps"] == (1, usd("secrets/secret"))
    assert lines["enhanced monitoring, log lines"] == (3, 3 * usd("cloudwatch/log-gb"))
    assert len(found(declared(DATABASE, **inputs))) == len(lines) - 2


# Sums, tiers, assumptions


def test_a_month_has_730_hours_and_tiers_are_sums() -> None:
    tags = {"stackwright:tier": "app"}
    resources = [
        declared("stackwright:aws:Network", "network"),
        declared("stackwright:aws:NetworkEndpoints", "inner", parent="network"),
        declared("aws:ec2/eip:Eip", "in-component", parent="inner"),
        declared("aws:ec2/eip:Eip", "tagged", tags=tags),
        declared("aws:ec2/eip:Eip", "tagged-too", tags=[{"key": "stackwright:tier", "value": "app"}]),
    ]
    sums = estimate(resources, REGION, known=known("ipv4/hour"))
    assert sums.tiers == {"app": 1460, "network": 730}
    assert sums.total_usd == 2190
    assert sums.unverified == ()
    assert sums.over_usd(2000) == 190
    assert sums.over_usd(2190) == 0


def test_an_assumption_can_be_changed_by_name() -> None:
    nat = declared("aws:ec2/natGateway:NatGateway")
    before = estimate([nat], REGION, changed(["nat_gb=0"]))
    after = estimate([nat], REGION, changed(["nat_gb=1000"]))
    assert after.total_usd - before.total_usd == pytest.approx(1000 * usd("nat/gb"))
    assert after.assumed_usd == pytest.approx(1000 * usd("nat/gb"))


def test_an_assumption_says_what_it_makes_of_the_total() -> None:
    whole = estimate([declared("aws:ec2/natGateway:NatGateway")], REGION, Assumptions(nat_gb=10))
    assert whole.by_assumption == {"nat_gb": pytest.approx(10 * usd("nat/gb"))}
    database = declared(
        DATABASE, engine="postgres", instanceClass="db.m7g.large", allocatedStorage=20, storageType="gp3"
    )
    # Of no effect now, and of some if it were more than 0.
    assert estimate([database], REGION).by_assumption == {"database_backup_gb": 0}


def test_assumptions_that_cannot_be_are_refused_together() -> None:
    with pytest.raises(
        ValueError, match=r"'nat' is no assumption, accepted: .*nat_gb(.|\n)*log_gb is 'much', accepted"
    ):
        changed(["nat=1", "log_gb=much"])
    with pytest.raises(ValueError, match=r"nat_gb is -1, accepted: 0 or more\nassumption spot_share is 2, accepted"):
        Assumptions(nat_gb=-1, spot_share=2)
    with pytest.raises(ValueError, match="nat_gb is nan"):
        changed(["nat_gb=nan"])


# What would hurt


def test_one_zone_is_said() -> None:
    tags = {"stackwright:tier": "app"}
    resources = [
        declared(INSTANCE, "app1", tags=tags, subnetId="a"),
        declared(INSTANCE, "app2", tags=tags, subnetId="a"),
        declared(INSTANCE, "ops1", tags={"stackwright:tier": "ops"}, subnetId="a"),
        declared(DATABASE, "db", multiAz=False),
        declared(DATABASE, "safe", multiAz=True),
        declared(CACHE, "cache"),
        declared("aws:ec2/subnet:Subnet", "a", availabilityZone="a"),
        declared("aws:ec2/subnet:Subnet", "b", availabilityZone="b"),
        declared("aws:ec2/natGateway:NatGateway", "nat"),
        declared(GROUP, "group", vpcZoneIdentifiers=["a"]),
    ]
    assert {(each.what, each.why) for each in estimate(resources, REGION).single_zones} == {
        ("tier app", "2 hosts in one subnet"),
        ("tier ops", "one host, ops1"),
        ("db", "a database in one zone"),
        ("cache", "a cache in one zone"),
        ("nat", "one NAT gateway for 2 zones: the others lose the way out"),
        ("group", "a scaling group in one zone"),
    }


def test_what_a_deletion_destroys_comes_first() -> None:
    resources = [
        declared(DATABASE, "kept", protect=True, deletionProtection=True, finalSnapshotIdentifier="last"),
        declared(DATABASE, "gone", skipFinalSnapshot=True),
        declared("aws:s3/bucket:Bucket", "emptied", forceDestroy=True),
        declared("aws:s3/bucket:Bucket", "full"),
        declared(INSTANCE, "server", rootBlockDevice={"deleteOnTermination": False}),
        declared("aws:kms/key:Key", "key", protect=True, deletionWindowInDays=7.0),
    ]
    losses = estimate(resources, REGION).losses
    assert [(each.resource, each.destroyed, each.protected_by) for each in losses] == [
        ("emptied", True, ()),
        ("gone", True, ()),
        ("key", True, ("Pulumi",)),
        ("server", False, ()),
        ("full", False, ("AWS",)),
        ("kept", False, ("Pulumi", "AWS")),
    ]
    assert losses[2].outcome == "all that it encrypts is unreadable, and lost 7 days later"


def test_a_secret_can_be_restored_for_a_while() -> None:
    secret = "aws:secretsmanager/secret:Secret"
    resources = [
        declared(secret, "usual"),
        declared(secret, "week", recoveryWindowInDays=7),
        declared(secret, "now", recoveryWindowInDays=0),
    ]
    assert [(each.resource, each.destroyed, each.outcome) for each in estimate(resources, REGION).losses] == [
        ("now", True, "gone at once"),
        ("usual", False, "can be restored for 30 days, then it is gone"),
        ("week", False, "can be restored for 7 days, then it is gone"),
    ]


# The report


def test_what_is_alike_is_one_line_of_the_report() -> None:
    address = "aws:ec2/eip:Eip"
    resources = [declared(address, f"taaleem-x-nat-{zone}") for zone in "abc"] + [declared(address, "taaleem-x-edge")]
    said = shown(estimate(resources, REGION, known=known("ipv4/hour")), environment="taaleem-x")
    assert re.search(r"^ shared +4 x \* +public IPv4 address +2,920 hour +1\[1\] +2,920.00 *$", said, re.MULTILINE)
    servers = [*resources[:3], declared(DATABASE, "taaleem-x-db"), declared(DATABASE, "taaleem-x-db2")]
    said = shown(estimate(servers, REGION), environment="taaleem-x")
    assert re.search(r" 3 x nat-\* +public IPv4 address", said)
    # A price that is not known is not added to one that is, and not counted together as nothing.
    assert said.count("unknown") >= 1
    assert re.search(r"^ db, db2 +2 x database +no final snapshot;", said, re.MULTILINE)


def test_a_figure_of_awss_list_names_the_list_and_its_day() -> None:
    listed = Price(unit="hour", usd=2.0, source="https://pricing.example/x.csv", verified=True, date="2026-11-20")
    mixed = Prices(regions={REGION: {"ipv4/hour": listed, "nat/hour": known("a", verified=False).regions[REGION]["a"]}})
    resources = [declared("aws:ec2/eip:Eip"), declared("aws:ec2/natGateway:NatGateway", "nat")]
    said = shown(estimate(resources, REGION, known=mixed))
    assert "2[1]" in said
    assert "[1] AWS's price list of 2026-11-20: https://pricing.example/x.csv" in said
    assert "1 of 2 prices are unverified (?), from memory, 2026-11-23" in said


def test_the_report_says_what_its_figures_leave_out() -> None:
    said = shown(
        estimate(
            [declared("aws:s3/bucket:Bucket"), declared("aws:cloudfront/distribution:Distribution", "cdn")], REGION
        )
    )
    assert "objects: without older versions, colder classes and copies in other regions\n" in said
    assert "out to people, requests by HTTPS: at the price of Europe and North America" in said


def test_the_report_of_taaleem_staging() -> None:
    whole = estimate(staging(), REGION)
    said = shown(whole, budget_usd=100)
    assert f"over the budget of 100.00 USD by {whole.total_usd - 100:,.2f}" in said
    assert "tier ops: one host, taaleem-staging-compute-ops1-instance" in said
    assert "prices are unverified (?)" in said
    assert "Not in the total" not in said
    assert "within the budget of 100,000.00 USD" in shown(whole, budget_usd=100_000)
    for tier, usd_a_month in whole.tiers.items():
        assert re.search(rf"^ {tier} +{usd_a_month:,.2f} *$", said, re.MULTILINE), tier


def test_the_report_says_what_is_not_in_the_total() -> None:
    whole = estimate([declared("aws:redshift/cluster:Cluster", "house"), declared("aws:ec2/eip:Eip")], REGION)
    said = shown(whole, budget_usd=100)
    assert "at least 3.65 USD a month" in said
    assert "house, Cluster: nothing is known of aws:redshift/cluster:Cluster" in said
    assert "within the budget of 100.00 USD: 96.35 left, but 1 parts are unknown" in said


def test_the_report_shows_every_assumption() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(report.assumptions_table(Assumptions(nat_gb=12.5)))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"nat_gb +12.5", said)
    assert [field.name for field in dataclasses.fields(Assumptions) if field.name not in said] == []
