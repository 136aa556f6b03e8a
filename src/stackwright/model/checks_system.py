"""Checks between the keys of `systems/<name>.yml`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stackwright.model import checks_apps, checks_postgresql, reserved
from stackwright.model.errors import KeyPath, Problem, nearest
from stackwright.model.files import Parsed
from stackwright.model.system import App, Process, System

#: Ports of the stack's own services, on hosts that may also run applications or caches: docs/architecture.md.
RESERVED_PORTS = {
    2379: "etcd",
    2380: "etcd",
    5000: "the database proxy",
    5001: "the database proxy",
    5432: "PostgreSQL",
    6432: "PgBouncer",
    8008: "Patroni",
    8081: "the edge's status",
    8432: "the backup of the database",
    8500: "the backup of files",
}
#: The kernel uses the ports above this one for outgoing connections.
LAST_PORT = 10_239


def problems(parsed: Parsed[System], system: System) -> Iterator[Problem]:
    """Yield every problem of the file."""
    yield from _ports(parsed, system)
    yield from _sites(parsed, system)
    yield from checks_apps.system_problems(parsed, system)
    yield from _apps(parsed, system)
    yield from _database(parsed, system)
    yield from checks_postgresql.extension_problems(parsed, system)


def _ports(parsed: Parsed[System], system: System) -> Iterator[Problem]:
    taken = dict(RESERVED_PORTS)
    for path, owner, ports in _claims(system):
        clash = next((port for port in ports if port in taken), None)
        if ports[-1] > LAST_PORT:
            message = f"port {ports[-1]} is out of range"
            yield parsed.problem(path, message, value=ports[0], accepted=f"ports from 1024 to {LAST_PORT}")
        elif clash is not None:
            message = f"port {clash} is taken by {taken[clash]}"
            yield parsed.problem(path, message, value=ports[0], accepted="a port that nothing else has")
        taken |= {port: owner for port in ports if port not in taken}


def taken_ports(system: System) -> dict[int, str]:
    """Return every port that a service of a host listens on, and the name of the service."""
    claimed = {port: owner for _, owner, ports in _claims(system) for port in ports}
    return {**claimed, **RESERVED_PORTS}


def _claims(system: System) -> Iterator[tuple[KeyPath, str, range]]:
    for name, app in system.apps.items():
        path = ("apps", name, "process", "first_port")
        yield path, f"application {name}", instance_ports(app.process)
    for purpose, instance in system.cache.items():
        yield ("cache", purpose, "port"), f"cache {purpose}", range(instance.port, instance.port + 1)


def instance_ports(process: Process) -> range:
    """Return the ports that an application may use on a host."""
    number = process.max_instances if process.mode == "fork" else 1
    return range(process.first_port, process.first_port + number)


def _sites(parsed: Parsed[System], system: System) -> Iterator[Problem]:
    answered: dict[str, str] = {}
    for name, site in system.sites.items():
        if site.app not in system.apps:
            yield _unknown(parsed, ("sites", name, "app"), "is no application of this system", site.app, system.apps)
        for word in (site.subdomain,) if site.subdomain else site.host_names:
            if word in answered:
                message = f"answers to names that site {answered[word]} has"
                path = ("sites", name, "subdomain" if site.subdomain else "host_names")
                yield parsed.problem(path, message, value=word, accepted="names of its own: a `subdomain`")
            answered[word] = name
        seen: set[str] = set()
        for position, limit in enumerate(site.rate_limits):
            if limit.name in seen:
                key_path: KeyPath = ("sites", name, "rate_limits", position, "name")
                yield parsed.problem(key_path, "is named twice", value=limit.name, accepted="a name of its own")
            seen.add(limit.name)
        if site.balance.weights and site.balance.method == "round_robin":
            key_path = ("sites", name, "balance", "weights")
            yield parsed.problem(key_path, "has no meaning with round_robin", accepted="method `weighted`")


def _apps(parsed: Parsed[System], system: System) -> Iterator[Problem]:
    for name, app in system.apps.items():
        path: KeyPath = ("apps", name)
        instances = app.process.instances
        if instances != "per_cpu" and instances > app.process.max_instances:
            accepted = f"at most max_instances, {app.process.max_instances}"
            yield parsed.problem((*path, "process", "instances"), "is out of range", value=instances, accepted=accepted)
        for purpose in app.cache:
            if purpose not in system.cache:
                yield _unknown(parsed, (*path, "cache"), "is no cache of this system", purpose, system.cache)
        yield from _app_database(parsed, system, path, app)


def _app_database(parsed: Parsed[System], system: System, path: KeyPath, app: App) -> Iterator[Problem]:
    if app.database is None:
        return
    tier, path = system.database, (*path, "database")
    if tier is None:
        yield parsed.problem(path, "wants a database, and this system has none", accepted="a top-level `database`")
        return
    if app.database.name not in tier.databases:
        message = "is no database of this system"
        yield _unknown(parsed, (*path, "name"), message, app.database.name, tier.databases)
    roles = {role.name: role for role in tier.roles}
    if app.database.role not in roles:
        yield _unknown(parsed, (*path, "role"), "is no database role of this system", app.database.role, roles)
    elif app.database.name in tier.databases and app.database.name not in roles[app.database.role].databases:
        message = f"has no access to database {app.database.name}"
        accepted = f"a role with {app.database.name} among its `databases`"
        yield parsed.problem((*path, "role"), message, value=app.database.role, accepted=accepted)


def _database(parsed: Parsed[System], system: System) -> Iterator[Problem]:
    if system.database is None:
        return
    seen: set[str] = set()
    for position, role in enumerate(system.database.roles):
        path: KeyPath = ("database", "roles", position)
        owner = "another role" if role.name in seen else reserved.role(role.name)
        if owner is not None:
            message = f"is taken by {owner}"
            yield parsed.problem((*path, "name"), message, value=role.name, accepted="a name of its own")
        seen.add(role.name)
        for database in role.databases:
            if database not in system.database.databases:
                message = "is no database of this system"
                yield _unknown(parsed, (*path, "databases"), message, database, system.database.databases)
        if not role.databases and role.privileges != "monitor":
            yield parsed.problem(path, f"{role.name} has `{role.privileges}` on nothing", accepted="`databases`")
    yield from _database_names(parsed, system.database.databases)
    for database in dict.fromkeys(system.database.databases):
        owners = [
            role.name for role in system.database.roles if role.privileges == "owner" and database in role.databases
        ]
        if len(owners) != 1:
            message = f"{database} has {len(owners)} owners ({', '.join(owners) or 'none'})"
            yield parsed.problem(("database", "roles"), message, accepted="one role with `privileges: owner`")


def _database_names(parsed: Parsed[System], names: Sequence[str]) -> Iterator[Problem]:
    """Check that each name is unique, including the second name that PgBouncer has for reads."""
    for position, name in enumerate(names):
        owner = "another database" if name in names[:position] else reserved.database(name)
        if owner is None and name.endswith("_replica") and name.removesuffix("_replica") in names:
            owner = f"the reads of database {name.removesuffix('_replica')}"
        if owner is not None:
            path: KeyPath = ("database", "databases", position)
            yield parsed.problem(path, f"is taken by {owner}", value=name, accepted="a name of its own")


def _unknown(parsed: Parsed[System], path: KeyPath, message: str, value: str, known: Iterable[str]) -> Problem:
    names = list(known)
    return parsed.problem(path, message, value=value, accepted=", ".join(names), suggestion=nearest(value, names))
