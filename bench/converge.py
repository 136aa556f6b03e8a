"""First and second converges.

First converge: by role, compared with the floor, which is `apt-get install` of exactly the packages that the role
installed, on an identical host, with no service started. In both cases the packages are already on the host.

Second converge, on 1, 3 and 7 hosts: nothing is left to do. It is compared with `ansible -m ping` of the same hosts,
which is the start of Ansible, the inventory and one task; and with itself without mitogen.

Drift and a quick converge, after the second: compared with `ansible-playbook --list-tasks` of the same site, which is
the start of Ansible and the playbooks.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench import environments
from bench.packages import Transaction, archive_folder, history, keep_archives, preload, replay
from bench.process import BenchError, results_folder
from bench.samples import Comparison, in_turn
from bench.timeline import Run, run_of, seconds_by_role
from bench.workplace import Machine, Project, one_host, say, temporary_project
from stackwright.cli import report
from stackwright.infra.local.podman import Podman, container_name

FIRST, BY_ROLE, SHARES = "First converge", "First converge by role", "Where a first converge spends its time"
SECOND, DRIFT, QUICK = "Second converge", "Drift", "Quick converge"
REST = "the start of Ansible, facts, smaller roles"
_SMALLEST_SHARE = 0.01
_FLOOR = "bench-floor"
_PLAIN = {"STACKWRIGHT_MITOGEN": "0"}


def measure(
    hosts: int, *, first_rounds: int, second_rounds: int, plain_rounds: int, fetch: bool = True
) -> tuple[list[Comparison], dict[str, Any]]:
    """Measure one size with `first_rounds` fresh environments, the last of which is converged repeatedly.

    With `fetch`, a converge that is not measured first fetches packages that no earlier run has fetched.
    """
    with temporary_project(results_folder() / "log" / f"converge-{hosts}.log") as project:
        bench = _Size(project, hosts)
        try:
            return bench.measure(first_rounds, second_rounds, plain_rounds, fetch=fetch)
        finally:
            environments.remove(project, hosts)


class _Size:
    def __init__(self, project: Project, hosts: int) -> None:
        self.project, self.hosts = project, hosts
        self.label = f"{hosts} host{'s' if hosts > 1 else ''}"
        self.name = environments.BY_HOSTS[hosts][0]
        self.details: dict[str, Any] = {}

    def measure(
        self, first_rounds: int, second_rounds: int, plain_rounds: int, *, fetch: bool
    ) -> tuple[list[Comparison], dict[str, Any]]:
        firsts: list[Run] = []
        floors: list[dict[str, float]] = []
        # Packages can be assigned to roles on a single host only: on several hosts, roles overlap.
        with_floor = self.hosts == 1
        if with_floor and fetch and not any(archive_folder().glob("*.deb")):
            say("converge: once for nothing, so that packages are on this machine")
            self._first()
        for _ in range(first_rounds):
            firsts.append(self._first())
            if with_floor:
                floors.append(self._floor(firsts[-1]))
        comparisons = self._by_role(firsts, floors) if with_floor else []
        comparisons += self._shares(firsts)
        second = self._second(second_rounds)
        comparisons += self._first_and_second(firsts, second)
        comparisons += [*second, self._drift(second_rounds), self._quick(second_rounds)]
        if plain_rounds:
            comparisons.append(self._plain(plain_rounds))
        return comparisons, self.details

    # --- first --------------------------------------------------------------------------------------------------

    def _first(self) -> Run:
        environments.remove(self.project, self.hosts)
        environments.define(self.project, self.hosts)
        for command in report.artifact_commands(self.project.environment(self.name)):
            self.project.run(*command)
        seconds = self.project.provision(self.name)
        say(f"converge: {self.label} provisioned in {seconds:.1f} s, first converge begins")
        # On other sizes the time includes downloads and is not compared with the floor.
        for machine in self._machines() if self.hosts == 1 else ():
            preload(machine)
        run = self._site()
        for machine in self._machines():
            keep_archives(machine)
        say(f"converge: {self.label}, first converge {run.seconds:.1f} s, {run.changed} changes")
        return run

    def _floor(self, run: Run) -> dict[str, float]:
        """Return the seconds of apt-get per role, on a new host."""
        transactions = history(self._machines()[0], run)
        host = self.project.environment(self.name).hosts[0]
        with one_host(_FLOOR, cpus=host.cpus, memory_mb=host.memory_mb) as machine:
            preload(machine)
            floor = replay(machine, transactions)
        say(f"converge: floor {sum(floor.values()):.1f} s in {len(transactions)} calls of apt-get")
        self.details["packages"] = _packages(transactions)
        return floor

    def _by_role(self, firsts: list[Run], floors: list[dict[str, float]]) -> list[Comparison]:
        roles = [seconds_by_role(run.spans) for run in firsts]
        peer = "apt-get install of the same packages"
        comparisons = [
            Comparison(
                section=BY_ROLE,
                name=role,
                peer=peer,
                unit="s",
                better="lower",
                ours=tuple(seconds[role] for seconds in roles),
                peers=tuple(floor[role] for floor in floors),
            )
            for role in roles[0]
            if all(floor.get(role) for floor in floors) and all(role in seconds for seconds in roles)
        ]
        whole = Comparison(
            section=BY_ROLE,
            name="all roles",
            peer=peer,
            unit="s",
            better="lower",
            ours=tuple(run.seconds for run in firsts),
            peers=tuple(sum(floor.values()) for floor in floors),
            note="with roles that install no package",
        )
        return [whole, *comparisons]

    def _shares(self, firsts: list[Run]) -> list[Comparison]:
        return [
            Comparison(
                section=f"{SHARES}: {self.label}",
                name=name,
                peer="the whole converge",
                unit="s",
                better="lower",
                ours=seconds,
                peers=tuple(run.seconds for run in firsts),
            )
            for name, seconds in shares([(run.seconds, seconds_by_role(run.spans)) for run in firsts]).items()
        ]

    # --- second -------------------------------------------------------------------------------------------------

    def _second(self, rounds: int) -> list[Comparison]:
        pairs = in_turn(rounds, self._again, self._ping)
        changed = max(run.changed for run, _ in pairs)
        self.details["tasks"] = pairs[-1][0].tasks
        return [
            Comparison(
                section=SECOND,
                name=self.label,
                peer="ansible -m ping of the same hosts",
                unit="s",
                better="lower",
                ours=tuple(run.seconds for run, _ in pairs),
                peers=tuple(ping for _, ping in pairs),
                note=f"{pairs[-1][0].tasks} results of tasks" + (f", {changed} CHANGED" if changed else ""),
            )
        ]

    def _drift(self, rounds: int) -> Comparison:
        """Measure the drift check; the last converge has changed nothing, so there is a record."""
        return self._against_listing(DRIFT, rounds, lambda: self._playbook("drift"))

    def _quick(self, rounds: int) -> Comparison:
        """Measure `stackwright converge --quick`, after a first call that may have to run in full."""
        self._converge_quickly(may_run_in_full=True)
        return self._against_listing(QUICK, rounds, self._converge_quickly)

    def _against_listing(self, section: str, rounds: int, measure: Callable[[], float]) -> Comparison:
        pairs = in_turn(rounds, measure, lambda: self._playbook("site", "--list-tasks"))
        return Comparison(
            section=section,
            name=self.label,
            peer="ansible-playbook --list-tasks of the site",
            unit="s",
            better="lower",
            ours=tuple(seconds for seconds, _ in pairs),
            peers=tuple(listing for _, listing in pairs),
        )

    def _plain(self, rounds: int) -> Comparison:
        pairs = in_turn(rounds, self._again, lambda: self._again(_PLAIN))
        return Comparison(
            section=SECOND,
            name=f"{self.label}, mitogen",
            peer="the same with STACKWRIGHT_MITOGEN=0",
            unit="s",
            better="lower",
            ours=tuple(mine.seconds for mine, _ in pairs),
            peers=tuple(plain.seconds for _, plain in pairs),
        )

    def _first_and_second(self, firsts: list[Run], second: list[Comparison]) -> list[Comparison]:
        again = second[0].ours
        pairs = min(len(firsts), len(again))
        return [
            Comparison(
                section=FIRST,
                name=self.label,
                peer="second converge of the same hosts",
                unit="s",
                better="lower",
                ours=tuple(run.seconds for run in firsts[:pairs]),
                peers=again[:pairs],
            )
        ]

    # --- plumbing -----------------------------------------------------------------------------------------------

    def _site(self, variables: Mapping[str, str] | None = None) -> Run:
        file = f"inventories/{self.name}/stack.yml"
        argv = ("ansible-playbook", "-i", file, "playbooks/site.yml")
        return run_of(self.project.run(*argv, variables=variables, watch=True))

    def _again(self, variables: Mapping[str, str] | None = None) -> Run:
        run = self._site(variables)
        how = " without mitogen" if variables else ""
        say(f"converge: {self.label}, again{how} {run.seconds:.1f} s, {run.changed} changes")
        return run

    def _playbook(self, name: str, *options: str) -> float:
        argv = ("ansible-playbook", "-i", f"inventories/{self.name}/stack.yml", f"playbooks/{name}.yml", *options)
        seconds = self.project.run(*argv).seconds
        say(f"converge: {self.label}, {name}{' '.join(('', *options))} {seconds:.1f} s")
        return seconds

    def _converge_quickly(self, *, may_run_in_full: bool = False) -> float:
        finished = self.project.run("stackwright", "converge", self.name, "--quick")
        full = "full run:" in finished.output
        if full and not may_run_in_full:
            raise BenchError(f"{self.label}: a quick converge ran in full; see {self.project.log}")
        say(f"converge: {self.label}, quick{' (in full)' if full else ''} {finished.seconds:.1f} s")
        return finished.seconds

    def _ping(self) -> float:
        argv = ("ansible", "all", "-i", f"inventories/{self.name}/stack.yml", "-m", "ansible.builtin.ping")
        seconds = self.project.run(*argv).seconds
        say(f"converge: {self.label}, ping {seconds:.1f} s")
        return seconds

    def _machines(self) -> list[Machine]:
        environment = self.project.environment(self.name)
        owner = f"{self.name}-servers" if environment.provider == "bare_metal" else self.name
        known = set(Podman().hosts(owner))
        machines = [
            Machine(container=container_name(owner, host.name), address=host.address) for host in environment.hosts
        ]
        missing = {machine.container for machine in machines} - known
        if missing:
            raise BenchError(f"{self.name}: podman has no {', '.join(sorted(missing))}")
        return machines


def shares(runs: Sequence[tuple[float, Mapping[str, float]]]) -> dict[str, tuple[float, ...]]:
    """Return the seconds by role of (total, seconds by role), largest first; shares below a hundredth are summed up."""
    known = [
        role
        for role in runs[0][1]
        if all(role in roles for _, roles in runs)
        and statistics.median(roles[role] / whole for whole, roles in runs) >= _SMALLEST_SHARE
    ]
    known.sort(key=lambda role: -statistics.median(roles[role] for _, roles in runs))
    seconds = {role: tuple(roles[role] for _, roles in runs) for role in known}
    return seconds | {REST: tuple(whole - sum(roles[role] for role in known) for whole, roles in runs)}


def _packages(transactions: list[Transaction]) -> dict[str, list[str]]:
    packages: dict[str, list[str]] = {}
    for transaction in transactions:
        packages.setdefault(transaction.role, []).extend(transaction.packages)
    return packages
