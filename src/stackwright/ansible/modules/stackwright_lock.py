"""The part of `stackwright_lock` that runs on the host: see `DOCUMENTATION`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_lock
short_description: A lock that says who holds it, since when and why
description:
  - Taken by creating a file, so that only one of two can. Whoever holds it may take it again, which renews it.
  - A lock whose holder's process has ended on this controller is taken over at once.
  - One of another controller is taken over once its SSH session on this host has ended. sshd ends the session of a
    controller that no longer answers (C(ClientAliveInterval)).
  - One that was taken without SSH is taken over when it has not been renewed for O(stale_seconds).
options:
  path: {description: The lock's file., type: path, required: true}
  state: {description: Hold or give back., type: str, choices: [held, released], required: true}
  reason: {description: What the holder is doing., type: str, default: ""}
  stale_seconds: {description: "A lock without a session, not renewed for so long, is abandoned.", type: int, default: 1800}
  holder: {description: Internal. Who asks., type: dict}
  replace: {description: "Internal. The holder that has ended.", type: dict}
author: [stackwright]
"""

Fields = dict[str, Any]


def process(pid: int) -> tuple[str, int, str] | None:
    """Return a process's name, its parent and when it started, in ticks since boot; None if it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field, the name in parentheses, may contain spaces.
    fields = text.rpartition(")")[2].split()
    return text[text.index("(") + 1 : text.rindex(")")], int(fields[1]), fields[19]


def session() -> Fields | None:
    """Return the sshd process that serves the controller; None without SSH."""
    pid = os.getpid()
    while pid > 1:
        ancestor = process(pid)
        if ancestor is None:
            return None
        name, parent, started = ancestor
        if name.startswith("sshd"):
            return {"pid": pid, "started": started}
        pid = parent
    return None


def abandoned(path: Path, content: Fields, stale_seconds: int) -> bool:
    """Return whether the run that took the lock can no longer be active."""
    known = content.get("session")
    if isinstance(known, dict):
        sshd = process(int(known.get("pid", 0)))
        return sshd is None or sshd[2] != known.get("started")
    return time.time() - path.stat().st_mtime > stale_seconds


def read(path: Path) -> Fields | None:
    """Return the lock's content; an unreadable one, cut short by a full disk, has no holder."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"holder": {}}
    return content if isinstance(content, dict) else {"holder": {}}


def write(path: Path, content: Fields) -> bool:
    """Create the lock unless it exists; return whether it was created."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream)
    return True


def remove(path: Path, holder: Fields) -> bool:
    """Remove the lock of exactly this holder, by a rename that only one process can win; return whether it did."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    content = read(aside)
    if content is not None and content.get("holder") == holder:
        aside.unlink()
        return True
    # Another holder had just taken the lock: restore it.
    os.link(aside, path)
    aside.unlink()
    return False


def hold(module: AnsibleModule) -> Fields:
    """Take or renew the lock; on refusal return who holds it."""
    path, holder = Path(module.params["path"]), module.params["holder"]
    content = {
        "holder": holder,
        "session": session(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "reason": module.params["reason"],
    }
    earlier = None
    if module.params["replace"] is not None:
        earlier = read(path)
        remove(path, module.params["replace"])
    if write(path, content):
        return {"held": True, "found": earlier} if earlier else {"held": True}
    current = read(path) or {"holder": {}}
    if current["holder"] == holder:
        # Renew it by one rename: the session may be another one after a network outage of the host.
        fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
        write(fresh, content | {"since": current.get("since", content["since"])})
        fresh.replace(path)
        return {"held": True}
    if abandoned(path, current, module.params["stale_seconds"]):
        remove(path, current["holder"])
        return {"held": write(path, content), "found": current}
    return {"held": False, "found": current}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["held", "released"], "required": True},
            "reason": {"type": "str", "default": ""},
            "stale_seconds": {"type": "int", "default": 1800},
            "holder": {"type": "dict"},
            "replace": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    # A lock is not part of the state that a run describes: taking and releasing it is not reported as a change.
    if module.check_mode:
        module.exit_json(changed=False, held=True)
    if module.params["state"] == "held":
        module.exit_json(changed=False, **hold(module))
    remove(Path(module.params["path"]), module.params["holder"])
    module.exit_json(changed=False, held=False)


if __name__ == "__main__":
    main()
