"""Our environments on AWS as they are declared, whole: `STACKWRIGHT_GOLDEN=write pytest tests/pulumi/aws/test_environments.py`."""

from __future__ import annotations

import base64
import difflib
import fnmatch
import importlib
import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from environments import ENVIRONMENTS, GOLDEN, ROOT, golden_text, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackwright.model import topology
from stackwright.model.environment import load
from stackwright.model.inventory import build
from stackwright.model.secrets import MASTER, secret_names
from stackwright.policy import evaluate
from stackwright.testing.aws import invokes
from stackwright.testing.aws.configuration import Configuration
from stackwright.testing.aws_models import botocore_checks, iam
from stackwright.testing.recording import Recording, Registered

RULES = (
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
)
SOURCES = ("cidrIpv4", "cidrIpv6", "referencedSecurityGroupId", "prefixListId")


def custom(recording: Recording) -> list[Registered]:
    return [each for each in recording.resources if each.type.startswith("aws:")]


def taggable(token: str) -> bool:
    """Whether the SDK's class takes tags."""
    module, _, kind = token.removeprefix("aws:").partition(":")
    found = getattr(importlib.import_module(f"pulumi_aws.{module.partition('/')[0]}"), kind)
    return hasattr(found, "tags")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_graph_is_the_golden_one(project: Path, name: str) -> None:
    found, file = golden_text(run(project, name)), GOLDEN / f"{name}.json"
    if os.environ.get("STACKWRIGHT_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(found)
    known = file.read_text()
    difference = difflib.unified_diff(known.splitlines(), found.splitlines(), "golden", "declared", lineterm="", n=2)
    assert found == known, "\n".join(difference)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_named_servers_start_from_an_image_that_ec2_can_describe(project: Path, name: str) -> None:
    images = [each.inputs["ami"] for each in run(project, name).resources if each.type == "aws:ec2/instance:Instance"]
    assert images
    assert all(image.startswith("ami-") for image in images)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_nothing_is_declared_only_once_values_are_known(project: Path, name: str) -> None:
    """A resource made inside `.apply` would be missing from a preview of what does not exist yet."""
    known = {(each.type, each.name) for each in run(project, name).resources}
    assert {(each.type, each.name) for each in run(project, name, preview=True).resources} == known


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_output_is_one_that_the_inventory_reads(project: Path, name: str) -> None:
    output = json.loads(json.dumps(run(project, name).outputs["stackwright_inventory"]))
    environment = load(project / "inventories" / name)
    for host in environment.hosts:
        file = environment.state_folder / "host-keys" / f"{host.name}.pub"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9ONJZdgVTWb0o8NSWsiYsoAbS2FUPVYPS\n")
    found = build(environment, _whole(output))
    own = topology.playbook_groups(environment.stack, environment.hosts)
    retiring = {group: hosts for group, hosts in found.groups.items() if group.startswith("retiring")}
    assert not any(retiring.values())
    assert found.groups == {**environment.groups, **own, **retiring}
    assert found.groups["windows"] == (environment.groups["app"] if "windows" in name else ())
    managed = "database" in topology.managed(environment.stack)
    master = found.variables["stack"]["database"]["master_secret"]
    assert master == ("arn of the secret that RDS keeps" if managed else None)
    assert bool(found.groups["database_admin"]) == managed
    for host in environment.hosts:
        variables = found.hosts[host.name].variables
        assert variables["ansible_host"] == output["hosts"][host.name]["instance_id"]
        assert f"HostKeyAlias={host.address}" in variables["ansible_ssh_common_args"]
        assert "aws ssm start-session --region eu-central-1" in variables["ansible_ssh_common_args"]


def _whole(value: Any) -> Any:
    """Numbers of the wire as JSON has them in a state."""
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check(recording: Recording, project: Path, name: str) -> None:
    """What holds for every environment on AWS."""
    resources = custom(recording)
    subnets = [ipaddress.ip_network(each.inputs["cidrBlock"]) for each in resources if each.type.endswith(":Subnet")]
    assert len(subnets) >= 6
    assert not any(one.overlaps(other) for i, one in enumerate(subnets) for other in subnets[i + 1 :])
    for each in resources:
        assert each.parent, each.name
        if taggable(each.type):
            tags = each.inputs.get("tags") or {}
            if isinstance(tags, list):  # As a group that scales has them.
                tags = {one["key"]: one["value"] for one in tags}
            assert tags.get("stackwright:environment") == name, (each.type, each.name)
            assert tags.get("Name"), (each.type, each.name)
    rules = [each for each in resources if each.type in RULES]
    assert rules
    for rule in rules:
        assert rule.inputs["description"], rule.name
        assert sum(source in rule.inputs for source in SOURCES) == 1, rule.name
    names = {spec.name for spec in secret_names(load(project / "inventories" / name))}
    text = json.dumps([each.inputs for each in resources] + [recording.outputs], default=str)
    assert "PRIVATE KEY" not in text
    assert '"password"' not in text
    assert set(recording.outputs["stackwright_inventory"]["secrets"]) == names


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_ours_keep_the_rules(project: Path, name: str) -> None:
    check(run(project, name), project, name)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_ours_violate_no_policy(project: Path, name: str) -> None:
    found = evaluate(run(project, name).resources, load(project / "inventories" / name).environment_class)
    assert [f"{each.severity}: {each.rule}: {each.resource}: {each.message}" for each in found] == []


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_input_is_one_that_aws_takes(project: Path, name: str) -> None:
    report = botocore_checks.check(run(project, name).resources)
    assert [str(finding) for finding in report.findings] == []
    assert report.resources > 100
    assert report.values > 1000


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_policy_is_exact(project: Path, name: str) -> None:
    report = iam.check_resources(run(project, name).resources)
    assert [str(finding) for finding in report.findings] == []
    assert report.documents > 10


def test_each_secret_has_a_server_that_reads_it_and_each_that_is_read_is_there(project: Path) -> None:
    recording = run(project, "taaleem-production")
    made = {
        each.inputs["name"].removeprefix("taaleem-production/")
        for each in recording.resources
        if each.type == "aws:secretsmanager/secret:Secret"
    }
    policies = [json.dumps(each.inputs, default=str) for each in recording.resources if "iam/" in each.type]
    read = {found for text in policies for found in re.findall(r"secret:taaleem-production/([\w/.-]+)-\?{6}", text)}
    # The master's login is read by who applies the database's objects.
    assert made == read | {MASTER}
    assert len(read) > 5


def test_one_server_has_one_group_and_talks_to_nobody_of_its_own(project: Path) -> None:
    text = (ROOT / "inventories/taaleem-staging/stack.yml").read_text()
    text = text.replace("{size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}", "{size: A}")
    recording = run(project, "alone", stack=text)
    check(recording, project, "alone")
    rules = {each.name for each in custom(recording) if each.type in RULES and "compute" in each.name}
    assert {name.removeprefix("alone-compute-server-").rsplit("-http", 1)[0] for name in rules} == {
        *("from-tcp-80", "from-tcp-443", "to-tcp-80", "to-tcp-443"),
    }


def test_windows_before_data_that_is_our_own(project: Path) -> None:
    text = (ROOT / "inventories/taaleem-staging/stack.yml").read_text()
    text += (
        "tier_os: {edge: windows-2025, app: windows-2022}\nsizes: {edge: {memory_mb: 4096}, app: {memory_mb: 8192}}\n"
    )
    text += "access: {ssh_from: [203.0.113.0/24]}\n"
    recording = run(project, "mixed", stack=text)
    check(recording, project, "mixed")
    made = {name: recording.named(f"mixed-compute-{name}-instance").inputs for name in ("edge1", "app1", "db1")}
    windows = "/aws/service/ami-windows-latest/Windows_Server-{}-English-Full-Base"
    parameters = (windows.format(2025), windows.format(2022), "/aws/service/debian/release/13/latest/amd64")
    lookup, region = "aws:ssm/getParameter:getParameter", Configuration(region="eu-central-1")
    image_ids = [invokes.answer(lookup, {"name": parameter}, region)["value"] for parameter in parameters]
    assert [made[name]["ami"] for name in made] == image_ids
    # What Windows needs where nobody says, and what Linux does.
    assert [made[name]["rootBlockDevice"]["volumeSize"] for name in made] == [50, 50, 20]
    told = base64.b64decode(made["edge1"]["userDataBase64"]).decode()
    assert "$ComputerName = 'edge1'" in told
    assert "$SshFrom = @('203.0.113.0/24')" in told
    assert [str(each) for each in evaluate(recording.resources, "staging")] == []
    assert [str(each) for each in botocore_checks.check(recording.resources).findings] == []


GROUP = "".join(
    f"{line}\n"
    for line in (
        "  app:",
        "    group:",
        "      min: 2",
        "      max: 4",
        "      cpu_percent: 55",
        "      warm: 1",
        "      schedules:",
        "        - {name: clinic-opens, at: 30 6 * * SUN-THU, min: 3, max: 4, time_zone: Asia/Dubai}",
        "        - {name: clinic-closes, at: 0 20 * * *, min: 2, max: 4, time_zone: Asia/Dubai}",
    )
)
SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:master-AbCdEf"
#: What is chosen -> edits of taaleem-production, and resources that there must be, or (after `-`) must not.
CHOICES: dict[str, tuple[list[tuple[str, str]], list[str]]] = {
    "replicas": (
        [("{storage_gb: 100,", f"{{replicas: 1, master_secret: '{SECRET}', storage_gb: 100,")],
        ["database-replica-1", "-database-rotation"],
    ),
    "no CDN": (
        [("  zones: 3", "  zones: 3\n  load_balancer: {cdn: false}")],
        ["web-firewall-association", "load-balancer-http", "-cdn-distribution", "-key-global-key"],
    ),
    "named servers": (
        [(GROUP, "")],
        ["compute-app1-instance", "load-balancer-target-app2", "-app-group", "-clients-group"],
    ),
    "an own database": (
        [
            ("{storage_gb: 100,", "{run_by: hosts, storage_gb: 100,"),
            ("\naws:\n", "\nbackups: {copy_to: {type: s3}}\naws:\n"),
        ],
        ["compute-db1-instance", "access-app-to-database-5432-into", "app-group", "-database-database"],
    ),
    "a database that is restored": (
        [("{storage_gb: 100,", "{restore: {source: clinic-database}, storage_gb: 100,")],
        ["database-database", "-app-none"],
    ),
    "where CloudFront is": (
        [("region: eu-central-1", "region: us-east-1")],
        ["cdn-distribution", "certificate-certificate", "-certificate-cdn-certificate", "-key-global-key"],
    ),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_other_choices_of_size_c_keep_the_rules(project: Path, choice: str) -> None:
    edits, wanted = CHOICES[choice]
    text = (ROOT / "inventories/taaleem-production/stack.yml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    recording = run(project, "other", stack=text)
    check(recording, project, "other")
    names = {each.name.removeprefix("other-") for each in custom(recording)}
    assert {each for each in wanted if each.removeprefix("-") in names} == {
        each for each in wanted if not each.startswith("-")
    }
    report = botocore_checks.check(recording.resources)
    assert [str(finding) for finding in report.findings] == []


def test_uploads_pass_every_policy_on_their_way(project: Path) -> None:
    """What the role of the servers says is of use only where the network's way to S3, the bucket and its key say so, too."""
    name = "taaleem-production"
    recording = run(project, name)

    def statements(resource: str) -> dict[str, dict[str, Any]]:
        found = json.loads(recording.named(f"{name}-{resource}").inputs["policy"])["Statement"]
        return {each["Sid"]: each for each in found}

    role = statements("app-servers-policy")
    keep, encrypt = role["KeepUploads"], role["EncryptUploads"]
    bucket = "arn:aws:s3:::" + recording.outputs["stackwright_inventory"]["cloud"]["buckets"]["uploads"]
    assert keep["Resource"] == [f"{bucket}/*"]
    passing = statements("network-endpoints-s3")["OwnBuckets"]
    assert set(keep["Action"]) <= set(passing["Action"])
    assert any(fnmatch.fnmatchcase(f"{bucket}/an-id", pattern) for pattern in passing["Resource"])
    # The bucket's own policy refuses no TLS of today, and nobody who leaves the key to the bucket.
    denied = statements("object-store-uploads-policy")
    assert denied.keys() == {"DenyWithoutTls", "DenyOldTls", "DenyOtherEncryption", "DenyOtherKeys"}
    assert denied["DenyOtherEncryption"]["Condition"]["Null"] == {"s3:x-amz-server-side-encryption": "false"}
    assert denied["DenyOtherKeys"]["Condition"]["StringEquals"] == {"s3:x-amz-server-side-encryption": "aws:kms"}
    rule = recording.named(f"{name}-object-store-uploads-encryption").inputs["rules"][0]
    assert rule["bucketKeyEnabled"] is True
    assert encrypt["Resource"] == [rule["applyServerSideEncryptionByDefault"]["kmsMasterKeyId"]]
    assert encrypt["Condition"]["StringEquals"]["kms:EncryptionContext:aws:s3:arn"] == bucket
    through = statements("key-key")["UseThroughServices"]
    assert set(encrypt["Action"]) <= set(through["Action"])
    assert (
        encrypt["Condition"]["StringEquals"]["kms:ViaService"] in through["Condition"]["StringEquals"]["kms:ViaService"]
    )


def test_the_repository_host_alone_copies_backups_into_the_bucket(project: Path) -> None:
    """It removes no version; the ways there let it pass; another region has one more copy, where it is named."""
    name = "taaleem-staging"
    text = (ROOT / "inventories" / name / "stack.yml").read_text()
    recording = run(project, name, stack=text.replace("{type: s3}", "{type: s3, region: eu-west-1}"))
    policies = {each.name: each.inputs["policy"] for each in custom(recording) if "policy" in each.inputs}
    roles = {each: text for each, text in policies.items() if each.startswith(f"{name}-compute-")}
    assert [each for each, text in roles.items() if "s3:" in text] == [f"{name}-compute-ops1-policy"]
    role = {each["Sid"]: each for each in json.loads(policies[f"{name}-compute-ops1-policy"])["Statement"]}
    bucket = "arn:aws:s3:::" + recording.outputs["stackwright_inventory"]["cloud"]["buckets"]["backups"]
    assert role["FindBackups"]["Resource"] == [bucket]
    assert role["CopyBackups"]["Resource"] == [f"{bucket}/{name}/*"]
    actions = {*role["FindBackups"]["Action"], *role["CopyBackups"]["Action"]}
    assert "s3:DeleteObjectVersion" not in actions
    passing = json.loads(policies[f"{name}-network-endpoints-s3"])["Statement"][0]
    assert actions <= set(passing["Action"])
    assert any(fnmatch.fnmatchcase(f"{bucket}/{name}/config", pattern) for pattern in passing["Resource"])
    store = f"{name}-object-store-backups"
    assert recording.named(f"{store}-versioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    assert recording.named(f"{store}-copy-bucket").inputs["region"] == "eu-west-1"
    assert recording.named(f"{store}-copying").inputs["rules"][0]["status"] == "Enabled"


def test_no_server_may_write_uploads_where_no_application_takes_any(project: Path) -> None:
    system = project / "systems/taaleem.yml"
    text = system.read_text()
    assert "    uploads: [uploads]\n" in text
    system.write_text(text.replace("    uploads: [uploads]\n", ""))
    stack = (ROOT / "inventories/taaleem-production/stack.yml").read_text()
    recording = run(project, "taaleem-production", stack=stack)
    assert "KeepUploads" not in recording.named("taaleem-production-app-servers-policy").inputs["policy"]


def test_servers_of_a_group_come_after_what_they_ask(project: Path) -> None:
    """They configure themselves in their first minutes, and are given up where they cannot."""
    recording = run(project, "taaleem-production")
    # The engine makes a child after its component, and a component after what it depends on.
    after = set(recording.named(recording.named("taaleem-production-app-group").parent).depends_on)
    assert {f"taaleem-production-{each}" for each in ORDER} <= after


ORDER = (
    "database-database",
    "cache-sessions",
    "cache-security-group-redis-for-app-6379",
    "access-app-to-database-5432",
    "secrets-app/emr/session",
    "object-store-artifacts-bucket",
)


@pytest.mark.long
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    app=st.integers(1, 4),
    database=st.integers(1, 3),
    zones=st.integers(2, 3),
    prefix=st.integers(16, 20),
    nat=st.sampled_from(["single", "per_zone"]),
    class_=st.sampled_from(["development", "staging"]),
    ipv6=st.booleans(),
)
def test_others_keep_the_rules(
    project: Path, app: int, database: int, zones: int, prefix: int, nat: str, class_: str, *, ipv6: bool
) -> None:
    text = (ROOT / "inventories/taaleem-staging/stack.yml").read_text()
    for old, new in (
        ("app: 2", f"app: {app}"),
        ("database: 2", f"database: {database}"),
        ("zones: 2", f"zones: {zones}"),
        ("nat: single", f"nat: {nat}\n  ipv6: {str(ipv6).lower()}"),
        ("10.65.0.0/20", f"10.64.0.0/{prefix}"),
        ("class: staging", f"class: {class_}"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    check(run(project, "generated", stack=text), project, "generated")
