"""Names that are taken, values that are not what they seem, and secrets that are none of an application's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from model_project import KEY, ROOT, Project

from stackwright.model import reserved
from stackwright.model.process import GENERATED_VARIABLES

STACK = "inventories/clinic/stack.yml"
SYSTEM = "systems/taaleem.yml"
PACKAGED = Path("/usr/share/base-passwd")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def rename_application(project: Project, name: str) -> None:
    for old, new in (("  emr:\n    runtime", f"  {name}:\n    runtime"), ("    app: emr", f"    app: {name}")):
        project.edit_system(old, new)
    project.system = project.system.replace("app/emr/", f"app/{name}/")


@pytest.mark.parametrize(
    "name",
    ["root", "ssl", "postgres", "mail", "backup", "stackwright", "admin", "default", "operator", "redis", "nginx",
     "systemd-timesync", "tls-nginx", "ssh", "sudo", "patroni", "pgbackrest", "www-data", "nobody", "apt", "journal"],
)  # fmt: skip
def test_an_application_cannot_have_the_name_of_an_account_or_a_folder(project: Project, name: str) -> None:
    rename_application(project, name)
    (message,) = project.errors()
    assert message.startswith(f"{SYSTEM}:8: apps.{name}: the name is taken by ")
    assert message.endswith("; accepted: a name that nothing else has")


@pytest.mark.parametrize("name", ["shop", "emr", "web", "portal", "back-office", "api", "admins", "mailer"])
def test_other_names_are_free(project: Project, name: str) -> None:
    rename_application(project, name)
    assert name in project.load().apps


def names_of_the_distribution() -> set[str]:
    files = [*PACKAGED.glob("*.master"), Path("/etc/passwd")] if PACKAGED.is_dir() else []
    entries = [line.split(":") for file in files for line in file.read_text().splitlines()]
    return {entry[0] for entry in entries if len(entry) < 7 or int(entry[2]) < 500 or int(entry[2]) == 65534}


@pytest.mark.skipif(not PACKAGED.is_dir(), reason="base-passwd is of Debian")
def test_every_account_and_group_of_the_distribution_is_reserved() -> None:
    # `_apt` and the like cannot be the name of an application.
    names = {name for name in names_of_the_distribution() if re.fullmatch(r"[a-z][a-z0-9-]{0,29}", name)}
    assert len(names) > 30
    assert {name for name in names if reserved.account(name) is None} == set()


def test_every_account_and_group_that_a_role_makes_is_reserved() -> None:
    names: set[str] = set()
    for path in (ROOT / "roles").glob("*/tasks/*.yml"):
        for kind, inline, name in re.findall(
            r"ansible\.builtin\.(user|group):\s*(\{)?\s*name: ([a-z][a-z0-9-]*)", path.read_text()
        ):
            assert kind
            assert inline in ("", "{")
            names.add(name)
    assert names >= {"pgbouncer"}
    assert {name for name in names if reserved.account(name) is None} == set()


def test_every_package_of_a_service_is_reserved() -> None:
    """Packages have folders in /etc, /var/lib and /var/log of their name."""
    packages: set[str] = set()
    for path in (ROOT / "roles").glob("*/vars/main.yml"):
        for key, value in (yaml.safe_load(path.read_text()) or {}).items():
            if key.endswith("_packages") and isinstance(value, list):
                packages |= {name for name in value if re.fullmatch(r"[a-z]+", name)}
    assert packages >= {"nginx", "haproxy", "pgbouncer", "patroni"}
    tools = {"procps", "socat", "locales", "tzdata"}
    assert {name for name in packages - tools if reserved.account(name) is None} == set()


@pytest.mark.parametrize("name", ["all", "edge", "app", "database", "localhost", "windows", "database-primary", "ops"])
def test_a_host_cannot_have_the_name_of_a_group(project: Project, name: str) -> None:
    project.bare_metal()
    project.edit("name: db2", f"name: {name}")
    (message,) = project.errors()
    assert message.startswith(f"{STACK}:14: hosts[2].name: is taken by ")


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("all", "a word of pg_hba.conf"),
        ("replication", "a word of pg_hba.conf"),
        ("template1", "a database of PostgreSQL itself"),
        ("pgbouncer", "the console of PgBouncer"),
        ("taaleem", "another database"),
        ("taaleem_replica", "the reads of database taaleem"),
        ("pg_x", "PostgreSQL"),
    ],
)
def test_a_database_cannot_have_a_word_of_the_services(project: Project, name: str, owner: str) -> None:
    project.edit_system("databases: [taaleem]\n", f"databases: [taaleem, {name}]\n")
    assert (
        f"{SYSTEM}:83: database.databases[1]: is taken by {owner}, got '{name}'; accepted: a name of its own"
        in project.errors()
    )


@pytest.mark.parametrize("name", ["all", "postgres", "public", "none", "pg_monitor", "rdsadmin", "emr", "stackwright"])
def test_a_role_cannot_have_a_word_of_the_services(project: Project, name: str) -> None:
    project.edit_system("name: reports", f"name: {name}")
    (message,) = project.errors()
    assert message.startswith(f"{SYSTEM}:86: database.roles[1].name: is taken by ")


@pytest.mark.parametrize("name", ["emr", "postgres", "stackwright", "admin", "nobody"])
def test_an_admin_cannot_have_the_account_of_something_else(project: Project, name: str) -> None:
    project.edit("topology:", f"access: {{admins: [{{name: {name}, keys: [{KEY}]}}]}}\ntopology:")
    (message,) = project.errors()
    assert message.startswith(f"{STACK}:11: access.admins[0].name: is taken by ")


@pytest.mark.parametrize("variable", sorted(GENERATED_VARIABLES))
def test_a_variable_that_stackwright_sets_is_refused(project: Project, variable: str) -> None:
    project.edit_system("NODE_ENV: production", f"{variable}: mine")
    project.edit("topology:", f"apps: {{emr: {{environment: {{{variable}: mine}}}}}}\ntopology:")
    assert [message.split(", from ")[0] for message in project.errors()] == [
        f"{STACK}:11: apps.emr.environment.{variable}: is set by stackwright",
        f"{SYSTEM}:34: apps.emr.environment.{variable}: is set by stackwright",
    ]


@pytest.mark.parametrize("variable", ["DATABASE_PASSWORD", "STRIPE_SECRET", "GITHUB_TOKEN", "JWT_PRIVATE_KEY"])
def test_a_secret_in_the_open_is_refused_and_not_shown(project: Project, variable: str) -> None:
    project.edit_system("NODE_ENV: production", f"{variable}: hunter2")
    (message,) = project.errors()
    assert message.startswith(f"{SYSTEM}:34: apps.emr.environment.{variable}: holds a secret by its name")
    assert "hunter2" not in message


def test_a_key_that_is_public_anyway_is_no_secret(project: Project) -> None:
    project.edit_system("NODE_ENV: production", "NEXT_PUBLIC_MAP_TOKEN: pk.1")
    assert project.load()


@pytest.mark.parametrize(
    "secret",
    ["tls/ca_key", "etcd/root", "pgbackrest/cipher", "postgresql/role/emr", "app/web/session", "app/emr/",
     "app/emr/../../tls/ca_key", "s3cr3t-Value!", "app/emr/S3cr3t", "'5'", "5", "true", "[s3cr3t]", "{a: s3cr3t}"],
)  # fmt: skip
def test_an_application_is_given_its_own_secrets_alone_and_no_value_is_shown(project: Project, secret: str) -> None:
    project.edit_system("SESSION_SECRET: app/emr/session", f"SESSION_SECRET: {secret}")
    (message,) = project.errors()
    assert message.startswith(f"{SYSTEM}:41: apps.emr.secrets.SESSION_SECRET: ")
    assert "got" not in message
    for part in ("tls/", "etcd/", "pgbackrest", "s3cr3t", "S3cr3t"):
        assert part not in message


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("01234", '1234 for the number, or "01234" in quotes for text'),
        ("+5", '5 for the number, or "+5" in quotes for text'),
        ("-0", '0 for the number, or "-0" in quotes for text'),
        ("007", '7 for the number, or "007" in quotes for text'),
        ("1.10", 'it in quotes: "1.10"'),
        (".5", 'it in quotes: ".5"'),
        ("True", 'true, or "True" in quotes for text'),
    ],
)
def test_a_value_that_would_change_on_its_way_is_refused(project: Project, text: str, accepted: str) -> None:
    project.edit_system("NODE_ENV: production", f"X: {text}")
    (message,) = project.errors()
    assert message.startswith(f"{SYSTEM}:34: apps.emr.environment.X: ")
    assert message.endswith(f"; accepted: {accepted}")


@pytest.mark.parametrize(
    "text", ["5", "-5", "0", "true", "false", '"01234"', "1_000", "0x1F", "12:30", "2024-01-01", "no", "1e3", "0128"]
)
def test_other_values_arrive_as_they_are_written(project: Project, text: str) -> None:
    project.edit_system("NODE_ENV: production", f"X: {text}")
    value = project.load().apps["emr"].environment["X"]
    assert (str(value).lower() if isinstance(value, bool) else str(value)) == text.strip('"')


@pytest.mark.parametrize("key", ["memory_mb: 0100", "cpus: +2"])
def test_numbers_elsewhere_are_not_guessed_either(project: Project, key: str) -> None:
    project.edit("topology:", f"sizes: {{app: {{{key}}}}}\ntopology:")
    (message,) = project.errors()
    assert "is a number that is not written as it would be read" in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NODE_ENV: production", "http_proxy: x",
         "34: apps.emr.environment.http_proxy: is not a valid name; accepted: a variable such as LOG_LEVEL"),
        ('version: "17"', "version: 17",
         '81: database.version: has the wrong type, got 17; accepted: it in quotes: "17"'),
        ("X-Frame-Options: SAMEORIGIN", "X_Frame: a",
         "66: sites.emr.headers.X_Frame: is not a valid name; accepted: a header such as X-Frame-Options"),
    ],
)  # fmt: skip
def test_a_message_says_what_a_name_looks_like(project: Project, old: str, new: str, message: str) -> None:
    project.edit_system(old, new)
    assert project.errors() == [f"{SYSTEM}:{message}"]


def test_a_second_application_is_refused(project: Project) -> None:
    start = project.system.index("  emr:\n")
    block = project.system[start : project.system.index("sites:")].rstrip()
    second = block.replace("  emr:\n", "  portal:\n").replace("5005", "5105").replace("app/emr", "app/portal")
    project.edit_system("\nsites:", f"{second}\n\nsites:")
    messages = project.errors()
    assert len(messages) == 1
    assert "apps.portal: is a second application, and one of a system is deployed: emr" in messages[0]


@pytest.mark.parametrize(
    ("uploads", "message"),
    [
        ("[a/files, b/files]", "uploads[1]: ends like a/files"),
        ("[uploads, uploads/x]", "uploads[1]: is in another folder of `uploads`"),
        ("[redis]", "uploads[0]: ends like the backup of Redis"),
        ("[uploads, uploads]", "uploads[1]: ends like uploads"),
    ],
)
def test_folders_of_uploads_are_apart(project: Project, uploads: str, message: str) -> None:
    project.edit_system("uploads: [uploads]", f"uploads: {uploads}")
    (error,) = project.errors()
    assert message in error


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("system", "limit: 10,", "limit: 99999999999,", "process.restarts.limit: is out of range"),
        ("system", "keep_full: 2", "keep_full: 10000000000", "backups.keep_full: is out of range"),
        ("system", "memory_mb: 1024", "memory_mb: 99999999999", "process.memory_mb: is out of range"),
        ("system", "memory_mb: 1024", "memory_mb: 1GB", "process.memory_mb: has the wrong type"),
        ("system", "memory_mb: 1024", "memory_mb: 1024.0", "process.memory_mb: has the wrong type"),
        ("system", "kill_seconds: 30", "kill_seconds: 1", "process.kill_seconds: is out of range"),
        ("system", "kill_seconds: 30", "kill_seconds: 30s", "process.kill_seconds: has the wrong type"),
        ("system", "title: Taaleem clinic management", 'title: "a\\nb"', "title: is not text on one line"),
        ("system", "uploads: [uploads]", "uploads: [my files]", "uploads[0]: is not a path in the release"),
        ("system", "uploads: [uploads]", "uploads: [a%h]", "uploads[0]: is not a path in the release"),
        ("system", "uploads: [uploads]", "uploads: [.]", "uploads[0]: is not a path in the release"),
        ("system", "uploads: [uploads]", "uploads: [a//b]", "uploads[0]: is not a path in the release"),
        ("system", "command: [server.js]", 'command: ["server.js\\n"]', "command[0]: is not text on one line"),
        ("system", "{name: emr, privileges: owner, databases: [taaleem]}",
         "{name: emr, privileges: owner, databases: [taaleem], connection_limit: 5}",
         "database.roles[0].connection_limit: is less than the pools of emr hold"),
        ("system", "role: emr\n", "role: monitoring\n", "apps.emr.database.role: has no access to database taaleem"),
        ("system", 'time: "02:30"', 'time: "2:30"', "backups.time: is not accepted"),
        ("system", 'time: "02:30"', 'time: "24:00"', "backups.time: is not accepted"),
        ("stack", "topology:", "database: {max_connections: 24}\ntopology:", "database.max_connections: is out of range"),
        ("stack", "10.87.20.0/24", "10.87.20.0/255.255.255.0", "network.cidr: is not written as a network"),
        ("stack", "www.taaleem.test", "WWW.taaleem.test", "aliases[0]: is not a domain name"),
        ("stack", "www.taaleem.test", "münchen.test", "aliases[0]: is not a domain name"),
    ],
)  # fmt: skip
def test_a_value_that_no_service_takes_is_refused(
    project: Project, file: str, old: str, new: str, message: str
) -> None:
    (project.edit if file == "stack" else project.edit_system)(old, new)
    assert any(message in error for error in project.errors()), project.errors()


def test_ssh_cannot_have_the_port_of_a_service(project: Project) -> None:
    for port, owner in {443: "the edge", 5432: "PostgreSQL", 5006: "application emr", 6379: "cache sessions"}.items():
        project.bare_metal()
        project.edit("name: db2", f"name: db2, port: {port}")
        (message,) = project.errors()
        assert f"hosts[2].port: is taken by {owner}, got {port}" in message


def test_an_alias_cannot_be_the_subdomain_of_a_site(project: Project) -> None:
    project.edit_system("sites:\n", "sites:\n  portal: {app: emr, subdomain: www}\n")
    (message,) = project.errors()
    assert "aliases[0]: is the subdomain of site portal, got 'www.taaleem.test'" in message


def test_a_file_of_a_ca_holds_a_certificate(project: Project) -> None:
    certificates = "{issuer: acme, email: a@b.test, directory_ca: systems/taaleem.yml}"
    project.edit("{issuer: internal}", certificates)
    (message,) = project.errors()
    assert "certificates.directory_ca: holds no certificate, got 'systems/taaleem.yml'" in message
