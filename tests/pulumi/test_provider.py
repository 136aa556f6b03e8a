"""The provider over its gRPC contract, as the engine speaks it; no CLI and no container."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator

import grpc
import pytest
from fake_podman import FakePodman
from google.protobuf import empty_pb2
from provider_client import Client, plain, serving
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2

from stackwright.infra.bare_metal.machine import MachineBackend
from stackwright.infra.local import images, podman
from stackwright.infra.local.host import HostBackend
from stackwright.infra.local.network import NetworkBackend

HOST = "stackwright:local:Host"
NETWORK = "stackwright:local:Network"
_, KEY = podman.generate_key()
_, OTHER_KEY = podman.generate_key()
INPUTS = {
    "environment": "test",
    "name": "app1",
    "network": "test",
    "address": "10.231.90.11",
    "image": "debian-13",
    "cpus": 1.5,
    "memoryMb": 512,
    "authorizedKeys": [KEY],
}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePodman:
    monkeypatch.setattr(images, "ensure", lambda image, _podman: images.reference(image))
    return FakePodman()


@pytest.fixture
def client(fake: FakePodman) -> Iterator[Client]:
    with serving((NetworkBackend(lambda: fake), HostBackend(lambda: fake), MachineBackend())) as client:
        yield client


def test_schema_names_every_resource_with_its_properties(client: Client) -> None:
    schema = json.loads(client.stub.GetSchema(provider_pb2.GetSchemaRequest(version=0)).schema)
    assert (schema["name"], schema["version"]) == ("stackwright", "1.2.3")
    assert set(schema["resources"]) == {NETWORK, HOST, "stackwright:baremetal:Machine"}
    host = schema["resources"][HOST]
    assert host["requiredInputs"] == ["environment", "name", "network", "address", "authorizedKeys"]
    assert host["properties"]["hostKey"]["type"] == "string"
    assert host["inputProperties"]["address"]["replaceOnChanges"]
    assert host["inputProperties"]["memoryMb"]["default"] == 1024


def test_configure_keeps_secrets_and_offers_previews(client: Client) -> None:
    answer = client.stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True))
    assert (answer.acceptSecrets, answer.supportsPreview, answer.acceptOutputs) == (True, True, False)


def test_check_fills_in_defaults(client: Client) -> None:
    given = {name: value for name, value in INPUTS.items() if name not in {"image", "cpus", "memoryMb"}}
    answer = client.check(HOST, given)
    assert not answer.failures
    assert plain(answer.inputs) == given | {"image": "debian-13", "cpus": 1.0, "memoryMb": 1024.0}


@pytest.mark.parametrize(
    ("change", "failing", "reason"),
    [
        ({"address": "10.231.90.311"}, "address", "'10.231.90.311' is not an IPv4 address"),
        ({"address": None}, "address", "is required"),
        ({"name": "App_1"}, "name", "'App_1' is not a name"),
        ({"cpus": 0}, "cpus", "0 is not between 0.1 and 256"),
        ({"cpus": "2"}, "cpus", "'2' is not a number"),
        ({"cpus": True}, "cpus", "True is not a number"),
        ({"memoryMb": 512.5}, "memoryMb", "512.5 is not a whole number"),
        ({"memoryMb": 12}, "memoryMb", "12 is not between 128 and"),
        ({"image": "debian-9"}, "image", "'debian-9' is not one of debian-12, debian-13"),
        ({"authorizedKeys": []}, "authorizedKeys", "at least one key is needed"),
        ({"authorizedKeys": [KEY, "ssh-dss AAAA"]}, "authorizedKeys", "[1]: not an OpenSSH public key"),
        ({"authorizedKeys": KEY}, "authorizedKeys", "is not a list of strings"),
        ({"memoryMB": 512}, "memoryMB", "is not a property; did you mean memoryMb?"),
    ],
)
def test_check_names_the_property_that_is_wrong(client: Client, change: dict, failing: str, reason: str) -> None:
    failures = client.failures(HOST, INPUTS | change)
    assert set(failures) == {failing}
    assert reason in failures[failing]


def test_check_reports_all_failures_at_once(client: Client) -> None:
    assert set(client.failures(HOST, {"cpus": -1, "colour": "red"})) == {
        "cpus", "colour", "environment", "name", "network", "address", "authorizedKeys",
    }  # fmt: skip


def test_check_lets_through_what_a_preview_cannot_know(client: Client) -> None:
    answer = client.check(HOST, INPUTS | {"network": rpc.UNKNOWN, "authorizedKeys": [rpc.UNKNOWN]})
    assert not answer.failures
    assert plain(answer.inputs)["network"] == rpc.UNKNOWN


def test_a_subnet_in_use_is_noticed_before_anything_is_created(client: Client, fake: FakePodman) -> None:
    fake.nets["other"] = podman.Network(name="other", cidr="10.231.90.128/25", environment="other")
    failures = client.failures(NETWORK, {"name": "test", "environment": "test", "cidr": "10.231.90.0/24"})
    assert "overlaps 10.231.90.128/25 of podman network other" in failures["cidr"]
    assert "create_network" not in fake.calls


def test_a_subnet_that_the_machine_reaches_elsewhere_is_noticed(client: Client, fake: FakePodman) -> None:
    fake.routed = [(ipaddress.ip_network("10.231.88.0/21"), "wg0")]
    failures = client.failures(NETWORK, {"name": "test", "environment": "test", "cidr": "10.231.90.0/24"})
    assert "overlaps 10.231.88.0/21, which this machine reaches by wg0" in failures["cidr"]


def test_a_network_of_another_environment_is_not_taken_over(client: Client, fake: FakePodman) -> None:
    fake.nets["test"] = podman.Network(name="test", cidr="10.231.90.0/24", environment="other")
    failures = client.failures(NETWORK, {"name": "test", "environment": "test", "cidr": "10.231.90.0/24"})
    assert "not for environment test" in failures["cidr"]


def test_a_network_is_not_in_the_way_of_its_own_successor(client: Client, fake: FakePodman) -> None:
    old = {"name": "test", "environment": "test", "cidr": "10.231.90.0/24"}
    client.create(NETWORK, old)
    assert not client.failures(NETWORK, old | {"cidr": "10.231.90.0/25"}, old)
    # So does the engine ask once it knows that the network will be replaced.
    assert not client.failures(NETWORK, old | {"cidr": "10.231.90.0/25"})
    with pytest.raises(grpc.RpcError, match=r"exists with subnet 10\.231\.90\.0/24.*podman network rm test"):
        client.create(NETWORK, old | {"cidr": "10.231.91.0/24"})


def test_hosts_of_one_environment_may_swap_addresses(client: Client) -> None:
    client.create(HOST, INPUTS)
    assert not client.failures(HOST, INPUTS | {"name": "app2"})


@pytest.mark.parametrize(
    ("cidr", "reason"),
    [("10.231.90.1/24", "not an IPv4 network"), ("8.8.8.0/24", "public"), ("10.231.90.0/30", "no room")],
)
def test_a_subnet_that_cannot_serve_is_refused(client: Client, cidr: str, reason: str) -> None:
    failures = client.failures(NETWORK, {"name": "test", "environment": "test", "cidr": cidr})
    assert reason in failures["cidr"]


def test_an_address_in_use_by_another_environment_is_refused(client: Client, fake: FakePodman) -> None:
    client.create(HOST, INPUTS | {"environment": "other"})
    assert "in use by container other-app1" in client.failures(HOST, INPUTS)["address"]


def test_without_podman_the_remedy_is_named() -> None:
    def missing() -> podman.Podman:
        raise podman.PodmanError("local hosts need rootful podman: run as root, or allow sudo without a password")

    with serving((NetworkBackend(missing),)) as client:
        failures = client.failures(NETWORK, {"name": "test", "environment": "test", "cidr": "10.231.90.0/24"})
    assert "need rootful podman" in failures["cidr"]


def test_create_records_the_host_key_and_never_the_private_one(client: Client, fake: FakePodman) -> None:
    made = client.create(HOST, INPUTS)
    assert made.id == "test-app1"
    host = fake.made["test-app1"]
    assert plain(made.properties) == INPUTS | {
        "hostKey": podman.public_key(host.host_key),
        "macAddress": "02:53:0a:e7:5a:0b",
        "state": "running",
    }
    assert "PRIVATE" not in str(made)
    assert host.authorized_keys == (KEY,)


def test_preview_of_a_create_makes_nothing(client: Client, fake: FakePodman) -> None:
    made = client.create(HOST, INPUTS | {"network": rpc.UNKNOWN}, preview=True)
    assert made.id == ""
    assert plain(made.properties)["hostKey"] == rpc.UNKNOWN
    assert not fake.made


def test_a_failed_create_is_the_backends_message_alone(client: Client, fake: FakePodman) -> None:
    fake.failing = {"create_host"}
    with pytest.raises(grpc.RpcError) as failed:
        client.create(HOST, INPUTS)
    assert failed.value.details() == "create_host was told to fail"
    assert not fake.made


def test_nothing_changed_is_no_difference(client: Client) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    answer = client.diff(HOST, state, INPUTS)
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE


@pytest.mark.parametrize("name", ["cpus", "memoryMb", "authorizedKeys"])
def test_limits_and_keys_are_updated_in_place(client: Client, name: str) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    new = INPUTS | {"cpus": 2, "memoryMb": 2048, "authorizedKeys": [OTHER_KEY]}
    answer = client.diff(HOST, state, INPUTS | {name: new[name]})
    assert (answer.changes, list(answer.diffs), list(answer.replaces)) == (
        provider_pb2.DiffResponse.DIFF_SOME, [name], [],
    )  # fmt: skip
    assert answer.detailedDiff[name].kind == provider_pb2.PropertyDiff.UPDATE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address", "10.231.90.12"),
        ("name", "app2"),
        ("network", "other"),
        ("network", rpc.UNKNOWN),
        ("image", "debian-12"),
        ("environment", "other"),
    ],
)
def test_what_a_host_is_replaces_it_and_the_old_one_goes_first(client: Client, name: str, value: str) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    answer = client.diff(HOST, state, INPUTS | {name: value})
    assert (list(answer.replaces), answer.deleteBeforeReplace) == ([name], True)
    assert answer.detailedDiff[name].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE


def test_ignored_changes_are_no_difference(client: Client) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    answer = client.diff(HOST, state, INPUTS | {"cpus": 4}, ignoreChanges=["cpus"])
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_update_changes_limits_and_keys_of_the_running_host(client: Client, fake: FakePodman) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    new = INPUTS | {"cpus": 0.5, "memoryMb": 256, "authorizedKeys": [OTHER_KEY]}
    answer = plain(client.update(HOST, "test-app1", state, new).properties)
    assert answer == state | new
    assert fake.limits["test-app1"] == (0.5, 256)
    assert fake.keys["test-app1"] == OTHER_KEY
    assert "start_host" not in fake.calls


def test_preview_of_an_update_changes_nothing(client: Client, fake: FakePodman) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    client.update(HOST, "test-app1", state, INPUTS | {"cpus": 3}, preview=True)
    assert fake.limits["test-app1"] == (1.5, 512)


def test_read_sees_limits_that_someone_else_changed(client: Client, fake: FakePodman) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    fake.update_host("test-app1", cpus=1, memory_mb=300)
    found = client.read(HOST, "test-app1", state)
    assert plain(found.properties) == state | {"cpus": 1.0, "memoryMb": 300.0}
    assert plain(found.inputs) == INPUTS | {"cpus": 1.0, "memoryMb": 300.0}


def test_a_host_that_is_gone_has_no_id(client: Client) -> None:
    assert client.read(HOST, "test-app1", INPUTS).id == ""
    assert client.read(NETWORK, "test").id == ""


def test_podman_out_of_order_is_an_error_and_not_a_host_that_is_gone(client: Client, fake: FakePodman) -> None:
    client.create(HOST, INPUTS)
    fake.failing = {"inspect"}
    with pytest.raises(grpc.RpcError, match="inspect was told to fail"):
        client.read(HOST, "test-app1", INPUTS)


def test_a_stopped_host_is_started_by_an_update(client: Client, fake: FakePodman) -> None:
    state = plain(client.create(HOST, INPUTS).properties)
    fake.stopped.add("test-app1")
    found = plain(client.read(HOST, "test-app1", state).properties)
    assert found == state | {"state": "exited"}
    answer = client.diff(HOST, found, INPUTS)
    assert (list(answer.diffs), list(answer.replaces)) == (["state"], [])
    assert plain(client.update(HOST, "test-app1", found, INPUTS).properties) == state
    # podman before 5 forgets changed limits when a container stops.
    assert fake.calls[-2:] == ["start_host", "update_host"]


def test_import_finds_every_input(client: Client) -> None:
    made = client.create(HOST, INPUTS)
    found = client.read(HOST, made.id)
    assert plain(found.inputs) == INPUTS
    assert plain(found.properties) == plain(made.properties)


def test_network_lives_and_dies(client: Client, fake: FakePodman) -> None:
    inputs = {"name": "test", "environment": "test", "cidr": "10.231.90.0/24"}
    made = client.create(NETWORK, inputs)
    assert plain(made.properties) == inputs | {"gateway": "10.231.90.1"}
    assert plain(client.read(NETWORK, made.id).inputs) == inputs
    assert client.diff(NETWORK, plain(made.properties), inputs | {"cidr": "10.231.91.0/24"}).deleteBeforeReplace
    client.delete(NETWORK, made.id)
    assert not fake.nets


def test_deleting_twice_is_no_error(client: Client, fake: FakePodman) -> None:
    client.create(HOST, INPUTS)
    client.delete(HOST, "test-app1", INPUTS)
    client.delete(HOST, "test-app1", INPUTS)
    assert not fake.made


def test_secrets_stay_secret(client: Client) -> None:
    secret = {rpc._special_sig_key: rpc._special_secret_sig, "value": "debian-13"}
    inputs = INPUTS | {"image": secret}
    assert plain(client.check(HOST, inputs).inputs)["image"] == secret
    made = client.create(HOST, inputs)
    assert plain(made.properties)["image"] == secret
    assert plain(client.read(HOST, made.id, plain(made.properties)).properties)["image"] == secret
    state = plain(made.properties)
    assert plain(client.update(HOST, made.id, state, inputs | {"cpus": 1}).properties)["image"] == secret


@pytest.mark.parametrize(
    ("name", "said"), [("address", "IPv4"), ("authorizedKeys", "key"), ("colour", "not a property")]
)
def test_a_secret_that_fails_its_check_is_not_shown(client: Client, name: str, said: str) -> None:
    secret = {rpc._special_sig_key: rpc._special_secret_sig, "value": "hunter2"}
    (failure,) = client.check(HOST, INPUTS | {name: secret}).failures
    assert failure.property == ""  # The engine prints the value of a property that is named.
    assert failure.reason.startswith(f"{name}: its value, a secret and not shown, is not accepted")
    assert said in failure.reason
    assert "hunter2" not in failure.reason


def test_after_cancel_nothing_new_begins(client: Client, fake: FakePodman) -> None:
    client.stub.Cancel(empty_pb2.Empty())
    with pytest.raises(grpc.RpcError, match="cancelled before it began"):
        client.create(HOST, INPUTS)
    assert not fake.made


def test_an_unknown_type_is_named(client: Client) -> None:
    with pytest.raises(grpc.RpcError, match="stackwright:local:Hots is not a resource of stackwright"):
        client.check("stackwright:local:Hots", {})
