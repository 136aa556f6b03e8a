#!/usr/bin/python
"""Restart members that run with outdated settings, one at a time and without a failover: see DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import (
    API_SPEC,
    Patroni,
    PatroniError,
    hand_over,
    pause,
    paused_by_operator,
    resume,
    wait,
)
from ansible.module_utils.stackwright_units import stale

DOCUMENTATION = r"""
---
module: patroni_restart
short_description: Restart what runs with older settings, one member at a time and without a failover
description:
  - Without O(unit), restarts PostgreSQL in place on every member that Patroni says waits for it. Replicas come first,
    since a replica must never have less room than its leader; then the leader; then replicas that waited for the leader.
  - With O(unit), restarts Patroni on this host where one of O(files) is younger than its process, under a pause, in which
    PostgreSQL runs on and the leader stays the leader.
  - With O(updates), restarts Patroni and PostgreSQL on this host where an update has replaced what one of them runs. A leader
    hands over to another member first, where there is one.
  - Restarts nothing while another member does not run, and no second member after the first that failed.
options:
  api: {type: dict, required: true, description: 'REST interface: url, user, password, certificate, key and CA files.'}
  unit: {type: str, default: '', description: Unit of Patroni to restart.}
  files: {type: list, elements: path, default: [], description: Files that Patroni reads at its start alone.}
  updates: {type: bool, default: false, description: 'Whether to restart with PostgreSQL, for updates.'}
  role: {type: str, default: '', description: 'Restart Patroni only as this role: primary or replica.'}
  host: {type: str, default: a converge, description: 'Name of this host, for the reason of the pause.'}
  seconds: {type: int, default: 120, description: How long to wait until the member is back.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Restart PostgreSQL where settings wait for it
  patroni_restart: {api: "{{ __postgresql_api }}"}
  run_once: true
"""
RETURN = r"""
restarted: {type: list, elements: str, returned: always, description: Members that were or would be restarted.}
"""


#: States of a member whose PostgreSQL runs. A member that reads the archive may be waiting for this run's changes.
RUNNING = ("running", "streaming", "in archive recovery")
#: The number of failed starts after which a unit counts as unable to start.
ATTEMPTS = 2


def require_whole(patroni: Patroni, *, besides: str = "", seconds: int) -> None:
    """Raise PatroniError if a member is not running; a member that copies the data would have to start over."""

    def absent() -> list[str]:
        return [
            f"{member['name']} ({member['state']})"
            for member in patroni.cluster()
            if member["name"] != besides and member.get("state") not in RUNNING
        ]

    try:
        wait(seconds, "", lambda: bool(patroni.leaders()) and not absent())
    except PatroniError:
        raise PatroniError(
            f"nothing was restarted: {', '.join(absent()) or 'the leader'} does not run;"
            " fix: patronictl list, and converge again when every member runs"
        ) from None


def copying(patroni: Patroni) -> list[str]:
    """Return the members that are copying the data of the leader; a restart would make them start over."""
    return [member["name"] for member in patroni.cluster() if member.get("state") == "creating replica"]


def restart_postgresql(patroni: Patroni, *, seconds: int, check_mode: bool) -> list[str]:
    """Restart PostgreSQL on the members that need it, and return these members."""
    restarted = []
    for role in ("replica", "primary", "replica"):
        for entry in patroni.cluster():
            member = patroni.at(entry["api_url"].removesuffix("/patroni"))
            status = member.status()
            if not status.get("pending_restart") or status.get("role") != role:
                continue
            restarted.append(entry["name"])
            if check_mode:
                continue
            require_whole(patroni, seconds=seconds)
            member.send("POST", "/restart", {"restart_pending": True})
            wait(seconds, f"PostgreSQL is not back on {entry['name']}", member.runs)
    return sorted(set(restarted))


def restart_patroni(module: AnsibleModule, patroni: Patroni) -> list[str]:
    """Restart Patroni on this host if needed, and return the host if it was restarted."""
    params, seconds = module.params, module.params["seconds"]
    status = patroni.status()
    if params["role"] and status.get("role", "replica") != params["role"]:
        return []
    if not stale(module, params["unit"], params["files"], updates=params["updates"]):
        return []
    if module.check_mode:
        return [params["host"]]
    if not patroni.runs():
        # A member that is not running loses nothing, and may need just this restart.
        module.run_command(["systemctl", "restart", params["unit"]], check_rc=True)
        return [params["host"]]
    require_whole(patroni, seconds=seconds)
    if params["updates"]:
        restart_with_postgresql(module, patroni)
        return [params["host"]]
    if paused_by_operator(patroni.config()):
        # The operator's pause serves the same purpose as one of this module, and is not ended.
        restart_unit(module, patroni)
        return [params["host"]]
    members = patroni.members()
    pause(patroni, by=params["host"], reason="restart of Patroni with a changed unit", seconds=seconds)
    try:
        restart_unit(module, patroni)
    except PatroniError as error:
        # If Patroni is down on the leader, ending the pause would create a second leader.
        led = next((member for member in members if member.leaders()), None)
        if led is None:
            raise PatroniError(f"{error}; the cluster stays paused until a converge finds it running") from None
        resume(led, seconds=seconds)
        raise
    resume(patroni, seconds=seconds)
    return [params["host"]]


def restart_with_postgresql(module: AnsibleModule, patroni: Patroni) -> None:
    """Restart Patroni with PostgreSQL; if this member leads, another member becomes the leader first."""
    params, seconds = module.params, module.params["seconds"]
    if patroni.config().get("pause"):
        raise PatroniError(
            "nothing was restarted: the cluster is paused, and PostgreSQL would run on with what it runs;"
            " fix: patronictl resume, and run the update again"
        )
    if len(patroni.cluster()) > 1:
        hand_over(patroni, [params["host"]], seconds=seconds, check_mode=False)
    restart_unit(module, patroni)
    require_whole(patroni, seconds=seconds)


def restart_unit(module: AnsibleModule, patroni: Patroni) -> None:
    unit, host = module.params["unit"], module.params["host"]
    module.run_command(["systemctl", "restart", unit])

    def back() -> bool:
        lines = module.run_command(["systemctl", "show", "--property=ActiveState,NRestarts", unit])[1].split()
        state = dict(line.split("=", 1) for line in lines)
        # systemd restarts the unit repeatedly.
        if state["ActiveState"] == "failed" or int(state["NRestarts"]) >= ATTEMPTS:
            journal = module.run_command(["journalctl", "--no-pager", "--output=cat", "--lines=4", f"--unit={unit}"])[1]
            raise PatroniError(f"{unit} does not start on {host}: {' / '.join(journal.splitlines())}")
        return patroni.runs()

    wait(module.params["seconds"], f"Patroni is not back on {host}", back)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "api": API_SPEC,
            "unit": {"type": "str", "default": ""},
            "files": {"type": "list", "elements": "path", "default": []},
            "updates": {"type": "bool", "default": False},
            "role": {"type": "str", "default": ""},
            "host": {"type": "str", "default": "a converge"},
            "seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    restarted: list[str] = []
    try:
        patroni = Patroni(params["api"])
        if waits_for := copying(patroni):
            module.warn(f"nothing is restarted while {', '.join(waits_for)} copies the data; converge again afterwards")
        elif params["unit"]:
            restarted = restart_patroni(module, patroni)
        else:
            restarted = restart_postgresql(patroni, seconds=params["seconds"], check_mode=module.check_mode)
    except (OSError, PatroniError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(restarted), restarted=restarted)


if __name__ == "__main__":
    main()
