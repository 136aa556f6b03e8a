"""The releases that an application's instances on this host report: see `DOCUMENTATION`."""

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
  status_command: {description: "Prints JSON: instances with name and stale, and unexpected names.", type: list, elements: str, default: []}
  services: {description: "Services of the host: name, pending (prints `restart` when it needs one).", type: list, elements: dict, default: []}
  log_command: {description: "Prints the last lines of the log of the instance {name}.", type: list, elements: str, default: []}
  wait_seconds: {description: Wait so long for all members to be ready with the release., type: int, default: 0}
  require_ready: {description: Whether an instance that runs the release but is not ready after the wait is a failure., type: bool, default: true}
author: [stackwright]
"""

REQUEST_TIMEOUT_SECONDS = 5
POLL_SECONDS = 0.5
#: How much of a body or of a line of the log a message shows.
EXCERPT_CHARACTERS = 300
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
    """Return the release that a health answer names; None if it names none."""
    if status != http.client.OK:
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return None
    return str(content["release"]) if isinstance(content, dict) and "release" in content else None


def link(path: Path) -> str | None:
    """Return the release that a link points to; None if there is no link."""
    return path.readlink().name if path.is_symlink() else None


def run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Run a program of the host; return None if it is not installed, as in check mode on a bare host."""
    if not command or not Path(command[0]).exists():
        return None
    return subprocess.run(command, capture_output=True, text=True, check=False)


def manager_status(command: list[str]) -> Fields | None:
    """Return the status of the process manager; no instances if it does not run, None if there is no manager."""
    process = run(command)
    if process is None:
        return None
    if process.returncode:
        return {"instances": [], "unexpected": []}
    content: Fields = json.loads(process.stdout)
    return content


def managed_names(manager: Fields | None, members: list[Fields]) -> set[str]:
    """Return the members that the manager runs with the installed files; all members if there is no manager."""
    if manager is None:
        return {str(member["name"]) for member in members}
    return {str(entry["name"]) for entry in manager["instances"] if entry["processes"] and not entry["stale"]}


def left_out(path: Path) -> list[str]:
    """Return the hosts that an earlier run took out of the edges because it could not reach them."""
    return path.read_text().split() if path.is_file() else []


def pending_services(services: list[Fields]) -> list[str]:
    """Return the services whose own check says that their process needs a restart."""
    names = []
    for service in services:
        process = run(service["pending"])
        if process is None:
            continue
        if process.returncode:
            raise RuntimeError(f"{' '.join(service['pending'])}: {process.stderr.strip() or process.stdout.strip()}")
        if process.stdout.startswith("restart"):
            names.append(str(service["name"]))
    return names


def ask(parameters: Fields, member: Fields, target_release: str | None, current: set[str]) -> Fields:
    """Return the state of one instance."""
    address, port = member["address"], int(member["port"])
    health, body = get(address, port, parameters["health_path"])
    ready, ready_body = get(address, port, parameters["ready_path"])
    release = running_release(health, body)
    # A marker means that a deployment died while this instance was drained.
    marked = (Path(parameters["root"]) / "rolling" / member["name"]).exists()
    # Readiness does not count: an unreachable database is no reason to replace an instance.
    stale = member["name"] not in current
    replace = release != target_release or stale
    return {
        "name": member["name"],
        "host": member.get("host", ""),
        "address": address,
        "port": port,
        "alive": health != 0,
        "release": release,
        "health": health,
        "ready": ready,
        "ready_body": "" if ready == http.client.OK else ready_body[:EXCERPT_CHARACTERS].strip(),
        "stale": stale,
        "marked": marked,
        "replace": replace,
        "todo": replace or marked,
        "serves": release == target_release,
        "healthy": not replace and ready == http.client.OK,
    }


def describe(parameters: Fields) -> Fields:
    """Return the state of the host."""
    root = Path(parameters["root"])
    manager = manager_status(parameters["status_command"])
    current = managed_names(manager, parameters["members"])
    links = {name: link(root / name) for name in ("current", "confirmed", "previous")}
    target_release = parameters["release"] or links["confirmed"]
    members = [ask(parameters, member, target_release, current) for member in parameters["members"]]
    names = {member["name"] for member in members}
    pending = pending_services(parameters["services"])
    surplus = sorted(manager["unexpected"]) if manager else []
    todo = [*(member["name"] for member in members if member["todo"]), *pending, *surplus]
    return {
        **links,
        "releases": sorted(path.name for path in root.glob("releases/[!.]*")),
        "members": members,
        "pending": pending,
        "surplus": surplus,
        "marks_of_removed": sorted(path.name for path in root.glob("rolling/*") if path.name not in names),
        "left_out": left_out(root / "left-out"),
        "todo": todo,
        "settled": links["current"] == links["confirmed"] == target_release and not todo,
    }


def explain(member: Fields, release: str) -> str:
    """Return what is wrong with an instance."""
    name = member["name"]
    if not member["alive"]:
        return f"{name} does not answer"
    if member["release"] is None and member["health"] == http.client.OK:
        return f"{name} answers 200 to the health check, but its answer is not JSON with the key `release` (expected {release})"
    if member["release"] is None:
        return f"{name} answers {member['health']} to the health check"
    if member["release"] != release:
        return f"{name} runs release {member['release']}, not {release}"
    if member["ready"] != http.client.OK:
        body = f": {member['ready_body']}" if member["ready_body"] else ""
        return f"{name} runs release {release} but answers {member['ready'] or 'nothing'} to the readiness check{body}"
    return f"{name} runs with outdated files"


def last_lines(command: list[str], names: list[str]) -> str:
    """Return the last log lines of the instances, which say more than any check."""
    parts = []
    for name in names:
        process = run([word.format(name=name) for word in command])
        lines = [] if process is None else [line[:EXCERPT_CHARACTERS] for line in process.stdout.splitlines()]
        if lines:
            parts.append("\n".join([f"Last lines of the log of {name}:", *lines]))
    return "".join(f"\n{part}" for part in parts)


def await_members(module: AnsibleModule) -> Fields:
    """Return the state of the host once all members are ready with the release; fail with the reasons on timeout."""
    parameters = module.params
    # Check mode asks once: it does not deploy what a run would wait for.
    seconds = 0 if module.check_mode else parameters["wait_seconds"]
    deadline = time.monotonic() + seconds
    while True:
        state = describe(parameters)
        waiting = [member for member in state["members"] if not member["healthy"]]
        if not seconds or not waiting:
            return state
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    if not parameters["require_ready"]:
        waiting = [member for member in waiting if not member["serves"]]
    if waiting:
        reasons = "; ".join(explain(member, parameters["release"]) for member in waiting)
        log = last_lines(parameters["log_command"], [member["name"] for member in waiting])
        module.fail_json(msg=f"after {seconds} s: {reasons}{log}", state=state)
    return state


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "members": {"type": "list", "elements": "dict", "required": True},
            "health_path": {"type": "str", "required": True},
            "ready_path": {"type": "str", "required": True},
            "status_command": {"type": "list", "elements": "str", "default": []},
            "services": {"type": "list", "elements": "dict", "default": []},
            "log_command": {"type": "list", "elements": "str", "default": []},
            "wait_seconds": {"type": "int", "default": 0},
            "require_ready": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, state=await_members(module))
    except (RuntimeError, ValueError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
