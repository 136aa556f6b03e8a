"""Every key of both files has an effect: changed alone, it changes a host, an output, or an input of some role."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_project import KEY, Project, provisioned
from pydantic import TypeAdapter

from stackwright.model import graph
from stackwright.model.environment import Environment, load
from stackwright.model.errors import KeyPath, dotted
from stackwright.model.inventory import build
from stackwright.model.stackfile import StackFile
from stackwright.model.system import System
from stackwright.testing import certificates
from stackwright.testing.role_inputs import ROOT, HostInputs

OTHER_KEY = KEY[:-1] + "T"
SYSTEM = """
name: taaleem
title: Clinic
apps:
  emr:
    runtime: {name: nodejs, version: "24"}
    artifact: dist/taaleem.json
    process:
      name: taaleem-emr
      command: [server.js, --quiet]
      mode: fork
      instances: 2
      first_port: 5005
      max_instances: 4
      memory_mb: 512
      restarts: {limit: 10, min_uptime_seconds: 10}
      start_timeout_seconds: 60
      kill_seconds: 30
      log_date_format: YYYY-MM-DD
      watch: false
    health: {path: /api/health, ready_path: /api/ready, interval_seconds: 10, timeout_seconds: 5, failures: 3, retry_after_seconds: 10}
    migrate: [migrate.js, up]
    environment: {NODE_ENV: production}
    secrets: {SESSION_SECRET: app/emr/session}
    database:
      name: taaleem
      role: emr
      pool: 20
      pool_timeout_seconds: 20
      read_from_replica: true
      session: {statement_timeout_ms: 30000, lock_timeout_ms: 10000, idle_in_transaction_timeout_ms: 20000}
    cache: [sessions]
    uploads: [uploads]
    static: [{url: /_next/static, folder: .next/static, max_age_days: 365, immutable: false}]
    keep_releases: 5
sites:
  emr:
    app: emr
    host_names: [domain]
    balance: {method: weighted, weights: {server1: 3}, keepalive: 32}
    tls:
      min_version: "1.2"
      http2: true
      redirect_http: true
      hsts: {max_age_days: 365, include_subdomains: true, preload: true}
    headers: {X-Frame-Options: SAMEORIGIN}
    compression: {gzip: true, brotli: true, min_bytes: 1024, types: [text/css]}
    body_limit_mb: 50
    timeouts: {connect_seconds: 75, read_seconds: 300, send_seconds: 300, client_header_seconds: 15,
               client_body_seconds: 60, keepalive_seconds: 65}
    websocket: true
    unbuffered: [/api/events]
    rate_limits: [{name: login, path: /api/login, requests: 5, per: minute, burst: 5, methods: [POST]}]
    connections_per_client: 100
    streams_per_client: 90
database:
  engine: postgresql
  version: "17"
  max_connections: 100
  databases: [taaleem, archive]
  extensions: [pg_trgm]
  roles:
    - {name: emr, privileges: owner, databases: [taaleem, archive]}
    - {name: reports, privileges: read, databases: [taaleem], connection_limit: 5}
cache:
  sessions: {port: 6379, memory_mb: 128, eviction: noeviction, persistence: append_only}
logs: {rotate_mb: 10, keep: 7}
backups:
  {full_day: Sun, time: "02:30", keep_full: 2, keep_differential: 7, files_every_hours: 6, files_keep_days: 30,
   archive_timeout_seconds: 60}
"""
COMMON = """
system: taaleem
provider: local
class: development
domain: taaleem.test
aliases: [www.taaleem.test]
network: {cidr: 10.87.20.0/24}
"""
#: Environments that have, together, every key of stack.yml.
STACKS = {
    "one server": COMMON
    + f"""
topology: {{size: A}}
edge: {{trusted_proxies: [198.51.100.0/24], proxy_protocol: true}}
sizes: {{server: {{cpus: 2, memory_mb: 8192, disk_gb: 20}}}}
certificates:
  {{issuer: acme, email: a@example.org, directory: https://acme.example/directory, directory_ca: certs/a.pem,
    eab: {{key_id: a, hmac_key_file: certs/a.pem}}}}
access: {{admins: [{{name: lena, keys: [{KEY}]}}], ssh_from: [10.0.0.0/8], ssh_private_key: certs/a.pem}}
secrets: {{password_command: cat a}}
apps: {{emr: {{instances: 2, memory_mb: 600, database_pool: 9, environment: {{A: a}}, artifact: dist/a.json}}}}
sites:
  emr:
    method: weighted
    weights: {{server1: 2}}
    body_limit_mb: 40
    rate_limits: [{{name: api, path: /api, requests: 9, per: second, burst: 3, methods: [GET]}}]
database: {{max_connections: 90, server_connections: 20, synchronous: true, parameters: {{jit: false}}}}
cache: {{sessions: {{memory_mb: 100}}}}
logs: {{rotate_mb: 11, keep: 8}}
backups:
  {{full_day: Mon, time: "03:30", keep_full: 3, keep_differential: 8, files_every_hours: 8, files_keep_days: 31,
   archive_timeout_seconds: 61,
   copy_to: {{type: s3, endpoint: "https://s3.example.org", bucket: clinic-backups, region: eu-central-1,
             keep_days: 36, keep_months: 13}}}}
""",
    "defaults": COMMON + "topology: {size: A}\n",
    "several": COMMON.replace("}", ", subnets: {app: 10.87.20.128/25}}")
    + """
topology: {size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}
os: debian-13
tier_os: {edge: debian-13}
certificates: {issuer: files, files: {certificate: certs/a.pem, key: certs/a.key}}
""",
    "servers": COMMON.replace("local", "bare_metal")
    + f"""
hosts:
  - {{name: server1, address: 10.87.20.11, groups: [edge, app, database, cache, ops], cpus: 2, memory_mb: 8192, disk_gb: 20,
      os: debian-13, user: root, port: 22, takeover: false, host_key: {KEY}}}
  - {{name: server2, address: 10.87.20.12, groups: [edge], cpus: 2, memory_mb: 8192, host_key_file: certs/a.pub}}
backups:
  copy_to: {{type: sftp, host: vault.example.org, port: 2022, user: clinic, path: /backups/clinic, host_key: {KEY}}}
""",
}
#: A value instead, where the type alone suggests none that is accepted.
VALUES: Mapping[str, Any] = {
    "apps.emr.artifact": "dist/b.json",
    "apps.emr.process.command[0]": "main.js",
    "apps.emr.process.mode": "cluster",
    "apps.emr.process.instances": 1,
    "apps.emr.health.path": "/health",
    "apps.emr.health.ready_path": "/ready",
    "apps.emr.secrets.SESSION_SECRET": "app/emr/other",
    "apps.emr.database.name": "archive",
    "apps.emr.database.role": "reports",
    "apps.emr.cache[0]": None,
    "apps.emr.static[0].url": "/static",
    "sites.emr.tls.min_version": "1.3",
    "sites.emr.host_names[0]": "aliases",
    "sites.emr.compression.types[0]": "text/plain",
    "sites.emr.unbuffered[0]": "/api/stream",
    "sites.emr.rate_limits[0].path": "/api/other",
    "sites.emr.rate_limits[0].methods[0]": "PUT",
    "sites.emr.balance.weights.server1": 4,
    "database.version": None,
    "database.databases[1]": None,
    "database.extensions[0]": "citext",
    "database.roles[1].privileges": "write",
    "database.roles[1].databases[0]": "archive",
    "backups.time": "04:30",
    "backups.files_every_hours": 12,
    "backups.copy_to.endpoint": "https://s3.example.net",
    "backups.copy_to.host": "vault.example.net",
    "backups.copy_to.host_key": OTHER_KEY,
    "domain": "clinic.test",
    "edge.trusted_proxies[0]": "203.0.113.0/24",
    "aliases[0]": "web.taaleem.test",
    "network.cidr": "10.87.21.0/24",
    "network.subnets.app": "10.87.20.0/25",
    "provider": None,
    "class": "production",
    "system": None,
    "name": None,
    "topology.size": None,
    "topology.database": 3,
    "topology.ops": 3,
    "os": None,
    "tier_os.edge": "ubuntu-24.04",
    "hosts[0].name": "server3",
    "hosts[0].address": "10.87.20.21",
    "hosts[0].groups[4]": None,
    "hosts[1].groups[0]": "app",
    "hosts[0].os": None,
    "hosts[1].name": "server4",
    "hosts[1].address": "10.87.20.22",
    "hosts[0].port": 2222,
    "hosts[0].host_key": OTHER_KEY,
    "hosts[1].host_key_file": "certs/b.pub",
    "certificates.issuer": "internal",
    "certificates.directory": "https://other.example/directory",
    "certificates.email": "b@example.org",
    "certificates.directory_ca": "certs/b.pem",
    "certificates.eab.hmac_key_file": "certs/b.pem",
    "certificates.files.certificate": "certs/b.pem",
    "certificates.files.key": "certs/b.key",
    "access.admins[0].keys[0]": OTHER_KEY,
    "access.ssh_from[0]": "10.0.0.0/16",
    "access.ssh_private_key": "certs/b.pem",
    "apps.emr.instances": 1,
    "database.synchronous": False,
}
#: Keys that cannot be changed alone, by the test that changes them with what goes with them.
NOT_ALONE: Mapping[str, str] = {
    "provider": "test_inventories_alike",
    "system": "the name of a file",
    "name": "the name of a file",
    "topology.size": "test_model_inventory",
    "database.version": "follows the distribution: test_model_errors",
    "os": "follows the version of the database: test_model_errors",
    "hosts[0].os": "follows the version of the database: test_model_errors",
    "hosts[0].groups[4]": "the tests of a second host's groups",
    "apps.emr.cache[0]": "test_small_systems",
    "apps.emr.database.role": "goes with the limit of the role: test_model_names",
    "database.databases[0]": "test_wiring",
    "database.databases[1]": "test_wiring",
    "database.roles[0].name": "test_wiring",
    "database.roles[0].privileges": "test_wiring",
    "database.roles[0].databases[0]": "test_wiring",
    "database.roles[0].databases[1]": "test_wiring",
    "sites.emr.app": "one application is deployed: test_model_names",
    "apps.emr.process.max_instances": "bounds the others: test_model_errors",
    "network.cidr": "with subnets it is changed in the environment of one server",
    "hosts[0].groups[1]": "the tests of a second host's groups",
    "hosts[0].groups[2]": "the tests of a second host's groups",
    "hosts[0].groups[3]": "the tests of a second host's groups",
    "backups.copy_to.type": "goes with the keys of its kind: test_backups",
}


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    elif isinstance(value, list) and value:
        for position, part in enumerate(value):
            yield from leaves(part, (*path, position))
    else:
        yield path, value


def changed(document: Any, path: KeyPath, value: Any) -> Any:
    found = copy.deepcopy(document)
    holder = found
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    return found


def other(path: KeyPath, value: Any, choices: Mapping[str, list[Any]]) -> Any:
    """Another value of the same kind."""
    name = dotted(path)
    if name in VALUES:
        return VALUES[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    words = [word for word in choices.get(pattern(path), []) if word != value]
    return words[0] if words else f"{value}x"


#: Mappings whose keys are names.
NAMED = {"apps", "sites", "sizes", "tier_os", "subnets", "cache", "weights", "environment", "headers", "parameters"}


def pattern(path: KeyPath) -> str:
    """The path without names and positions."""
    holders = (None, *path[:-1])
    # In stack.yml `secrets` is no mapping of names.
    hidden = [
        "*" if holder in NAMED or (holder == "secrets" and path[0] == "apps") else part
        for holder, part in zip(holders, path, strict=True)
    ]
    return dotted(tuple("[]" if isinstance(part, int) else part for part in hidden)).replace(".[]", "[]")


def schema_leaves(schema: Any, here: Any, path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Every key of a schema, with the words that it may be."""
    if "$ref" in here:
        here = schema["$defs"][here["$ref"].rsplit("/", 1)[1]]
    branches = [branch for branch in here.get("anyOf", [here]) if branch.get("type") != "null"]
    words = [word for branch in branches for word in branch.get("enum", [branch["const"]] if "const" in branch else [])]
    inner = [branch for branch in branches if "$ref" in branch or branch.get("type") in ("object", "array")]
    if not inner or (
        inner == [here]
        and not {"properties", "items", "prefixItems"} & here.keys()
        | {key for key in here if key.endswith("roperties") and here[key] is not False}
    ):
        yield path, words
        return
    for branch in inner:
        if "$ref" in branch:
            yield from schema_leaves(schema, branch, path)
            continue
        for key, part in branch.get("properties", {}).items():
            yield from schema_leaves(schema, part, f"{path}.{key}" if path else key)
        for part in branch.get("patternProperties", {}).values():
            yield from schema_leaves(schema, part, f"{path}.*")
        if isinstance(branch.get("additionalProperties"), dict):
            yield from schema_leaves(schema, branch["additionalProperties"], f"{path}.*")
        if "items" in branch:
            yield from schema_leaves(schema, branch["items"], f"{path}[]")


SCHEMAS = {kind: TypeAdapter(kind).json_schema() for kind in (StackFile, System)}
CHOICES = {kind: dict(schema_leaves(schema, schema)) for kind, schema in SCHEMAS.items()}
OWN_KEYS = {"several": ("topology", "os", "tier_os", "network", "certificates"), "servers": ("hosts", "backups")}
CASES = [("system", "defaults", path, value) for path, value in leaves(yaml.safe_load(SYSTEM))] + [
    ("stack", name, path, value)
    for name in ("one server", "several", "servers")
    for path, value in leaves(yaml.safe_load(STACKS[name]))
    if name == "one server" or (path[0] in OWN_KEYS[name] and path != ("certificates", "issuer"))
]


class Effects:
    """What comes of an environment's two files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._bases: dict[str, Environment] = {}
        self._outside: dict[int, Any] = {}
        self._inputs: dict[int, Any] = {}
        folder = root / "certs"
        folder.mkdir()
        key = None
        for name in ("a", "b"):
            # Two certificates of one key: each file can be changed alone.
            certificate, key = pair(key)
            (folder / f"{name}.pem").write_bytes(certificate)
            (folder / f"{name}.pem.pub").write_text(KEY if name == "a" else OTHER_KEY)
            (folder / f"{name}.key").write_bytes(key)
            (folder / f"{name}.pub").write_text(KEY if name == "a" else OTHER_KEY)
        state = root / ".state/clinic/ssh"
        state.mkdir(parents=True)
        (state / "id_ed25519.pub").write_text(KEY)

    def base(self, name: str) -> Environment:
        if name not in self._bases:
            self._bases[name] = self.environment(yaml.safe_load(STACKS[name]), yaml.safe_load(SYSTEM))
        return self._bases[name]

    def environment(self, stack: Any, system: Any) -> Environment:
        project = Project(root=self.root, stack=yaml.safe_dump(stack), system=yaml.safe_dump(system))
        project.write()
        return load(project.file)

    def outside(self, environment: Environment) -> Any:
        """What can be seen without any role."""
        if not any(environment is base for base in self._bases.values()):
            return self._seen(environment)
        if id(environment) not in self._outside:
            self._outside[id(environment)] = self._seen(environment)
        return self._outside[id(environment)]

    def _seen(self, environment: Environment) -> Any:
        output = provisioned(environment)
        inventory = build(environment, json.loads(json.dumps(output)))
        return (
            environment.hosts,
            output,
            {name: host.variables for name, host in inventory.hosts.items()},
            inventory.groups,
            inventory.known_hosts,
            graph.topology_svg(environment),
            inventory.variables["stack"]["secrets"],
        )

    def inputs(self, environment: Environment) -> Any:
        if not any(environment is base for base in self._bases.values()):
            return self._wired(environment)
        if id(environment) not in self._inputs:
            self._inputs[id(environment)] = self._wired(environment)
        return self._inputs[id(environment)]

    def _wired(self, environment: Environment) -> Any:
        inventory = build(environment, json.loads(json.dumps(provisioned(environment))))
        name = next(iter(inventory.hosts))
        return HostInputs(inventory, name, self.root).inputs()


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Effects:
    return Effects(tmp_path_factory.mktemp("keys"))


def pair(private: bytes | None) -> tuple[bytes, bytes]:
    """A certificate for the site's names, and its key: `private` if it is given."""
    known = None if private is None else serialization.load_pem_private_key(private, None)
    key = known if isinstance(known, ec.EllipticCurvePrivateKey) else certificates.new_key()
    names = ("taaleem.test", "*.taaleem.test", "clinic.test", "*.clinic.test")
    made = certificates.certificate(names[0], key, names=names, days=300)
    return certificates.certificate_pem(made), certificates.key_pem(key)


@pytest.fixture(autouse=True)
def of_this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(ROOT))


@pytest.mark.parametrize(
    ("file", "base", "path", "value"), CASES, ids=[f"{file}: {dotted(path)}" for file, _, path, _ in CASES]
)
def test_a_key_that_is_changed_alone_changes_something(
    effects: Effects, file: str, base: str, path: KeyPath, value: Any
) -> None:
    name = dotted(path)
    choices = CHOICES[System if file == "system" else StackFile]
    if (name in NOT_ALONE and (name, base) != ("network.cidr", "one server")) or len(
        choices.get(pattern(path), [])
    ) == 1:
        return
    stack, system = yaml.safe_load(STACKS[base]), yaml.safe_load(SYSTEM)
    before = effects.base(base)
    replaced = other(path, value, choices)
    if file == "system":
        system = changed(system, path, replaced)
    else:
        stack = changed(stack, path, replaced)
    after = effects.environment(stack, system)
    different = effects.outside(after) != effects.outside(before) or effects.inputs(after) != effects.inputs(before)
    assert different, f"{name}: {value!r} and {replaced!r} come to the same"


def test_every_key_of_both_schemas_is_changed() -> None:
    for kind, file in ((StackFile, "stack"), (System, "system")):
        keys = {name for name in CHOICES[kind] if not name.startswith("aws")}
        tested = {pattern(path) for of, _, path, _ in CASES if of == file}
        assert len(keys) > 60
        missing = {key for key in keys - tested if not key.endswith((".*", "[]"))}
        assert missing <= {"sites.*.subdomain"}, sorted(missing)
