"""Adopting servers: what is checked, in which words it fails, and that the server is never touched."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from provider_client import plain, serving

from stackwright.infra.bare_metal import ssh
from stackwright.infra.bare_metal.machine import MachineBackend
from stackwright.infra.local.podman import generate_key
from stackwright.infra.provider.backend import ProviderError

MACHINE = "stackwright:baremetal:Machine"
_, HOST_KEY = generate_key()
NOW = 1_800_000_000
INPUTS = {
    "name": "db1",
    "address": "192.0.2.7",
    "port": 22,
    "user": "root",
    "adminUser": "stackwright",
    "hostKey": HOST_KEY,
    "os": ["debian-13"],
    "cpus": 2,
    "memoryMb": 4096,
    "diskGb": 20,
    "clockSkewSeconds": 30,
}
GOOD = {
    "os": "debian-13",
    "cpus": 4,
    "memory_kb": 3_900_000,
    "disk_kb": 90 * 2**20,
    "free_kb": 50 * 2**20,
    "clock": NOW,
    "machine": "x86_64",
    "become": "yes",
}


def server(**facts: object) -> Callable[[ssh.Target, str], str]:
    """A server that answers with these facts."""
    return lambda _target, _script: "\n".join(f"{name}={value}" for name, value in (GOOD | facts).items())


def backend(**facts: object) -> MachineBackend:
    return MachineBackend(run=server(**facts), now=lambda: NOW)


def test_a_server_as_described_is_adopted() -> None:
    found = backend().create(INPUTS)
    assert found.id == "root@192.0.2.7:22"
    assert found.properties == INPUTS | {
        "foundOs": "debian-13",
        "foundMachine": "x86_64",
        "foundCpus": 4,
        "foundMemoryMb": 3808,
    }


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"os": "ubuntu-22.04"}, "os: it runs ubuntu-22.04; accepted: debian-13"),
        ({"cpus": 1}, "cpus: it has 1, 2 are needed"),
        ({"memory_kb": 2_000_000}, "memoryMb: it has 1953 MiB, 4096 are needed"),
        ({"free_kb": 5 * 2**20}, "diskGb: 5 GiB are free on /, 20 are needed"),
        ({"clock": NOW + 90}, "clockSkewSeconds: its clock is 90 s ahead, 30 s are accepted"),
        ({"clock": NOW - 91}, "clockSkewSeconds: its clock is 90 s behind, 30 s are accepted"),
        ({"become": "no"}, "user: root is not root and cannot use sudo unasked"),
    ],
)
def test_each_mismatch_is_named(facts: dict[str, object], message: str) -> None:
    with pytest.raises(ProviderError) as refused:
        backend(**facts).create(INPUTS)
    assert f"\n  - {message}" in str(refused.value)
    assert str(refused.value).count("\n  - ") == 1


def test_all_mismatches_come_at_once() -> None:
    with pytest.raises(ProviderError) as refused:
        backend(os="arch-1", cpus=1, free_kb=0).create(INPUTS)
    assert str(refused.value).startswith("root@192.0.2.7:22 is not the server that the environment describes:")
    assert str(refused.value).count("\n  - ") == 3


def test_memory_that_the_kernel_keeps_is_not_missed() -> None:
    backend(memory_kb=3_910_000).create(INPUTS)


def test_a_preview_already_looks() -> None:
    with serving((backend(cpus=1),)) as client, pytest.raises(grpc.RpcError, match="cpus: it has 1, 2 are needed"):
        client.check(MACHINE, INPUTS)


def test_out_of_reach_is_an_error_and_not_gone() -> None:
    def unreachable(target: ssh.Target, _script: str) -> str:
        raise ssh.SshError(f"{target}: no answer")

    state = backend().create(INPUTS).properties
    with serving((MachineBackend(run=unreachable),)) as client:
        # What the state says of it is kept, and may be wrong by now: what the environment says is looked at.
        assert plain(client.read(MACHINE, "root@192.0.2.7:22", state).properties) == state
        with pytest.raises(grpc.RpcError) as failed:
            client.check(MACHINE, INPUTS)
    assert failed.value.details() == "root@192.0.2.7:22: no answer"


def test_delete_does_not_touch_the_server() -> None:
    def touched(_target: ssh.Target, _script: str) -> str:
        raise AssertionError("the server was touched")

    with serving((MachineBackend(run=touched),)) as client:
        client.delete(MACHINE, "root@192.0.2.7:22", INPUTS)


def test_another_address_is_another_server() -> None:
    with serving((backend(),)) as client:
        state = plain(client.create(MACHINE, INPUTS).properties)
        assert list(client.diff(MACHINE, state, INPUTS | {"address": "192.0.2.8"}).replaces) == ["address"]
        assert list(client.diff(MACHINE, state, INPUTS | {"hostKey": "x"}).replaces) == []
        assert list(client.diff(MACHINE, state, INPUTS).diffs) == []


def test_more_is_checked_before_it_is_promised() -> None:
    with serving((backend(),)) as client:
        state = plain(client.create(MACHINE, INPUTS).properties)
        with pytest.raises(grpc.RpcError, match="cpus: it has 4, 8 are needed"):
            client.update(MACHINE, "root@192.0.2.7:22", state, INPUTS | {"cpus": 8})


def test_import_reads_what_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "recorded_key", lambda _target: HOST_KEY)
    with serving((backend(),)) as client:
        found = client.read(MACHINE, "admin@192.0.2.7:2222")
        assert plain(found.inputs) == INPUTS | {
            "name": "192-0-2-7",
            "user": "admin",
            "port": 2222,
            "cpus": 4,
            "memoryMb": 3808,
            "diskGb": 50,
        }
        with pytest.raises(grpc.RpcError, match="the id is USER@ADDRESS"):
            client.read(MACHINE, "192.0.2.7")


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("SHA256:abc", "not an OpenSSH public key"),
        ("ssh-ed25519 !!!", "not base64"),
        (HOST_KEY.replace("ssh-ed25519", "ssh-rsa"), "not of the type ssh-rsa"),
    ],
    ids=["fingerprint", "base64", "type"],
)
def test_a_host_key_that_is_none_is_refused(key: str, reason: str) -> None:
    with serving((backend(),)) as client:
        assert reason in client.failures(MACHINE, INPUTS | {"hostKey": key})["hostKey"]


# --- who logs in ------------------------------------------------------------------------------------------------------


@dataclass
class Logins:
    """A server that admits some users, and remembers who tried."""

    admitted: set[str]
    facts: dict[str, object] = field(default_factory=dict)
    refusal: str = "Permission denied (publickey)."
    tried: list[str] = field(default_factory=list)

    def __call__(self, target: ssh.Target, script: str) -> str:
        self.tried.append(target.user)
        if target.user not in self.admitted:
            raise ssh.LoginRefusedError(f"{target}: {self.refusal}")
        return server(**self.facts)(target, script)

    @property
    def backend(self) -> MachineBackend:
        return MachineBackend(run=self, now=lambda: NOW)


def test_an_adopted_server_is_looked_at_as_its_admin_whoever_the_state_and_the_file_name() -> None:
    """Role baseline has closed the first user's way in by then."""
    state = backend().create(INPUTS).properties
    before_admins = {name: value for name, value in state.items() if name != "adminUser"}
    logins = Logins(admitted={"stackwright"})
    with serving((logins.backend,)) as client:
        for recorded in (state, state | {"user": "debian"}, before_admins):
            found = client.read(MACHINE, "root@192.0.2.7:22", recorded)
            assert plain(found.properties)["foundCpus"] == 4
            assert not client.check(MACHINE, INPUTS, old=recorded).failures
            assert list(client.diff(MACHINE, plain(found.properties), INPUTS | {"user": recorded["user"]}).diffs) == []
        client.update(MACHINE, "root@192.0.2.7:22", state, INPUTS | {"cpus": 3})
    # A refused login counts against this machine at the server.
    assert set(logins.tried) == {"stackwright"}


def test_a_server_that_the_state_forgot_is_adopted_again_and_a_reinstalled_one_as_well() -> None:
    forgotten = Logins(admitted={"stackwright"})
    with serving((forgotten.backend,)) as client:
        assert not client.check(MACHINE, INPUTS).failures
        assert plain(client.create(MACHINE, INPUTS).properties)["foundCpus"] == 4
    state = backend().create(INPUTS).properties
    reinstalled = Logins(admitted={"root"})
    with serving((reinstalled.backend,)) as client:
        assert not client.check(MACHINE, INPUTS, old=state).failures
        client.update(MACHINE, "root@192.0.2.7:22", state, INPUTS | {"cpus": 3})


def test_a_fresh_server_meets_no_refused_login() -> None:
    logins = Logins(admitted={"root"})
    with serving((logins.backend,)) as client:
        client.check(MACHINE, INPUTS)
        client.create(MACHINE, INPUTS)
    assert set(logins.tried) == {"root"}


def test_a_server_that_admits_nobody_names_all_who_were_refused() -> None:
    with serving((Logins(admitted=set()).backend,)) as client, pytest.raises(grpc.RpcError) as refused:
        client.check(MACHINE, INPUTS, old=backend().create(INPUTS).properties)
    assert "stackwright@192.0.2.7:22: Permission denied" in str(refused.value.details())
    assert "root@192.0.2.7:22: Permission denied" in str(refused.value.details())


def test_a_login_without_a_shell_is_none() -> None:
    """As images of clouds have it for root."""

    def run(target: ssh.Target, script: str) -> str:
        return "Please login as the user debian" if target.user == "root" else server()(target, script)

    MachineBackend(run=run, now=lambda: NOW).create(INPUTS)
    with pytest.raises(
        ProviderError, match="root@192.0.2.7:22: the login ends in no shell, but in: Please login as the"
    ):
        MachineBackend(run=run, now=lambda: NOW).create(INPUTS | {"adminUser": "root"})


def test_an_admin_without_sudo_leaves_it_to_the_first_user() -> None:
    def run(target: ssh.Target, script: str) -> str:
        return server(become="no" if target.user == "stackwright" else "yes")(target, script)

    assert not MachineBackend(run=run, now=lambda: NOW).check(INPUTS, INPUTS)


def test_free_space_matters_at_the_first_contact_and_the_size_of_the_disk_from_then_on() -> None:
    state = backend().create(INPUTS).properties
    full = Logins(admitted={"stackwright"}, facts={"free_kb": 2**20, "adopted": "yes"})
    with serving((full.backend,)) as client:
        assert not client.check(MACHINE, INPUTS | {"memoryMb": 3000}, old=state).failures
        client.update(MACHINE, "root@192.0.2.7:22", state, INPUTS | {"memoryMb": 3000, "diskGb": 90})
        with pytest.raises(grpc.RpcError, match="diskGb: / has 90 GiB, 91 are needed"):
            client.check(MACHINE, INPUTS | {"diskGb": 91}, old=state)


def test_what_the_state_says_of_a_server_can_be_corrected() -> None:
    """Port, key and host key: with the old ones the server cannot be looked at any more."""
    state = backend().create(INPUTS).properties

    def moved(target: ssh.Target, script: str) -> str:
        if target.port == 22:
            raise ssh.SshError(f"{target}: nothing listens on the SSH port")
        return server()(target, script)

    with serving((MachineBackend(run=moved, now=lambda: NOW),)) as client:
        assert plain(client.read(MACHINE, "root@192.0.2.7:22", state).inputs) == INPUTS
        assert not client.check(MACHINE, INPUTS | {"port": 2222}, old=state).failures
        client.update(MACHINE, "root@192.0.2.7:22", state, INPUTS | {"port": 2222})


# --- the session --------------------------------------------------------------------------------------------------


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts an `ssh` on PATH that runs a script of the test's and writes down what it was called with."""

    def install(script: str) -> Path:
        program = tmp_path / "ssh"
        log = tmp_path / "log"
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\n'
            f'for each in "$@"; do case $each in UserKnownHostsFile=*) cat "${{each#*=}}" >> {log};; esac; done\n'
            f"{script}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return log

    return install


def test_the_session_trusts_the_recorded_key_and_nothing_else(fake_ssh: Callable[[str], Path], tmp_path: Path) -> None:
    log = fake_ssh("cat")
    key = tmp_path / "id"
    key.touch()
    target = ssh.Target(address="192.0.2.7", user="me", port=2222, host_key=HOST_KEY, private_key_file=str(key))
    assert ssh.run(target, "hello") == "hello"
    called = log.read_text().splitlines()
    assert "StrictHostKeyChecking=yes" in called
    assert "BatchMode=yes" in called
    assert "GlobalKnownHostsFile=/dev/null" in called
    assert f"[192.0.2.7]:2222 {HOST_KEY}" in called
    assert {"IdentitiesOnly=yes", str(key)} <= set(called)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("Host key verification failed.", "the server's host key is not the recorded one"),
        ("ssh: connect to host x port 22: Connection refused", "nothing listens on the SSH port"),
        ("ssh: connect to host x port 22: Connection timed out", "no answer within 10 s"),
        ("me@x: Permission denied (publickey).", "the server refuses the login"),
        ("Received disconnect from x port 22:2: Too many authentication failures", "the server refuses the login"),
        ("kex_exchange_identification: read: Not allowed at this time", "the server refuses this machine for a while"),
        ("something new", "something new"),
    ],
)
def test_a_failed_session_says_why(fake_ssh: Callable[[str], Path], said: str, meaning: str) -> None:
    fake_ssh(f"echo '{said}' >&2; exit 255")
    with pytest.raises(ssh.SshError) as failed:
        ssh.run(ssh.Target(address="192.0.2.7", user="me", host_key=HOST_KEY), "true")
    assert str(failed.value).startswith(f"me@192.0.2.7:22: {meaning}")
    assert isinstance(failed.value, ssh.LoginRefusedError) == ("refuses the login" in meaning)


def test_a_missing_private_key_is_named(fake_ssh: Callable[[str], Path]) -> None:
    fake_ssh("true")
    with pytest.raises(ssh.SshError, match="the private key /nowhere/id is not there"):
        ssh.run(ssh.Target(address="x", user="me", host_key=HOST_KEY, private_key_file="/nowhere/id"), "true")


def test_a_silent_server_does_not_hang(fake_ssh: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ssh("exec sleep 60")
    monkeypatch.setattr(ssh, "_SCRIPT_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(ssh.SshError, match="no answer within"):
        ssh.run(ssh.Target(address="x", user="me", host_key=HOST_KEY), "true")


def test_an_import_needs_a_key_that_the_user_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, stdout=f"# found\nx {HOST_KEY}\n")
    )
    assert ssh.recorded_key(ssh.Target(address="x", user="me")) == HOST_KEY
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, stdout=""))
    with pytest.raises(ssh.SshError, match="no host key is recorded for x"):
        ssh.recorded_key(ssh.Target(address="x", user="me"))
