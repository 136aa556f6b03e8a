#!/usr/bin/python
"""Wait until a member of a Patroni cluster takes part in it: see DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import API_SPEC, Patroni, PatroniError, wait

DOCUMENTATION = r"""
---
module: patroni_ready
short_description: Wait until a member of a Patroni cluster takes part in it
description:
  - With O(led), waits until the cluster has a leader, and says what this member is.
  - Without, waits until this member runs as the leader or streams from it. A member that copies the data is waited for
    O(clone_seconds) and then reported, since a copy may take hours and goes on by itself.
options:
  api: {type: dict, required: true, description: 'REST interface: url, user, password, certificate, key and CA files.'}
  led: {type: bool, default: false, description: Wait for the leader alone.}
  seconds: {type: int, required: true, description: How long to wait for a member that does not copy.}
  clone_seconds: {type: int, default: 0, description: How long to wait for a member that copies the data.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Wait until this member takes part
  patroni_ready: {api: "{{ __postgresql_api }}", seconds: 120, clone_seconds: 900}
"""
RETURN = r"""
role: {type: str, returned: always, description: primary or replica; empty in check mode where nobody answers.}
cloning: {type: bool, returned: always, description: Whether this member still copies the data.}
"""


def cloning(status: dict[str, Any]) -> bool:
    """Return whether the member is copying the data of the leader."""
    return str(status.get("state", "")).startswith("creating replica")


def streams(status: dict[str, Any]) -> bool:
    # Patroni before 4 has no `replication_state`; there a running replica is sufficient.
    return (
        status.get("role") == "replica"
        and status.get("state") in {"running", "streaming"}
        and status.get("replication_state", "streaming") == "streaming"
    )


def takes_part(patroni: Patroni) -> bool:
    status = patroni.status()
    leads = status.get("state") == "running" and status.get("role") == "primary"
    return (leads or streams(status)) and len(patroni.leaders()) == 1


def led(patroni: Patroni) -> bool:
    """Return whether the cluster has a leader and this member has a state, other than a leader that has not started."""
    status = patroni.status()
    leads = status.get("role") == "primary"
    return bool(status) and len(patroni.leaders()) == 1 and (not leads or status.get("state") == "running")


def ready(patroni: Patroni, params: dict[str, Any]) -> None:
    if params["led"]:
        wait(params["seconds"], f"the cluster has no leader; this member: {patroni.status()}", lambda: led(patroni))
        return
    wait(params["seconds"], "it does not follow the leader", lambda: takes_part(patroni) or cloning(patroni.status()))
    if cloning(patroni.status()) and not _in_time(params["clone_seconds"], patroni):
        return
    wait(params["seconds"], "it does not follow the leader", lambda: takes_part(patroni))


def settled(patroni: Patroni, params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return the member's status once it takes part. Check mode does not wait and may precede the first converge."""
    if not check_mode:
        ready(patroni, params)
    elif patroni.status():
        ready(patroni, params | {"seconds": 0, "clone_seconds": 0})
    return patroni.status()


def _in_time(seconds: int, patroni: Patroni) -> bool:
    """Return whether the copy ends within the time."""
    try:
        wait(seconds, "", lambda: not cloning(patroni.status()))
    except PatroniError:
        return False
    return True


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "api": API_SPEC,
            "led": {"type": "bool", "default": False},
            "seconds": {"type": "int", "required": True},
            "clone_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    try:
        patroni = Patroni(module.params["api"])
        status = settled(patroni, module.params, check_mode=module.check_mode)
    except PatroniError as error:
        module.fail_json(msg=f"this member takes no part in its cluster: {error}; last seen {patroni.status()}")
    except OSError as error:
        if not module.check_mode:
            module.fail_json(msg=f"this member takes no part in its cluster: {error}")
        status = {}
    if cloning(status):
        module.warn("this member still copies the data of the leader; it follows by itself when that is done")
    module.exit_json(changed=False, role=status.get("role", ""), cloning=cloning(status))


if __name__ == "__main__":
    main()
