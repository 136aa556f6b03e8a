"""From the running environment to the one in its file: what is removed, and which changes are rejected in advance."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stackwright.model import source, topology
from stackwright.model.environment import Environment
from stackwright.model.errors import ABSENT, KeyPath, ModelError, Problem
from stackwright.model.secrets import secret_names

#: Tiers whose hosts hold data that is in no other tier.
_DATA_TIERS = ("database", "ops")
_LOST = "--lost {name} removes it nevertheless, and what only it holds is lost"


@dataclass(frozen=True, kw_only=True)
class Transition:
    """What a run removes: hosts, and tiers of hosts that stay."""

    #: Host -> its entry in the output; `groups` are those that it loses.
    retiring: Mapping[str, Mapping[str, Any]]
    #: Hosts of `retiring` that are not in the file at all.
    leaving: tuple[str, ...]
    #: Hosts of the file that do not exist yet.
    joining: tuple[str, ...]
    #: A sentence for each part of the system that was removed from the file, with what stays on the hosts.
    removed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return a sentence for each host that is removed or loses a tier, and for each removed part of the system."""
        hosts = [
            f"{name} ({', '.join(entry['groups']) or 'no tier'}) will be removed"
            if name in self.leaving
            else f"{name} will no longer serve {', '.join(entry['groups'])}"
            for name, entry in self.retiring.items()
        ]
        return hosts + list(self.removed)


def between(environment: Environment, output: Mapping[str, Any] | None) -> Transition:
    """Return the changes from `output`, the last one of the environment's program, to its file."""
    described = {host.name: host for host in environment.hosts}
    if output is None:
        return Transition(retiring={}, leaving=(), joining=tuple(described))
    present: dict[str, Mapping[str, Any]] = {**output.get("retiring", {}), **output["hosts"]}
    retiring = {}
    for name, entry in present.items():
        earlier = output.get("retiring", {}).get(name, {}).get("groups", [])
        stay = described[name].groups if name in described else ()
        # Voters of etcd are added and removed by the role etcd itself.
        tiers = [group for group in dict.fromkeys([*entry["groups"], *earlier]) if group in topology.TIERS]
        groups = [tier for tier in tiers if tier not in stay]
        if groups or name not in described:
            retiring[name] = {**entry, "groups": groups}
    return Transition(
        retiring=retiring,
        leaving=tuple(name for name in retiring if name not in described),
        joining=tuple(name for name in described if name not in output["hosts"]),
        removed=tuple(_removed(environment, output)),
    )


def _removed(environment: Environment, output: Mapping[str, Any]) -> Iterator[str]:
    """Yield the removed parts, found by the secrets of the running environment: each part has one."""
    described = {spec.name for spec in secret_names(environment)}
    gone = [tuple(name.split("/")) for name in output["secrets"] if name not in described]
    playbook = f"ansible-playbook -i inventories/{environment.name}/stack.yml playbooks/remove-application.yml"
    for app in dict.fromkeys(name[1] for name in gone if name[0] == "app" and name[1] not in environment.apps):
        yield (
            f"application {app} is stopped; its releases, secrets, user and uploads stay on its hosts, and its uploads are no"
            f" longer backed up; remove them: {playbook} -e application={app}"
        )
    for purpose in dict.fromkeys(
        name[1] for name in gone if name[0] == "redis" and name[1] not in environment.system.cache
    ):
        yield f"Redis instance {purpose} is removed; its data stays in /var/lib/redis/{purpose.replace('_', '-')} of its host"
    for role in (name[2] for name in gone if name[:2] == ("postgresql", "role")):
        yield (
            f"database role {role} can still log in, as it may own tables; on the leader, once it owns none:"
            f" sudo -u postgres psql -c 'DROP ROLE \"{role}\"'"
        )


def check(environment: Environment, output: Mapping[str, Any] | None, *, lost: Collection[str] = ()) -> Transition:
    """Return `between`. Raises ModelError if the change would lose data or create a host again that has some.

    `lost` are hosts that the operator gives up, including the data that only they hold.
    """
    transition = between(environment, output)
    if output is None:
        return transition
    report = _Report(environment)
    _check_lost(report, transition, lost)
    _check_network(report, environment, output)
    _check_hosts(report, environment, output)
    _check_renamed(report, environment, transition)
    _check_tiers(report, environment, output, transition, lost)
    _check_cache_ports(report, environment, output)
    if report.problems:
        raise ModelError(report.problems)
    return transition


class _Report:
    """Collects problems with their lines."""

    def __init__(self, environment: Environment) -> None:
        file = environment.root / "inventories" / environment.name / "stack.yml"
        self._source = source.read(file, file.relative_to(environment.root))
        system = environment.root / "systems" / f"{environment.stack.system}.yml"
        self._system = source.read(system, system.relative_to(environment.root))
        self._listed = [host.get("name") for host in _mappings(self._source.data.get("hosts"))]
        self.problems: list[Problem] = []

    def host(self, name: str, key: str) -> KeyPath:
        """Return the path of a host's key: in its own entry if servers are listed."""
        return ("hosts", self._listed.index(name), key) if name in self._listed else (key,)

    def tier(self, tier: str) -> KeyPath:
        """Return the path of the key that sets the number of hosts of a tier."""
        return ("hosts",) if self._listed else ("topology", tier)

    def add(self, path: KeyPath, message: str, *, value: object = ABSENT, accepted: str, system: bool = False) -> None:
        file = self._system if system else self._source
        self.problems.append(
            Problem(file=file.file, line=file.line(path), path=path, message=message, value=value, accepted=accepted)
        )


def _mappings(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _check_lost(report: _Report, transition: Transition, lost: Collection[str]) -> None:
    for name in sorted(set(lost) - transition.retiring.keys()):
        report.add(
            (),
            f"--lost {name}: no host of this name is about to go",
            accepted=", ".join(transition.retiring) or "nothing: no host goes",
        )


def _check_network(report: _Report, environment: Environment, output: Mapping[str, Any]) -> None:
    previous = output["network"]["cidr"]
    # The network of existing servers is recorded; their own addresses are compared one by one.
    if environment.provider != "bare_metal" and environment.network.cidr != previous:
        report.add(
            ("network", "cidr"),
            "every host would be created again, without its data",
            value=environment.network.cidr,
            accepted=f"{previous}; another network is another environment: create it, restore the backups, switch over",
        )


def _check_hosts(report: _Report, environment: Environment, output: Mapping[str, Any]) -> None:
    moved = environment.provider == "bare_metal" or environment.network.cidr == output["network"]["cidr"]
    for host in environment.hosts:
        previous = output["hosts"].get(host.name)
        if previous is None:
            continue
        if moved and host.address and host.address != previous["address"]:
            report.add(
                report.host(host.name, "address"),
                f"{host.name} would get another address: it would be taken for another host, without its data",
                value=host.address,
                accepted=f"{previous['address']}; or add a host under another name, then remove {host.name}",
            )
        system = previous.get("os")
        if environment.provider != "bare_metal" and system is not None and host.os != system:
            report.add(
                report.host(host.name, "os"),
                f"{host.name} keeps its operating system",
                value=host.os,
                accepted=f"{system}; or add hosts with another system in one run and remove {host.name} in the next",
            )


def _check_renamed(report: _Report, environment: Environment, transition: Transition) -> None:
    """Reject a server under a new name: its services would be removed and installed in one run."""
    for name in transition.joining:
        host = environment.host(name)
        for previous in transition.leaving:
            entry = transition.retiring[previous]
            key = entry["connection"].get("host_key")
            same_key = key is not None and host.host_key is not None and key.split()[:2] == host.host_key.split()[:2]
            if (host.address and host.address == entry["address"]) or same_key:
                report.add(
                    report.host(name, "name"),
                    f"{previous} cannot be renamed while it runs",
                    value=name,
                    accepted=f"{previous}; or remove {previous} in one run and add {name} in the next",
                )


def _check_tiers(
    report: _Report,
    environment: Environment,
    output: Mapping[str, Any],
    transition: Transition,
    lost: Collection[str],
) -> None:
    """Check that data tiers keep a running host: a new one has no data yet."""
    groups = topology.groups(environment.hosts)
    for tier in _DATA_TIERS:
        previous = [name for name, entry in output["hosts"].items() if tier in entry["groups"]]
        # A host that an interrupted run has already removed from the tier still runs until the tier is taken over.
        previous += [
            name
            for name, entry in output.get("retiring", {}).items()
            if tier in entry["groups"] and name not in previous
        ]
        stay = [name for name in previous if name in groups[tier]]
        if not previous or set(previous) <= set(lost):
            continue
        # The first host of `ops` holds the backups, the others hold nothing.
        first = previous[0]
        if tier == "ops" and first in lost:
            continue
        if tier == "ops" and first not in groups["ops"][:1]:
            report.add(
                report.tier(tier),
                f"{first} holds the only backups",
                value=", ".join(groups["ops"]) or "no host",
                accepted=f"{first} as the first host of ops; {_LOST.format(name=first)}"
                if first in transition.retiring
                else f"{first} as the first host of ops",
            )
        elif tier == "database" and not stay:
            report.add(
                report.tier(tier),
                "none of the hosts that hold the database stays",
                value=", ".join(groups[tier]) or "no host",
                accepted=f"at least one of {', '.join(previous)}: add hosts in one run, remove the old ones in the next",
            )


def _check_cache_ports(report: _Report, environment: Environment, output: Mapping[str, Any]) -> None:
    """Reject a port that another instance had: clients use the previous port until all of them know the new one."""
    previous = {
        name.removeprefix("redis_"): endpoint["port"]
        for name, endpoint in output["endpoints"].items()
        if name.startswith("redis_") and "cache" not in topology.managed(environment.stack)
    }
    for purpose, instance in environment.system.cache.items():
        for holder, port in previous.items():
            if holder != purpose and instance.port == port != previous.get(purpose):
                report.add(
                    ("cache", purpose, "port"),
                    f"port {port} is in use by {holder} until every application knows its new place",
                    value=instance.port,
                    accepted="a port that no instance has now; or change the ports in two runs",
                    system=True,
                )
