"""Ansible's view: from the file alone, from a state, from the file backend; and clear words where there is none."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import WriteStack

from stackwright.infra import outputs
from stackwright.infra.local.podman import generate_key
from stackwright.model.environment import Environment, load
from stackwright.model.output import make_output

_, HOST_KEY = generate_key()
BARE_METAL = f"""
system: taaleem
provider: bare_metal
class: staging
domain: pulumi.test
network: {{cidr: 10.231.90.0/24}}
hosts:
  - {{name: big, address: 10.231.90.11, groups: [edge, app, database, cache, ops], cpus: 2, memory_mb: 8192,
      user: admin, port: 2222, host_key: "{HOST_KEY}"}}
"""


ENCRYPTED = {
    "type": "pulumi:pulumi:Stack",
    "urn": "urn:pulumi:test::a::b::c",
    "outputs": {"stackwright_inventory": {"4dabf18193072939515e22adb298388d": "x", "ciphertext": "y"}},
}


def deployment(environment: Environment) -> dict[str, Any]:
    output = make_output(environment, {host.name: HOST_KEY for host in environment.hosts})
    stack = {
        "urn": f"urn:pulumi:{environment.name}::stackwright::pulumi:pulumi:Stack::stackwright-{environment.name}",
        "type": "pulumi:pulumi:Stack",
        "outputs": {"stackwright_inventory": output},
    }
    return {"resources": [stack]}


def write_backend(environment: Environment, *, packed: bool = False) -> Path:
    folder = environment.state_folder / "pulumi/.pulumi/stacks/stackwright"
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"version": 3, "checkpoint": {"latest": deployment(environment)}})
    path = folder / f"{environment.name}.json{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


def ansible(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ansible-inventory", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def hosts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    # Data from an inventory plugin is never taken for a template, and ansible-inventory marks it so.
    found: dict[str, Any] = json.loads(done.stdout, object_hook=lambda each: each.get("__ansible_unsafe", each))
    return found["_meta"]["hostvars"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("source", ["inventories/test/stack.yml", "inventories/test"])
@pytest.mark.parametrize("packed", [False, True])
def test_from_the_file_backend_without_the_cli(
    write_stack: WriteStack, monkeypatch: pytest.MonkeyPatch, source: str, packed: bool
) -> None:
    environment = load(write_stack("test", size="B"))
    write_backend(environment, packed=packed)
    done = ansible("-i", source, "--graph")
    assert done.returncode == 0, done.stderr
    for line in ("@edge:", "@app:", "@database:", "@cache:", "@ops:", "@consensus:", "--db2", "--ops1"):
        assert line in done.stdout
    assert "@ungrouped:\n  |--@edge" in done.stdout


def test_from_an_exported_state_and_with_its_known_hosts(write_stack: WriteStack, tmp_path: Path) -> None:
    environment = load(write_stack("test", size="B"))
    exported = tmp_path / "state.json"
    exported.write_text(json.dumps({"version": 3, "deployment": deployment(environment)}))
    found = hosts(ansible("-i", "inventories/test", "--list", STACKWRIGHT_STATE_FILE=str(exported)))
    assert set(found) == {"edge1", "app1", "app2", "db1", "db2", "cache1", "ops1"}
    db1 = found["db1"]
    assert (db1["ansible_host"], db1["ansible_user"], db1["ansible_port"]) == ("10.231.90.41", "stackwright", 22)
    assert "StrictHostKeyChecking=yes" in db1["ansible_ssh_common_args"]
    known = environment.state_folder / "ssh/known_hosts"
    assert str(known) in db1["ansible_ssh_common_args"]
    assert f"10.231.90.41 {HOST_KEY}" in known.read_text().splitlines()
    before = known.stat().st_mtime_ns
    ansible("-i", "inventories/test", "--list", STACKWRIGHT_STATE_FILE=str(exported))
    assert known.stat().st_mtime_ns == before


def test_limit_keeps_groups_and_facts_whole(write_stack: WriteStack) -> None:
    environment = load(write_stack("test", size="B"))
    write_backend(environment)
    done = ansible("-i", "inventories/test", "--list", "--limit", "app1")
    found = hosts(done)
    assert set(found) == {"app1"}
    assert found["app1"]["stack"]["groups"]["database"] == ["db1", "db2"]
    assert len((environment.state_folder / "ssh/known_hosts").read_text().splitlines()) == 7


def test_before_provisioning_the_remedy_is_named_and_the_run_fails(write_stack: WriteStack) -> None:
    write_stack("test")
    done = ansible("-i", "inventories/test/stack.yml", "--graph")
    assert done.returncode != 0
    assert "test is not provisioned: run `stackwright up test`" in done.stderr
    assert "Traceback" not in done.stderr


def test_bare_metal_needs_its_file_alone(write_stack: WriteStack) -> None:
    environment = load(write_stack("test", BARE_METAL))
    found = hosts(ansible("-i", "inventories/test", "--list"))
    assert found["big"]["ansible_port"] == 2222
    assert found["big"]["stack_host"]["bootstrap_user"] == "admin"
    known = (environment.state_folder / "ssh/known_hosts").read_text()
    assert known == f"[10.231.90.11]:2222 {HOST_KEY}\n"


@pytest.mark.parametrize("text", ["system: [", "system: taaleem\nprovider: lokal\n", "- not\n- a mapping\n", ""])
def test_a_broken_file_is_an_error_and_not_an_empty_inventory(write_stack: WriteStack, text: str) -> None:
    write_stack("test", text)
    done = ansible("-i", "inventories/test", "--graph")
    assert done.returncode != 0
    assert "stack.yml" in done.stderr


def test_a_state_of_other_hosts_is_refused(write_stack: WriteStack) -> None:
    environment = load(write_stack("test", size="A"))
    write_backend(environment)
    write_stack("test", size="B")
    done = ansible("-i", "inventories/test", "--graph")
    assert done.returncode != 0
    assert "is not provisioned" in done.stderr.replace("\n", " ")


def test_the_cache_is_used_where_it_is_switched_on(write_stack: WriteStack, tmp_path: Path) -> None:
    environment = load(write_stack("test"))
    state = write_backend(environment)
    cache = {
        "ANSIBLE_INVENTORY_CACHE": "true",
        "ANSIBLE_INVENTORY_CACHE_PLUGIN": "ansible.builtin.jsonfile",
        "ANSIBLE_INVENTORY_CACHE_CONNECTION": str(tmp_path / "cache"),
    }
    assert ansible("-i", "inventories/test", "--graph", **cache).returncode == 0
    state.unlink()
    assert ansible("-i", "inventories/test", "--graph", **cache).returncode == 0
    assert ansible("-i", "inventories/test", "--graph").returncode != 0
    assert ansible("-i", "inventories/test", "--graph", "--flush-cache", **cache).returncode != 0


# --- states ---------------------------------------------------------------------------------------------------------


def test_a_stack_that_was_never_up_has_no_output(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for empty in ({"version": 3, "deployment": None}, {"version": 3, "deployment": {"resources": None}}):
        path.write_text(json.dumps(empty))
        assert outputs.from_state_file(path, "test") is None
    assert outputs.from_file_backend(tmp_path.as_uri(), "stackwright", "test") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a state that Pulumi wrote"),
        ("[]", "is not a state that Pulumi wrote"),
        (
            '{"deployment": {"resources": [{"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:prod::a::b::c"}]}}',
            "is the state of prod, not of test",
        ),
        (
            json.dumps({"deployment": {"resources": [ENCRYPTED]}}),
            "is encrypted",
        ),
    ],
)
def test_a_state_that_cannot_serve_says_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(outputs.StateError, match=message):
        outputs.from_state_file(path, "test")


def test_a_missing_state_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(outputs.StateError, match="pulumi stack export"):
        outputs.from_state_file(tmp_path / "none.json", "test")


def test_variables_of_one_environment_outrank_the_wiring_of_all(write_stack: WriteStack) -> None:
    """Whatever form their files have: Ansible alone would not read `all.yml` beside a folder `all`."""
    folder = write_stack("test", size="B").parent
    write_backend(load(folder))
    for name, text in {
        "group_vars/all.yml": "baseline_locale: de_DE.UTF-8\npgbouncer_auth_user: overruled-by-app\n",
        "group_vars/all/more.yml": "nginx_http2: false\nbaseline_admins: []\nbaseline_locale: en_GB.UTF-8\n",
        "group_vars/app.yml": "pgbouncer_auth_user: lookup\n",
        "host_vars/app1.yml": "pgbouncer_auth_user: of-app1\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    found = hosts(ansible("-i", "inventories/test/stack.yml", "--list"))
    assert {host: variables["baseline_locale"] for host, variables in found.items()} == dict.fromkeys(
        found, "de_DE.UTF-8"
    )
    # The wiring sets it for the group edge, and all the same a value for all hosts of this environment counts.
    assert found["edge1"]["nginx_http2"] is False
    assert found["db1"]["baseline_admins"] == []
    assert found["app1"]["pgbouncer_auth_user"] == "of-app1"
    assert found["app2"]["pgbouncer_auth_user"] == "lookup"
    # All that nobody overrules is the wiring's.
    assert found["db1"]["postgresql_auth_roles"] == ["pgbouncer"]
