"""Configures this host from its bundle, and tells Auto Scaling whether it may serve.

    python3 -m boot.program run     at each boot
    python3 -m boot.program drain   waits until the host is to go, then finishes its work

Each step goes to the journal and to `status.json`. Nobody reaches the host while it boots: what is in these two is all that
there is to see. What the bundle's playbooks print is theirs to keep free of secrets (`no_log`).
"""

import datetime
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import bundle, calls

#: Exit codes; the unit starts the program again after any other failure.
SERVING, GIVEN_UP = 0, 3
_HISTORY = 50
_POLL_SECONDS = 5.0
#: Seconds beyond the deadline in which a result is still told: the hook's time is longer than the deadline.
_GRACE_SECONDS = 120.0


def root() -> Path:
    """Where bundles and the status are kept."""
    return Path(os.environ.get("STACKWRIGHT_BOOT_ROOT", "/var/lib/stackwright/boot"))


class Status:
    """Where the program is, for a person who comes later."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._file = folder / "status.json"
        self._history: list[dict[str, Any]] = []

    def tell(self, state: str, step: str, detail: str = "", attempt: int = 0) -> None:
        """`state` is running, waiting, failed, serving, abandoned or drained."""
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entry = {"at": now, "state": state, "step": step, "attempt": attempt, "detail": detail}
        self._history = [*self._history, entry][-_HISTORY:]
        print(f"{state}: {step}{f' ({detail})' if detail else ''}", flush=True)
        bundle.write(self._file, json.dumps({**entry, "history": self._history}, indent=1))


def run(config: Mapping[str, Any], settings: Path) -> int:
    """Configure, wait for health, complete the hook; give the host up after so many tries or so long."""
    status, metadata = Status(root()), calls.Metadata()
    deadline = time.monotonic() + config["deadline_seconds"]
    result = "ABANDON"
    attempt = 1
    for wait in calls.waits():
        try:
            _configure(config, settings, metadata, status, attempt, deadline)
        except calls.UnreachableError as problem:
            # The network may come at any time: this is no try.
            status.tell("waiting", "network", str(problem), attempt)
        except calls.RefusedError as problem:
            status.tell("failed", "configuration", str(problem), attempt)
            attempt += 1
        else:
            result = "CONTINUE"
        if result == "CONTINUE" or attempt > config["attempts"] or time.monotonic() + wait > deadline:
            break
        time.sleep(wait)
    complete(config, metadata, status, config["launch_hook"], result, deadline + _GRACE_SECONDS)
    status.tell("serving" if result == "CONTINUE" else "abandoned", "done", attempt=min(attempt, config["attempts"]))
    return SERVING if result == "CONTINUE" else GIVEN_UP


def _configure(
    config: Mapping[str, Any], settings: Path, metadata: calls.Metadata, status: Status, attempt: int, deadline: float
) -> None:
    status.tell("running", "bundle", config["bundle"], attempt)
    release = bundle.fetch(config, metadata, root())
    status.tell("running", "environment", f"serial {release.serial}", attempt)
    environment = bundle.environment(release, settings)
    status.tell("running", "playbook", config["playbook"], attempt)
    play(config, release.folder, environment, config["playbook"], deadline - time.monotonic())
    status.tell("running", "health", config["health_url"], attempt)
    _wait_for_health(config["health_url"], min(time.monotonic() + config["health_seconds"], deadline))


def play(
    config: Mapping[str, Any], folder: Path, environment: Mapping[str, str], playbook: str, seconds: float
) -> None:
    """Run a playbook of the bundle on this host. Raises RefusedError where it fails."""
    command = ["ansible-playbook", "--connection", "local", "--inventory", config["inventory"], playbook]
    try:
        code = subprocess.run(command, cwd=folder, env=dict(environment), timeout=max(seconds, 1)).returncode
    except FileNotFoundError:
        raise calls.RefusedError("there is no ansible-playbook, in the bundle's wheels or in the image") from None
    except subprocess.TimeoutExpired:
        raise calls.RefusedError(f"{playbook} took longer than {seconds:.0f} s") from None
    if code != 0:
        raise calls.RefusedError(f"{playbook} ended with {code}")


def _wait_for_health(url: str, until: float) -> None:
    context = None
    if urllib.parse.urlsplit(url).scheme == "https":
        # The host asks itself whether it serves; its certificate has the names that users know.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    wait = _POLL_SECONDS * float(os.environ.get("STACKWRIGHT_WAIT_FACTOR", "1"))
    while True:
        try:
            calls.send("GET", url, timeout=5, context=context).close()
        except (calls.UnreachableError, calls.RefusedError) as problem:
            if time.monotonic() + wait > until:
                raise calls.RefusedError(f"the host does not become healthy: {problem}") from None
            time.sleep(wait)
        else:
            return


def complete(
    config: Mapping[str, Any], metadata: calls.Metadata, status: Status, hook: str, result: str, until: float
) -> None:
    """Tell Auto Scaling how it went. It is no error that nobody waits: so it is after a restart of a server that serves."""
    if not config["group"]:
        return
    fields = {
        "Action": "CompleteLifecycleAction",
        "Version": "2011-01-01",
        "AutoScalingGroupName": config["group"],
        "LifecycleHookName": hook,
        "LifecycleActionResult": result,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    for wait in calls.waits():
        try:
            body = urllib.parse.urlencode(fields | {"InstanceId": metadata.instance_id()}).encode()
            calls.post("autoscaling", config["region"], config["domain"], metadata, headers, body)
        except calls.UnreachableError as problem:
            status.tell("waiting", "lifecycle", str(problem))
            if time.monotonic() + wait > until:
                return
            time.sleep(wait)
        except calls.RefusedError as problem:
            status.tell("running", "lifecycle", f"no hook took {result}: {problem}")
            return
        else:
            status.tell("running", "lifecycle", f"{hook}: {result}")
            return


def drain(config: Mapping[str, Any], settings: Path) -> int:
    """Wait until Auto Scaling takes the host out, let it finish what it does, and let it go."""
    metadata = calls.Metadata()
    wait = _POLL_SECONDS * float(os.environ.get("STACKWRIGHT_WAIT_FACTOR", "1"))
    while not _is_leaving(metadata):
        time.sleep(wait)
    status = Status(root() / "drain")
    until = time.monotonic() + config["drain_seconds"]
    current = root() / "current"
    if (current / config["drain_playbook"]).is_file():
        status.tell("running", "drain", config["drain_playbook"])
        try:
            environment = bundle.environment(bundle.Release(folder=current.resolve(), serial=0), settings)
            play(config, current.resolve(), environment, config["drain_playbook"], config["drain_seconds"])
        except calls.RefusedError as problem:
            status.tell("failed", "drain", str(problem))
    complete(config, metadata, status, config["terminate_hook"], "CONTINUE", until + _GRACE_SECONDS)
    status.tell("drained", "done")
    return 0


def _is_leaving(metadata: calls.Metadata) -> bool:
    try:
        return (metadata.get("autoscaling/target-lifecycle-state") or "").endswith("Terminated")
    except (calls.UnreachableError, calls.RefusedError):
        return False


def main(arguments: list[str]) -> int:
    """`run` or `drain`, and where the settings are."""
    settings = Path(arguments[1] if len(arguments) > 1 else "/etc/stackwright")
    config = json.loads((settings / "boot.json").read_text(encoding="utf-8"))
    return {"run": run, "drain": drain}[arguments[0]](config, settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
