"""What Ansible sees on a server of a group: the server itself, its share of every budget, and the cloud's endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from stackwright.model import topology
from stackwright.model.aws import names
from stackwright.model.environment import Environment
from stackwright.model.inventory import InventoryError, stack
from stackwright.model.secrets import application_names

#: AWS gives each server its own name, and they need not be distinguishable by ours.
_CALLED = "{{ ansible_facts.hostname }}"


def inventory(environment: Environment, output: Mapping[str, Any], admin_key: str) -> dict[str, Any]:
    """Return the inventory of each server of the environment's group, as Ansible's `yaml` plugin reads it.

    It contains no secret. `output` is what the Pulumi program exported; `admin_key` is the public key of the user who
    logs in through Systems Manager. Raises InventoryError if a service that AWS manages is not provisioned yet.
    """
    cloud = output.get("cloud")
    if cloud is None or not environment.slots:
        raise InventoryError(f"{environment.name} has no group of servers on AWS")
    _require_services(environment, output)
    # All slots are alike: the first one represents the server that reads this.
    slot = replace(environment.slots[0], address="127.0.0.1")
    known = (*environment.hosts, slot)
    # The server does not need to know where the password of the database's master user is stored.
    facts = stack(environment, known, output["endpoints"], {**cloud, "master_secret": None})
    domain = "amazonaws.com.cn" if cloud["region"].startswith("cn-") else "amazonaws.com"
    facts["secrets"] |= {
        "names": list(application_names(environment)),
        "password_command": None,
        "cloud": {"region": cloud["region"], "domain": domain, "prefix": cloud["secrets_prefix"]},
    }
    variables = {
        "ansible_connection": "local",
        "ansible_port": 22,
        "baseline_hostname": _CALLED,
        "host_metrics_group": names.auto_scaling_group(environment.name, "app"),
        "baseline_admin_keys": [admin_key],
        "stack_host": {
            "name": slot.name,
            "label": _CALLED,
            "groups": list(slot.groups),
            "bootstrap_user": slot.bootstrap_user,
            "cpus": slot.cpus,
            "memory_mb": slot.memory_mb,
            "disk_gb": slot.disk_gb,
            "os": slot.os,
            "host_key": None,
        },
    }
    groups = {
        **topology.groups(known),
        **topology.playbook_groups(environment.stack, known, environment.system),
    }
    # Other hosts are not in this inventory; an empty group is a play without hosts. Permanent servers have the backups.
    mine = {group for group, names in groups.items() if slot.name in names} - {"backup"}
    membership: dict[str, Any] = {"hosts": {slot.name: {}}}
    children = {group: membership if group in mine else {} for group in groups}
    return {"all": {"hosts": {slot.name: variables}, "vars": {"stack": facts}, "children": children}}


def _require_services(environment: Environment, output: Mapping[str, Any]) -> None:
    managed = topology.managed(environment.stack)
    services = ["postgresql"] if environment.system.database is not None and "database" in managed else []
    services += [f"redis_{purpose}" for purpose in environment.system.cache if "cache" in managed]
    missing = [name for name in services if name not in output["endpoints"]]
    if missing:
        raise InventoryError(
            f"{environment.name} is not provisioned as its file says: its output has no endpoint {', '.join(missing)};"
            f" run: stackwright up {environment.name}"
        )
