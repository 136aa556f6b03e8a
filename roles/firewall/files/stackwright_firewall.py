#!/usr/bin/python3
"""Apply the packet filter's rule set without locking the operator out.

Only the table `inet stackwright` is managed; other tables are never touched. A new rule set is applied with a timer
that rolls it back unless `confirm` is called first, which only a connection that the new rules admit can do.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

TABLE = ["inet", "stackwright"]
WANTED = Path("/etc/stackwright/firewall.wanted.nft")
LIVE = Path("/etc/stackwright/firewall.nft")
PREVIOUS = Path("/run/stackwright-firewall.previous.nft")
ROLLBACK_UNIT = "stackwright-firewall-rollback"
# In one transaction: create the table if it is missing, so that deleting it cannot fail.
FLUSH = "table inet stackwright\ndelete table inet stackwright\n"


class FirewallError(Exception):
    """An error that is shown to the operator."""


def run(*command: str, text: str | None = None) -> str:
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise FirewallError(f"{' '.join(command)} failed: {result.stderr.strip()}")
    return result.stdout


def normal(listing: str) -> list[Any]:
    """Return a listing without the parts that change by themselves: handles, counters and members of dynamic sets."""
    objects = []
    for entry in json.loads(listing)["nftables"]:
        ((kind, value),) = entry.items()
        if kind == "metainfo":
            continue
        if kind == "set" and "dynamic" in value.get("flags", []):
            value.pop("elem", None)
        objects.append({kind: without_handles(value)})
    return objects


def without_handles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_handles(child) for key, child in value.items() if key != "handle"}
    if isinstance(value, list):
        return [without_handles(child) for child in value]
    return value


def running() -> list[Any] | None:
    result = subprocess.run(["nft", "-j", "-s", "list", "table", *TABLE], capture_output=True, text=True, check=False)
    return normal(result.stdout) if result.returncode == 0 else None


def as_loaded(path: Path) -> list[Any]:
    """Return the rules as the kernel lists them after loading the file in a separate network namespace."""
    script = 'nft -f "$1" && nft -j -s list table inet stackwright'
    return normal(run("unshare", "--net", "sh", "-c", script, "sh", str(path)))


def ssh_peer() -> tuple[str, int] | None:
    """Return the address of the SSH client whose session started this process, and the port that it connected to.

    `sudo` drops SSH_CONNECTION, so search the parent processes; without SSH (a console, a container), return None.
    """
    pid = os.getpid()
    while pid > 1:
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return None
        for variable in variables:
            if variable.startswith(b"SSH_CONNECTION="):
                client, _, _, port = variable.partition(b"=")[2].decode().split()
                return client.partition("%")[0], int(port)
        pid = int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:")))
    return None


def guard(port: int, sources: list[str]) -> dict[str, Any]:
    """Raise FirewallError if the rules do not admit the session that applies them; return its address as `peer`."""
    peer = ssh_peer()
    if peer is None:
        return {"peer": None}
    address = ipaddress.ip_address(peer[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if peer[1] != port:
        raise FirewallError(f"this session came to port {peer[1]}, but the rules admit SSH on {port} alone")
    networks = [ipaddress.ip_network(source, strict=False) for source in sources if source != "any"]
    if "any" not in sources and not any(address in network for network in networks):
        admitted = ", ".join(sources) or "nowhere"
        raise FirewallError(f"the rules admit SSH from {admitted}, not from the controller ({address})")
    return {"peer": str(address)}


def plan() -> dict[str, Any]:
    """Return what differs from the requested rules: the running table or the file for the next boot."""
    differences = []
    if running() != as_loaded(WANTED):
        differences.append("running")
    if not LIVE.exists() or LIVE.read_bytes() != WANTED.read_bytes():
        differences.append("boot")
    return {"changed": differences}


def apply(seconds: int) -> dict[str, Any]:
    """Replace the running table, and roll it back after this many seconds unless it is confirmed."""
    listing = ["nft", "-s", "list", "table", *TABLE]
    result = subprocess.run(listing, capture_output=True, text=True, check=False)
    PREVIOUS.write_text(FLUSH + (result.stdout if result.returncode == 0 else ""))
    cancel()
    timer = [f"--on-active={seconds}", "--timer-property=AccuracySec=1s"]
    run("systemd-run", "--quiet", f"--unit={ROLLBACK_UNIT}", *timer, sys.argv[0], "rollback")
    run("nft", "-f", str(WANTED))
    return {"changed": ["running"]}


def cancel() -> None:
    for kind in ("timer", "service"):
        unit = f"{ROLLBACK_UNIT}.{kind}"
        subprocess.run(["systemctl", "stop", unit], capture_output=True, check=False)
        subprocess.run(["systemctl", "reset-failed", unit], capture_output=True, check=False)


def confirm() -> dict[str, Any]:
    """Keep the running rules, also for the next boot."""
    cancel()
    if running() != as_loaded(WANTED):
        raise FirewallError("the new rules were taken back before they were confirmed")
    fresh = LIVE.with_suffix(".new")
    shutil.copyfile(WANTED, fresh)
    fresh.chmod(0o644)
    fresh.replace(LIVE)
    PREVIOUS.unlink(missing_ok=True)
    return {"changed": ["boot"]}


def rollback() -> dict[str, Any]:
    """Restore the rules from before the last `apply`."""
    run("nft", "-f", str(PREVIOUS))
    print("no connection confirmed the new rules: the former ones are back", file=sys.stderr)
    return {"changed": ["running"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("check", "plan", "confirm", "rollback"):
        commands.add_parser(name)
    commands.add_parser("apply").add_argument("--rollback-seconds", type=int, required=True)
    guarding = commands.add_parser("guard")
    guarding.add_argument("--port", type=int, required=True)
    guarding.add_argument("sources", nargs="*")
    options = parser.parse_args()
    try:
        match options.command:
            case "check":
                run("nft", "-c", "-f", str(WANTED))
                answer: dict[str, Any] = {"changed": []}
            case "plan":
                answer = plan()
            case "apply":
                answer = apply(options.rollback_seconds)
            case "confirm":
                answer = confirm()
            case "rollback":
                answer = rollback()
            case _:
                answer = guard(options.port, options.sources)
    except FirewallError as fault:
        print(fault, file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
