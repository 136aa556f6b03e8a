#!/usr/bin/python
"""Restart what runs with older settings, without a failover: see DOCUMENTATION."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import API_SPEC, Patroni, PatroniError, wait

DOCUMENTATION = r"""
---
module: patroni_restart
short_description: Restart what runs with older settings, without a failover
description:
  - Without O(unit), restarts PostgreSQL in place where Patroni says that a setting waits for it.
  - With O(unit), restarts Patroni itself under a pause, in which PostgreSQL runs on and the leader stays the leader.
options:
  api: {type: dict, required: true, description: 'REST interface: url, user, password, certificate, key and CA files.'}
  role: {type: str, default: '', description: 'Restart PostgreSQL only as this role: primary or replica.'}
  unit: {type: str, default: '', description: Unit of Patroni to restart.}
  marker: {type: path, default: /run/stackwright-patroni-pause, description: Says that the pause is this module's.}
  seconds: {type: int, default: 120, description: How long to wait until the member is back.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Restart replicas that wait for it
  patroni_restart: {api: "{{ __postgresql_api }}", role: replica}
  throttle: 1
"""
RETURN = r"""
"""


def restart_postgresql(patroni: Patroni, wanted: dict[str, Any], *, check_mode: bool) -> bool:
    status = patroni.status()
    if not status.get("pending_restart") or status.get("role") != wanted["role"]:
        return False
    if not check_mode:
        patroni.send("POST", "/restart", {"restart_pending": True})
        wait(wanted["seconds"], "PostgreSQL is not back", lambda: _runs(patroni))
    return True


def restart_patroni(module: AnsibleModule, patroni: Patroni) -> bool:
    wanted, marker = module.params, Path(module.params["marker"])
    if module.check_mode:
        return True
    paused = bool((patroni.get("/config") or {}).get("pause"))
    if not paused:
        # The marker comes first: a run that dies in between must not leave the cluster without failover for good.
        marker.touch()
        patroni.send("PATCH", "/config", {"pause": True})
    wait(wanted["seconds"], "the pause does not arrive", lambda: bool(patroni.status().get("pause")))
    module.run_command(["systemctl", "restart", wanted["unit"]], check_rc=True)
    wait(wanted["seconds"], "Patroni is not back", lambda: _runs(patroni))
    resume(patroni, marker, wanted["seconds"])
    return True


def resume(patroni: Patroni, marker: Path, seconds: int) -> bool:
    """End a pause of this module's own.

    Every member has to know: the next one to be restarted would take the former pause for its own.
    """
    if not marker.exists():
        return False
    patroni.send("PATCH", "/config", {"pause": None})
    wait(seconds, "the pause does not end", lambda: not any(each.status().get("pause") for each in patroni.members()))
    marker.unlink()
    return True


def _runs(patroni: Patroni) -> bool:
    return patroni.status().get("state") in {"running", "streaming"}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "api": API_SPEC,
            "role": {"type": "str", "default": ""},
            "unit": {"type": "str", "default": ""},
            "marker": {"type": "path", "default": "/run/stackwright-patroni-pause"},
            "seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        patroni = Patroni(module.params["api"])
        if module.params["unit"]:
            changed = restart_patroni(module, patroni)
        else:
            left_over = not module.check_mode and resume(
                patroni, Path(module.params["marker"]), module.params["seconds"]
            )
            changed = restart_postgresql(patroni, module.params, check_mode=module.check_mode) or left_over
    except (OSError, PatroniError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
