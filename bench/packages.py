"""Finds the packages that a role installed in apt's own log, and installs the same ones with plain apt-get."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.process import results_folder, run
from bench.timeline import Run, Span, role_at
from bench.workplace import Machine
from stackwright.infra.local.podman import Podman

_ARCHIVES = "/var/cache/apt/archives"
_LOG = results_folder() / "log" / "packages.log"
#: apt's log has whole seconds: a call that began at .9 is logged as .0, before its task.
_ROUNDED = 0.999


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A call of apt-get that installed packages."""

    role: str
    #: `name=version`, including dependencies.
    packages: tuple[str, ...]


def archive_folder() -> Path:
    """Return the directory of downloaded packages, which are kept between runs."""
    folder = results_folder() / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def preload(machine: Machine) -> None:
    """Copy the known packages to a host and update its package index, so that neither is measured."""
    if any(archive_folder().glob("*.deb")):
        copy = (*Podman().command, "cp", f"{archive_folder()}/.", f"{machine.container}:{_ARCHIVES}/")
        run(copy, folder=archive_folder(), log=_LOG)
    # Ansible takes the age of the index from its directory, which apt leaves unchanged if there is nothing new.
    machine.run("apt-get update -qq && touch /var/lib/apt/lists")


def keep_archives(machine: Machine) -> None:
    """Copy the packages that a host has downloaded to this machine."""
    copy = (*Podman().command, "cp", f"{machine.container}:{_ARCHIVES}/.", str(archive_folder()))
    run(copy, folder=archive_folder(), log=_LOG)
    for path in archive_folder().iterdir():
        if path.is_file() and path.suffix != ".deb":
            path.unlink()


def history(machine: Machine, run: Run) -> list[Transaction]:
    """Return what a converge installed, by role; it has to be the first converge of the host."""
    text = machine.run("cat /var/log/apt/history.log")
    offset = machine.run("date +%z").strip()
    return transactions(text, offset, run.spans)


def transactions(text: str, offset: str, spans: Sequence[Span]) -> list[Transaction]:
    """Parse apt's history.log; its times are local, `offset` is that of the host (`+0000`)."""
    calls = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
        packages = _names(fields.get("Install", "")) + _names(fields.get("Upgrade", ""))
        if "Start-Date" not in fields or not packages:
            continue
        started = datetime.datetime.strptime(" ".join(fields["Start-Date"].split()) + offset, "%Y-%m-%d %H:%M:%S%z")
        role = role_at(spans, started.timestamp() + _ROUNDED)
        # None: before the first task, so the package is part of the image.
        if role is not None:
            calls.append(Transaction(role=role, packages=tuple(packages)))
    return calls


def _names(field: str) -> list[str]:
    """Return `nginx:amd64 (1.26.3, automatic), ...` as `nginx=1.26.3`; for an upgrade (old, new) the new version."""
    pins = []
    for name, inner in re.findall(r"([a-z0-9.+-]+)(?::[a-z0-9]+)? \(([^)]*)\)", field):
        versions = [word for word in inner.split(", ") if word != "automatic"]
        pins.append(f"{name}={versions[-1]}")
    return pins


def replay(machine: Machine, calls: Sequence[Transaction]) -> dict[str, float]:
    """Return seconds by role of the same apt-get calls on another host, without downloads and without services."""
    # As in the role, no cluster is created: creating one is configuration.
    machine.write("/etc/postgresql-common/createcluster.conf", "create_main_cluster = false\n")
    machine.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", "0755")
    options = "-qq --yes --no-install-recommends --no-download --allow-downgrades -o Dpkg::Options::=--force-confold"
    sums: dict[str, float] = {}
    for call in calls:
        script = f"DEBIAN_FRONTEND=noninteractive apt-get install {options} {' '.join(call.packages)} >/dev/null"
        sums[call.role] = sums.get(call.role, 0.0) + machine.timed(script)
    return sums
