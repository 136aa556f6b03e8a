"""Restart a unit that runs with older files: see `DOCUMENTATION`."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

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


def stale(module: AnsibleModule) -> bool:
    """Whether the unit's process is older than one of the files."""
    command = ["systemctl", "show", "--timestamp=unix", "--property=ExecMainStartTimestamp,MainPID"]
    lines = module.run_command([*command, module.params["unit"]], check_rc=True)[1].split()
    answer = dict(line.split("=", 1) for line in lines)
    if answer.get("MainPID", "0") == "0":
        return False
    files = [Path(file) for file in module.params["files"]]
    newest = max((int(file.stat().st_mtime) for file in files if file.exists()), default=0)
    return newest > int(answer["ExecMainStartTimestamp"].lstrip("@") or 0)


def restart(module: AnsibleModule) -> None:
    unit = module.params["unit"]
    module.run_command(["systemctl", "daemon-reload"], check_rc=True)
    status, _, words = module.run_command(["systemctl", "restart", unit])
    if status != 0:
        journal = module.run_command(["journalctl", "--no-pager", "--output=cat", "--lines=5", f"--unit={unit}"])[1]
        module.fail_json(msg=f"{unit} does not start: {words.strip()} {' / '.join(journal.splitlines())}")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
        },
        supports_check_mode=True,
    )
    changed = stale(module)
    if changed and not module.check_mode:
        restart(module)
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
