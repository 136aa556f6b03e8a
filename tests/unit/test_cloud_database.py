"""What Ansible hands to the roles of a database that a cloud runs: group_vars, filters and lookups, with their specs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackwright.model import inventory
from stackwright.model.environment import load
from stackwright.model.topology import playbook_groups
from stackwright.secret_store import SecretStore

ROOT = Path(__file__).resolve().parents[2]
NAME = "taaleem-windows-aws"
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!db-0f5c-AbCdEf"

PLAY = """
- hosts: {group}
  gather_facts: false
  tasks:
    - ansible.builtin.validate_argument_spec:
        argument_spec: "{{{{ (lookup('ansible.builtin.file', '{spec}') | from_yaml).argument_specs.main.options }}}}"
        provided_arguments: "{{{{ inputs }}}}"
    - ansible.builtin.copy:
        content: "{{{{ inputs | to_json }}}}"
        dest: {target}
        mode: "0600"
  vars:
    inputs: {inputs}
"""


def stack() -> dict[str, Any]:
    """Of a database that AWS runs, with application hosts that have names."""
    environment = load(ROOT / "inventories" / NAME)
    names = ["postgresql", "postgresql_replica", *(f"redis_{each}" for each in environment.system.cache)]
    endpoints = {name: {"scheme": "x", "addresses": [f"{name}.test"], "port": 5432} for name in names}
    cloud = {"master_secret": ARN, "region": "r", "buckets": {"uploads": "the-uploads"}}
    return inventory.stack(environment, environment.hosts, endpoints, cloud)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of its own, so that secrets are made there; and a program `aws` that knows one."""
    (tmp_path / "group_vars").symlink_to(ROOT / "playbooks/group_vars")
    (tmp_path / "inventories").mkdir()
    SecretStore(NAME, tmp_path / ".state" / NAME).create()
    environment = load(ROOT / "inventories" / NAME)
    groups = {**environment.groups, **playbook_groups(environment.stack, environment.hosts, environment.system)}
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {
        "all": {
            "hosts": {host.name: local for host in environment.hosts},
            "vars": {"stack": stack()},
            "children": {group: {"hosts": {name: {} for name in names}} for group, names in groups.items()},
        }
    }
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    program = tmp_path / "bin/aws"
    program.parent.mkdir()
    login = json.dumps({"username": "master", "password": "of-the-master"})
    program.write_text(f"#!/bin/sh\ncase \"$*\" in *'{ARN}'*) echo '{login}' ;; *) exit 1 ;; esac\n")
    program.chmod(0o755)
    return tmp_path


def handed(project: Path, group: str, role: str) -> dict[str, Any]:
    """The inputs of the role that group_vars set, as its spec takes them."""
    names = list(yaml.safe_load((ROOT / f"playbooks/group_vars/{group}/{role}.yml").read_text()))
    target, play = project / "inputs.json", project / "play.yml"
    inputs = json.dumps({name: f"{{{{ {name} }}}}" for name in names})
    spec = ROOT / f"roles/{role}/meta/argument_specs.yml"
    play.write_text(PLAY.format(group=f"{group}[0]", spec=spec, target=target, inputs=inputs))
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", "-i", project / "hosts.yml", play],
        env={
            **os.environ,
            "PATH": f"{project / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "STACKWRIGHT_ROOT": str(project),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_INVENTORY_ENABLED": "yaml",
            "ANSIBLE_STRATEGY": "linear",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def test_the_host_that_applies_gets_the_master_user_and_all_that_is_declared(project: Path) -> None:
    found = handed(project, "database_admin", "managed_postgresql")
    login = {key: found[f"managed_postgresql_{key}"] for key in ("host", "port", "user", "password", "ca_file")}
    assert login == {
        "host": "postgresql.test",
        "port": 5432,
        "user": "master",
        "password": "of-the-master",
        "ca_file": "/etc/stackwright/ca/database.crt",
    }
    roles = {role["name"]: role for role in found["managed_postgresql_roles"]}
    assert list(roles) == ["emr", "reports", "monitoring"]
    assert len({role["password"] for role in roles.values()}) == 3
    assert found["managed_postgresql_databases"][0]["owner"] == "emr"
    assert {each["role"] for each in found["managed_postgresql_privileges"]} == {"reports"}


def test_a_pool_gets_the_password_of_its_application_and_that_of_nobody_else(project: Path) -> None:
    applied = handed(project, "database_admin", "managed_postgresql")
    found = handed(project, "database_pool", "pgbouncer")
    emr = next(role for role in applied["managed_postgresql_roles"] if role["name"] == "emr")
    assert found["pgbouncer_users"] == [{"name": "emr", "password": emr["password"]}]
    assert found["pgbouncer_auth_password"] == ""
    assert found["pgbouncer_tls_ca_file"] == "/etc/stackwright/ca/database.crt"
    assert {each["host"] for each in found["pgbouncer_databases"]} == {"postgresql.test", "postgresql_replica.test"}
