#!/usr/bin/python
"""Remove members from a running etcd cluster: see DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_etcd import TLS_SPEC, EtcdError, Member, Membership, previous_password

DOCUMENTATION = r"""
---
module: etcd_remove
short_description: Remove members from a running etcd cluster
description:
  - Removes one after the other, only while all members that stay answer, and only where they are a quorum of the rest.
  - Does nothing where no cluster runs at O(stay).
options:
  tls: {type: dict, required: true, description: 'Paths: certificate_file, key_file, ca_file.'}
  stay: {type: list, elements: str, required: true, description: Addresses of the voters that stay.}
  remove: {type: list, elements: str, description: Addresses of the members to remove; by default all that do not stay.}
  only_down: {type: bool, default: false, description: 'Remove only members that do not answer, as a host that is gone.'}
  root_password: {type: str, required: true, description: Password of etcd's root as it should be.}
  credentials_file: {type: path, required: true, description: Environment file with root's password as it was.}
  seconds: {type: int, default: 60, description: How long to wait for members that stay.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Remove members that are no voters
  etcd_remove:
    tls: {certificate_file: /tls.crt, key_file: /tls.key, ca_file: /ca.crt}
    stay: [192.0.2.1, 192.0.2.2, 192.0.2.3]
    root_password: "{{ etcd_root_password }}"
    credentials_file: /etc/etcd/etcdctl.env
"""
RETURN = r"""
removed: {type: list, elements: str, returned: always, description: Members that were or would be removed.}
"""


def cluster(params: dict[str, Any], passwords: list[str]) -> Membership | None:
    """Return the running cluster, or None if there is none and no member was named."""
    membership = Membership.of(params["stay"], params["tls"], passwords, seconds=params["seconds"])
    if membership is None and params["remove"]:
        raise EtcdError(f"none of {', '.join(params['stay'])} belongs to a cluster with a quorum")
    return membership


def outgoing(membership: Membership, params: dict[str, Any]) -> list[Member]:
    """Return the members to remove."""
    stay, listed = params["stay"], membership.list()
    members = [member for member in listed if member.address not in stay]
    if params["remove"] is not None:
        members = [member for member in members if member.address in params["remove"]]
    return membership.silent(members) if params["only_down"] else members


def main() -> None:
    addresses = {"type": "list", "elements": "str"}
    module = AnsibleModule(
        argument_spec={
            "tls": TLS_SPEC,
            "stay": {**addresses, "required": True},
            "remove": addresses,
            "only_down": {"type": "bool", "default": False},
            "root_password": {"type": "str", "required": True, "no_log": True},
            "credentials_file": {"type": "path", "required": True},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    previous = previous_password(params["credentials_file"])
    passwords = [params["root_password"], *([previous] if previous else [])]
    members: list[Member] = []
    try:
        membership = cluster(params, passwords)
        if membership is not None:
            members = outgoing(membership, params)
            if not module.check_mode:
                membership.remove(members)
    except (EtcdError, OSError) as error:
        # A new host in check mode has no certificates yet.
        if not (module.check_mode and isinstance(error, FileNotFoundError)):
            module.fail_json(msg=str(error))
    module.exit_json(changed=bool(members), removed=[member.label for member in members])


if __name__ == "__main__":
    main()
