#!/usr/bin/python
"""Remove members from a Patroni cluster without losing a commit: see DOCUMENTATION."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import API_SPEC, Patroni, PatroniError, hand_over, leader, wait

DOCUMENTATION = r"""
---
module: patroni_retire
short_description: Take members out of a Patroni cluster without losing a commit
description:
  - With O(state=followed), makes sure that no member of O(names) leads. The leadership is handed to a member that stays
    and has everything; where there is none, the module fails and changes nothing.
  - With O(state=gone), waits until the cluster has forgotten the members, whose Patroni was stopped, and has Patroni drop
    their replication slots at once. Since release 4 it keeps the slot of a member that is away for half an hour, and
    makes it again where somebody else drops it. The setting for that lasts until the configuration is applied again.
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
            patroni.send("PATCH", "/config", {"member_slots_ttl": 0})
    except (OSError, PatroniError) as error:
        module.fail_json(msg=f"{', '.join(names)} cannot leave the cluster: {error}")
    module.exit_json(changed=changed, leader=leader(patroni))


if __name__ == "__main__":
    main()
