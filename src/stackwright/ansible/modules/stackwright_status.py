"""Run status programs of a host, all in one call: see `DOCUMENTATION`."""

from __future__ import annotations

import os
import pwd
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_status
short_description: Run the programs by which roles say how a host is, and return what they print
description:
  - Runs all programs at the same time, each as the user that it needs. Changes nothing, and judges nothing.
  - A program that fails, or is not there, is an answer and no failure of the task.
options:
  questions:
    description: "Programs: O(ignore:name), O(ignore:argv), and O(ignore:user), which is C(nobody) unless it needs more."
    type: list
    elements: dict
    required: true
  units: {description: Units of systemd that have to be active., type: list, elements: str, default: []}
  seconds: {description: How long a program may take., type: int, default: 60}
author: [stackwright]
"""
RETURN = r"""
answers: {type: dict, returned: always, description: "By name: code (null without an exit code), output, error."}
time: {type: float, returned: always, description: The host's clock.}
"""

#: How much of a message on standard error is returned.
EXCERPT_CHARACTERS = 300
Fields = dict[str, Any]


def account(user: str) -> Fields:
    """Return the arguments of `subprocess.run` that run a program as another user; only root can."""
    if user == "root" or os.geteuid() != 0:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def ask(question: Fields, seconds: int) -> Fields:
    """Run one program and return its answer."""
    try:
        done = subprocess.run(
            question["argv"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            cwd="/",
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            timeout=seconds,
            **account(question.get("user", "nobody")),
        )
    except subprocess.TimeoutExpired:
        return {"code": None, "output": "", "error": f"no answer within {seconds} s"}
    except OSError as error:
        return {"code": None, "output": "", "error": f"{question['argv'][0]}: {error.strerror}"}
    return {"code": done.returncode, "output": done.stdout, "error": done.stderr.strip()[-EXCERPT_CHARACTERS:]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "questions": {"type": "list", "elements": "dict", "required": True},
            "units": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    questions = list(module.params["questions"])
    if module.params["units"]:
        show = ["systemctl", "show", "--property=Id,LoadState,ActiveState", "--", *module.params["units"]]
        questions.append({"name": "services", "argv": show, "user": "root"})
    with ThreadPoolExecutor(len(questions) or 1) as pool:
        answers = list(pool.map(lambda question: ask(question, module.params["seconds"]), questions))
    names = [question["name"] for question in questions]
    module.exit_json(changed=False, time=time.time(), answers=dict(zip(names, answers, strict=True)))


if __name__ == "__main__":
    main()
