#!/usr/bin/python
"""Take members out of a Patroni cluster without losing a commit: see DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import API_SPEC, Patroni, PatroniError, wait

DOCUMENTATION = r"""
---
module: patroni_retire
short_description: Take members out of a Patroni cluster without losing a commit
description:
  - With O(state=followed), makes sure that no member of O(names) leads. The leadership is handed to a member that stays
    and has everything; where there is none, the module fails and changes nothing.
  - With O(state=gone), waits until the cluster has forgotten the members, whose Patroni was stopped.
options:
  api: {type: dict, required: true, description: 'REST interface: url, user, password, certificate, key and CA files.'}
  names: {type: list, elements: str, required: true, description: Members to take out.}
  state: {type: str, required: true, choices: [followed, gone], description: What to reach.}
  seconds: {type: int, default: 120, description: How long to wait for each step.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Hand the leadership to a member that stays
  patroni_retire: {api: "{{ __postgresql_api }}", names: [db1], state: followed}
"""
RETURN = r"""
leader: {type: str, returned: always, description: Member that leads at the end.}
"""

LEADERS = ("leader", "standby_leader")


def leader(patroni: Patroni) -> str:
    """The member that leads and runs, or nothing."""
    return next(iter(patroni.leaders()), "")


def candidate(members: list[dict[str, Any]], names: list[str]) -> str:
    """The member that stays and has everything: a synchronous one first; nothing where there is none."""
    ready = [
        member
        for member in members
        if member["name"] not in names
        and member.get("role") not in LEADERS
        and member.get("state") in {"running", "streaming"}
        and member.get("lag") == 0
        and not member.get("tags", {}).get("nofailover")
    ]
    ready.sort(key=lambda member: (member["role"] != "sync_standby", member["name"]))
    return str(ready[0]["name"]) if ready else ""


def hand_over(patroni: Patroni, names: list[str], *, seconds: int, check_mode: bool) -> bool:
    """Whether the leadership was or would be handed over."""
    wait(seconds, "the cluster has no leader", lambda: bool(leader(patroni)))
    if leader(patroni) not in names:
        return False
    if check_mode:
        return True
    wait(
        seconds,
        f"no member that stays has everything that the leader {leader(patroni)} has; nothing was changed",
        lambda: bool(candidate(patroni.cluster(), names)),
    )
    body = {"leader": leader(patroni), "candidate": candidate(patroni.cluster(), names)}
    patroni.send("POST", "/switchover", body)
    wait(seconds, f"{body['candidate']} does not lead", lambda: leader(patroni) == body["candidate"])
    # The previous leader has rewound and follows, or it could leave with the only copy of a commit.
    wait(seconds, f"{body['leader']} does not follow", lambda: _follows(patroni, body["leader"]))
    return True


def _follows(patroni: Patroni, name: str) -> bool:
    return any(
        member["name"] == name and member.get("role") not in LEADERS and member["state"] in {"running", "streaming"}
        for member in patroni.cluster()
    )


def gone(patroni: Patroni, names: list[str]) -> bool:
    members = patroni.cluster()
    return bool(members) and not {member["name"] for member in members} & set(names)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "api": API_SPEC,
            "names": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["followed", "gone"]},
            "seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    names, seconds = module.params["names"], module.params["seconds"]
    changed = False
    try:
        patroni = Patroni(module.params["api"])
        if module.params["state"] == "followed":
            changed = hand_over(patroni, names, seconds=seconds, check_mode=module.check_mode)
        elif not module.check_mode:
            wait(seconds, f"the cluster still knows one of {', '.join(names)}", lambda: gone(patroni, names))
    except (OSError, PatroniError) as error:
        module.fail_json(msg=f"{', '.join(names)} cannot leave the cluster: {error}")
    module.exit_json(changed=changed, leader=leader(patroni))


if __name__ == "__main__":
    main()
