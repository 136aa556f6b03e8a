"""The program without an engine: every resource with all of its inputs, and its one output."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pytest
from conftest import ROOT, WriteStack
from jsonschema import validate
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi.runtime import rpc

from stackwright.infra.bare_metal.components import BareMetalCompute, BareMetalNetwork
from stackwright.infra.components.self_hosted import (
    SelfHostedCache,
    SelfHostedDatabase,
    SelfHostedLoadBalancer,
    SelfHostedObjectStore,
)
from stackwright.infra.local.components import LocalCompute, LocalNetwork
from stackwright.infra.local.podman import generate_key
from stackwright.model.environment import load
from stackwright.model.output import make_output
from stackwright.testing.recording import Properties, Recording, record

NETWORK = "stackwright:local:Network"
HOST = "stackwright:local:Host"
MACHINE = "stackwright:baremetal:Machine"
_, HOST_KEY = generate_key()
COMPUTED = {HOST: lambda inputs: {"hostKey": f"key of {inputs['name']}"}}
SERVICES = {
    ("stackwright:selfhosted:LoadBalancer", "test-load-balancer"): {},
    ("stackwright:selfhosted:Database", "test-database"): {},
    ("stackwright:selfhosted:Cache", "test-cache"): {},
    ("stackwright:selfhosted:ObjectStore", "test-object-store"): {},
}
BARE_METAL = f"""
system: taaleem
provider: bare_metal
class: staging
domain: pulumi.test
network: {{cidr: 10.231.90.0/24}}
hosts:
  - {{name: big, address: 10.231.90.11, groups: [edge, app, database, cache, ops], cpus: 2, memory_mb: 8192,
      disk_gb: 30, user: admin, port: 2222, host_key: "{HOST_KEY}"}}
"""


@pytest.fixture
def public_key(project: Path) -> str:
    path = project / ".state" / "test" / "ssh" / "id_ed25519.pub"
    return path.read_text().strip() if path.is_file() else ""


def run(project: Path, **more: object) -> Recording:
    return record(project / "pulumi", stack="test", computed=COMPUTED, **more)


def host(name: str, address: str, cpus: int, memory_mb: int, key: str) -> tuple[tuple[str, str], Properties]:
    inputs = {
        "environment": "test",
        "name": name,
        "network": "test",
        "address": address,
        "image": "debian-13",
        "cpus": cpus,
        "memoryMb": memory_mb,
        "authorizedKeys": [key],
    }
    return (HOST, f"test-compute-{name}"), inputs


def own_key(project: Path) -> str:
    return (project / ".state/test/ssh/id_ed25519.pub").read_text().strip()


def test_local_size_b_is_these_resources_and_no_other(project: Path, write_stack: WriteStack) -> None:
    write_stack("test", size="B")
    recording = run(project)
    key = own_key(project)
    recording.seal(
        {
            ("stackwright:local:LocalNetwork", "test-network"): {},
            (NETWORK, "test-network-bridge"): {"name": "test", "environment": "test", "cidr": "10.231.90.0/24"},
            ("stackwright:local:LocalCompute", "test-compute"): {},
            **SERVICES,
            **dict(
                [
                    host("edge1", "10.231.90.21", 1, 1024, key),
                    host("app1", "10.231.90.31", 2, 3072, key),
                    host("app2", "10.231.90.32", 2, 3072, key),
                    host("db1", "10.231.90.41", 1, 2048, key),
                    host("db2", "10.231.90.42", 1, 2048, key),
                    host("cache1", "10.231.90.51", 1, 1024, key),
                    host("ops1", "10.231.90.61", 1, 1024, key),
                ]
            ),
        }
    )


def test_every_child_has_its_parent_and_waits_for_the_network(project: Path, write_stack: WriteStack) -> None:
    write_stack("test", size="B")
    recording = run(project)
    assert recording.named("test-network-bridge").parent == "test-network"
    hosts = [each for each in recording.resources if each.type == HOST]
    assert {each.parent for each in hosts} == {"test-compute"}
    assert all("test-network-bridge" in each.depends_on for each in hosts)
    assert not any(each.secrets for each in recording.resources)


@pytest.mark.parametrize("size", ["A", "B"])
def test_the_output_is_the_models(project: Path, write_stack: WriteStack, size: str) -> None:
    environment = load(write_stack("test", size=size))
    outputs = run(project).outputs
    expected = make_output(environment, {each.name: f"key of {each.name}" for each in environment.hosts})
    assert outputs == {"stackwright_inventory": expected}


def test_a_preview_knows_all_but_the_host_keys(project: Path, write_stack: WriteStack) -> None:
    write_stack("test")
    computed = {HOST: lambda _: {"hostKey": rpc.UNKNOWN}}
    recording = record(project / "pulumi", stack="test", computed=computed, preview=True)
    assert recording.named("test-compute-server1").inputs["address"] == "10.231.90.11"


def test_bare_metal_is_these_resources_and_no_other(project: Path, write_stack: WriteStack) -> None:
    environment = load(write_stack("test", BARE_METAL))
    recording = run(project)
    recording.seal(
        {
            ("stackwright:baremetal:BareMetalNetwork", "test-network"): {},
            ("stackwright:baremetal:BareMetalCompute", "test-compute"): {},
            **SERVICES,
            (MACHINE, "test-compute-big"): {
                "name": "big",
                "address": "10.231.90.11",
                "port": 2222,
                "user": "admin",
                "hostKey": HOST_KEY,
                "privateKeyFile": str(project / ".state/test/ssh/id_ed25519"),
                "os": ["debian-13"],
                "cpus": 2,
                "memoryMb": 8192,
                "diskGb": 30,
            },
        }
    )
    assert recording.outputs == {"stackwright_inventory": make_output(environment, {"big": HOST_KEY})}


def test_the_users_own_key_serves(project: Path, write_stack: WriteStack) -> None:
    private, public = generate_key()
    (project / "id").write_text(private)
    path = write_stack("test")
    path.write_text(path.read_text() + "access: {ssh_private_key: id}\n")
    recording = run(project)
    assert recording.named("test-compute-server1").inputs["authorizedKeys"] == [public]
    assert not (project / ".state").exists()


def test_the_environments_key_is_made_once_and_is_its_owners_alone(project: Path, write_stack: WriteStack) -> None:
    write_stack("test")
    run(project)
    path = project / ".state/test/ssh/id_ed25519"
    before = path.read_text()
    run(project)
    assert path.read_text() == before
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_an_environment_with_errors_stops_the_program(project: Path, write_stack: WriteStack) -> None:
    write_stack("test", "system: taaleem\nprovider: lokal\n")
    with pytest.raises(Exception, match=r"stack\.yml.*\n?.*provider"):
        run(project)


def test_the_output_of_a_preview_has_no_place_for_a_secret(project: Path, write_stack: WriteStack) -> None:
    write_stack("test", size="B")
    key = project / ".state/test/ssh/id_ed25519"
    text = str(run(project))
    body = "".join(key.read_text().splitlines()[1:-1])
    assert body[:40] not in text
    assert "PRIVATE KEY" not in text


@pytest.mark.parametrize(
    "component",
    [
        LocalNetwork,
        LocalCompute,
        BareMetalNetwork,
        BareMetalCompute,
        SelfHostedLoadBalancer,
        SelfHostedDatabase,
        SelfHostedCache,
        SelfHostedObjectStore,
    ],
)
def test_other_languages_can_use_the_component(component: type[pulumi.ComponentResource]) -> None:
    found = Analyzer("stackwright").analyze([component])
    assert found["component_definitions"][component.__name__].inputs
    # A type that the analyzer does not understand becomes an object with nothing in it.
    assert all(each.properties for each in found["type_definitions"].values())


# --- the recording itself ------------------------------------------------------------------------------------------


class Thing(pulumi.CustomResource):
    """A resource for the tests below."""

    def __init__(self, name: str, size: pulumi.Input[int], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Thing", name, {"size": size}, opts)


def test_seal_fails_on_what_was_not_named() -> None:
    recording = record(lambda: [Thing("a", 1), Thing("b", 2)], stack="test")  # type: ignore[arg-type, return-value]
    recording.seal({("test:index:Thing", "a"): {"size": 1}, ("test:index:Thing", "b"): {"size": 2}})
    with pytest.raises(AssertionError, match=r"not expected.*'b'"):
        recording.seal({("test:index:Thing", "a"): {"size": 1}})
    with pytest.raises(AssertionError, match=r"not declared.*'c'"):
        recording.seal({("test:index:Thing", name): {"size": 1} for name in "abc"})
    with pytest.raises(AssertionError, match=r"size is 2\.0, expected 3"):
        recording.seal({("test:index:Thing", "a"): {"size": 1}, ("test:index:Thing", "b"): {"size": 3}})


def test_recording_shows_options_and_secrets() -> None:
    def program() -> None:
        first = Thing("a", pulumi.Output.secret(1), pulumi.ResourceOptions(protect=True))
        Thing("b", 2, pulumi.ResourceOptions(depends_on=[first], ignore_changes=["size"], parent=first))

    recording = record(program, stack="test")
    first, second = recording.named("a"), recording.named("b")
    assert (first.protect, first.secrets, first.inputs) == (True, ("size",), {"size": 1})
    assert (second.parent, second.depends_on, second.ignore_changes) == ("a", ("a",), ("size",))


def test_an_assertion_inside_apply_does_not_pass_unseen() -> None:
    def program() -> None:
        def check(_: object) -> None:
            raise AssertionError("seen")

        pulumi.export("never", Thing("a", 1).id.apply(check))

    with pytest.raises(AssertionError, match="seen"):
        record(program, stack="test")


def test_the_schema_of_the_output_accepts_it(project: Path, write_stack: WriteStack) -> None:
    import json

    environment = load(write_stack("test", size="B"))
    schema = json.loads((ROOT / "schemas/stackwright_inventory.schema.json").read_text())
    output = run(project).outputs["stackwright_inventory"]
    for each in output["hosts"].values():
        each["connection"]["host_key"] = HOST_KEY
    validate(output, schema)
    assert environment.name == output["environment"]
