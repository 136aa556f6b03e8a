"""From `stack` to the inputs of roles, where more than a reference to a value is needed: the filters of group_vars.

Pure functions; `secrets` are the values that a lookup passes in, by name.
"""

from __future__ import annotations

import hashlib
import posixpath
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stackwright.model import redis_access

Data = dict[str, Any]
Stack = Mapping[str, Any]
Secrets = Mapping[str, str]

APP_ROOT = "/srv"
_CACHE_ROOT = "/var/cache"
_CA_FOLDER = "/etc/stackwright/ca"
STATIC_ROOT = "/var/lib/stackwright/static"
_PERSISTENCE = {"append_only": "aof", "snapshot": "rdb", "none": "none"}
#: PgBouncer on application hosts; see docs/architecture.md.
_POOL_PORT = 6432


def members(stack: Stack, names: Iterable[str]) -> list[Data]:
    """Return `[{name, address}]` of the hosts."""
    return [{"name": name, "address": stack["hosts"][name]["address"]} for name in names]


def retiring_members(stack: Stack, tier: str) -> list[Data]:
    """Return `[{name, address}]` of the hosts that are about to lose a tier."""
    return [
        {"name": name, "address": host["address"]} for name, host in stack["retiring"].items() if tier in host["groups"]
    ]


def ssh_command(variables: Mapping[str, Any]) -> list[str]:
    """Return the command that logs in to the host with these variables, as Ansible does."""
    return [
        *("ssh", "-o", "BatchMode=yes", "-p", str(variables["ansible_port"])),
        *("-i", variables["ansible_ssh_private_key_file"], *shlex.split(variables["ansible_ssh_common_args"])),
        f"{variables['ansible_user']}@{variables['ansible_host']}",
    ]


def addresses(stack: Stack, groups: Iterable[str]) -> list[str]:
    """Return the addresses of all hosts of the groups, each once; the group `hosts` is every host.

    `retiring_<tier>` are the hosts that are about to lose the tier.
    """
    ips: dict[str, None] = {}
    for group in groups:
        if group.startswith("retiring_"):
            ips.update((host["address"], None) for host in retiring_members(stack, group.removeprefix("retiring_")))
        names = stack["hosts"] if group == "hosts" else stack["groups"].get(group, [])
        ips.update((stack["hosts"][name]["address"], None) for name in names)
    return list(ips)


def etcd_member_addresses(statuses: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the addresses of all members of the running etcd cluster, from what `etcd_status` read on each host.

    A host with data counts even while its etcd is down; a cluster that is being created does not count yet.
    """
    ips: dict[str, None] = {}
    for status in statuses:
        ips.update((member["address"], None) for member in status["members"])
        if status["state"] in ("healthy", "broken"):
            ips[status["address"]] = None
    return list(ips)


def host_networks(stack: Stack, groups: Iterable[str]) -> list[str]:
    """Return the result of `addresses` as networks of one host."""
    return [f"{address}/32" for address in addresses(stack, groups)]


def firewall_rules(ports: Iterable[Mapping[str, Any]], stack: Stack, etcd_members: Iterable[str] = ()) -> list[Data]:
    """Return firewall_rules for the ports that the roles of a host export.

    `etcd_members` are the addresses of etcd's members, which count as `consensus` until they are removed.
    """
    voters = [f"{address}/32" for address in etcd_members]
    rules: dict[tuple[str, int], Data] = {}
    for port in ports:
        anywhere = "any" in port["from"]
        sources = ["any"] if anywhere else host_networks(stack, port["from"])
        if "consensus" in port["from"]:
            sources = list(dict.fromkeys([*sources, *voters]))
        key = (port["protocol"], int(port["port"]))
        rule = {"name": port["name"], "port": key[1], "protocol": key[0], "sources": sources}
        if key in rules:
            # Two roles on one port (an agent and its server on one host): the sources of both may connect.
            rule["sources"] = list(dict.fromkeys([*rules[key]["sources"], *sources]))
        rules[key] = rule
    return list(rules.values())


def edge_sites(stack: Stack, host: str) -> list[Data]:
    """Return the sites of an edge host, with the instances of all hosts, or its own if a cloud balances the hosts."""
    if stack["edge"]["balances"] == "all":
        return list(stack["edge"]["sites"])
    return [
        {**site, "upstreams": [_own_members(upstream, host) for upstream in site["upstreams"]]}
        for site in stack["edge"]["sites"]
    ]


def static_applications(stack: Stack, host: str, artifact: Mapping[str, Any]) -> list[Data]:
    """Return static_files_applications of an edge host: of the first application, if it has static files.

    If a cloud balances the hosts, an edge serves only the instances on its own host.
    """
    name, app = next(iter(stack["apps"].items()))
    hosts = list(app["instances_by_host"]) if stack["edge"]["balances"] == "all" else [host]
    application = {
        "name": name,
        "release": artifact["release"],
        "archive": artifact["static_path"],
        "sha256": artifact["static_sha256"],
        "hosts": hosts,
        "host_releases": posixpath.join(APP_ROOT, name, "releases"),
    }
    return [application] if app["static"] else []


def edge_members(sites: Iterable[Mapping[str, Any]]) -> dict[str, list[Data]]:
    """Return the members of each upstream of `edge_sites`."""
    return {upstream["name"]: list(upstream["members"]) for site in sites for upstream in site["upstreams"]}


def edge_sites_with(sites: Iterable[Mapping[str, Any]], members: Mapping[str, list[Data]], stack: Stack) -> list[Data]:
    """Return `edge_sites` with the members that an edge had before, as far as their hosts still run the application.

    An instance with a new port exists only after the rollout of the application; until then the previous one responds.
    """
    return [
        {**site, "upstreams": [_with_members(upstream, members, stack) for upstream in site["upstreams"]]}
        for site in sites
    ]


def _with_members(upstream: Mapping[str, Any], members: Mapping[str, list[Data]], stack: Stack) -> Data:
    known = [(member["address"], member["port"]) for member in upstream["members"]]
    previous = [
        member
        for member in members.get(upstream["name"], [])
        if member["host"] in stack["groups"]["app"] and (member["address"], member["port"]) not in known
    ]
    return {**upstream, "members": [*upstream["members"], *previous]}


def nginx_balancer(stack: Stack, certificate_folder: str) -> Data:
    """Return nginx_balancer, which is empty if users connect to the edge directly."""
    if stack["edge"]["balances"] == "all":
        return {}
    site = stack["edge"]["sites"][0]
    upstream = site["upstreams"][0]
    return {
        "certificate_file": posixpath.join(certificate_folder, "tls.crt"),
        "key_file": posixpath.join(certificate_folder, "tls.key"),
        "health_path": upstream["health"]["path"],
        "upstream": upstream["name"],
    }


def _own_members(upstream: Mapping[str, Any], host: str) -> Data:
    return {**upstream, "members": [member for member in upstream["members"] if member["host"] == host]}


def tls_certificates(certificates: Iterable[Mapping[str, Any]], stack: Stack, host: str, root: str) -> list[Data]:
    """Return tls_certificates for what the roles of a host export: internal ones, and the sites' by their issuer."""
    # Servers that configure themselves do not have the key of the CA.
    internal = "internal" if "tls/ca_key" in stack["secrets"]["names"] else "self_signed"
    entries = []
    for certificate in certificates:
        site = certificate["role"] == "nginx"
        issuer = stack["certificates"]["issuer"] if site else internal
        entry = {"name": certificate["name"], "reload": list(certificate.get("reload", [])), "issuer": issuer}
        if site:
            entry["dns"] = list(stack["certificates"]["names"])
        else:
            entry["dns"] = list(
                dict.fromkeys([host, stack["hosts"][host]["fqdn"], *_service_names(certificate["role"], stack)])
            )
            entry["common_name"] = certificate.get("common_name", "")
            entry["ip"] = list(dict.fromkeys([stack["hosts"][host]["address"], "127.0.0.1"]))
        if issuer == "files":
            files = stack["certificates"]["files"]
            entry["certificate_file"] = posixpath.join(root, files["certificate"])
            entry["key_file"] = posixpath.join(root, files["key"])
        entries.append(entry)
    return entries


def _service_names(role: str, stack: Stack) -> list[str]:
    if role == "etcd":
        # The name that distinguishes a voter's certificate from others of the same CA.
        return [stack["database"]["voter_name"]]
    if role == "redis":
        # An instance that moves to another host is still reached by the name of the previous one.
        names = [stack["hosts"][name]["fqdn"] for name in stack["groups"]["cache"]]
        return names + [host["fqdn"] for host in stack["retiring"].values() if "cache" in host["groups"]]
    if role == "postgresql":
        return [stack["database"]["primary_name"], stack["database"]["replica_name"]]
    return []


def host_entries(stack: Stack, host: str) -> list[Data]:
    """Return the entries of /etc/hosts: every host, and on application hosts the database's names at the proxy."""
    entries = [
        {"address": server["address"], "names": [server["fqdn"], name]} for name, server in stack["hosts"].items()
    ]
    if host in stack["groups"]["app"] and stack["database"] is not None and stack["database"]["run_by"] == "hosts":
        names = [stack["database"]["primary_name"], stack["database"]["replica_name"]]
        entries.append({"address": "127.0.0.1", "names": names})
    return entries


def redis_name(purpose: str) -> str:
    """Return the name of the instance for a purpose."""
    return purpose.replace("_", "-")


def redis_instances(stack: Stack, host: str, secrets: Secrets) -> list[Data]:
    """Return redis_instances of a host."""
    return [
        _redis_instance(stack, instance, secrets)
        for instance in stack["cache"]["instances"]
        if instance["host"] == host
    ]


def _redis_instance(stack: Stack, instance: Mapping[str, Any], secrets: Secrets) -> Data:
    users = {user["access"]: user for user in instance["users"]}
    applications = [user for user in instance["users"] if user["access"] == "application"]
    patterns = list(redis_access.patterns(stack["system"], len(applications)))
    return {
        "name": redis_name(instance["name"]),
        "port": instance["port"],
        "persistence": _PERSISTENCE[instance["persistence"]],
        "maxmemory_mb": instance["maxmemory_mb"],
        "eviction": instance["eviction"],
        "admin_password": secrets[users["operator"]["secret"]],
        "users": [
            {
                "name": user["name"],
                "passwords": [secrets[user["secret"]]],
                "keys": patterns,
                "channels": patterns,
                "categories": list(redis_access.CATEGORIES),
                "commands": list(redis_access.commands(len(applications))),
            }
            for user in applications
        ],
    }


def postgresql_roles(stack: Stack, secrets: Secrets) -> list[Data]:
    """Return postgresql_roles: the roles that the system declares, and PgBouncer's own."""
    database = stack["database"]
    app_hosts, ops_hosts = host_networks(stack, ["app"]), host_networks(stack, ["ops"])
    roles = [
        {
            **_declared_role(database, role, secrets),
            "networks": app_hosts if role["privileges"] in {"owner", "write"} else [*app_hosts, *ops_hosts],
        }
        for role in database["roles"]
    ]
    pooler = {
        "name": "pgbouncer",
        "password": secrets["pgbouncer/auth"],
        "databases": list(database["databases"]),
        "networks": app_hosts,
    }
    return [*roles, pooler]


def _declared_role(database: Mapping[str, Any], role: Mapping[str, Any], secrets: Secrets) -> Data:
    return {
        "name": role["name"],
        "password": secrets[f"postgresql/role/{role['name']}"],
        "databases": list(role["databases"]) or list(database["databases"]),
        "connection_limit": role["connection_limit"],
        "member_of": ["pg_monitor"] if role["privileges"] == "monitor" else [],
    }


def postgresql_databases(stack: Stack) -> list[Data]:
    """Return postgresql_databases; the owner is the role with that privilege."""
    owners = {
        name: role["name"] for role in stack["database"]["roles"] if role["privileges"] == "owner"
        for name in role["databases"]
    }  # fmt: skip
    return [
        {"name": name, "owner": owners[name], "extensions": list(stack["database"]["extensions"])}
        for name in stack["database"]["databases"]
    ]


def postgresql_privileges(stack: Stack) -> list[Data]:
    """Return postgresql_privileges: rights of reading and writing roles on existing and future objects of the owner."""
    rights = {"read": ["SELECT"], "write": ["SELECT", "INSERT", "UPDATE", "DELETE"]}
    owners = {database["name"]: database["owner"] for database in postgresql_databases(stack)}
    privileges = []
    for role in stack["database"]["roles"]:
        for name in role["databases"] if role["privileges"] in rights else []:
            base = {"database": name, "role": role["name"]}
            privileges += [
                {**base, "type": "schema", "objects": ["public"], "privileges": ["USAGE"]},
                {**base, "type": "table", "schema": "public", "objects": ["ALL_IN_SCHEMA"],
                 "privileges": rights[role["privileges"]]},
                {**base, "type": "default_privs", "schema": "public", "objects": ["TABLES"],
                 "owner": owners[name], "privileges": rights[role["privileges"]]},
            ]  # fmt: skip
    return privileges


def _in_cloud(stack: Stack) -> bool:
    return stack["database"] is not None and stack["database"]["run_by"] == "cloud"


def managed_postgresql_roles(stack: Stack, secrets: Secrets) -> list[Data]:
    """Return managed_postgresql_roles: the roles that the system declares; the cloud controls access to the server."""
    database = stack["database"]
    return [_declared_role(database, role, secrets) for role in database["roles"]] if _in_cloud(stack) else []


def managed_postgresql_databases(stack: Stack) -> list[Data]:
    """Return managed_postgresql_databases."""
    return postgresql_databases(stack) if _in_cloud(stack) else []


def managed_postgresql_privileges(stack: Stack) -> list[Data]:
    """Return managed_postgresql_privileges."""
    return postgresql_privileges(stack) if _in_cloud(stack) else []


def instance_names(stack: Stack, app: str, host: str) -> list[Data]:
    """Return the instances of an application on a host, with the names that operators see: `<process>-<port>`.

    In cluster mode there is one, `<process>`: workers that share its port are indistinguishable from outside.
    """
    facts = stack["apps"][app]
    placed, process = facts["instances_by_host"].get(host, []), facts["process_name"]
    if facts["mode"] == "cluster":
        return [{"name": process, "port": instance["port"], "address": instance["address"]} for instance in placed[:1]]
    return [
        {"name": f"{process}-{instance['port']}", "port": instance["port"], "address": instance["address"]}
        for instance in placed
    ]


def app_members(stack: Stack, app: str) -> list[Data]:
    """Return app_release_members: every instance on every host."""
    hosts = stack["apps"][app]["instances_by_host"]
    return [{"host": host, **instance} for host in hosts for instance in instance_names(stack, app, host)]


def app_upstreams(stack: Stack, app: str) -> list[str]:
    """Return app_release_upstreams: every upstream of every site of an application, as the edge names them."""
    sites = [site for site in stack["edge"]["sites"] if site["app"] == app]
    return list(dict.fromkeys(upstream["name"] for site in sites for upstream in site["upstreams"]))


def app_services(stack: Stack) -> list[Data]:
    """Return app_release_services: what a rollout restarts on a host while its instances are out of the edges."""
    manager = "/usr/local/sbin/pm2-app"
    pooler = {
        "name": "PgBouncer",
        "pending": ["/usr/local/lib/stackwright/pgbouncer_service.py", "pending"],
        "restart": ["systemctl", "restart", "pgbouncer.service"],
    }
    processes = {
        "name": "process manager",
        "pending": [manager, "{service}", "pending"],
        "restart": [manager, "{service}", "up"],
    }
    return [pooler, processes] if stack["database"] is not None else [processes]


def migration_environment(stack: Stack, app: str, host: str) -> dict[str, str]:
    """Return app_release_migrate_environment: the part of the instances' environment that is public."""
    return {"NODE_ENV": "production"} | app_environment(stack, app, host)


def pm2_applications(stack: Stack, host: str, label: str | None = None) -> list[Data]:
    """Return pm2_applications of an application host; `label` replaces the host's name in what users and logs see."""
    return [_pm2_application(stack, app, host, label or host) for app in stack["apps"]]


def _pm2_application(stack: Stack, app: str, host: str, label: str) -> Data:
    facts = stack["apps"][app]
    clustered = facts["mode"] == "cluster"
    # Users and logs show the host of an instance; its name alone is the same on every host.
    instances: list[Data] = [
        {
            "name": instance["name"],
            "port": instance["port"],
            "environment": {"INSTANCE_ID": label if clustered else f"{label}:{instance['port']}"},
        }
        for instance in instance_names(stack, app, host)
    ]
    for cluster in instances if clustered else ():
        cluster["workers"] = len(facts["instances_by_host"][host])
    return {
        "name": app,
        "user": app,
        "directory": f"{APP_ROOT}/{app}/current",
        "script": facts["command"][0],
        "arguments": list(facts["command"][1:]),
        "environment": app_environment(stack, app, host),
        "environment_file": environment_file(app),
        "instances": instances,
        "mode": facts["mode"],
        "max_restarts": facts["restarts"]["limit"],
        "min_uptime_seconds": facts["restarts"]["min_uptime_seconds"],
        "max_memory_mb": facts["memory_mb"],
        "kill_timeout_seconds": facts["kill_seconds"],
        "listen_timeout_seconds": facts["start_timeout_seconds"],
        "log_date_format": facts["log_date_format"],
        "writable_paths": uploads_folders(stack, app),
        "cache_directory": f"{_CACHE_ROOT}/{app}" if facts["cache_folders"] else None,
    }


def environment_file(app: str) -> str:
    """Return the file that holds the secrets of an application on its hosts."""
    return f"/etc/{app}/env"


def uploads_folders(stack: Stack, app: str) -> list[str]:
    """Return the directories of an application that outlive its releases; none if uploads go into a cloud's bucket."""
    if stack["uploads"]["run_by"] == "cloud":
        return []
    return [f"/var/lib/{app}/{name}" for name in stack["apps"][app]["uploads"]]


def _uploads_environment(stack: Stack, app: str) -> dict[str, str]:
    uploads = stack["uploads"]
    if not stack["apps"][app]["uploads"]:
        return {}
    if uploads["run_by"] == "cloud":
        return {"UPLOADS_BUCKET": uploads["bucket"], "AWS_REGION": uploads["region"]}
    folders = uploads_folders(stack, app)
    return {"UPLOADS_DIR": folders[0], "UPLOADS_DIRS": ":".join(folders)}


def app_environment(stack: Stack, app: str, host: str) -> dict[str, str]:
    """Return the public environment of an application's instances."""
    facts = stack["apps"][app]
    variables = {key: _text(value) for key, value in facts["environment"].items()}
    variables["HOST"] = next(
        (instance["address"] for instance in facts["instances_by_host"].get(host, [])), "127.0.0.1"
    )
    variables["TRUSTED_PROXIES"] = ",".join(["127.0.0.1", *addresses(stack, ["edge"])])
    variables["KILL_TIMEOUT_MS"] = str((facts["kill_seconds"] - 1) * 1000)
    variables |= _uploads_environment(stack, app)
    if facts["database"] is not None:
        variables["DATABASE_POOL_MAX"] = str(facts["database"]["pool"])
        variables["DATABASE_POOL_TIMEOUT_MS"] = str(facts["database"]["pool_timeout_seconds"] * 1000)
    if facts["cache"]:
        variables["REDIS_CA_FILE"] = cache_ca_file(stack)
    return variables


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def ca_file(stack: Stack) -> str:
    """Return the file of the environment's CA on every host, readable by all users."""
    return f"/usr/local/share/ca-certificates/stackwright-{stack['environment']}.crt"


def database_ca_file(stack: Stack) -> str:
    """Return the file of the CA of the database's servers on a host."""
    return ca_file(stack) if stack["database"]["ca"] is None else f"{_CA_FOLDER}/database.crt"


def cache_ca_file(stack: Stack) -> str:
    """Return the file of the CA of the cache's servers; a managed cache has a CA that every system trusts."""
    return ca_file(stack) if stack["cache"]["run_by"] == "hosts" else "/etc/ssl/certs/ca-certificates.crt"


def tls_ca_files(stack: Stack, root: str) -> list[Data]:
    """Return the CAs of managed services: name and the file on the controller."""
    ca = (stack["database"] or {}).get("ca")
    return [] if ca is None else [{"name": "database", "file": posixpath.join(root, ca)}]


def app_secrets(stack: Stack, app: str, secrets: Secrets) -> dict[str, str]:
    """Return the secret environment of an application: every variable whose value contains a password."""
    facts = stack["apps"][app]
    variables = {variable: secrets[name] for variable, name in facts["secrets"].items()}
    if facts["database"] is not None:
        variables |= _database_urls(stack, facts, secrets)
    for instance in stack["cache"]["instances"]:
        if instance["name"] in facts["cache"]:
            secret = f"redis/{instance['name']}/{app}"
            # Found by its secret: a cloud's user has a different name than the application.
            user = next(account["name"] for account in instance["users"] if account["secret"] == secret)
            endpoint = f"{instance['fqdn']}:{instance['port']}"
            variables[f"REDIS_{instance['name'].upper()}_URL"] = f"rediss://{user}:{secrets[secret]}@{endpoint}"
    if facts["cache"] and stack["cache"]["run_by"] == "hosts":
        # Read when an instance starts: a new CA replaces the instances like any other change of their environment.
        variables["REDIS_CA_SHA256"] = hashlib.sha256(secrets["tls/ca_crt"].encode()).hexdigest()
    return variables


def _database_urls(stack: Stack, facts: Mapping[str, Any], secrets: Secrets) -> dict[str, str]:
    database = facts["database"]
    login = f"{database['role']}:{secrets['postgresql/role/' + database['role']]}"
    pooled = f"postgresql://{login}@127.0.0.1:{_POOL_PORT}/{database['name']}"
    # Migrations hold locks and settings for longer than a transaction: they bypass the pool and connect to the leader.
    verified = f"sslmode=verify-full&sslrootcert={database_ca_file(stack)}"
    direct = f"{stack['database']['primary_name']}:{stack['database']['write_port']}/{database['name']}?{verified}"
    urls = {"DATABASE_URL": pooled, "MIGRATION_DATABASE_URL": f"postgresql://{login}@{direct}"}
    if database["read_from_replica"]:
        urls["DATABASE_READ_URL"] = f"{pooled}_replica"
    return urls


def pgbouncer_databases(stack: Stack, host: str) -> list[Data]:
    """Return pgbouncer_databases of an application host: each database for writes and for reads."""
    database, entries = stack["database"], []
    for pool in database["pools"].get(host, []):
        entries.append(
            {
                "name": pool["alias"],
                "dbname": pool["database"],
                "host": database["primary_name"],
                "port": database["write_port"],
                "pool_size": pool["primary"],
                "session": _session(pool["session"]),
            }
        )
        if pool["replica_alias"]:
            entries.append(
                {
                    "name": pool["replica_alias"],
                    "dbname": pool["database"],
                    "host": database["replica_name"],
                    "port": database["read_port"],
                    "pool_size": pool["replica"],
                    "session": _session(pool["session"]),
                }
            )
    return entries


def _session(limits: Mapping[str, int]) -> dict[str, int]:
    names = {
        "statement_timeout": limits["statement_timeout_ms"],
        "lock_timeout": limits["lock_timeout_ms"],
        "idle_in_transaction_session_timeout": limits["idle_in_transaction_timeout_ms"],
    }
    return {name: value for name, value in names.items() if value}


def pgbouncer_users(stack: Stack, host: str, secrets: Secrets) -> list[Data]:
    """Return pgbouncer_users: the roles of the host's applications if a cloud does not allow looking up verifiers."""
    if not _in_cloud(stack):
        return []
    names = dict.fromkeys(pool["role"] for pool in stack["database"]["pools"].get(host, []))
    return [{"name": name, "password": secrets[f"postgresql/role/{name}"]} for name in names]


def log_rotation_logs(logs: Iterable[Mapping[str, Any]], stack: Stack) -> list[Data]:
    """Return log_rotation_logs for what the roles of a host export."""
    limits = {"size_mb": stack["logs"]["rotate_mb"], "keep": stack["logs"]["keep"]}
    return [{key: value for key, value in log.items() if key != "role"} | limits for log in logs]


def backup_postgresql_hosts(stack: Stack) -> list[Data]:
    """Return backup_postgresql_hosts: the path of the cluster on each database host."""
    if stack["database"] is None or stack["database"]["run_by"] == "cloud":
        return []
    version = stack["database"]["version"]
    cluster = {
        "data_directory": f"/var/lib/postgresql/{version}/main",
        "socket_directory": "/var/run/postgresql",
        "port": stack["database"]["port"],
    }
    return [{"name": name, **cluster} for name in stack["database"]["hosts"]]


def backup_files_sets(exports: Iterable[Mapping[str, Any]]) -> list[Data]:
    """Return backup_files_sets for what the roles of a host export."""
    return [
        {
            "name": export["name"],
            "paths": list(export["paths"]),
            "exclude": list(export.get("exclude", [])),
            "command": export.get("command", ""),
        }
        for export in exports
        if export["paths"]
    ]


def backup_files_clients(stack: Stack, secrets: Secrets) -> list[Data]:
    """Return backup_files_clients: every host may have a repository, which is created when the host first uses it."""
    return [
        {
            "name": name,
            "password": secrets[f"restic/{name}/password"],
            "http_password": secrets[f"restic/{name}/http"],
        }
        for name in stack["hosts"]
    ]


def backup_copy_to(stack: Stack, secrets: Secrets) -> Data:
    """Return backup_copy_to: the store outside the environment, with its credentials."""
    settings = stack["backups"]["copy_to"]
    if settings["type"] == "s3":
        # A bucket that the program creates grants access to the role of the host, and there is no key.
        keys = ("access_key", "secret_key") if "backup/s3/access_key" in stack["secrets"]["names"] else ()
        login = {key: secrets[f"backup/s3/{key}"] for key in keys}
        store = {key: settings[key] for key in ("endpoint", "bucket", "region")}
        return {"type": "s3", **store, "prefix": stack["environment"], **login}
    if settings["type"] == "sftp":
        store = {key: settings[key] for key in ("host", "port", "user", "path", "host_key")}
        return {"type": "sftp", **store, "private_key": secrets["backup/sftp/key"]}
    return {"type": "none"}


def backup_files_calendar(stack: Stack) -> str:
    """Return backup_files_calendar: the times of day, at even intervals."""
    hours = stack["backups"]["files_every_hours"]
    return "*-*-* 00:00:00" if hours == 24 else f"*-*-* 00/{hours}:00:00"


FILTERS: dict[str, Callable[..., Any]] = {
    "log_rotation_logs": log_rotation_logs,
    "backup_postgresql_hosts": backup_postgresql_hosts,
    "backup_files_sets": backup_files_sets,
    "backup_files_clients": backup_files_clients,
    "backup_copy_to": backup_copy_to,
    "backup_files_calendar": backup_files_calendar,
    "stack_members": members,
    "stack_retiring_members": retiring_members,
    "ssh_command": ssh_command,
    "stack_addresses": addresses,
    "stack_host_networks": host_networks,
    "firewall_rules": firewall_rules,
    "etcd_member_addresses": etcd_member_addresses,
    "tls_certificates": tls_certificates,
    "host_entries": host_entries,
    "edge_sites": edge_sites,
    "static_applications": static_applications,
    "edge_members": edge_members,
    "edge_sites_with": edge_sites_with,
    "nginx_balancer": nginx_balancer,
    "redis_instances": redis_instances,
    "postgresql_roles": postgresql_roles,
    "postgresql_databases": postgresql_databases,
    "postgresql_privileges": postgresql_privileges,
    "app_members": app_members,
    "app_services": app_services,
    "app_upstreams": app_upstreams,
    "migration_environment": migration_environment,
    "pm2_applications": pm2_applications,
    "app_secrets": app_secrets,
    "database_ca_file": database_ca_file,
    "tls_ca_files": tls_ca_files,
    "pgbouncer_databases": pgbouncer_databases,
    "pgbouncer_users": pgbouncer_users,
    "managed_postgresql_roles": managed_postgresql_roles,
    "managed_postgresql_databases": managed_postgresql_databases,
    "managed_postgresql_privileges": managed_postgresql_privileges,
}
