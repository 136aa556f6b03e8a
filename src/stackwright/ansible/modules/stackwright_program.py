"""Run a program of this project without starting Python for it: see `DOCUMENTATION`."""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.stackwright_programs import run

DOCUMENTATION = r"""
module: stackwright_program
short_description: Run a program of this project
description:
  - What M(ansible.builtin.command) does, for the programs in Python that the roles install.
  - They run in a copy of the process that runs modules, which has loaded Python and the packages that they import.
    Starting Python takes longer than the work of most of them.
  - In check mode, C(--dry-run) is added to the arguments, unless O(read_only) is set.
options:
  argv: {description: The path of the program and its arguments., type: list, elements: str, required: true}
  stdin: {description: What the program reads from standard input., type: str}
  removes: {description: Do nothing unless this path exists., type: path}
  read_only: {description: Whether the program changes nothing with these arguments., type: bool, default: false}
  timeout_seconds: {description: The program is ended after this many seconds. 0 waits forever., type: int, default: 0}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Reload the units that run with an earlier certificate
  stackwright_program: {argv: [/usr/local/sbin/stackwright-tls, reload]}
"""
RETURN = r"""
rc: {description: Exit code; 124 after the time limit., type: int, returned: always}
stdout: {description: Standard output., type: str, returned: always}
stderr: {description: Standard error., type: str, returned: always}
answer: {description: The object that the program printed as JSON; empty without one., type: dict, returned: always}
changed: {description: Whether RV(answer) has a C(changed) that is true or not empty., type: bool, returned: always}
"""


def _answer(stdout: str) -> dict[str, Any]:
    try:
        answer = json.loads(stdout)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "argv": {"type": "list", "elements": "str", "required": True},
            "stdin": {"type": "str"},
            "removes": {"type": "path"},
            "read_only": {"type": "bool", "default": False},
            "timeout_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    params = module.params
    if params["removes"] and not os.path.exists(params["removes"]):  # noqa: PTH110 - a link to nothing counts as absent
        module.exit_json(
            changed=False, rc=0, stdout="", stderr="", answer={}, msg=f"{params['removes']} does not exist"
        )
    argv = [*params["argv"], *(["--dry-run"] if module.check_mode and not params["read_only"] else [])]
    try:
        rc, stdout, stderr = run(argv, params["stdin"] or "", params["timeout_seconds"])
    except OSError as error:
        # As a shell has it.
        rc, stdout, stderr = 127, "", str(error)
    answer = _answer(stdout)
    outcome = {"rc": rc, "stdout": stdout.rstrip("\n"), "stderr": stderr.rstrip("\n"), "answer": answer}
    if rc:
        module.fail_json(msg=f"{argv[0]} ended with {rc}: {stderr.strip() or stdout.strip()}", **outcome)
    module.exit_json(changed=bool(answer.get("changed")), **outcome)


if __name__ == "__main__":
    main()
