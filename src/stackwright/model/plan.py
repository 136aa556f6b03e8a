"""From the user's files to the planned state: hosts, instances, budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from stackwright.model import capacity, postgresql_parameters, process, topology
from stackwright.model.addressing import AddressError
from stackwright.model.aws.plan import AwsPlan
from stackwright.model.aws.plan import make_plan as make_aws_plan
from stackwright.model.capacity import Client, ConnectionBudget, Demand, HostPlan
from stackwright.model.errors import KeyPath, Problem
from stackwright.model.files import Parsed, Place
from stackwright.model.process import AppPlan
from stackwright.model.stackfile import AppOverride, StackFile
from stackwright.model.system import App, Purpose, System
from stackwright.model.topology import Host


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that follows from an environment's two files."""

    hosts: tuple[Host, ...]
    apps: Mapping[str, AppPlan]
    host_plans: Mapping[str, HostPlan]
    #: None without a database.
    connections: ConnectionBudget | None
    cache_mb: Mapping[Purpose, int]
    #: None if the environment is not on AWS.
    aws: AwsPlan | None


def plan_hosts(location: Place, stack: StackFile, system: System | None) -> tuple[Host, ...]:
    """Return the environment's hosts, in the tiers that the system needs; `consensus` is a group of the voters."""
    tiers = topology.needed(system)
    if stack.hosts or stack.topology is None:
        hosts = _adopted(location, stack)
    else:
        hosts = topology.create(stack, stack.topology, tiers)
    voters = topology.voters(hosts)
    return tuple(
        replace(host, groups=tuple(group for group in topology.TIERS if group in host.groups) + _voter(host, voters))
        for host in hosts
    )


def _voter(host: Host, voters: tuple[str, ...]) -> tuple[str, ...]:
    return ("consensus",) if host.name in voters else ()


def _adopted(location: Place, stack: StackFile) -> tuple[Host, ...]:
    return tuple(
        Host(
            name=server.name,
            address=server.address,
            groups=server.groups,
            cpus=server.cpus,
            memory_mb=server.memory_mb,
            disk_gb=server.disk_gb,
            os=server.os,
            bootstrap_user=server.user,
            takeover=server.takeover,
            port=server.port,
            host_key=server.host_key or _recorded_key(location, server.host_key_file),
        )
        for server in stack.hosts
    )


def _recorded_key(location: Place, file: str | None) -> str | None:
    """Return the key in `file`; None if no key is recorded yet."""
    if file is None or not (location.root / file).is_file():
        return None
    return (location.root / file).read_text(encoding="utf-8").strip()


def make_plan(location: Place, stack: Parsed[StackFile], system: Parsed[System]) -> tuple[Plan | None, list[Problem]]:
    """Return the plan, and a problem for everything that does not fit into it."""
    stack_file, what = stack.need(), system.need()
    try:
        hosts = plan_hosts(location, stack_file, what)
    except AddressError as error:
        return None, [stack.problem(("network", "cidr"), str(error), accepted="a larger network")]
    cache_mb = _cache_mb(stack_file, what)
    host_plans = _host_plans(stack_file, what, hosts, cache_mb)
    apps = {name: _app(stack_file, name, app, hosts, host_plans) for name, app in what.apps.items()}
    connections = _connections(stack_file, what, apps)
    aws = make_aws_plan(stack_file, what, stack_file.aws) if stack_file.aws is not None else None
    plan = Plan(hosts=hosts, apps=apps, host_plans=host_plans, connections=connections, cache_mb=cache_mb, aws=aws)
    return plan, [*_memory_problems(stack, plan), *_connection_problems(stack, system, plan)]


def _cache_mb(stack: StackFile, system: System) -> dict[Purpose, int]:
    overrides = {purpose: override.memory_mb for purpose, override in stack.cache.items()}
    return {purpose: overrides.get(purpose, instance.memory_mb) for purpose, instance in system.cache.items()}


def _host_plans(
    stack: StackFile, system: System, hosts: tuple[Host, ...], cache_mb: Mapping[Purpose, int]
) -> dict[str, HostPlan]:
    demands = [_demand(stack, name, app) for name, app in system.apps.items()]
    return {
        host.name: capacity.plan_host(
            groups=host.groups,
            cpus=host.cpus,
            memory_mb=host.memory_mb,
            demands=demands,
            cache_mb=list(cache_mb.values()),
            windows=host.windows,
        )
        for host in hosts
    }


def _demand(stack: StackFile, name: str, app: App) -> Demand:
    override = stack.apps.get(name, AppOverride())
    instances = override.instances or app.process.instances
    return Demand(
        app=name,
        instances=None if instances == "per_cpu" else instances,
        max_instances=app.process.max_instances,
        memory_mb=override.memory_mb or app.process.memory_mb,
    )


def _app(stack: StackFile, name: str, app: App, hosts: tuple[Host, ...], host_plans: Mapping[str, HostPlan]) -> AppPlan:
    override = stack.apps.get(name, AppOverride())
    edge_hosts = [host.name for host in hosts if "edge" in host.groups]
    app_hosts = [host for host in hosts if "app" in host.groups]
    own_edge = "edge" in topology.managed(stack)
    instances = {
        host.name: process.instances(
            name,
            app,
            host_plans[host.name].instances[name],
            process.listen_address(host, [host.name] if own_edge else edge_hosts, 1 if own_edge else len(app_hosts)),
        )
        for host in app_hosts
    }
    return AppPlan(
        name=name,
        app=app,
        memory_mb=override.memory_mb or app.process.memory_mb,
        database_pool=override.database_pool or (app.database.pool if app.database else 0),
        environment=app.environment | override.environment,
        artifact=override.artifact or app.artifact,
        instances=instances,
    )


def _connections(stack: StackFile, system: System, apps: Mapping[str, AppPlan]) -> ConnectionBudget | None:
    if system.database is None:
        return None
    pooled = {app.database.role for app in system.apps.values() if app.database}
    return capacity.plan_connections(
        max_connections=stack.database.max_connections or system.database.max_connections,
        role_limits=[role.connection_limit for role in system.database.roles if role.name not in pooled],
        clients=[
            Client(
                host=host,
                app=name,
                instances=len(instances),
                pool=plan.database_pool,
                reads_replica=plan.app.database.read_from_replica,
            )
            for name, plan in apps.items()
            if plan.app.database is not None
            for host, instances in plan.instances.items()
        ],
        per_host=stack.database.server_connections,
    )


def _memory_problems(stack: Parsed[StackFile], plan: Plan) -> list[Problem]:
    """Return one problem for all hosts that have the same sum."""
    over: dict[tuple[KeyPath, str], list[str]] = {}
    for host in plan.hosts:
        if not plan.host_plans[host.name].fits:
            sums = (_size_path(stack, host), plan.host_plans[host.name].sum_text)
            over.setdefault(sums, []).append(host.name)
    return [
        stack.problem(
            path,
            f"memory of {', '.join(names)} is over budget: {sum_text}",
            accepted="fewer or smaller instances, or a larger host",
        )
        for (path, sum_text), names in over.items()
    ]


def _size_path(stack: Parsed[StackFile], host: Host) -> KeyPath:
    """Return the key of the host's memory; for a size from the table, the key that creates the host."""
    for position, server in enumerate(stack.need().hosts):
        if server.name == host.name:
            return ("hosts", position, "memory_mb")
    left_out = topology.managed(stack.need())
    tiers = [group for group in host.groups if group not in left_out]
    tier = "server" if "server" in topology.created(stack.need()) else tiers[0]
    return ("sizes", tier) if tier in stack.need().sizes else ("topology", tier)


def _connection_problems(stack: Parsed[StackFile], system: Parsed[System], plan: Plan) -> list[Problem]:
    budget, settings = plan.connections, stack.need().database
    if budget is None:
        return []
    limit = settings.server_connections or settings.max_connections
    parsed: Parsed[StackFile] | Parsed[System] = stack if limit else system
    problems = []
    key = "server_connections" if settings.server_connections else "max_connections"
    if not budget.fits:
        path = ("database", key)
        message = f"connections are over budget: {budget.sum_text}"
        accepted = "fewer hosts or instances, or a larger `database.max_connections`"
        problems.append(parsed.problem(path, message, accepted=accepted))
    else:
        problems += _pool_problems(parsed, plan, budget, key)
        problems += _role_problems(system, plan, budget)
    problems += _sorting_problems(stack if settings.max_connections else system, plan, budget.max_connections)
    return [*problems, *_shared_memory_problems(stack, plan, budget.max_connections)]


def _pool_problems(
    parsed: Parsed[StackFile] | Parsed[System], plan: Plan, budget: ConnectionBudget, key: str
) -> list[Problem]:
    """Check that no pool is empty: PgBouncer treats a pool of no connections as one without a limit."""
    for pool in budget.pools:
        database = plan.apps[pool.app].app.database
        least = 2 if database is not None and database.read_from_replica else 1
        if pool.primary + pool.replica < least:
            path: KeyPath = ("database", key)
            message = f"leaves {pool.primary + pool.replica} connections to the pools of {pool.app} on {pool.host}"
            return [parsed.problem(path, message, accepted=f"at least {least} for each application host")]
    return []


def _role_problems(system: Parsed[System], plan: Plan, budget: ConnectionBudget) -> Iterator[Problem]:
    """Check that the limit of a role allows the pools of its application."""
    tier = system.need().database
    for position, role in enumerate(tier.roles if tier is not None else ()):
        users = [
            name
            for name, planned in plan.apps.items()
            if planned.app.database and planned.app.database.role == role.name
        ]
        needed = sum(pool.primary + pool.replica for pool in budget.pools if pool.app in users)
        if users and 0 <= role.connection_limit < needed:
            message = f"is less than the pools of {', '.join(users)} hold, {needed}"
            path: KeyPath = ("database", "roles", position, "connection_limit")
            accepted = f"at least {needed}, or -1"
            yield system.problem(path, message, value=role.connection_limit, accepted=accepted)


def _database_mb(plan: Plan) -> int | None:
    """Return the memory that the smallest database host has for PostgreSQL."""
    shares = [host_plan.shares["database"] for host_plan in plan.host_plans.values() if "database" in host_plan.shares]
    if plan.aws is not None and plan.aws.database is not None:
        shares.append(plan.aws.database.usable_mb)
    return min(shares, default=None)


def _shared_memory_problems(stack: Parsed[StackFile], plan: Plan, max_connections: int) -> list[Problem]:
    """Check that the shared memory fits; otherwise the server does not start."""
    parameters, available = stack.need().database.parameters, _database_mb(plan)
    needed = postgresql_parameters.shared_memory_mb(parameters, max_connections=max_connections)
    if available is None or not needed or sum(needed.values()) <= available:
        return []
    largest = max(needed, key=lambda name: needed[name])
    message = f"needs {needed[largest]} MB of shared memory, of {available} MB for the database"
    value, accepted = parameters[largest], "less, or a larger host"
    return [stack.problem(("database", "parameters", largest), message, value=value, accepted=accepted)]


def _sorting_problems(parsed: Parsed[StackFile] | Parsed[System], plan: Plan, max_connections: int) -> list[Problem]:
    """Check that every connection can sort at once, in half of the database's memory."""
    available, needed = _database_mb(plan), 2 * max_connections
    if available is None or needed <= available:
        return []
    message = f"{max_connections} connections need {needed} MB, 2 MB each, of {available} MB for the database"
    return [parsed.problem(("database", "max_connections"), message, accepted=f"at most {available // 2}")]
