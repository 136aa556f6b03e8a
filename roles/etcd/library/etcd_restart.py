#!/usr/bin/python
"""Restart a voter that runs with outdated settings if the cluster can do without it: see DOCUMENTATION."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_etcd import TLS_SPEC, Etcd, EtcdError, Membership, client_url, parse_members
from ansible.module_utils.stackwright_units import stale

DOCUMENTATION = r"""
---
module: etcd_restart
short_description: Restart a voter that runs with older settings, while the cluster can spare it
description:
  - Restarts the unit where one of O(files) is younger than the process, and only while every voter of the cluster
    answers; a voter that hangs in its start is restarted at once. Ends when all voters answer again.
  - In a loop over voters it has to end at the first failure (C(break_when)).
options:
  tls: {type: dict, required: true, description: 'Paths: certificate_file, key_file, ca_file.'}
  address: {type: str, required: true, description: Address of this voter.}
  unit: {type: str, required: true, description: Unit of etcd.}
  files: {type: list, elements: path, required: true, description: Files that the process reads at its start.}
  updates:
    type: bool
    default: false
    description: Whether to restart also where an update has replaced a program or a library that etcd runs.
  only_down: {type: bool, default: false, description: Restart only a voter that hangs in its start.}
  seconds: {type: int, default: 90, description: How long to wait for the voters.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Restart voters that run with older settings
  etcd_restart:
    tls: {certificate_file: /tls.crt, key_file: /tls.key, ca_file: /ca.crt}
    address: "{{ voter.address }}"
    unit: etcd.service
    files: [/etc/etcd/etcd.env]
  delegate_to: "{{ voter.name }}"
  loop: "{{ etcd_members }}"
  loop_control: {loop_var: voter, break_when: restart is failed}
  register: restart
  run_once: true
"""
RETURN = r"""
"""


def restart(module: AnsibleModule) -> bool:
    """Return whether the voter was or would be restarted."""
    params: dict[str, Any] = module.params
    # An active voter that does not answer at once does not count as down: otherwise all could restart together.
    starting = module.run_command(["systemctl", "is-active", params["unit"]])[1].strip() != "active"
    if (params["only_down"] and not starting) or not stale(
        module, params["unit"], params["files"], updates=params["updates"]
    ):
        return False
    if module.check_mode:
        return True
    local = Etcd([client_url(params["address"])], params["tls"])
    membership = Membership(local, lambda peer: Etcd([client_url(peer)], params["tls"]), seconds=params["seconds"])
    voters = []
    if not starting:
        voters = [member for member in parse_members(local.call("cluster/member/list")) if not member.learner]
        membership.require(voters, "etcd was not restarted with its new settings")
    status, _, words = module.run_command(["systemctl", "restart", params["unit"]])
    if status != 0:
        raise EtcdError(f"etcd does not start with its new settings: {words.strip()}: {journal(module)}")
    if starting:
        wait_for(local, params["seconds"])
    else:
        membership.require(voters, "etcd was restarted")
    return True


def wait_for(local: Etcd, seconds: int) -> None:
    """Give a voter that was down time to answer; later steps check whether it has to."""
    deadline = time.monotonic() + seconds
    while not local.healthy() and time.monotonic() < deadline:
        time.sleep(1)


def journal(module: AnsibleModule) -> str:
    command = ["journalctl", "--no-pager", "--output=cat", "--lines=4", f"--unit={module.params['unit']}"]
    return " / ".join(line.strip()[:300] for line in module.run_command(command)[1].splitlines())


def main() -> None:
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "tls": TLS_SPEC,
            "address": text,
            "unit": text,
            "files": {"type": "list", "elements": "path", "required": True},
            "updates": {"type": "bool", "default": False},
            "only_down": {"type": "bool", "default": False},
            "seconds": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    try:
        changed = restart(module)
    except (EtcdError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
