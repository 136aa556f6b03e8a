#!/usr/bin/python
"""Wait until a member of a Patroni cluster takes part in it: see DOCUMENTATION."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import API_SPEC, Patroni, PatroniError, wait

DOCUMENTATION = r"""
---
module: patroni_ready
short_description: Wait until a member of a Patroni cluster takes part in it
description: Ready is one leader in the cluster, and this member running as that leader or streaming from it.
options:
  api: {type: dict, required: true, description: 'REST interface: url, user, password, certificate, key and CA files.'}
  seconds: {type: int, required: true, description: How long to wait.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Wait until this member takes part
  patroni_ready: {api: "{{ __postgresql_api }}", seconds: 900}
"""
RETURN = r"""
role: {type: str, returned: always, description: primary or replica; empty in check mode where nobody answers.}
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={"api": API_SPEC, "seconds": {"type": "int", "required": True}}, supports_check_mode=True
    )
    try:
        patroni = Patroni(module.params["api"])

        def takes_part() -> bool:
            status = patroni.status()
            if status.get("state") == "running" and status.get("role") == "primary":
                return len(patroni.leaders()) == 1
            # Patroni before 4 has no `replication_state`; a replica that runs then has to do.
            return (
                status.get("role") == "replica"
                and status.get("state") in {"running", "streaming"}
                and status.get("replication_state", "streaming") == "streaming"
                and len(patroni.leaders()) == 1
            )

        if not module.check_mode:
            wait(module.params["seconds"], f"last seen {patroni.status()}", takes_part)
        status = patroni.status()
    except (OSError, PatroniError) as error:
        if not module.check_mode:
            module.fail_json(msg=f"this member takes no part in its cluster: {error}")
        status = {}
    module.exit_json(changed=False, role=status.get("role", ""))


if __name__ == "__main__":
    main()
