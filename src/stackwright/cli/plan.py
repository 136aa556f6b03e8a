"""The changes that a converge would make: site.yml in check mode, by host and role, with the effect on services."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from stackwright import project, state_files
from stackwright.cli.progress import CommandFailedError, Runner
from stackwright.host_status.answers import problem
from stackwright.model import postgresql_parameters
from stackwright.model.environment import Environment
from stackwright.model.errors import listed
from stackwright.model.plan_report import Effect, HostPlan, KeyChange, PlannedChange, PlanReport

#: Time limit for all hosts together; a full converge of seven local hosts takes one minute.
_SECONDS = 1800
#: Items of a change that are printed; --json has all of them.
_SHOWN = 3
_WORDS = {
    "none": "no service affected",
    "reload": "reload",
    "reload_or_restart": "reload, or restart if a setting needs it",
    "rolling_restart": "restart one after the other",
    "restart": "restart",
    None: "effect not known",
}
_STYLES = {"restart": "red", "rolling_restart": "yellow", "reload_or_restart": "yellow", None: "magenta"}
_PARAMETER = "postgresql.parameters."


@dataclass(frozen=True)
class _Rule:
    match: re.Pattern[str]
    effect: Effect
    service: str


def ask(runner: Runner, environment: Environment, stack: Mapping[str, Any]) -> PlanReport:
    """Run site.yml in check mode on every host and return the report."""
    if not environment.hosts:
        raise CommandFailedError(f"{environment.name} has no host that a converge reaches")
    planned_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    argv = ["ansible-playbook", "-i", f"inventories/{environment.name}/stack.yml", "playbooks/site.yml", "--check"]
    results = runner.results(argv, os.environ, _SECONDS)
    hosts = [
        _host(name, [result for result in results if result["host"] == name], environment) for name in stack["hosts"]
    ]
    changed, unknown = any(host.changes for host in hosts), any(host.problem for host in hosts)
    converged_at, keys = changed_keys(environment)
    return PlanReport(
        environment=environment.name,
        planned_at=planned_at,
        exit_code=2 if changed else 3 if unknown else 0,
        converged_at=converged_at,
        keys=keys,
        hosts=hosts,
    )


def _host(name: str, results: Sequence[Mapping[str, Any]], environment: Environment) -> HostPlan:
    failed = next((result for result in results if result["status"] in ("failed", "unreachable")), None)
    changes = [
        change for result in results if result["status"] == "changed" for change in _changes(result, environment)
    ]
    return HostPlan(name=name, problem=None if results and failed is None else problem(failed), changes=changes)


def _changes(result: Mapping[str, Any], environment: Environment) -> Iterator[PlannedChange]:
    """Yield a change for each effect that the items of a task have."""
    role, _, task = str(result["task"]).rpartition(" : ")
    items = result.get("items") or [""]
    grouped: dict[tuple[Effect | None, str], list[str]] = {}
    for item in items:
        grouped.setdefault(_effect(role, item, task, environment), []).append(item)
    for (effect, service), names in grouped.items():
        yield PlannedChange(
            role=role, task=task, items=[name for name in names if name], effect=effect, service=service
        )


def _effect(role: str, item: str, task: str, environment: Environment) -> tuple[Effect | None, str]:
    if role == "postgresql" and item.startswith(_PARAMETER):
        database = environment.system.database
        version = database.version if database is not None else ""
        if postgresql_parameters.needs_restart(version, item.removeprefix(_PARAMETER)):
            return "rolling_restart", "PostgreSQL, the replicas first"
        return "reload", "PostgreSQL"
    if not role and item.startswith("/etc/stackwright/"):
        # A converge keeps records there for the next one.
        return "none", ""
    for rule in _rules(role):
        if rule.match.search(item or task):
            return rule.effect, rule.service
    return None, ""


@cache
def _rules(role: str) -> tuple[_Rule, ...]:
    path = project.root() / "roles" / role / "meta/effects.yml"
    entries = yaml.safe_load(path.read_text()) if role and path.is_file() else []
    # The report checks that an effect is a known one.
    return tuple(_Rule(re.compile(entry["match"]), entry["effect"], entry.get("service", "")) for entry in entries)


# --- keys -----------------------------------------------------------------------------------------------------------


def remember(environment: Environment) -> None:
    """Keep a copy of the converged files, so that the next plan can name the keys that have changed since."""
    content = {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "files": _files(environment)}
    state_files.write(_path(environment), json.dumps(content) + "\n", mode=0o600)


def is_converged(environment: Environment) -> bool:
    """Return whether this controller has already converged the hosts; if not, `up` configures all of them."""
    return bool(environment.hosts) and _path(environment).is_file()


def changed_keys(environment: Environment) -> tuple[str | None, list[KeyChange]]:
    """Return when the last converge was, and which keys of both files have changed since."""
    try:
        content = json.loads(_path(environment).read_text())
        at, files = str(content["at"]), content["files"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None, []
    changes = []
    for file, text in _files(environment).items():
        before, after = (dict(_flat(yaml.safe_load(content))) for content in (files.get(file, ""), text))
        changes += [
            KeyChange(file=file, key=key, before=before.get(key), after=after.get(key))
            for key in sorted(before.keys() | after.keys())
            if before.get(key) != after.get(key)
        ]
    return at, changes


def _path(environment: Environment) -> Path:
    return project.state_folder(environment.name) / "converged.json"


def _files(environment: Environment) -> dict[str, str]:
    files = (Path("inventories") / environment.name / "stack.yml", Path("systems") / f"{environment.stack.system}.yml")
    return {str(file): (environment.root / file).read_text() for file in files}


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, entry in value.items():
            yield from _flat(entry, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and value:
        for number, entry in enumerate(value):
            yield from _flat(entry, f"{key}[{number}]")
    else:
        yield key, json.dumps(value, default=str) if not isinstance(value, str) else value


# --- text output ----------------------------------------------------------------------------------------------------


def show(console: Console, plan: PlanReport) -> None:
    """Print the report as text: the keys, then a line per host, role and effect."""
    if plan.keys:
        console.print(f"  changed since the converge of {plan.converged_at}:")
    for key in plan.keys:
        values = " -> ".join("(none)" if value is None else value for value in (key.before, key.after))
        console.print(Text(f"    {key.file}: {key.key}: {values}"), soft_wrap=True)
    hosts = max((len(host.name) for host in plan.hosts), default=0)
    roles = max((len(change.role) for host in plan.hosts for change in host.changes), default=0)
    for host in plan.hosts:
        if host.problem:
            console.print(Text(f"  {host.name:<{hosts}}  not known: {host.problem}", style="magenta"), soft_wrap=True)
        for change in host.changes:
            line = f"  {host.name:<{hosts}}  {change.role:<{roles}}  {_line(change)}"
            console.print(Text(line, style=_STYLES.get(change.effect, "")), soft_wrap=True)
    changes, unknown = sum(len(host.changes) for host in plan.hosts), sum(bool(host.problem) for host in plan.hosts)
    words = f"{changes} change{'' if changes == 1 else 's'}" if changes else "nothing to change"
    missing = f"; {unknown} of {len(plan.hosts)} hosts not known" if unknown else ""
    console.print(f"  {words}{missing}")


def _line(change: PlannedChange) -> str:
    items = f": {listed(change.items, _SHOWN)}" if change.items else ""
    service = f" ({change.service})" if change.service else ""
    return f"{_WORDS[change.effect]}{service}; {change.task.rpartition(' | ')[2]}{items}"
