"""What an application's instances on this host run, asked from themselves: see `DOCUMENTATION`."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_release_state
short_description: Which release each instance runs, and which ones have to be replaced
description:
  - Asks every instance for its health and readiness, the process manager for what is stale, the folder for its links.
  - Changes nothing.
options:
  root: {description: The application's folder., type: path, required: true}
  release: {description: The release that is wanted; empty for the confirmed one., type: str, required: true}
  members: {description: "Instances: name, address, port.", type: list, elements: dict, required: true}
  health_path: {description: Answers JSON with the running release., type: str, required: true}
  ready_path: {description: Answers 200 or 503., type: str, required: true}
  stale_command: {description: "Prints names of instances with outdated files.", type: list, elements: str, default: []}
  wait_seconds: {description: Wait so long for all members to be ready with the release., type: int, default: 0}
author: [stackwright]
"""

REQUEST_TIMEOUT_SECONDS = 5
POLL_SECONDS = 0.5
Fields = dict[str, Any]


def get(address: str, port: int, path: str) -> tuple[int, str]:
    """Return status and body; status 0 if nothing answers."""
    connection = http.client.HTTPConnection(address, port, timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(1 << 16).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def running_release(status: int, body: str) -> str | None:
    """Take the release out of a health answer."""
    if status != http.client.OK:
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return str(content["release"]) if isinstance(content, dict) and "release" in content else None


def link(path: Path) -> str | None:
    """Return the release that a link names."""
    return path.readlink().name if path.is_symlink() else None


def stale_names(command: list[str]) -> list[str]:
    """Ask the process manager; without it, as in a check on a bare host, nothing is stale."""
    if not command or not Path(command[0]).exists():
        return []
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def ask(parameters: Fields, member: Fields, wanted: str | None, stale: list[str]) -> Fields:
    """Describe one instance."""
    address, port = member["address"], int(member["port"])
    health, body = get(address, port, parameters["health_path"])
    ready, _ = get(address, port, parameters["ready_path"])
    release = running_release(health, body)
    # A marker says that a deployment died while it had this instance drained.
    marked = (Path(parameters["root"]) / "rolling" / member["name"]).exists()
    settled = release == wanted and ready == http.client.OK and member["name"] not in stale
    return {
        "name": member["name"],
        "alive": health != 0,
        "release": release,
        "health": health,
        "ready": ready,
        "stale": member["name"] in stale,
        "todo": not settled or marked,
        "healthy": settled,
    }


def describe(parameters: Fields) -> Fields:
    """Describe the host."""
    root = Path(parameters["root"])
    stale = stale_names(parameters["stale_command"])
    links = {name: link(root / name) for name in ("current", "confirmed", "previous")}
    wanted = parameters["release"] or links["confirmed"]
    members = [ask(parameters, member, wanted, stale) for member in parameters["members"]]
    settled = links["current"] == links["confirmed"] == wanted
    return {
        **links,
        "releases": sorted(path.name for path in root.glob("releases/[!.]*")),
        "members": members,
        "todo": [member["name"] for member in members if member["todo"]],
        "settled": settled and not any(member["todo"] for member in members),
    }


def explain(member: Fields, release: str) -> str:
    """Say what is wrong with an instance."""
    if not member["alive"]:
        return f"{member['name']} does not answer"
    if member["release"] is None:
        return f"{member['name']} answers {member['health']} to the health check"
    if member["release"] != release:
        return f"{member['name']} runs release {member['release']}, not {release}"
    if member["ready"] != http.client.OK:
        return f"{member['name']} runs release {release} but answers {member['ready']} to the readiness check"
    return f"{member['name']} runs with outdated files"


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "members": {"type": "list", "elements": "dict", "required": True},
            "health_path": {"type": "str", "required": True},
            "ready_path": {"type": "str", "required": True},
            "stale_command": {"type": "list", "elements": "str", "default": []},
            "wait_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    deadline = time.monotonic() + module.params["wait_seconds"]
    state = describe(module.params)
    while module.params["wait_seconds"] and not all(member["healthy"] for member in state["members"]):
        if time.monotonic() > deadline:
            reasons = [explain(one, module.params["release"]) for one in state["members"] if not one["healthy"]]
            module.fail_json(msg=f"after {module.params['wait_seconds']} s: {'; '.join(reasons)}", state=state)
        time.sleep(POLL_SECONDS)
        state = describe(module.params)
    module.exit_json(changed=False, state=state)


if __name__ == "__main__":
    main()
