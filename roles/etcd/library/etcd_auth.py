#!/usr/bin/python
"""Users, roles and authentication of an etcd cluster: see DOCUMENTATION."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_etcd import TLS_SPEC, Etcd, EtcdError, encode, previous_password, range_end

DOCUMENTATION = r"""
---
module: etcd_auth
short_description: Users, roles and authentication of an etcd cluster
description:
  - Makes root and the listed users, each with a role of its name over one prefix, removes all others, and turns
    authentication on. Passwords are compared by logging in, so that a changed one is noticed and set.
options:
  tls: {type: dict, required: true, description: 'Paths: certificate_file, key_file, ca_file.'}
  endpoints: {type: list, elements: str, required: true, description: URLs of voters.}
  root_password: {type: str, required: true, description: Password of root as it should be.}
  credentials_file: {type: path, required: true, description: Environment file with root's password as it was.}
  users: {type: list, elements: dict, required: true, description: 'Users: name, password, prefix.'}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Apply users, roles and authentication
  etcd_auth:
    tls: {certificate_file: /tls.crt, key_file: /tls.key, ca_file: /ca.crt}
    endpoints: ["https://192.0.2.1:2379"]
    root_password: "{{ etcd_root_password }}"
    credentials_file: /etc/etcd/etcdctl.env
    users: "{{ etcd_users }}"
"""
RETURN = r"""
actions: {type: list, elements: str, returned: always, description: What was done or would be.}
"""


class Auth:
    """Changes a cluster's users to the requested state and records its actions."""

    def __init__(self, etcd: Etcd, *, check_mode: bool) -> None:
        self.etcd = etcd
        self.check_mode = check_mode
        self.actions: list[str] = []

    def change(self, action: str, path: str, **body: Any) -> None:
        self.actions.append(action)
        if not self.check_mode:
            self.etcd.call(path, **body)

    def names(self, kind: str) -> list[str]:
        return list(self.etcd.call(f"auth/{kind}/list").get(f"{kind}s") or [])

    def user(self, name: str, password: str, role: str) -> None:
        """Ensure that the user exists and has this role only."""
        if name not in self.names("user"):
            self.change(f"add user {name}", "auth/user/add", name=name, password=password)
        roles = [] if self.check_mode and self.actions else self._roles_of(name)
        for surplus in set(roles) - {role}:
            self.change(f"revoke {surplus} from {name}", "auth/user/revoke", name=name, role=surplus)
        if role not in roles:
            self.change(f"grant {role} to {name}", "auth/user/grant", user=name, role=role)

    def _roles_of(self, name: str) -> list[str]:
        return list(self.etcd.call("auth/user/get", name=name).get("roles") or [])

    def role(self, name: str, prefix: str) -> None:
        """Ensure that the role exists and may read and write below the prefix, and nothing else."""
        required = {"permType": "READWRITE", "key": encode(prefix), "range_end": encode(range_end(prefix))}
        permissions: list[dict[str, str]] = []
        if name in self.names("role"):
            permissions = self.etcd.call("auth/role/get", role=name).get("perm") or []
        else:
            self.change(f"add role {name}", "auth/role/add", name=name)
        # etcd omits fields that are zero, and READ is zero.
        granted = [{"permType": "READ", "range_end": "", **permission} for permission in permissions]
        for surplus in (permission for permission in granted if permission != required):
            self.change(
                f"revoke a permission of {name}",
                "auth/role/revoke",
                role=name,
                key=surplus["key"],
                range_end=surplus["range_end"],
            )
        if required not in granted:
            self.change(f"permit {name} {prefix}", "auth/role/grant", name=name, perm=required)

    def password(self, probe: Etcd, name: str, password: str) -> None:
        """Set the user's password if logging in with it fails."""
        if f"add user {name}" in self.actions or probe.login(name, password):
            return
        self.change(f"change the password of {name}", "auth/user/changepw", name=name, password=password)


def login(etcd: Etcd, params: dict[str, Any]) -> tuple[bool, bool]:
    """Return (authentication is on, root's password is the requested one); log in as root if it is on."""
    try:
        if etcd.login("root", params["root_password"]):
            return True, True
    except EtcdError as error:
        if "not enabled" in str(error):
            return False, False
        raise
    previous = previous_password(params["credentials_file"])
    if previous is None or not etcd.login("root", previous):
        raise EtcdError("root's password is neither the wanted one nor that of " + params["credentials_file"])
    return True, False


def apply(params: dict[str, Any], *, check_mode: bool) -> list[str]:
    etcd = Etcd(params["endpoints"], params["tls"])
    enabled, root_is_right = login(etcd, params)
    auth = Auth(etcd, check_mode=check_mode)
    if "root" not in auth.names("role"):
        auth.change("add role root", "auth/role/add", name="root")
    auth.user("root", params["root_password"], "root")
    if not root_is_right and "add user root" not in auth.actions:
        auth.change("change the password of root", "auth/user/changepw", name="root", password=params["root_password"])
        # Changing a password ends all sessions.
        if enabled and not check_mode:
            etcd.login("root", params["root_password"])
    names = [user["name"] for user in params["users"]]
    for user in params["users"]:
        auth.role(user["name"], user["prefix"])
        auth.user(user["name"], user["password"], user["name"])
    for surplus in set(auth.names("user")) - {"root", *names}:
        auth.change(f"remove user {surplus}", "auth/user/delete", name=surplus)
    for surplus in set(auth.names("role")) - {"root", *names}:
        auth.change(f"remove role {surplus}", "auth/role/delete", role=surplus)
    if not enabled:
        auth.change("turn authentication on", "auth/enable")
        if check_mode:
            return auth.actions
        etcd.login("root", params["root_password"])
    probe = Etcd(params["endpoints"], params["tls"])
    for user in params["users"]:
        auth.password(probe, user["name"], user["password"])
    return auth.actions


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tls": TLS_SPEC,
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "root_password": {"type": "str", "required": True, "no_log": True},
            "credentials_file": {"type": "path", "required": True},
            "users": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "prefix": {"type": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        actions = apply(module.params, check_mode=module.check_mode)
    except (EtcdError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
