"""From environment and provider output to what Ansible reads: groups, host variables and one read-only `stack`.

`stack` has the same shape for every provider, and is plain JSON:

    version: 1
    environment, system, title, provider, class, domain: str
    region: null | str, only on AWS
    aliases: [str]
    internal_domain: "<environment>.internal"
    network: {cidr}
    hosts: {name: {address, fqdn, groups: [str], cpus, memory_mb, os}}
    groups: {edge|app|database|cache|ops|consensus: [host]}
    retiring: {name: {address, fqdn, groups: [str]}}, hosts that are about to be removed or to lose these tiers
    apps: {app: {name, process_name, runtime: {name, version}, command: [str], mode, first_port, memory_mb,
        restarts: {limit, min_uptime_seconds}, start_timeout_seconds, kill_seconds, log_date_format,
        watch, health: {path, ready_path, interval_seconds, timeout_seconds, failures, retry_after_seconds},
        migrate: [str], environment: {VAR: str|int|bool}, secrets: {VAR: secret name},
        database: null | {name, role, pool, pool_timeout_seconds, read_from_replica,
            session: {statement_timeout_ms, lock_timeout_ms, idle_in_transaction_timeout_ms}},
        cache: [purpose], uploads: [folder], cache_folders: [folder], static: [{url, folder, max_age_days, immutable}],
        keep_releases, artifact: path in the project,
        instances_by_host: {host: [{name, address, port}]}}}
    edge: {worker_connections, balances: all|own, trusted_proxies: [cidr], proxy_protocol, sites: [{name, app, names: [str], tls: {min_version, http2, redirect_http,
        hsts: null | {max_age_days, include_subdomains, preload}},
        upstreams: [{name, members: [{host, address, port, weight}], balance, keepalive, health: {...}}],
        routes: [{path, upstream, exact, websocket, buffered, logged}],
        static: [{url, folder, max_age_days, immutable}],
        limits: [{name, path, requests, per: second|minute, burst, methods: [str]}], connections_per_client, streams_per_client,
        headers: {name: value}, timeouts: {connect_seconds, read_seconds, send_seconds, client_header_seconds,
        client_body_seconds, keepalive_seconds}, body_limit_mb,
        compression: {gzip, brotli, min_bytes, types: [str]}}]}
    database: null | {engine, version, run_by: hosts|cloud, ca: null | path in the project,
        master_secret: null | ARN, port, hosts: [host], initial_primary: null | host,
        voters: [host], voter_name, primary_name, replica_name, write_port, read_port, max_connections, synchronous, databases: [str], extensions: [str],
        roles: [{name, privileges: owner|write|read|monitor, databases: [str], connection_limit}],
        sizes: {host: {memory_mb, cpus}}, parameters: {name: value},
        pools: {host: [{app, database, role, alias, session: {...}, replica_alias: null | str, primary, replica, clients}]},
        client_limits: {host: int}}
    cache: {run_by: hosts|cloud, hosts: [host], instances: [{name, host: null | host, address, fqdn, port, purpose,
        maxmemory_mb, eviction,
        persistence: append_only|snapshot|none, users: [{name, access: application|operator, secret}]}]}
    uploads: {run_by: hosts|cloud, bucket: null | str, region: null | str}
    logs: {rotate_mb, keep}
    backups: {host, full_day, time, keep_full, keep_differential, files_every_hours, files_keep_days,
        archive_timeout_seconds, copy_to: {type: s3|sftp|none, endpoint, bucket, region, host, port, user, path, host_key,
        keep_days, keep_months}}
    certificates: {issuer, names: [str], email, directory, directory_ca,
        eab: null | {key_id, hmac_key_file}, files: null | {certificate, key}}
    secrets: {names: [str], password_command: null | str, cloud: null | {region, domain, prefix}}
    access: {admin_user, admins: [{name, keys: [str]}], ssh_from: [cidr]}
    capacity: {memory: {host: {memory_mb, shares: {part: mb}}}, connections: null | {max_connections,
        reserved: {who: n}, pooled}, kernel: {host: {sysctl: {name: value}, open_files: {service: n}}}}

Each host also has `stack_host: {name, groups, bootstrap_user, takeover, cpus, memory_mb, disk_gb, os, host_key}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stackwright.model import capacity, edge, naming, secrets, topology, transition
from stackwright.model.aws.names import bucket, cache_user
from stackwright.model.environment import Environment
from stackwright.model.output import BACKUPS, UPLOADS, InventoryError, from_environment, host_key_file, hosts_of
from stackwright.model.process import AppPlan
from stackwright.model.stackfile import CopyTo
from stackwright.model.topology import Host

STACK_VERSION = 1
#: AWS's document for SSH sessions; the session plugin of the AWS CLI has to be installed.
_SESSION = (
    "aws ssm start-session --region {region} --target %h --document-name AWS-StartSSHSession --parameters portNumber=%p"
)
ADMIN_USER = "stackwright"
#: The same access as on Linux: SSH, which Ansible supports for Windows from 2.18 on. The shell has to be the one that
#: sshd is configured with (`model/aws/boot/windows.ps1`); there is no Python, so that a module for Linux fails at once,
#: by name.
_WINDOWS: Mapping[str, Any] = {
    "ansible_connection": "ssh",
    "ansible_shell_type": "powershell",
    "ansible_python_interpreter": "none",
}
DATABASE_PORT = 5432
#: HAProxy on application hosts; see docs/architecture.md.
PROXY_WRITE_PORT, PROXY_READ_PORT = 5000, 5001


@dataclass(frozen=True, kw_only=True)
class HostVariables:
    """What Ansible needs to know about one host."""

    name: str
    groups: tuple[str, ...]
    variables: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What Ansible needs to know about an environment."""

    groups: Mapping[str, tuple[str, ...]]
    hosts: Mapping[str, HostVariables]
    #: Variables of all hosts; contains `stack`.
    variables: Mapping[str, Any]
    known_hosts_file: Path
    #: Content for `known_hosts_file`: exactly the recorded keys.
    known_hosts: str


def build(environment: Environment, output: Mapping[str, Any] | None) -> Inventory:
    """Return the inventory of a provisioned environment.

    `output` is what the Pulumi program exported; None is sufficient for existing servers. Raises InventoryError if it
    is missing, or belongs to another environment.
    """
    if output is None:
        output = from_environment(environment)
    known = {**output.get("retiring", {}), **hosts_of(environment, output)}
    known_names = {host.name for host in environment.hosts}
    # Every output of a managed service says where in the cloud it is.
    cloud = output.get("cloud") or ({} if topology.managed(environment.stack) else None)
    hosts = tuple(
        replace(host, address=known[host.name]["address"], host_key=_host_key(environment, host, known[host.name]))
        for host in environment.hosts
    )
    known_hosts_file = environment.state_folder / "ssh" / "known_hosts"
    retiring = transition.between(environment, output).retiring
    leaving = tuple(_leaving(environment, name, entry) for name, entry in retiring.items() if name not in known_names)
    return Inventory(
        groups={
            **environment.groups,
            **topology.playbook_groups(environment.stack, hosts, environment.system),
            "retiring": tuple(host.name for host in leaving),
            **{
                f"retiring_{tier}": tuple(name for name, entry in retiring.items() if tier in entry["groups"])
                for tier in topology.TIERS
            },
        },
        hosts={
            host.name: HostVariables(
                name=host.name,
                groups=host.groups if host.name in known_names else (),
                variables=_variables(environment, host, known[host.name], known_hosts_file),
            )
            for host in (*hosts, *leaving)
        },
        variables={"stack": stack(environment, hosts, output["endpoints"], cloud, retiring)},
        known_hosts_file=known_hosts_file,
        known_hosts="".join(f"{_known_as(host)} {_bare_key(host)}\n" for host in (*hosts, *leaving)),
    )


def _leaving(environment: Environment, name: str, entry: Mapping[str, Any]) -> Host:
    """Return a host that is no longer in the file, as its last output describes it."""
    connection = entry["connection"]
    host = Host(
        name=name,
        address=entry["address"],
        groups=tuple(entry["groups"]),
        cpus=entry["cpus"],
        memory_mb=entry["memory_mb"],
        os=entry.get("os") or environment.stack.os,
        bootstrap_user=connection["bootstrap_user"],
        port=connection["port"],
    )
    return replace(host, host_key=_host_key(environment, host, entry))


def _host_key(environment: Environment, host: Host, known: Mapping[str, Any]) -> str:
    """Return the key in the output, else the recorded one; a host without a known key is not connected to."""
    key: str | None = known["connection"].get("host_key")
    if key is not None:
        return key
    file = host_key_file(environment, host.name)
    if not file.is_file():
        raise InventoryError(
            f"the host key of {host.name} is not recorded in {file}: `stackwright up {environment.name}` reads it"
            " from where the host has published it"
        )
    return file.read_text(encoding="utf-8").strip()


def _known_as(host: Host) -> str:
    return host.address if host.port == 22 else f"[{host.address}]:{host.port}"


def _bare_key(host: Host) -> str:
    return " ".join((host.host_key or "").split()[:2])


def _variables(
    environment: Environment, host: Host, known: Mapping[str, Any], known_hosts_file: Path
) -> dict[str, Any]:
    connection = known["connection"]
    windows = _WINDOWS if host.windows else {}
    options = f"-o UserKnownHostsFile='{known_hosts_file}' -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
    through_ssm = connection.get("through") == "ssm"
    if through_ssm and environment.stack.aws is not None:
        session = _SESSION.format(region=environment.stack.aws.region)
        options += f" -o HostKeyAlias={_known_as(host)} -o ProxyCommand='{session}'"
    return {
        "ansible_host": known["instance_id"] if through_ssm else host.address,
        "ansible_port": connection["port"],
        "ansible_user": connection["user"],
        "ansible_ssh_private_key_file": str(environment.root / connection["private_key_file"]),
        "ansible_ssh_common_args": options,
        **windows,
        "stack_host": {
            "name": host.name,
            "groups": list(host.groups),
            "bootstrap_user": connection["bootstrap_user"],
            "takeover": host.takeover,
            "cpus": host.cpus,
            "memory_mb": host.memory_mb,
            "disk_gb": host.disk_gb,
            "os": host.os,
            "host_key": host.host_key,
        },
    }


def stack(
    environment: Environment,
    hosts: tuple[Host, ...],
    endpoints: Mapping[str, Any] | None = None,
    cloud: Mapping[str, Any] | None = None,
    retiring: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return the read-only facts that group_vars pass to role inputs.

    `endpoints` and `cloud` are those of the output, if a cloud has some; without `cloud` the facts contain neither the
    location of the password of the database's master user nor any bucket. Raises InventoryError if the output lacks a
    bucket for uploads that is required.
    """
    service_endpoints = endpoints or {}
    groups = topology.groups(hosts)
    return {
        "version": STACK_VERSION,
        "environment": environment.name,
        "system": environment.system.name,
        "title": environment.system.title,
        "provider": environment.provider,
        "region": environment.stack.aws.region if environment.stack.aws is not None else None,
        "class": environment.environment_class,
        "domain": environment.domain,
        "aliases": list(environment.aliases),
        "internal_domain": environment.internal_domain,
        "network": {"cidr": environment.network.cidr},
        "hosts": {host.name: _host(environment, host) for host in hosts},
        "groups": {group: list(names) for group, names in groups.items()},
        "retiring": {
            name: {
                "address": entry["address"],
                "fqdn": naming.fqdn(name, environment.name),
                "groups": list(entry["groups"]),
            }
            for name, entry in (retiring or {}).items()
        },
        "apps": {name: _app(plan, {host.name for host in hosts}) for name, plan in environment.apps.items()},
        "edge": _edge(environment, hosts),
        "database": _database(environment, hosts, service_endpoints, (cloud or {}).get("master_secret")),
        "cache": _cache(environment, hosts, service_endpoints),
        "uploads": _uploads(environment, cloud),
        "logs": _plain(environment.logs),
        "backups": {
            "host": _first(groups["ops"]),
            **_plain(environment.backups),
            "copy_to": _copy_to(environment),
        },
        "certificates": _certificates(environment),
        "secrets": {
            "names": [spec.name for spec in secrets.secret_names(environment)],
            "password_command": environment.stack.secrets.password_command,
            "cloud": None,
        },
        "access": _access(environment),
        "capacity": _capacity(environment, hosts),
    }


def _first(names: tuple[str, ...]) -> str | None:
    return names[0] if names else None


def _plain(value: Any) -> dict[str, Any]:
    """Return a dataclass as JSON has it: lists instead of tuples, at every level."""
    plain: dict[str, Any] = _listed(asdict(value))
    return plain


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _listed(member) for key, member in value.items()}
    return [_listed(member) for member in value] if isinstance(value, (tuple, list)) else value


def _host(environment: Environment, host: Host) -> dict[str, Any]:
    return {
        "address": host.address,
        "fqdn": naming.fqdn(host.name, environment.name),
        "groups": list(host.groups),
        "cpus": host.cpus,
        "memory_mb": host.memory_mb,
        "os": host.os,
    }


def _app(plan: AppPlan, hosts: set[str]) -> dict[str, Any]:
    app = plan.app
    database = {**_plain(app.database), "pool": plan.database_pool} if app.database else None
    process = _plain(app.process)
    return {
        "name": plan.name,
        "process_name": app.process.name,
        "runtime": _plain(app.runtime),
        **{key: value for key, value in process.items() if key not in ("name", "instances", "max_instances")},
        "memory_mb": plan.memory_mb,
        "health": _plain(app.health),
        "migrate": list(app.migrate),
        "environment": dict(plan.environment),
        "secrets": dict(app.secrets),
        "database": database,
        "cache": list(app.cache),
        "uploads": list(app.uploads),
        "cache_folders": list(app.cache_folders),
        "static": [_plain(static_path) for static_path in app.static],
        "keep_releases": app.keep_releases,
        "artifact": plan.artifact,
        "instances_by_host": {
            host: [_plain(instance) for instance in ones] for host, ones in plan.instances.items() if host in hosts
        },
    }


def _edge(environment: Environment, hosts: tuple[Host, ...]) -> dict[str, Any]:
    smallest = min((host.memory_mb for host in hosts if "edge" in host.groups), default=0)
    return {
        "worker_connections": capacity.edge_connections(smallest),
        "balances": "own" if "edge" in topology.managed(environment.stack) else "all",
        "trusted_proxies": list(environment.stack.edge.trusted_proxies),
        "proxy_protocol": environment.stack.edge.proxy_protocol,
        "sites": [_plain(site) for site in edge.sites(environment)],
    }


def _database(
    environment: Environment, hosts: tuple[Host, ...], endpoints: Mapping[str, Any], master_secret: str | None
) -> dict[str, Any] | None:
    tier, budget = environment.system.database, environment.connections
    if tier is None or budget is None:
        return None
    groups = topology.groups(hosts)
    domain = environment.internal_domain
    synchronous = environment.stack.database.synchronous
    return {
        "engine": tier.engine,
        "version": tier.version,
        "port": DATABASE_PORT,
        "hosts": list(groups["database"]),
        "initial_primary": _first(groups["database"]),
        "voters": list(groups["consensus"]),
        "voter_name": f"database-voter.{domain}",
        **_database_names(environment, endpoints),
        "master_secret": master_secret if "database" in topology.managed(environment.stack) else None,
        "max_connections": budget.max_connections,
        "synchronous": environment.environment_class == "production" if synchronous is None else synchronous,
        "databases": list(tier.databases),
        "extensions": list(tier.extensions),
        "roles": [_plain(role) for role in tier.roles],
        "sizes": {
            host: {
                "memory_mb": environment.host_plans[host].shares["database"],
                "cpus": environment.host(host).cpus,
            }
            for host in groups["database"]
        },
        "parameters": dict(environment.stack.database.parameters),
        "pools": {host: _pools(environment, host) for host in groups["app"]},
        "client_limits": {host: _clients(environment, host) for host in groups["app"]},
    }


def _database_names(environment: Environment, endpoints: Mapping[str, Any]) -> dict[str, Any]:
    """Return where PgBouncer finds the hosts for writes and reads: the proxy of its host, or the cloud's names."""
    if "database" not in topology.managed(environment.stack):
        domain = environment.internal_domain
        names = {"primary_name": f"database-primary.{domain}", "replica_name": f"database-replica.{domain}"}
        return {"run_by": "hosts", "ca": None, **names, "write_port": PROXY_WRITE_PORT, "read_port": PROXY_READ_PORT}
    primary = endpoints["postgresql"]
    replica = endpoints.get("postgresql_replica", primary)
    return {
        "run_by": "cloud",
        "ca": database_ca(environment),
        "primary_name": primary["addresses"][0],
        "replica_name": replica["addresses"][0],
        "write_port": primary["port"],
        "read_port": replica["port"],
    }


def database_ca(environment: Environment) -> str:
    """Return the file of the database's CA, which no system trusts: configured, or fetched once by `stackwright`."""
    aws = environment.stack.aws
    ca_file = aws.database.ca_file if aws is not None else None
    return ca_file or f".state/{environment.name}/database-ca.pem"


def _pools(environment: Environment, host: str) -> list[dict[str, Any]]:
    budget = environment.connections
    pools = []
    for pool in budget.pools if budget else ():
        database = environment.apps[pool.app].app.database
        if pool.host != host or database is None:
            continue
        pools.append(
            {
                "app": pool.app,
                "database": database.name,
                "role": database.role,
                "alias": database.name,
                "session": _plain(database.session),
                "replica_alias": f"{database.name}_replica" if database.read_from_replica else None,
                "primary": pool.primary,
                "replica": pool.replica,
                "clients": pool.clients,
            }
        )
    return pools


def _clients(environment: Environment, host: str) -> int:
    """Return the connections to PgBouncer of a host: all instances, twice during a release, and some for operators."""
    budget = environment.connections
    clients = sum(pool.clients for pool in budget.pools if pool.host == host) if budget else 0
    return 2 * clients + 20


def _cache(environment: Environment, hosts: tuple[Host, ...], endpoints: Mapping[str, Any]) -> dict[str, Any]:
    names = topology.groups(hosts)["cache"]
    run_by = "cloud" if "cache" in topology.managed(environment.stack) else "hosts"
    instances = []
    for number, (purpose, instance) in enumerate(environment.system.cache.items()):
        users = [
            {
                "name": app if run_by == "hosts" else cache_user(environment.name, purpose, app),
                "access": "application",
                "secret": f"redis/{purpose}/{app}",
            }
            for app, plan in environment.apps.items()
            if purpose in plan.app.cache
        ]
        operator = {"name": secrets.CACHE_OPERATOR, "access": "operator"}
        instances.append(
            {
                "name": purpose,
                **_cache_place(environment, hosts, endpoints.get(f"redis_{purpose}"), number),
                "port": instance.port,
                "purpose": purpose,
                "maxmemory_mb": environment.plan.cache_mb[purpose],
                "eviction": instance.eviction,
                "persistence": instance.persistence,
                "users": [*users, operator | {"secret": f"redis/{purpose}/{secrets.CACHE_OPERATOR}"}],
            }
        )
    return {"run_by": run_by, "hosts": list(names), "instances": instances}


def _cache_place(
    environment: Environment, hosts: tuple[Host, ...], endpoint: Mapping[str, Any] | None, number: int
) -> dict[str, str | None]:
    """Return where an instance listens: at the cloud's name, else on a host; one has all instances, more take turns."""
    names = topology.groups(hosts)["cache"]
    if not names and endpoint is not None:
        return {"host": None, "address": endpoint["addresses"][0], "fqdn": endpoint["addresses"][0]}
    host = next(candidate for candidate in hosts if candidate.name == names[number % len(names)])
    return {"host": host.name, "address": host.address, "fqdn": naming.fqdn(host.name, environment.name)}


def _uploads(environment: Environment, cloud: Mapping[str, Any] | None) -> dict[str, str | None]:
    """Return where uploads are stored: in directories of the hosts, or in a cloud's bucket, which outlives hosts."""
    if not topology.managed(environment.stack):
        return {"run_by": "hosts", "bucket": None, "region": None}
    name = (cloud or {}).get("buckets", {}).get(UPLOADS)
    if cloud is not None and name is None:
        raise InventoryError(
            f"{environment.name} is not provisioned as its file says: its output has no bucket {UPLOADS};"
            f" run: stackwright up {environment.name}"
        )
    return {"run_by": "cloud", "bucket": name, "region": None if cloud is None else cloud["region"]}


def _copy_to(environment: Environment) -> dict[str, Any]:
    """Return where the backups are copied to; a bucket that the program creates has its name filled in."""
    stack = environment.stack
    copy_to = _plain(stack.backups.copy_to or CopyTo(type="none"))
    if stack.aws is None or not topology.copies_to_own_bucket(stack):
        return {**copy_to, "region": copy_to["region"] or "us-east-1"}
    region = stack.aws.region
    name = bucket(environment.name, BACKUPS, stack.aws.account)
    return {**copy_to, "endpoint": f"https://s3.{region}.amazonaws.com", "bucket": name, "region": region}


def _certificates(environment: Environment) -> dict[str, Any]:
    # A cloud's load balancer serves the users, and does not verify the certificates of hosts.
    override = {"issuer": "self_signed"} if "edge" in topology.managed(environment.stack) else {}
    names = [name for site in environment.system.sites.values() for name in edge.site_names(environment, site)]
    return {**_plain(environment.certificates), **override, "names": list(dict.fromkeys(names))}


def _access(environment: Environment) -> dict[str, Any]:
    access = environment.access
    return {
        "admin_user": ADMIN_USER,
        "admins": [_plain(admin) for admin in access.admins],
        "ssh_from": list(access.ssh_from),
    }


def _capacity(environment: Environment, hosts: tuple[Host, ...]) -> dict[str, Any]:
    budget, plans = environment.connections, environment.host_plans
    return {
        "memory": {
            host.name: {"memory_mb": plans[host.name].memory_mb, "shares": dict(plans[host.name].shares)}
            for host in hosts
        },
        "connections": budget
        and {
            "max_connections": budget.max_connections,
            "reserved": dict(budget.reserved),
            "pooled": budget.pooled,
        },
        "kernel": {
            host.name: capacity.kernel_limits(
                groups=host.groups,
                memory_mb=host.memory_mb,
                clients=_clients(environment, host.name) if "app" in host.groups else 0,
                max_connections=budget.max_connections if budget else 0,
            )
            for host in hosts
        },
    }


__all__ = ["HostVariables", "Inventory", "InventoryError", "build", "database_ca", "stack"]
