#!/usr/bin/python
"""Read the state of a host's etcd and the members that it knows: see DOCUMENTATION."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_etcd import (
    Etcd,
    EtcdError,
    client_url,
    parse_members,
    peer_url,
    read_environment,
)

DOCUMENTATION = r"""
---
module: etcd_status
short_description: Read what a host's etcd is and whom it knows
description:
  - Reads the settings from O(environment_file), so that it works on every host, and on one that is no voter any more.
options:
  environment_file: {type: path, required: true, description: Environment file of etcd.}
  seconds: {type: int, default: 0, description: How long to wait for a host with data to be healthy; not in check mode.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Read the members of etcd
  etcd_status: {environment_file: /etc/etcd/etcd.env}
"""
RETURN = r"""
installed: {type: bool, returned: always, description: Whether this host has settings of etcd.}
address: {type: str, returned: always, description: Address of this host's etcd; empty without settings.}
state:
  type: str
  returned: always
  description:
    - C(empty) without data; C(founding) while the cluster of its data was never complete; C(healthy) with a quorum;
      C(broken) otherwise.
members: {type: list, elements: dict, returned: always, description: 'Members that it knows: name, address, learner.'}
"""


def state(environment: dict[str, str]) -> str:
    if not (Path(environment["ETCD_DATA_DIR"]) / "member").is_dir():
        return "empty"
    if client(environment, client_url(address(environment))).healthy():
        return "healthy"
    try:
        version = client(environment, peer_url(address(environment))).get("/version")
    except EtcdError:
        return "broken"
    # A voter of a new cluster has not yet agreed with the others on the cluster's version.
    return "founding" if version.get("etcdcluster") == "not_decided" else "broken"


def address(environment: dict[str, str]) -> str:
    return urlsplit(environment["ETCD_ADVERTISE_CLIENT_URLS"]).hostname or ""


def client(environment: dict[str, str], url: str) -> Etcd:
    files = {"certificate_file": "ETCD_CERT_FILE", "key_file": "ETCD_KEY_FILE", "ca_file": "ETCD_TRUSTED_CA_FILE"}
    return Etcd([url], {name: environment[variable] for name, variable in files.items()})


def status(environment: dict[str, str], seconds: int) -> dict[str, Any]:
    if not environment:
        return {"installed": False, "address": "", "state": "empty", "members": []}
    deadline = time.monotonic() + seconds
    while (member_state := state(environment)) == "broken" and time.monotonic() < deadline:
        time.sleep(1)
    members: list[dict[str, Any]] = []
    if member_state != "empty":
        try:
            answer = client(environment, client_url(address(environment))).call("cluster/member/list")
            members = [
                {"name": member.name, "address": member.address, "learner": member.learner}
                for member in parse_members(answer)
            ]
        except EtcdError:
            members = []
    return {"installed": True, "address": address(environment), "state": member_state, "members": members}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "environment_file": {"type": "path", "required": True},
            "seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    try:
        seconds = 0 if module.check_mode else module.params["seconds"]
        answer = status(read_environment(module.params["environment_file"]), seconds)
    except (OSError, KeyError) as error:
        module.fail_json(msg=f"{module.params['environment_file']}: {error!r}")
    module.exit_json(changed=False, **answer)


if __name__ == "__main__":
    main()
