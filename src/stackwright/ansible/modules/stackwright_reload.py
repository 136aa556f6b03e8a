"""Reload units that have not read their changed files: see `DOCUMENTATION`."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_units import last_words, newest, seconds, shown

DOCUMENTATION = r"""
module: stackwright_reload
short_description: Reload or restart units that have not read their files
description:
  - Compares each unit with its files instead of with what this run has changed, so that a run makes good the reload that an
    interrupted one owed. systemd notes a start and a reload as a change of the unit's state; a file that is younger has
    not been read. A unit that does not run is left alone.
options:
  units:
    description: Units, with the files that they read.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Name with its suffix., type: str, required: true}
      files: {description: Files; one that is missing is left out., type: list, elements: path, required: true}
      state: {description: "How it is made to read them.", type: str, choices: [reloaded, restarted], default: reloaded}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Reload HAProxy where its configuration is younger
  stackwright_reload:
    units:
      - {name: haproxy.service, files: [/etc/haproxy/haproxy.cfg]}
"""
RETURN = r"""
changed_units: {description: Names of the units that had not read their files., type: list, elements: str, returned: always}
"""

_VERBS = {"reloaded": "reload", "restarted": "restart"}


def outdated(module: Any, units: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the running units whose last state change is older than one of their files."""
    states = shown(module, [unit["name"] for unit in units], ("ActiveState", "StateChangeTimestamp"))
    return [
        unit
        for unit, state in zip(units, states, strict=True)
        if state["ActiveState"] == "active" and newest(unit["files"]) > seconds(state["StateChangeTimestamp"])
    ]


def main() -> None:
    """Run the module."""
    options = {
        "name": {"type": "str", "required": True},
        "files": {"type": "list", "elements": "path", "required": True},
        "state": {"type": "str", "choices": [*_VERBS], "default": "reloaded"},
    }
    module = AnsibleModule(
        argument_spec={"units": {"type": "list", "elements": "dict", "required": True, "options": options}},
        supports_check_mode=True,
    )
    units = outdated(module, module.params["units"])
    for unit in [] if module.check_mode else units:
        verb = _VERBS[unit["state"]]
        status, _, words = module.run_command(["systemctl", verb, unit["name"]])
        if status != 0:
            reason = last_words(module, unit["name"])
            module.fail_json(msg=f"{unit['name']}: systemctl {verb} failed: {words.strip()} {reason}".strip())
    module.exit_json(changed=bool(units), changed_units=[unit["name"] for unit in units])


if __name__ == "__main__":
    main()
