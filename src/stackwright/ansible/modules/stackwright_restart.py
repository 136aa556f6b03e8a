"""Restart a unit that runs with older files: see `DOCUMENTATION`."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_units import last_words, stale

DOCUMENTATION = r"""
module: stackwright_restart
short_description: Restart a unit that runs with older files
description:
  - Restarts the unit where one of O(files) is younger than its process, and fails with the unit's last words where it does
    not come up. A unit that does not run is left alone.
  - "To restart one host after the other: a loop over hosts with C(delegate_to), C(run_once) and C(break_when), which ends at
    the first failure. C(throttle) goes on after one."
options:
  unit: {description: Unit., type: str, required: true}
  files: {description: Files that the process reads at its start alone., type: list, elements: path, required: true}
  updates:
    description: Whether to restart also where an update has replaced a program or a library that the unit runs.
    type: bool
    default: false
author: [stackwright]
"""
EXAMPLES = r"""
- name: Restart HAProxy where its unit is younger, one host after the other
  stackwright_restart: {unit: haproxy.service, files: [/etc/systemd/system/haproxy.service]}
  delegate_to: "{{ host }}"
  loop: "{{ ansible_play_hosts }}"
  loop_control: {loop_var: host, break_when: [restart is failed]}
  register: restart
  run_once: true
"""
RETURN = r"""
"""


def restart(module: AnsibleModule) -> None:
    unit = module.params["unit"]
    module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    status, _, words = module.run_command(["systemctl", "restart", unit])
    if status != 0:
        module.fail_json(msg=f"{unit} does not start: {words.strip()} {last_words(module, unit)}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
            "updates": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    params = module.params
    changed = stale(module, params["unit"], params["files"], updates=params["updates"])
    if changed and not module.check_mode:
        restart(module)
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
