"""Checks of an environment on AWS: what AWS would reject only after half of the resources exist is reported before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from stackwright.model import addressing, topology
from stackwright.model.aws import names, plan, regions, sizes, subnets
from stackwright.model.aws.stackfile import Aws, AwsRestore, ScalingGroup
from stackwright.model.errors import KeyPath, Problem, nearest

if TYPE_CHECKING:
    from stackwright.model.files import Parsed, Place
    from stackwright.model.stackfile import StackFile
    from stackwright.model.system import System

#: Releases of PostgreSQL that RDS offers for new instances, and whose master user can create a database of another
#: role without being a superuser (the role managed_postgresql).
POSTGRESQL = ("16", "17")

#: Accounts that AWS's own documentation uses.
EXAMPLE_ACCOUNTS = ("111122223333", "123456789012", "444455556666", "555555555555", "999999999999")
EXAMPLE_ZONE = "Z0123456789ABCDEFGHIJ"
RESERVED_TOP_LEVELS = ("example", "invalid", "localhost", "test")


def problems(location: Place, parsed: Parsed[StackFile], stack: StackFile, system: System | None) -> Iterator[Problem]:
    """Yield every problem of the section, and of keys that have a different meaning on AWS."""
    if (stack.provider == "aws") != (stack.aws is not None):
        message = "is missing" if stack.aws is None else f"goes with `provider: aws`, and this is {stack.provider}"
        yield parsed.problem(("aws",), message, accepted="region, account, hosted_zone, ... for `provider: aws`")
    if stack.provider != "aws" or stack.aws is None:
        return
    yield from _name(location, parsed)
    if not stack.aws.example:
        yield from _placeholders(parsed, stack, stack.aws)
    yield from _network(parsed, stack, stack.aws)
    yield from _domain(parsed, stack, stack.aws)
    yield from _topology(parsed, stack, stack.aws)
    yield from _servers(parsed, stack, stack.aws)
    yield from _group(parsed, stack.aws.app.group)
    yield from _load_balancer(parsed, stack.aws)
    if system is not None:
        yield from _database(parsed, stack, stack.aws, system)
        yield from _replicas(parsed, stack, stack.aws, system)
        yield from _cache(parsed, stack, stack.aws, system)
        yield from _uploads(parsed, stack, system)
    if (stack.class_ == "production" or stack.aws.budget is not None) and not stack.aws.notify:
        why = "an alarm of production" if stack.class_ == "production" else "of the budget"
        message = f"is missing: nobody would hear {why}"
        yield parsed.problem(("aws", "notify"), message, accepted="at least one e-mail address")


def _placeholders(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    """Yield a problem for each value from documentation; some cannot be corrected once servers exist."""
    agent = aws.ssm_agent
    values = [
        (("aws", "account"), aws.account, aws.account in EXAMPLE_ACCOUNTS, "the number of your account"),
        (("aws", "hosted_zone", "id"), aws.hosted_zone.id, aws.hosted_zone.id == EXAMPLE_ZONE, "the id of your zone"),
        (("domain",), stack.domain, _reserved(stack.domain), "a domain that you have registered"),
        *(
            (("aws", "ssm_agent", "sha256", machine), checksum, set(checksum) == {"0"}, "the package's SHA-256")
            for machine, checksum in (agent.sha256.items() if agent else ())
        ),
        *(
            (("aws", "notify", position), address, _reserved(address.rpartition("@")[2]), "an address that is read")
            for position, address in enumerate(aws.notify)
        ),
    ]
    for path, value, is_placeholder, accepted in values:
        if is_placeholder:
            message = "is a placeholder of the documentation"
            yield parsed.problem(path, message, value=value, accepted=f"{accepted}, or `aws.example: true`")


def _reserved(domain: str) -> bool:
    """Return whether the domain is reserved and cannot be registered (RFC 2606 and RFC 6761)."""
    labels = domain.lower().rstrip(".").split(".")
    return labels[-1] in RESERVED_TOP_LEVELS or labels[-2:] in [["example", top] for top in ("com", "net", "org")]


def _name(location: Place, parsed: Parsed[StackFile]) -> Iterator[Problem]:
    """Check the environment's name: all names on AWS begin with it, and some services reject what others accept."""
    refused = []
    for kind in ("load_balancer", "database", "security_group", "bucket", "log_group"):
        try:
            names.name(kind, location.name, "x")
        except ValueError:
            refused.append(kind.replace("_", " "))
    if refused:
        message = f"the folder's name is the environment's, and AWS takes it for no {', '.join(refused)}"
        accepted = "no hyphen at the end or twice in a row; not beginning with internal-, sg- or aws-"
        yield parsed.problem((), message, value=location.name, accepted=accepted)


def _network(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    try:
        zones = regions.zones(aws.region, aws.zones)
    except ValueError as error:
        message, accepted = "is more than there is or less than two", str(error)
        yield parsed.problem(("aws", "zones"), message, value=aws.zones, accepted=accepted)
        zones = ()
    try:
        subnets.plan(stack.network.cidr, zones)
    except addressing.AddressError as error:
        message, accepted = "has no place for subnets", str(error).rpartition(": ")[2]
        yield parsed.problem(("network", "cidr"), message, value=stack.network.cidr, accepted=accepted)
    if stack.network.subnets:
        message = "are chosen by hand, and on AWS they follow from `network.cidr` and the zones"
        yield parsed.problem(("network", "subnets"), message, accepted="no `subnets`")
    for position, peer in enumerate(aws.peers):
        if addressing.overlaps([stack.network.cidr, peer]):
            message = f"overlaps network.cidr, {stack.network.cidr}"
            accepted = "another `network.cidr`: networks that are connected share no address"
            yield parsed.problem(("aws", "peers", position), message, value=peer, accepted=accepted)


def _domain(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    named: list[tuple[KeyPath, str]] = [(("domain",), stack.domain)]
    named += [(("aliases", position), alias) for position, alias in enumerate(stack.aliases)]
    for path, name in named:
        if not f".{name}".endswith(f".{aws.hosted_zone.name}"):
            message, accepted = "is not in aws.hosted_zone", f"{aws.hosted_zone.name} or a name below it"
            yield parsed.problem(path, message, value=name, accepted=accepted)


def _topology(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    if stack.topology is None:
        return
    if stack.topology.size == "C":
        for tier in topology.told(stack.topology):
            if tier in topology.managed(stack) and tier != "database":
                message = "counts hosts of a tier that AWS runs in size C"
                yield parsed.problem(("topology", tier), message, accepted="no count, or size B")
        if stack.certificates.issuer != "internal":
            message = "is for an edge of the environment's own; in size C the load balancer's certificate is ACM's"
            yield parsed.problem(
                ("certificates", "issuer"), message, value=stack.certificates.issuer, accepted="internal"
            )
        return
    if aws.app.group is not None:
        message = f"needs a load balancer of AWS, and size {stack.topology.size} has its own"
        yield parsed.problem(("aws", "app", "group"), message, accepted="topology size C")


def _servers(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    named: list[tuple[KeyPath, str]] = []
    if aws.app.instance_type is not None:
        named.append((("aws", "app", "instance_type"), aws.app.instance_type))
    spot = aws.app.group.spot if aws.app.group else None
    for position, name in enumerate(spot.types if spot else ()):
        named.append((("aws", "app", "group", "spot", "types", position), name))
    for path, name in named:
        server_type = sizes.SERVERS.get(name)
        if server_type is None:
            yield _unknown(parsed, path, "is not a type of server that is known here", name, sizes.SERVERS)
        elif server_type.architecture != aws.app.architecture:
            message = f"is {server_type.architecture}, and the image is {aws.app.architecture}"
            accepted = f"a type of {aws.app.architecture}"
            if not topology.is_windows(topology.os_of(stack, "app")):
                accepted += f", or `aws.app.architecture: {server_type.architecture}`"
            yield parsed.problem(path, message, value=name, accepted=accepted)
        elif not sizes.offered(name, aws.region):
            there = (server for server in sizes.SERVERS.values() if server.architecture == server_type.architecture)
            families = {server.name.partition(".")[0] for server in there if sizes.offered(server.name, aws.region)}
            accepted = f"a size of {', '.join(sorted(families))}, or another region"
            yield parsed.problem(path, f"is not offered in {aws.region}", value=name, accepted=accepted)
    without = {tier: topology.os_of(stack, tier) for tier in topology.created(stack)}
    without = {tier: system for tier, system in without.items() if system.startswith("debian")}
    missing = sorted(
        {topology.architecture(aws, tier) for tier in without} - set(aws.ssm_agent.sha256 if aws.ssm_agent else ())
    )
    if missing:
        which = ", ".join(dict.fromkeys(without.values()))
        message = f"is missing for {', '.join(missing)}: images of {which} have no agent, and nobody could log in"
        accepted = "{version: 3.3..., sha256: {x86_64: <of the .deb>}}, or `os: ubuntu-24.04`, whose images have it"
        yield parsed.problem(("aws", "ssm_agent"), message, accepted=accepted)
    for tier in topology.created(stack):
        if tier != "app" or aws.app.instance_type is None:
            cpus, memory_mb = topology.SIZES[stack.class_][tier]
            override = next((size for name, size in stack.sizes.items() if name == tier), None)
            minimum = ((override and override.cpus) or cpus, (override and override.memory_mb) or memory_mb)
            key: KeyPath = ("aws", "region") if override is None else ("sizes", tier)
            yield from _offered(parsed, key, partial(_server, aws, stack, tier, *minimum))


def _server(aws: Aws, stack: StackFile, tier: str, cpus: int, memory_mb: int) -> object:
    architecture = topology.architecture(aws, tier)
    bursts = stack.class_ != "production"
    return sizes.server(cpus, memory_mb, architecture=architecture, bursts=bursts, region=aws.region)


def _offered(parsed: Parsed[StackFile], path: KeyPath, choose: Callable[[], object]) -> Iterator[Problem]:
    try:
        choose()
    except ValueError as error:
        message, _, accepted = str(error).partition(": ")
        yield parsed.problem(path, f"is not to be had: {message}", accepted=accepted)


def _group(parsed: Parsed[StackFile], group: ScalingGroup | None) -> Iterator[Problem]:
    if group is None:
        return
    path: KeyPath = ("aws", "app", "group")
    if group.min > group.max:
        accepted = f"at most `max`, {group.max}"
        yield parsed.problem((*path, "min"), "is more than there may be", value=group.min, accepted=accepted)
        return
    for position, schedule in enumerate(group.schedules):
        if not group.min <= schedule.min <= schedule.max <= group.max:
            message = f"is no part of {group.min} to {group.max}"
            accepted = "min and max within those of the group"
            value = f"{schedule.min} to {schedule.max}"
            yield parsed.problem((*path, "schedules", position), message, value=value, accepted=accepted)
    if group.warm and group.spot is not None:
        message = "cannot be kept of a group that uses spot capacity"
        yield parsed.problem((*path, "warm"), message, value=group.warm, accepted="0, or no `spot`")


def _load_balancer(parsed: Parsed[StackFile], aws: Aws) -> Iterator[Problem]:
    if aws.load_balancer.kind == "network" and aws.load_balancer.firewall and not aws.load_balancer.cdn:
        message = "has nothing to stand on: a network load balancer passes on what it cannot read"
        accepted = "`firewall: false`, `cdn: true` or `kind: application`"
        yield parsed.problem(("aws", "load_balancer", "firewall"), message, value=True, accepted=accepted)


def _database(parsed: Parsed[StackFile], stack: StackFile, aws: Aws, system: System) -> Iterator[Problem]:
    settings, path = aws.database, ("aws", "database")
    if system.database is None or "database" not in topology.managed(stack):
        if settings.restore is not None:
            message = "has no effect: AWS runs no database of this environment"
            yield parsed.problem((*path, "restore"), message, accepted="none; backups on hosts: docs/how-to/restore.md")
        return
    yield from _restore(parsed, settings.restore)
    if system.database.version not in POSTGRESQL:
        message = f"is PostgreSQL {system.database.version}, which RDS does not offer or our roles cannot manage there"
        yield parsed.problem(("system",), message, value=stack.system, accepted=", ".join(POSTGRESQL))
    if stack.topology is not None and not stack.topology.ops:
        message = (
            "leaves no host that reaches the database: AWS runs the server and nobody logs in to it, so its roles,"
            " databases and rights are applied from a host of ops"
        )
        yield parsed.problem(("topology", "ops"), message, accepted="1, or `aws.database.run_by: hosts`")
    if settings.instance_class is not None and settings.instance_class not in sizes.DATABASES:
        message = "is not a class that RDS offers for PostgreSQL"
        yield _unknown(parsed, (*path, "instance_class"), message, settings.instance_class, sizes.DATABASES)
    elif settings.instance_class is None:
        yield from _offered(parsed, ("sizes", "database"), partial(plan.database_type, stack, aws))
    storage = settings.storage_gb or plan.STORAGE_GB[stack.class_]
    # RDS rejects a limit that is less than a tenth above the storage.
    if settings.max_storage_gb is not None and settings.max_storage_gb * 10 < storage * 11:
        accepted = f"at least {-(-storage * 11 // 10)}, a tenth more than `storage_gb`"
        yield parsed.problem(
            (*path, "max_storage_gb"), "leaves no room", value=settings.max_storage_gb, accepted=accepted
        )
    yield from _kept(parsed, stack, aws)


def _restore(parsed: Parsed[StackFile], restore: AwsRestore | None) -> Iterator[Problem]:
    path: KeyPath = ("aws", "database", "restore")
    if restore is None:
        return
    if (restore.snapshot is None) == (restore.source is None):
        yield parsed.problem(path, "is not one thing", accepted="`snapshot`, or `source` with or without `time`")
    elif restore.time is not None and restore.source is None:
        message = "is for `source`: a snapshot has a time of its own"
        yield parsed.problem((*path, "time"), message, value=restore.time, accepted="none")
    if restore.source == f"{parsed.source.file.parent.name}-database":
        message = "is the environment's own database, which is created by it"
        accepted = "the ARN of its automated backups, or an instance of another name"
        yield parsed.problem((*path, "source"), message, value=restore.source, accepted=accepted)


def _replicas(parsed: Parsed[StackFile], stack: StackFile, aws: Aws, system: System) -> Iterator[Problem]:
    """Check that no replica is requested while RDS manages the master's password, as it does on the first `up`."""
    settings = aws.database
    if system.database is None or "database" not in topology.managed(stack) or settings.master_secret is not None:
        return
    accepted = (
        "first 0; then, once the master's password is taken over (`stackwright database take-over`),"
        " `aws.database.master_secret` (docs/how-to/aws.md)"
    )
    number = plan.replicas(stack, aws)
    if number:
        path: KeyPath = ("aws", "database", "replicas") if settings.replicas is not None else ("topology", "database")
        ways = accepted if settings.replicas is not None else accepted.replace("first 0", "first 1")
        message = "asks RDS for replicas while it manages the master's password"
        yield parsed.problem(path, message, value=settings.replicas or number + 1, accepted=ways)
    if settings.replica_region is not None:
        message = "asks RDS for a replica while it manages the master's password"
        ways = accepted.replace("first 0", "first none")
        yield parsed.problem(
            ("aws", "database", "replica_region"), message, value=settings.replica_region, accepted=ways
        )


def _kept(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    path: KeyPath = ("aws", "database")
    days = plan.backup_days(stack, aws)
    copied = aws.database.copy_region or aws.database.replica_region or aws.database.replicas
    if days == 0 and (stack.class_ == "production" or copied):
        why = "production" if stack.class_ == "production" else "replicas and copies are made from backups"
        accepted = "1 to 35 days" if stack.class_ != "production" else "7 to 35 days"
        yield parsed.problem((*path, "backup_days"), f"keeps nothing ({why})", value=days, accepted=accepted)
    elif stack.class_ == "production" and days < 7:
        yield parsed.problem((*path, "backup_days"), "is too short for production", value=days, accepted="7 to 35 days")
    for key in ("copy_region", "replica_region"):
        if getattr(aws.database, key) == aws.region:
            message = "is the environment's own: a copy there is lost with it"
            yield parsed.problem((*path, key), message, value=aws.region, accepted="another region")


def _cache(parsed: Parsed[StackFile], stack: StackFile, aws: Aws, system: System) -> Iterator[Problem]:
    managed = "cache" in topology.managed(stack)
    if aws.cache.restore and not managed:
        message = "has no effect: AWS runs no Redis of this environment"
        yield parsed.problem(
            ("aws", "cache", "restore"), message, accepted="none; backups on hosts: docs/how-to/restore.md"
        )
    for purpose in aws.cache.restore.keys() - system.cache.keys():
        message, accepted = "is not a purpose of the system's cache", ", ".join(system.cache) or "none"
        yield parsed.problem(("aws", "cache", "restore", purpose), message, accepted=accepted)
    if not managed:
        return
    path: KeyPath = ("aws", "cache", "node_type")
    node_type = aws.cache.node_type
    if node_type is not None and node_type not in sizes.CACHES:
        yield _unknown(parsed, path, "is not a node that is known here", node_type, sizes.CACHES)
        return
    for purpose in system.cache:
        need = plan.cache_memory_mb(stack, system, purpose)
        where: KeyPath = ("cache", purpose) if purpose in stack.cache else ("system",)
        if node_type is None:
            yield from _offered(parsed, where, partial(sizes.cache, need))
        elif sizes.CACHES[node_type] * 0.75 < need:
            message = f"has {sizes.CACHES[node_type]} MB, a quarter of them kept back, and {purpose} needs {need} MB"
            yield parsed.problem(path, message, value=node_type, accepted=sizes.cache(need))


def _uploads(parsed: Parsed[StackFile], stack: StackFile, system: System) -> Iterator[Problem]:
    """Check that there is one upload directory: in size C the directories of hosts become one bucket."""
    folders = [f"apps.{name}.uploads.{folder}" for name, app in system.apps.items() for folder in app.uploads]
    if topology.managed(stack) and len(folders) > 1:
        message = f"keeps uploads in {', '.join(folders)}; in size C they go into a bucket, which is one for all"
        yield parsed.problem(
            ("system",), message, value=stack.system, accepted="one folder in one application, or size B"
        )


def _unknown(parsed: Parsed[StackFile], path: KeyPath, message: str, name: str, known: Iterable[str]) -> Problem:
    names = sorted(known)
    families = sorted({type_name.rpartition(".")[0] for type_name in names})
    accepted = f"a size of {', '.join(families)}"
    return parsed.problem(path, message, value=name, accepted=accepted, suggestion=nearest(name, names))
