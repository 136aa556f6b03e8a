#!/usr/bin/python
"""Have a host join its running etcd cluster as a voter: see DOCUMENTATION."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_etcd import (
    TLS_SPEC,
    EtcdError,
    Member,
    Membership,
    peer_url,
    previous_password,
)

DOCUMENTATION = r"""
---
module: etcd_member
short_description: Have a host found its etcd cluster or join it as a voter
description:
  - Without O(running), writes what the first start needs to found the cluster together with the other O(members).
  - With it, joins the running cluster unless this host is a voter of it. The host is added as a learner, which does not
    count for the quorum, started, and promoted when it has the data. A host that does not come up is removed again.
  - Data of a previous membership is deleted, since etcd refuses it. A previous entry of a host that lost its data is
    removed first.
options:
  tls: {type: dict, required: true, description: 'Paths: certificate_file, key_file, ca_file.'}
  name: {type: str, required: true, description: Name of this host.}
  members: {type: list, elements: dict, required: true, description: All voters, with name and address.}
  running: {type: list, elements: str, required: true, description: Addresses at which the cluster answers; empty to found it.}
  data_dir: {type: path, required: true, description: Folder of the data.}
  token: {type: str, required: true, description: Token of the cluster.}
  bootstrap_file: {type: path, required: true, description: Environment file to write.}
  unit: {type: str, required: true, description: Unit to start when the host joins.}
  root_password: {type: str, required: true, description: Password of etcd's root as it should be.}
  credentials_file: {type: path, required: true, description: Environment file with root's password as it was.}
  seconds: {type: int, default: 120, description: How long the start and the copy of the data may take.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Join the cluster
  etcd_member:
    tls: {certificate_file: /tls.crt, key_file: /tls.key, ca_file: /ca.crt}
    name: db2
    members: [{name: db1, address: 192.0.2.1}, {name: db2, address: 192.0.2.2}]
    running: [192.0.2.1]
    data_dir: /var/lib/etcd/data
    token: production
    bootstrap_file: /etc/etcd/bootstrap.env
    unit: etcd.service
    root_password: "{{ etcd_root_password }}"
    credentials_file: /etc/etcd/etcdctl.env
"""
RETURN = r"""
"""


#: The number of failed starts after which a host counts as unable to start.
ATTEMPTS = 3


def settings(state: str, token: str, cluster: list[tuple[str, str]]) -> str:
    """Return the environment file for the first start."""
    return (
        "# Read by etcd at its first start alone; written by Ansible.\n"
        f"ETCD_INITIAL_CLUSTER_STATE={state}\n"
        f"ETCD_INITIAL_CLUSTER_TOKEN={token}\n"
        f"ETCD_INITIAL_CLUSTER={','.join(f'{name}={peer_url(address)}' for name, address in cluster)}\n"
    )


def write(path: Path, text: str) -> bool:
    """Write the file and return whether its content changed."""
    if path.exists() and path.read_text() == text:
        return False
    descriptor, staged = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(staged).chmod(0o644)
    Path(staged).replace(path)
    return True


class Host:
    """The etcd of this host: its unit, its data and the environment file for the first start."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.data = Path(module.params["data_dir"])
        self.bootstrap = Path(module.params["bootstrap_file"])
        self.unit = module.params["unit"]

    def has_data(self) -> bool:
        return (self.data / "member").is_dir()

    def stop(self) -> None:
        self._systemctl("stop", self.unit)

    def delete_data(self) -> None:
        if self.has_data():
            shutil.rmtree(self.data / "member")

    def start(self, seconds: int) -> None:
        """Start the unit, which is active once the cluster knows this host; raise EtcdError with etcd's own message."""
        self._systemctl("daemon-reload")
        self._systemctl("reset-failed", self.unit, check=False)
        self._systemctl("start", "--no-block", self.unit)
        deadline = time.monotonic() + seconds
        while (state := self._state())["ActiveState"] != "active":
            # systemd restarts the unit repeatedly.
            gives_up = state["ActiveState"] == "failed" or int(state["NRestarts"]) >= ATTEMPTS
            if gives_up or time.monotonic() > deadline:
                raise EtcdError(f"{self.unit} does not start: {self.last_words()}")
            time.sleep(1)

    def _state(self) -> dict[str, str]:
        lines = self._systemctl("show", "--property=ActiveState,NRestarts", self.unit).split()
        return dict(line.split("=", 1) for line in lines)

    def last_words(self) -> str:
        """Return the last lines of the journal, for an error message."""
        lines = self._run("journalctl", "--no-pager", "--output=cat", "--lines=4", f"--unit={self.unit}")
        return " / ".join(line.strip()[:300] for line in lines.splitlines())

    def _systemctl(self, *arguments: str, check: bool = True) -> str:
        return self._run("systemctl", *arguments, check=check)

    def _run(self, *command: str, check: bool = False) -> str:
        return str(self._module.run_command(list(command), check_rc=check)[1])


def is_voter(entry: Member | None, *, has_data: bool) -> bool:
    """Return whether the cluster counts this host as a voter and the host has the data that it needs to be one."""
    return entry is not None and bool(entry.name) and not entry.learner and has_data


def join(membership: Membership, host: Host, me: dict[str, str], token: str, *, seconds: int) -> None:
    """Add the host as a learner, start it and promote it to a voter; undo this if it fails."""
    name, address = me["name"], me["address"]
    stale = [member for member in membership.list() if address == member.address or name == member.name]
    host.stop()
    if stale:
        membership.remove(stale)
    host.delete_data()
    learner = membership.add_learner(address)
    try:
        cluster = [(member.name or name, member.address) for member in membership.list()]
        write(host.bootstrap, settings("existing", token, cluster))
        host.start(seconds)
        membership.promote(learner)
    except Exception:
        if any(member.id == learner.id and member.learner for member in membership.list()):
            membership.remove([learner])
            host.stop()
            host.delete_data()
        raise


def settle(module: AnsibleModule) -> bool:
    """Return whether anything was or would be changed."""
    params = module.params
    host = Host(module)
    me = next(member for member in params["members"] if member["name"] == params["name"])
    if not params["running"]:
        founding = settings("new", params["token"], [(m["name"], m["address"]) for m in params["members"]])
        return True if module.check_mode else write(host.bootstrap, founding)
    if module.check_mode:
        return not host.has_data()
    previous = previous_password(params["credentials_file"])
    passwords = [params["root_password"], *([previous] if previous else [])]
    # Without this host, as it may be removed in the process. A cluster of only this host needs nothing.
    addresses = [address for address in params["running"] if address != me["address"]]
    if not addresses:
        return False
    membership = Membership.of(addresses, params["tls"], passwords, seconds=params["seconds"])
    if membership is None:
        raise EtcdError(f"none of {', '.join(addresses)} belongs to a cluster with a quorum any more")
    entry = next((member for member in membership.list() if member.address == me["address"]), None)
    if is_voter(entry, has_data=host.has_data()):
        return False
    join(membership, host, me, params["token"], seconds=params["seconds"])
    return True


def main() -> None:
    text = {"type": "str", "required": True}
    path = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "tls": TLS_SPEC,
            "name": text,
            "members": {"type": "list", "elements": "dict", "required": True},
            "running": {"type": "list", "elements": "str", "required": True},
            "data_dir": path,
            "token": {**text, "no_log": False},
            "bootstrap_file": path,
            "unit": text,
            "root_password": {**text, "no_log": True},
            "credentials_file": path,
            "seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        changed = settle(module)
    except (EtcdError, OSError) as error:
        module.fail_json(msg=f"{module.params['name']} does not join etcd: {error}")
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
