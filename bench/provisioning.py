"""`pulumi up` from nothing to booted hosts, compared with the same hosts by the same podman calls without Pulumi."""

from __future__ import annotations

from functools import partial
from typing import Any

from bench import environments
from bench.process import results_folder
from bench.samples import Comparison, in_turn
from bench.workplace import Project, make_hosts, say, temporary_project, timed
from stackwright.infra.local import images
from stackwright.infra.local.podman import Podman

SECTION = "Provisioning"
_FLOOR = "bench-floor"


def measure(rounds: dict[int, int]) -> tuple[list[Comparison], dict[str, Any]]:
    """Provision each number of hosts repeatedly: {hosts: rounds}."""
    images.ensure("debian-13", Podman().command)
    comparisons = []
    with temporary_project(results_folder() / "log" / "provisioning.log") as project:
        for hosts, times in rounds.items():
            pairs = in_turn(times, partial(_ours, project, hosts), partial(_floor, hosts))
            comparisons.append(
                Comparison(
                    section=SECTION,
                    name=f"{hosts} host{'s' if hosts > 1 else ''}",
                    peer="the same hosts by podman, all at once, until booted",
                    unit="s",
                    better="lower",
                    ours=tuple(mine for mine, _ in pairs),
                    peers=tuple(floor for _, floor in pairs),
                )
            )
    return comparisons, {}


def _ours(project: Project, hosts: int) -> float:
    name = environments.define(project, hosts)
    try:
        seconds = project.provision(name)
    finally:
        environments.remove(project, hosts)
    say(f"provisioning: {hosts} hosts by pulumi up {seconds:.1f} s")
    return seconds


def _floor(hosts: int) -> float:
    try:
        seconds = timed(lambda: make_hosts(_FLOOR, [f"host{number}" for number in range(1, hosts + 1)]))
    finally:
        Podman().remove_environment(_FLOOR)
    say(f"provisioning: {hosts} hosts by podman {seconds:.1f} s")
    return seconds
