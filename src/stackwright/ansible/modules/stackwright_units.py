"""Bring the units of a task to the requested state in one call: see `DOCUMENTATION`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_units import last_words, shown

DOCUMENTATION = r"""
module: stackwright_units
short_description: Start, stop, enable and disable several units
description:
  - What M(ansible.builtin.systemd_service) does with O(state) and O(enabled), for all units of a task.
  - Loads units anew only if a file of one, or of a unit that it triggers, has changed since it was loaded; to load them
    without need costs a host more than all else that a task asks of systemd.
  - A unit that does not start fails the task with the last words of its journal. One that is starting is waited for.
options:
  name:
    description: Names with their suffixes. In check mode a unit that is not there counts as one that would be started.
    type: list
    elements: str
    required: true
  state: {description: Left alone without it., type: str, choices: [started, stopped]}
  enabled: {description: Left alone without it., type: bool}
  no_block: {description: Whether to start units without waiting for them., type: bool, default: false}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Start the timers
  stackwright_units: {name: [tls-renew.timer, tls-expiry-check.timer], state: started, enabled: true}
"""
RETURN = r"""
changed_units: {description: Names of the units that differed., type: list, elements: str, returned: always}
"""

_RUNNING = ("active", "activating", "reloading", "refreshing")
#: The states for which `systemctl is-enabled` exits with 0.
_AT_BOOT = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated")
#: Substates of a unit that has failed and waits for its next attempt: systemd calls that activating, too.
_BETWEEN_ATTEMPTS = ("auto-restart", "auto-restart-queued")
_PROPERTIES = ("LoadState", "ActiveState", "SubState", "NeedDaemonReload", "FragmentPath", "DropInPaths", "Triggers")
_OURS = Path("/etc/systemd/system")


class Units:
    """Units of this host, and the state that all of them should have."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._state, self._enabled = module.params["state"], module.params["enabled"]

    def make(self) -> list[str]:
        """Correct the units that differ and return their names; in check mode only return the names."""
        names = self._module.params["name"]
        states = self._shown(names)
        # The state of a timer or path unit does not show that the service it starts has changed.
        triggered = sorted({name for unit in states for name in unit["Triggers"].split()})
        loaded = [*zip(names, states, strict=True), *zip(triggered, self._shown(triggered), strict=True)]
        if any(_changed(name, unit) for name, unit in loaded) and not self._module.check_mode:
            self._module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        enabled = self._enabled_ones(names) if names and self._enabled is not None else set()
        return [
            name
            for name, unit in zip(names, states, strict=True)
            if any([*self._changes(name, unit, enabled=name in enabled)])
        ]

    def _shown(self, names: list[str]) -> list[dict[str, str]]:
        return shown(self._module, names, _PROPERTIES)

    def _enabled_ones(self, names: list[str]) -> set[str]:
        """Return the units that start at boot according to the disk; the manager may still remember an older state."""
        states = self._module.run_command(["systemctl", "is-enabled", *names])[1].split()
        if len(states) == len(names):
            return {name for name, state in zip(names, states, strict=True) if state in _AT_BOOT}
        # Before version 254, systemctl prints nothing for a unit that does not exist.
        return {name for name in names if self._module.run_command(["systemctl", "is-enabled", name])[0] == 0}

    def _changes(self, name: str, unit: dict[str, str], *, enabled: bool) -> Iterator[bool]:
        absent = unit["LoadState"] == "not-found"
        if self._enabled is not None and enabled != self._enabled and (self._enabled or not absent):
            yield self._call("enable" if self._enabled else "disable", name)
        running = unit["ActiveState"] in _RUNNING
        if self._state == "started":
            if not running or unit["SubState"] in _BETWEEN_ATTEMPTS:
                yield self._call("start", name)
            elif unit["ActiveState"] == "activating" and not self._module.params["no_block"]:
                # This joins the running start job: later tasks may query or reload the unit.
                self._call("start", name)
        # Wait for a unit that is already stopping: later tasks may delete its data.
        if self._state == "stopped" and (running or unit["ActiveState"] == "deactivating"):
            yield self._call("stop", name)

    def _call(self, verb: str, name: str) -> bool:
        if not self._module.check_mode:
            wait = ["--no-block"] if self._module.params["no_block"] and verb == "start" else []
            status, _, words = self._module.run_command(["systemctl", verb, *wait, name])
            if status != 0:
                reason = last_words(self._module, name) if verb == "start" else ""
                self._module.fail_json(msg=f"{name}: systemctl {verb} failed: {words.strip()} {reason}".strip())
        return True


def _changed(name: str, unit: dict[str, str]) -> bool:
    """Return whether a unit on the disk differs from the loaded one.

    systemd does not notice our file that shadows a package's, nor, up to version 252, a drop-in in a new directory.
    """
    template = f"{name.partition('@')[0]}@.{name.rpartition('.')[2]}" if "@" in name else name
    ours, loaded = _OURS / template, unit["FragmentPath"]
    shadowed = bool(loaded) and ours.exists() and ours.resolve() != Path(loaded).resolve()
    folders = {_OURS / f"{stem}.d" for stem in (name, template)}
    drop_ins = {path for folder in folders for path in folder.glob("*.conf")}
    loaded_drop_ins = {path for path in map(Path, unit["DropInPaths"].split()) if path.parent in folders}
    return unit["NeedDaemonReload"] == "yes" or shadowed or drop_ins != loaded_drop_ins


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped"]},
            "enabled": {"type": "bool"},
            "no_block": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    changed = Units(module).make()
    module.exit_json(changed=bool(changed), changed_units=changed)


if __name__ == "__main__":
    main()
