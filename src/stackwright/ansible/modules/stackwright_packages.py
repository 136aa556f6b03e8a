"""The part of `stackwright_packages` that runs on the host: see `DOCUMENTATION`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_packages
short_description: Packages of the distribution, asked for only where they are missing
description:
  - Leaves the work to M(ansible.builtin.apt), with no recommended packages and an index of at most an hour's age, and
    tries again where a mirror fails.
  - Calls it only if dpkg lacks a package, or apt would remove one with the package that brought it. M(ansible.builtin.apt)
    by itself takes about two seconds of CPU to find that there is nothing to do, and may fetch the index for it.
options:
  name: {description: Names of packages., type: list, elements: str, required: true}
  masked:
    description:
      - Units of the packages that must not run before a role has written its own. Where there is none in
        C(/etc/systemd/system), and a package is missing, the unit is masked, until the role's own takes the place of the mask.
    type: list
    elements: str
    default: []
author: [stackwright]
"""

EXTENDED_STATES = Path("/var/lib/apt/extended_states")
UNITS = Path("/etc/systemd/system")


def installed() -> set[str]:
    """Return the names of the packages that dpkg has unpacked and configured."""
    listed = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {name for name, status in map(str.split, listed.stdout.splitlines()) if status == "installed"}


def automatic(states: str) -> set[str]:
    """Return the names of the packages that apt may remove again; `states` is the text of its extended states."""
    names = set()
    for paragraph in states.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1":
            names.add(fields.get("Package", ""))
    return names


def wanting(names: Iterable[str], present: set[str], removable: set[str]) -> list[str]:
    """Return the names of the packages that apt has to install or mark as manual, in their order."""
    return [name for name in names if name not in present or name in removable]


def mask(units: Iterable[str], folder: Path) -> None:
    """Mask units that have no file in the directory."""
    for unit in units:
        with suppress(FileExistsError):
            (folder / unit).symlink_to("/dev/null")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "list", "elements": "str", "required": True},
            "masked": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    states = EXTENDED_STATES.read_text() if EXTENDED_STATES.exists() else ""
    missing = wanting(module.params["name"], installed(), automatic(states))
    if missing and not module.check_mode:
        mask(module.params["masked"], UNITS)
    module.exit_json(changed=False, wanting=missing)


if __name__ == "__main__":
    main()
