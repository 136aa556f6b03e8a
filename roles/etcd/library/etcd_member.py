#!/usr/bin/python
"""Settle how a voter enters its etcd cluster: see DOCUMENTATION."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_etcd import TLS_SPEC, Etcd, EtcdError, UnreachableError, previous_password

DOCUMENTATION = r"""
---
module: etcd_member
short_description: Settle how a voter enters its etcd cluster
description:
  - A voter with data needs nothing. One without founds the cluster with the others where none runs yet, and joins the
    running one otherwise; its former self is removed from the cluster first, because its data is lost.
  - Writes what etcd has to know at its first start to O(bootstrap_file). A joining voter is started at once and has to
    come up, so that the next one finds a quorum.
options:
  tls: {type: dict, required: true, description: 'Paths: certificate_file, key_file, ca_file.'}
  name: {type: str, required: true, description: Name of this voter.}
  members: {type: list, elements: dict, required: true, description: All voters, with name and address.}
  data_dir: {type: path, required: true, description: Folder of the data.}
  token: {type: str, required: true, description: Token of the cluster.}
  bootstrap_file: {type: path, required: true, description: Environment file to write.}
  unit: {type: str, required: true, description: Unit to start when the voter joins.}
  root_password: {type: str, required: true, description: Password of etcd's root as it should be.}
  credentials_file: {type: path, required: true, description: Environment file with root's password as it was.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Settle how this voter enters the cluster
  etcd_member:
    tls: {certificate_file: /tls.crt, key_file: /tls.key, ca_file: /ca.crt}
    name: db1
    members: [{name: db1, address: 192.0.2.1}]
    data_dir: /var/lib/etcd/data
    token: production
    bootstrap_file: /etc/etcd/bootstrap.env
    unit: etcd.service
    root_password: "{{ etcd_root_password }}"
    credentials_file: /etc/etcd/etcdctl.env
  throttle: 1
"""
RETURN = r"""
entry: {type: str, returned: always, description: 'One of: member, founds, joins.'}
"""


def peer_url(member: dict[str, str]) -> str:
    return f"https://{member['address']}:2380"


def settings(state: str, token: str, cluster: list[tuple[str, str]]) -> str:
    """The environment file of a first start."""
    return (
        "# Read by etcd at its first start alone; written by Ansible.\n"
        f"ETCD_INITIAL_CLUSTER_STATE={state}\n"
        f"ETCD_INITIAL_CLUSTER_TOKEN={token}\n"
        f"ETCD_INITIAL_CLUSTER={','.join(f'{name}={url}' for name, url in cluster)}\n"
    )


def running_cluster(members: list[dict[str, str]], me: str, tls: dict[str, str]) -> Etcd | None:
    """The cluster that the other voters form; None where they are about to found it or not there yet."""
    stuck = []
    for member in members:
        if member["name"] == me:
            continue
        peer = Etcd([f"https://{member['address']}:2379"], tls)
        try:
            if peer.healthy():
                return peer
            # A founding voter has not agreed on the cluster's version with anybody yet.
            if re.match(r"\d", str(peer.get("/version").get("etcdcluster"))):
                stuck.append(member["name"])
        except UnreachableError:
            continue
    if stuck:
        raise EtcdError(
            f"{', '.join(stuck)} belong to a cluster that has lost its quorum: bring its other voters back first"
        )
    return None


def enter(cluster: Etcd, me: dict[str, str], passwords: list[str]) -> list[tuple[str, str]]:
    """Have the running cluster expect this voter; returns its (name, peer URL) pairs.

    `passwords` are root's: the wanted one, and the one before it, which is in force until the users are applied.
    """
    try:
        known = any(cluster.login("root", password) for password in passwords)
    except EtcdError as error:
        # Before its first converge has ended, a cluster lets everybody in.
        if "not enabled" not in str(error):
            raise
        known = True
    if not known:
        raise EtcdError("the running cluster knows another password of root: converge its other voters first")
    listed = cluster.call("cluster/member/list")["members"]
    mine = [each for each in listed if peer_url(me) in each["peerURLs"] or each.get("name") == me["name"]]
    # One that is expected but never came up has no name yet, and is this voter itself after an interrupted run.
    if not (len(mine) == 1 and not mine[0].get("name") and peer_url(me) in mine[0]["peerURLs"]):
        for former in mine:
            cluster.call("cluster/member/remove", ID=former["ID"])
        listed = cluster.call("cluster/member/add", peerURLs=[peer_url(me)])["members"]
    return [(each.get("name") or me["name"], url) for each in listed for url in each["peerURLs"]]


def write(path: Path, text: str) -> None:
    descriptor, staged = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(staged).chmod(0o644)
    Path(staged).replace(path)


def settle(module: AnsibleModule) -> dict[str, Any]:
    wanted = module.params
    me = next(each for each in wanted["members"] if each["name"] == wanted["name"])
    file = Path(wanted["bootstrap_file"])
    founding = settings("new", wanted["token"], [(each["name"], peer_url(each)) for each in wanted["members"]])
    if (Path(wanted["data_dir"]) / "member").is_dir():
        missing = not file.exists()
        if missing and not module.check_mode:
            write(file, founding)
        return {"changed": missing, "entry": "member"}
    cluster = running_cluster(wanted["members"], wanted["name"], wanted["tls"])
    if cluster is None:
        differs = not file.exists() or file.read_text() != founding
        if differs and not module.check_mode:
            write(file, founding)
        return {"changed": differs, "entry": "founds"}
    if not module.check_mode:
        previous = previous_password(wanted["credentials_file"])
        expected = enter(cluster, me, [wanted["root_password"], *([previous] if previous else [])])
        write(file, settings("existing", wanted["token"], expected))
        module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        module.run_command(["systemctl", "restart", wanted["unit"]], check_rc=True)
    return {"changed": True, "entry": "joins"}


def main() -> None:
    text = {"type": "str", "required": True}
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "tls": TLS_SPEC,
            "name": text,
            "members": {"type": "list", "elements": "dict", "required": True},
            "data_dir": path,
            "token": {**text, "no_log": False},
            "bootstrap_file": path,
            "unit": text,
            "root_password": {**text, "no_log": True},
            "credentials_file": path,
        },
        supports_check_mode=True,
    )
    try:
        result = settle(module)
    except (EtcdError, OSError) as error:
        # A bare host in check mode has no certificates yet.
        if module.check_mode and isinstance(error, FileNotFoundError):
            module.exit_json(changed=True, entry="founds")
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
