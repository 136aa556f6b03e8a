"""Our environments on the real engine, from nothing to nothing, with the recording provider in AWS's place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from engine_stack import Stack
from environments import ENVIRONMENTS, place

from stackwright import state_files
from stackwright.infra import engine, keys
from stackwright.model.aws import names
from stackwright.model.environment import load
from stackwright.model.output import host_key_file
from stackwright.testing import aws
from stackwright.testing.aws import journal

pytestmark = [pytest.mark.cli, pytest.mark.timeout(600)]


class Account:
    """What the recording provider was asked to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journal = folder / "journal"
        self._failures = folder / "failures.json"
        self.variables = aws.environment(aws.install(folder / "bin"), journal=self._journal, failures=self._failures)
        self.order()

    def order(self, *failures: dict[str, Any]) -> None:
        """Failures to be made from now on."""
        self._failures.with_suffix(".done").unlink(missing_ok=True)
        self._failures.write_text(json.dumps(failures))

    def done(self, operation: str) -> dict[str, journal.Entry]:
        """URN -> what was done to it, without what failed."""
        return {each.urn: each for each in journal.read(self._journal, operation) if not each.error}

    def changes(self) -> int:
        return sum(len(self.done(each)) for each in ("create", "update", "delete"))

    def forget(self) -> None:
        """Begin a new journal."""
        self._journal.unlink(missing_ok=True)


@pytest.fixture
def account(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Account:
    account = Account(tmp_path_factory.mktemp("account"))
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in account.variables.items():
        monkeypatch.setenv(name, value)
    return account


def _aws(stack: Stack) -> dict[str, dict[str, Any]]:
    """URN -> resource of AWS in the state."""
    recorded = json.loads(stack.state())["checkpoint"]["latest"].get("resources", [])
    return {each["urn"]: each for each in recorded if each["type"].startswith("aws:")}


def _needs(resource: Mapping[str, Any]) -> set[str]:
    return set(resource.get("dependencies") or ())


def _all_but_the_group(stack: Stack, name: str) -> None:
    """What servers ask that configure themselves is there, with its addresses, before any of them is."""
    group = names.group_component(name)
    stack.ok(engine.up_without(name, group))
    made = {urn.rsplit("::", 1)[-1] for urn in _aws(stack)}
    assert {f"{name}-database-database", f"{name}-cache-sessions", f"{name}-secrets-tls/ca_crt"} <= made
    assert not [each for each in made if each.startswith(group)]
    output = stack.output()
    assert {"postgresql", "redis_sessions"} <= output["endpoints"].keys()
    assert output["cloud"]["buckets"]["artifacts"]


#: The Windows environment repeats what the others prove on the engine.
#: One of them runs whole in `make test`: the largest, with the group that scales.
RUNS = [pytest.param(name, marks=[] if name == "taaleem-production" else [pytest.mark.long]) for name in ENVIRONMENTS]


@pytest.mark.parametrize("name", RUNS)
def test_an_environment_from_nothing_to_nothing(name: str, project: Path, account: Account) -> None:
    place(project, name)
    stack = Stack(project, name)

    # A preview makes nothing.
    assert name in stack.ok(engine.preview(name))
    assert account.changes() == 0

    # A failure in the middle: what is made is recorded, and the next run makes the rest and nothing twice.
    account.order({"operation": "create", "after": 60, "message": "RequestLimitExceeded: ordered"})
    stopped = stack.run(engine.up(name))
    assert stopped.returncode != 0
    assert "RequestLimitExceeded: ordered" in stopped.stdout + stopped.stderr
    first = account.done("create")
    assert first
    account.forget()
    environment = load(project / "inventories" / name)
    if environment.slots:
        _all_but_the_group(stack, name)
    stack.up()
    second = account.done("create")
    assert second
    assert not first.keys() & second.keys()
    made = {urn: each for urn, each in _aws(stack).items() if not each.get("external")}
    assert first.keys() | second.keys() == made.keys()

    # Nothing changes the second time.
    account.forget()
    assert set(stack.up()) == {"same"}
    assert account.changes() == 0

    # The output is what Ansible's inventory is built from.
    for host in environment.hosts:
        # `stackwright up` records what the hosts publish; there are none here.
        state_files.write(
            host_key_file(environment, host.name), keys.ensure(project / "host-key").public_key, mode=0o644
        )
    inventory = engine.inventory(environment, stack.output())
    assert set(inventory.hosts) == {host.name for host in environment.hosts}

    # The state holds no secret in plain text: neither the key of the hosts nor the passphrase that encrypts.
    state = stack.state()
    key = (project / ".state" / name / "ssh/id_ed25519").read_text().splitlines()[1:-1]
    passphrase = (project / ".state" / name / "pulumi/passphrase").read_text()
    for secret in (*key, passphrase.strip()):
        assert secret not in state

    # What keeps data is not destroyed; then it goes, and what stands on something goes before it.
    kept = [urn for urn, each in made.items() if each.get("protect")]
    assert kept
    refused = stack.run(engine.destroy(name))
    assert refused.returncode != 0
    assert "protect" in refused.stdout + refused.stderr
    assert set(kept) <= _aws(stack).keys()
    stack.ok(stack.command("state", "unprotect", "--all", "--yes", "--non-interactive"))
    stack.ok(engine.destroy(name))
    assert not _aws(stack)
    deleted = account.done("delete")
    # What AWS takes away by itself with what it belongs to.
    assert made.keys() - deleted.keys() == {urn for urn, each in made.items() if each.get("retainOnDelete")}
    for urn in deleted:
        for other in _needs(made[urn]) & deleted.keys():
            assert deleted[urn].ended <= deleted[other].began, (urn, other)
