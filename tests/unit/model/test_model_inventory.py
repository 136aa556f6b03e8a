"""What Ansible sees: the same shape for every provider, addresses from the output, never a secret's value."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml
from model_project import CLOUD, KEY, ROOT, Project, provisioned

from stackwright.model import edge
from stackwright.model import schema as schemas
from stackwright.model.aws import member
from stackwright.model.environment import load
from stackwright.model.graph import topology_svg
from stackwright.model.inventory import Inventory, InventoryError, build
from stackwright.model.output import make_output
from stackwright.model.secrets import cloud_names, secret_names
from stackwright.model.topology import playbook_groups

ENVIRONMENTS = sorted(path.parent.name for path in (ROOT / "inventories").glob("*/stack.yml"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def inventory(name: str) -> Inventory:
    environment = load(ROOT / "inventories" / name)
    return build(environment, provisioned(environment))


def shape(value: Any) -> Any:
    """The keys and types of a value; names of hosts and the like, and the length of lists, are not part of it."""
    if isinstance(value, dict) and value and all(isinstance(one, dict) for one in value.values()):
        return {"*": shape(next(iter(value.values())))}
    if isinstance(value, dict):
        return {key: shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def tops(stack: dict[str, Any]) -> dict[str, Any]:
    """Its shape without what depends on the number of hosts and on their tiers."""
    groups = dict.fromkeys(stack["groups"], "hosts")
    keys = ("version", "environment", "edge", "apps", "database", "cache", "logs", "backups", "certificates", "access")
    found = {key: shape(stack[key]) for key in keys} | {"groups": groups, "keys": sorted(stack)}
    for per_host in ("pools", "client_limits", "sizes"):
        first = next(iter(stack["database"][per_host].values()), None)
        found["database"][per_host] = shape({"host": first}) if first is not None else {}
    for app in found["apps"].values():
        app["instances_by_host"] = "instances"
    return found


def test_there_are_environments() -> None:
    assert ENVIRONMENTS == [
        "taaleem-baremetal",
        "taaleem-local",
        "taaleem-production",
        "taaleem-single",
        "taaleem-staging",
        "taaleem-windows-aws",
    ]


def fits(found: Any, golden: Any) -> bool:
    """The same shape; what a cloud does instead of hosts is null, or an empty list or mapping of hosts."""
    if isinstance(found, dict) and isinstance(golden, dict) and found:
        return found.keys() == golden.keys() and all(fits(found[key], golden[key]) for key in golden)
    if isinstance(found, list) and isinstance(golden, list) and found:
        return fits(found[0], golden[0])
    return found == golden or found in ([], {}, "NoneType") or golden == "NoneType"


def test_every_provider_gives_the_same_groups_and_the_same_stack() -> None:
    stacks = {name: inventory(name).variables["stack"] for name in ENVIRONMENTS}
    shapes = {name: tops(stack) for name, stack in stacks.items()}
    golden = shapes["taaleem-local"]
    for name in ("taaleem-baremetal", "taaleem-single"):
        assert shapes[name] == golden
    for name in ("taaleem-production", "taaleem-staging", "taaleem-windows-aws"):
        assert fits(shapes[name], golden)
    assert sorted(golden["groups"]) == ["app", "cache", "consensus", "database", "edge", "ops"]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_stack_is_plain_json(name: str) -> None:
    stack = inventory(name).variables["stack"]
    assert json.loads(json.dumps(stack)) == stack


#: Hosts that are about to go, and those that lose a tier.
RETIRING: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("retiring", *(f"retiring_{tier}" for tier in ("edge", "app", "database", "cache", "ops"))), ()
)


def test_groups_of_size_b() -> None:
    assert inventory("taaleem-local").groups == {
        "edge": ("edge1",),
        "app": ("app1", "app2"),
        "database": ("db1", "db2"),
        "cache": ("cache1",),
        "ops": ("ops1",),
        "consensus": ("db1", "db2", "ops1"),
        "backup": ("edge1", "app1", "app2", "db1", "db2", "cache1", "ops1"),
        "database_proxy": ("app1", "app2"),
        "database_pool": ("app1", "app2"),
        "database_admin": (),
        "metrics": (),
        "windows": (),
        **RETIRING,
    }


def test_groups_of_size_a() -> None:
    tiers = ("edge", "app", "database", "cache", "ops", "consensus")
    groups = inventory("taaleem-single").groups
    assert groups == {
        **dict.fromkeys((*tiers, "backup", "database_pool", "database_proxy"), ("server1",)),
        "database_admin": (),
        "metrics": (),
        "windows": (),
        **RETIRING,
    }


def test_groups_where_a_cloud_runs_the_database() -> None:
    """Servers that come and go are no hosts of the inventory; and with nobody to back up there are no backups."""
    groups = inventory("taaleem-production").groups
    assert {name for name, members in groups.items() if members} == {"ops", "database_admin", "metrics"}
    assert groups["database_admin"] == ("ops1",)


def test_the_first_host_of_ops_applies_and_backups_are_for_hosts_that_stay() -> None:
    stack = load(ROOT / "inventories/taaleem-production").stack
    hosts = load(ROOT / "inventories/taaleem-local").hosts
    ops = replace(next(host for host in hosts if "ops" in host.groups), groups=("ops",))
    app = next(host for host in hosts if "app" in host.groups)
    every = (app, ops, replace(ops, name="ops2"))
    found = playbook_groups(stack, every)
    assert found["database_admin"] == ("ops1",)
    assert found["backup"] == ("app1", "ops1", "ops2")
    assert found["database_proxy"] == ()
    assert playbook_groups(stack, (replace(app, slot=True), ops))["backup"] == ()
    system = load(ROOT / "inventories/taaleem-production").system
    without = replace(system, database=None)
    assert playbook_groups(stack, every, without)["database_admin"] == ()
    assert playbook_groups(stack, every, without)["database_pool"] == ()


def test_a_clouds_store_has_no_secret_that_nobody_reads_there() -> None:
    prefixes = {name.partition("/")[0] for name in cloud_names(load(ROOT / "inventories/taaleem-production"))}
    assert prefixes == {"app", "postgresql", "redis", "tls"}
    staging = {name.partition("/")[0] for name in cloud_names(load(ROOT / "inventories/taaleem-staging"))}
    assert staging >= {"pgbouncer", "pgbackrest", "restic"}


def test_where_the_master_user_has_its_password_is_told_to_hosts_alone() -> None:
    environment = load(ROOT / "inventories/taaleem-production")
    output = provisioned(environment)
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!db-1-AbCdEf"
    output["cloud"] = CLOUD | {"master_secret": arn}
    found = json.loads(json.dumps(output))
    assert build(environment, found).variables["stack"]["database"]["master_secret"] == arn
    assert member.inventory(environment, found, KEY)["all"]["vars"]["stack"]["database"]["master_secret"] is None
    del found["cloud"]["master_secret"]
    assert build(environment, found).variables["stack"]["database"]["master_secret"] is None


def test_uploads_are_kept_on_hosts_or_in_the_clouds_bucket() -> None:
    for name in ("taaleem-local", "taaleem-baremetal", "taaleem-single", "taaleem-staging"):
        nowhere = {"run_by": "hosts", "bucket": None, "region": None}
        assert inventory(name).variables["stack"]["uploads"] == nowhere
    bucket = {"run_by": "cloud", "bucket": "the-uploads", "region": "r"}
    assert inventory("taaleem-windows-aws").variables["stack"]["uploads"] == bucket
    environment = load(ROOT / "inventories/taaleem-production")
    server = member.inventory(environment, provisioned(environment), KEY)
    assert server["all"]["vars"]["stack"]["uploads"] == bucket


@pytest.mark.parametrize("cloud", [None, CLOUD | {"buckets": {"logs": "l"}}])
def test_an_output_without_the_bucket_for_uploads_is_refused(cloud: dict[str, Any] | None) -> None:
    environment = load(ROOT / "inventories/taaleem-windows-aws")
    wanted = (
        "taaleem-windows-aws is not provisioned as its file says: its output has no bucket uploads; run: stackwright up"
    )
    with pytest.raises(InventoryError, match=wanted):
        build(environment, provisioned(environment) | {"cloud": cloud})


def test_instances_of_one_server_listen_on_loopback_and_of_many_on_their_own_address() -> None:
    single = inventory("taaleem-single").variables["stack"]["edge"]["sites"][0]["upstreams"][0]["members"]
    assert [(one["address"], one["port"]) for one in single] == [("127.0.0.1", port) for port in range(5005, 5009)]
    local = inventory("taaleem-local").variables["stack"]["edge"]["sites"][0]["upstreams"][0]["members"]
    assert [(one["address"], one["port"]) for one in local] == [
        ("10.87.20.31", 5005),
        ("10.87.20.31", 5006),
        ("10.87.20.32", 5005),
        ("10.87.20.32", 5006),
    ]


def test_host_variables() -> None:
    variables = inventory("taaleem-local").hosts["db1"].variables
    known_hosts = ROOT / ".state/taaleem-local/ssh/known_hosts"
    assert variables == {
        "ansible_host": "10.87.20.41",
        "ansible_port": 22,
        "ansible_user": "stackwright",
        "ansible_ssh_private_key_file": str(ROOT / ".state/taaleem-local/ssh/id_ed25519"),
        "ansible_ssh_common_args": (
            f"-o UserKnownHostsFile='{known_hosts}' -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
        ),
        "stack_host": {
            "name": "db1",
            "groups": ["database", "consensus"],
            "bootstrap_user": "root",
            "takeover": False,
            "cpus": 1,
            "memory_mb": 2048,
            "disk_gb": None,
            "os": "debian-13",
            "host_key": KEY,
        },
    }


def test_known_hosts_are_exactly_the_recorded_keys() -> None:
    lines = inventory("taaleem-baremetal").known_hosts.splitlines()
    assert lines == [f"10.87.40.{number} {KEY}" for number in (11, 12, 13)]


def test_another_ssh_port_is_known_by_its_port(project: Project) -> None:
    project.bare_metal()
    project.edit("host_key_file: .state/taaleem-baremetal/host-keys/app1.pub", f"port: 2222, host_key: {KEY} app1")
    environment = project.load()
    made = build(environment, make_output(environment, {host.name: KEY for host in environment.hosts}))
    assert made.known_hosts.splitlines()[0] == f"[10.87.40.11]:2222 {KEY}"


def test_servers_that_exist_need_no_output_but_their_keys(project: Project) -> None:
    project.bare_metal()
    with pytest.raises(InventoryError, match="the host key of app1, db1, db2 is not recorded: write it to the"):
        build(project.load(), None)
    keys = project.root / ".state/taaleem-baremetal/host-keys"
    keys.mkdir(parents=True)
    for host in ("app1", "db1", "db2"):
        (keys / f"{host}.pub").write_text(f"{KEY} {host}\n")
    assert build(project.load(), None).groups["consensus"] == ("app1", "db1", "db2")


def test_an_environment_that_is_not_provisioned_says_how(project: Project) -> None:
    with pytest.raises(InventoryError, match="clinic is not provisioned: run `stackwright up clinic`"):
        build(project.load(), None)


def test_an_output_of_fewer_hosts_is_refused(project: Project) -> None:
    environment = project.load()
    output = make_output(environment, {host.name: KEY for host in environment.hosts})
    del output["hosts"]["app2"]
    with pytest.raises(InventoryError, match=r"app2 in the stack.yml of clinic is not provisioned"):
        build(environment, output)


def test_an_output_of_another_version_is_refused(project: Project) -> None:
    environment = project.load()
    output = make_output(environment, {host.name: KEY for host in environment.hosts}) | {"version": 2}
    with pytest.raises(InventoryError, match="not one that this version reads"):
        build(environment, output)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_output_fits_its_schema_and_names_secrets_only(name: str) -> None:
    environment = load(ROOT / "inventories" / name)
    output = provisioned(environment)
    schema = json.loads((ROOT / "schemas/stackwright_inventory.schema.json").read_text())
    jsonschema.validate(output, schema)
    assert output["secrets"] == [spec.name for spec in secret_names(environment)]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(output | {"password": "x"}, schema)


def test_secrets_of_taaleem() -> None:
    names = {spec.name for spec in secret_names(load(ROOT / "inventories/taaleem-local"))}
    assert names >= {
        "app/emr/session",
        "etcd/root",
        "patroni/restapi",
        "pgbackrest/cipher",
        "pgbouncer/auth",
        "postgresql/replication",
        "postgresql/rewind",
        "postgresql/role/emr",
        "redis/sessions/emr",
        "restic/db1/http",
        "restic/ops1/password",
        "tls/ca_crt",
        "tls/ca_key",
    }


def test_checked_in_schemas_are_up_to_date() -> None:
    documents = list(schemas.documents(ROOT / "schemas"))
    assert len(documents) == 6
    for path, text in documents:
        assert path.read_text() == text, "run `python -m stackwright.model.schema --write`"


FILES = [
    *[(f"inventories/{name}/stack.yml", "stack") for name in ENVIRONMENTS],
    ("systems/taaleem.yml", "system"),
]


@pytest.mark.parametrize(("path", "schema"), FILES)
def test_our_files_fit_the_schema_that_editors_use(path: str, schema: str) -> None:
    text = (ROOT / path).read_text()
    jsonschema.validate(yaml.safe_load(text), json.loads((ROOT / f"schemas/{schema}.schema.json").read_text()))
    named = text.splitlines()[1].removeprefix("# yaml-language-server: $schema=")
    assert (ROOT / path).parent.joinpath(named).resolve() == ROOT / f"schemas/{schema}.schema.json"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_picture_shows_every_host_and_is_the_same_each_time(name: str) -> None:
    environment = load(ROOT / "inventories" / name)
    picture = topology_svg(environment)
    texts = {"".join(element.itertext()) for element in ET.fromstring(picture).iter() if element.text}
    for host in environment.hosts:
        assert {host.name, host.address} <= texts
    assert picture == topology_svg(load(ROOT / "inventories" / name))


def test_hosts_behind_a_clouds_load_balancer_keep_idle_connections_longer_than_it_does() -> None:
    """Else it sends a request into a connection that is being closed, and users see an error 502 now and then."""
    sites = edge.sites(load(ROOT / "inventories/taaleem-production"))
    assert all(site.timeouts.keepalive_seconds > edge.LOAD_BALANCER_IDLE_SECONDS for site in sites)
    own = edge.sites(load(ROOT / "inventories/taaleem-local"))
    assert all(site.timeouts.keepalive_seconds == 65 for site in own)
