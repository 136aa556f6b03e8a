"""An environment, loaded and checked: provisioning, inventory, CLI and diagrams are all made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from stackwright.model import checks, checks_edge, checks_variables, files, naming, topology
from stackwright.model.capacity import ConnectionBudget, HostPlan
from stackwright.model.errors import ModelError
from stackwright.model.plan import Plan, make_plan
from stackwright.model.process import AppPlan
from stackwright.model.stackfile import Access, Certificates, Network, StackFile
from stackwright.model.system import BackupSchedule, LogLimits, System
from stackwright.model.topology import Host


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A system in a place, with every default filled in and every sum checked."""

    name: str
    #: The project's root: holds `systems/`, `inventories/`, `.state/`.
    root: Path
    system: System
    #: The file as the user wrote it.
    stack: StackFile
    plan: Plan

    @property
    def provider(self) -> str:
        return self.stack.provider

    @property
    def environment_class(self) -> str:
        return self.stack.class_

    @property
    def domain(self) -> str:
        return self.stack.domain

    @property
    def aliases(self) -> tuple[str, ...]:
        return self.stack.aliases

    @property
    def internal_domain(self) -> str:
        return naming.internal_domain(self.name)

    @property
    def network(self) -> Network:
        return self.stack.network

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts that have a name and an address."""
        return tuple(host for host in self.plan.hosts if not host.slot)

    @property
    def slots(self) -> tuple[Host, ...]:
        """Return the slots of an Auto Scaling group, which are all alike."""
        return tuple(host for host in self.plan.hosts if host.slot)

    @property
    def groups(self) -> Mapping[str, tuple[str, ...]]:
        return topology.groups(self.hosts)

    @property
    def apps(self) -> Mapping[str, AppPlan]:
        return self.plan.apps

    @property
    def host_plans(self) -> Mapping[str, HostPlan]:
        return self.plan.host_plans

    @property
    def connections(self) -> ConnectionBudget | None:
        return self.plan.connections

    @property
    def certificates(self) -> Certificates:
        return self.stack.certificates

    @property
    def access(self) -> Access:
        return self.stack.access

    @property
    def logs(self) -> LogLimits:
        return self.stack.logs or self.system.logs

    @property
    def backups(self) -> BackupSchedule:
        """Return the system's schedule with the settings of the environment."""
        values = {field.name: getattr(self.stack.backups, field.name) for field in fields(BackupSchedule)}
        return replace(self.system.backups, **{name: value for name, value in values.items() if value is not None})

    @property
    def state_folder(self) -> Path:
        return self.root / ".state" / self.name

    @property
    def vault_file(self) -> Path:
        """Return the file of the environment's secrets, which is created together with the environment."""
        return self.state_folder / "secrets.vault.yml"

    def host(self, name: str) -> Host:
        """Return the host with that name."""
        return next(host for host in self.hosts if host.name == name)


def load(path: Path | str) -> Environment:
    """Load the environment of a `stack.yml` (or of the directory that contains it).

    Raises ModelError with every problem of the file and of its system's file.
    """
    location = files.locate(Path(path))
    stack, system = files.read_both(location)
    problems = [*stack.problems, *(system.problems if system else ()), *checks.check(location, stack, system)]
    plan: Plan | None = None
    # Sums of values that are known to be wrong would be misleading.
    if not problems and system is not None:
        plan, problems = make_plan(location, stack, system)
    if problems or plan is None or system is None:
        raise ModelError(problems)
    environment = Environment(
        name=location.name, root=location.root, system=system.need(), stack=stack.need(), plan=plan
    )
    if mistakes := [*checks_edge.problems(environment, stack, system), *checks_variables.problems(environment)]:
        raise ModelError(mistakes)
    return environment
