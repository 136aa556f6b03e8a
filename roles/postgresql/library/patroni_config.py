#!/usr/bin/python
"""Set a Patroni cluster's dynamic configuration: see DOCUMENTATION."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_patroni import (
    API_SPEC,
    Patroni,
    PatroniError,
    paused_by_converge,
    paused_by_operator,
    resume,
    wait,
)

DOCUMENTATION = r"""
---
module: patroni_config
short_description: Make a Patroni cluster's dynamic configuration the wanted one
description:
  - Replaces the whole of it, so that what is no longer wanted disappears, but for a pause that an operator has set.
  - Goes through any member whose Patroni answers. PostgreSQL need not run there, so that a setting with which it does not
    start can be taken back.
  - Ends a pause that an interrupted converge left.
options:
  api: {type: dict, required: true, description: 'REST interface: url, user, password, certificate, key and CA files.'}
  urls: {type: list, elements: str, required: true, description: Interfaces of all members.}
  config: {type: dict, required: true, description: The configuration.}
  seconds: {type: int, default: 120, description: How long to wait for a configuration, and until members have it.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Apply the cluster's settings
  patroni_config:
    api: "{{ __postgresql_api }}"
    urls: ["https://192.0.2.1:8008", "https://192.0.2.2:8008"]
    config: {ttl: 30, loop_wait: 10, retry_timeout: 10}
  run_once: true
"""
RETURN = r"""
paused: {type: bool, returned: always, description: Whether an operator has paused the cluster.}
changed_settings: {type: list, elements: str, returned: always, description: 'Names of the settings that differed, with dots.'}
"""

#: Seconds from a member's reading of the configuration until it knows what needs a restart: it reloads, waits one
#: second and checks.
SETTLES = 3
POSTGRESQL_PORT = 5432


def find(members: list[Patroni], *, seconds: int) -> tuple[Patroni, dict[str, Any]]:
    """Return the first member that knows the cluster's configuration, and the configuration."""
    answers: list[tuple[Patroni, dict[str, Any]]] = []

    def look() -> bool:
        answers.extend((member, config) for member in members if (config := member.config()))
        return bool(answers)

    wait(seconds, "Patroni does not answer on any member, or the cluster has no configuration yet", look)
    return answers[0]


def unkept(patroni: Patroni, members: list[Patroni]) -> list[str]:
    """Return the members on which PostgreSQL answers without a running Patroni, while the cluster has no leader.

    Ending a pause now could make another member a second leader.
    """
    if patroni.leaders():
        return []
    silent = [member for member in members if not member.status()]
    return [member.host for member in silent if _listens(member.host)]


def _listens(host: str) -> bool:
    try:
        with socket.create_connection((host, POSTGRESQL_PORT), timeout=3):
            return True
    except OSError:
        return False


def end_left_over_pause(patroni: Patroni, members: list[Patroni], config: dict[str, Any], *, seconds: int) -> None:
    if not paused_by_converge(config):
        return
    if hosts := unkept(patroni, members):
        raise PatroniError(
            f"the cluster is paused ({paused_by_converge(config)}), and on {', '.join(hosts)} PostgreSQL runs without"
            " Patroni: to end the pause now could make a second leader;"
            f" fix: systemctl start patroni on {', '.join(hosts)}, and converge again"
        )
    resume(patroni, seconds=seconds)


def takes_over(members: list[Patroni], after: dict[str, Any]) -> bool:
    """Return whether every member that answers has read the configuration."""
    answers = [config for member in members if (config := member.config())]
    return bool(answers) and all(config == after for config in answers)


def apply(module: AnsibleModule) -> tuple[dict[str, Any], dict[str, Any]]:
    """Apply the configuration and return it as (before, after)."""
    params, seconds = module.params, module.params["seconds"]
    first = Patroni(params["api"])
    members = [first.at(url) for url in params["urls"]]
    try:
        patroni, before = find(members, seconds=1 if module.check_mode else seconds)
    except PatroniError:
        if not module.check_mode:
            raise
        return {}, params["config"]
    after = {**params["config"], **({"pause": before["pause"]} if paused_by_operator(before) else {})}
    if before != after and not module.check_mode:
        end_left_over_pause(patroni, members, before, seconds=seconds)
        patroni.send("PUT", "/config", after)
        wait(seconds, "not every member takes the configuration over", lambda: takes_over(members, after))
        time.sleep(SETTLES)
    return before, after


def flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "api": API_SPEC,
            "urls": {"type": "list", "elements": "str", "required": True},
            "config": {"type": "dict", "required": True},
            "seconds": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    try:
        before, after = apply(module)
    except (OSError, PatroniError) as error:
        module.fail_json(msg=str(error))
    paused = paused_by_operator(after)
    if paused:
        module.warn("an operator has paused the cluster, so it does not fail over; end it by `patronictl resume`")
    shown = [json.dumps(config, indent=2, sort_keys=True) + "\n" for config in (before, after)]
    old, new = dict(flat(before)), dict(flat(after))
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    diff = {"before": shown[0], "after": shown[1]}
    module.exit_json(changed=before != after, paused=paused, changed_settings=names, diff=diff)


if __name__ == "__main__":
    main()
