#!/usr/bin/python
"""Make a Patroni cluster's dynamic configuration the wanted one: see DOCUMENTATION."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import API_SPEC, Patroni, PatroniError, wait

DOCUMENTATION = r"""
---
module: patroni_config
short_description: Make a Patroni cluster's dynamic configuration the wanted one
description:
  - Replaces the whole of it, so that what is no longer wanted disappears, but for a pause that an operator has set.
  - Ends when this member has taken it over.
options:
  api: {type: dict, required: true, description: 'REST interface: url, user, password, certificate, key and CA files.'}
  config: {type: dict, required: true, description: The configuration.}
  seconds: {type: int, default: 60, description: How long this member may take.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Apply the cluster's settings
  patroni_config:
    api: "{{ __postgresql_api }}"
    config: {ttl: 30, loop_wait: 10, retry_timeout: 10}
"""
RETURN = r"""
"""

#: What operators set at run time, by `patronictl pause`.
KEPT = ("pause",)
#: Seconds between a member's reading of the configuration and its knowing what needs a restart: it reloads, waits one
#: second and looks.
SETTLES = 3


def apply(patroni: Patroni, wanted: dict[str, Any], *, seconds: int, check_mode: bool) -> tuple[dict[str, Any], Any]:
    """Returns the configuration (before, after)."""
    if not check_mode:
        wait(seconds, "the cluster has no configuration yet", lambda: bool(patroni.get("/config")))
    current = patroni.get("/config") or {}
    after = {**wanted, **{key: current[key] for key in KEPT if key in current}}
    if current != after and not check_mode:
        patroni.send("PUT", "/config", after)
        wait(seconds, "this member does not take the configuration over", lambda: patroni.get("/config") == after)
        time.sleep(SETTLES)
    return current, after


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "api": API_SPEC,
            "config": {"type": "dict", "required": True},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        before, after = apply(
            Patroni(module.params["api"]),
            module.params["config"],
            seconds=module.params["seconds"],
            check_mode=module.check_mode,
        )
    except (OSError, PatroniError) as error:
        module.fail_json(msg=str(error))
    shown = [json.dumps(each, indent=2, sort_keys=True) + "\n" for each in (before, after)]
    module.exit_json(changed=before != after, diff={"before": shown[0], "after": shown[1]})


if __name__ == "__main__":
    main()
