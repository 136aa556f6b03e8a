"""Every bad input, with the message that a person gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_project import Project

from stackwright.model.source import MAX_BYTES

STACK = "inventories/clinic/stack.yml"
SYSTEM = "systems/taaleem.yml"

#: (what is wrong, text in stack.yml, what it becomes, the message)
STACK_CASES = [
    (
        "a system that packages another PostgreSQL",
        "topology:",
        "tier_os: {database: debian-12}\ntopology:",
        f"{STACK}:11: tier_os.database: packages PostgreSQL 15, and the system wants 17, got 'debian-12'; accepted: debian-13",
    ),
    (
        "unknown key",
        "{size: B,",
        "{size: B, databse: 2,",
        (
            f"{STACK}:11: topology.databse: is not a known key; accepted: size, edge, app, database, cache, ops;"
            " did you mean `database`?"
        ),
    ),
    (
        "unknown key of a mapping by tier",
        "topology:",
        "sizes: {ap: {cpus: 2}}\ntopology:",
        (
            f"{STACK}:11: sizes.ap: is not a known key; accepted: server, edge, app, database, cache, ops;"
            " did you mean `app`?"
        ),
    ),
    (
        "wrong type",
        "app: 2",
        "app: two",
        f"{STACK}:11: topology.app: has the wrong type, got 'two'; accepted: a whole number from 1 to 90",
    ),
    (
        "no silent conversion",
        "app: 2",
        'app: "2"',
        f"{STACK}:11: topology.app: has the wrong type, got '2'; accepted: a whole number from 1 to 90",
    ),
    (
        "out of range",
        "app: 2",
        "app: 0",
        f"{STACK}:11: topology.app: is out of range, got 0; accepted: a whole number from 1 to 90",
    ),
    (
        "word with a typo",
        "issuer: internal",
        "issuer: intrenal",
        (
            f"{STACK}:13: certificates.issuer: is not accepted, got 'intrenal'; accepted: internal, acme, files;"
            " did you mean `internal`?"
        ),
    ),
    (
        "bad domain",
        "domain: taaleem.test",
        "domain: Taaleem_Clinic",
        (
            f"{STACK}:7: domain: is not a domain name, got 'Taaleem_Clinic'; accepted: lower-case labels of letters,"
            " digits and hyphens, such as clinic.example.org"
        ),
    ),
    (
        "same name twice",
        "www.taaleem.test",
        "taaleem.test",
        f"{STACK}:8: aliases[0]: is named twice, got 'taaleem.test'; accepted: each name once",
    ),
    (
        "bad network",
        "10.87.20.0/24",
        "10.87.20.1/24",
        (
            f"{STACK}:10: network.cidr: is not an IPv4 network (10.87.20.1/24 has host bits set), got '10.87.20.1/24';"
            " accepted: a network such as 10.87.20.0/24"
        ),
    ),
    (
        "subnet outside",
        "10.87.20.0/24}",
        "10.87.20.0/24, subnets: {cache: 10.88.0.0/26}}",
        (
            f"{STACK}:10: network.subnets.cache: is outside the network, got '10.88.0.0/26';"
            " accepted: a part of 10.87.20.0/24"
        ),
    ),
    (
        "overlapping subnets",
        "10.87.20.0/24}",
        "10.87.20.0/24, subnets: {app: 10.87.20.0/25, database: 10.87.20.64/26}}",
        (
            f"{STACK}:10: network.subnets.database: overlaps the subnet of app, 10.87.20.0/25, got '10.87.20.64/26';"
            " accepted: subnets that share no address"
        ),
    ),
    (
        "network too small",
        "10.87.20.0/24",
        "10.87.20.0/29",
        (
            f"{STACK}:10: network.cidr: 10.87.20.0/29 has no place for edge host 1, which needs more than 21 addresses;"
            " accepted: a larger network"
        ),
    ),
    (
        "unknown system",
        "system: taaleem",
        "system: talem",
        f"{STACK}:4: system: is no known system, got 'talem'; accepted: taaleem; did you mean `taaleem`?",
    ),
    (
        "size without its provider",
        "size: B",
        "size: C",
        f"{STACK}:11: topology.size: leaves the data to a cloud, and local is none, got 'C'; accepted: A, B",
    ),
    (
        "no topology",
        "topology:",
        "sizes: {}\n#",
        f"{STACK}:4: topology: is missing; accepted: a mapping such as {{size: B, app: 2}}",
    ),
    (
        "memory over budget",
        "topology:",
        "apps: {emr: {instances: 4}}\nsizes: {app: {memory_mb: 2048}}\ntopology:",
        (
            f"{STACK}:12: sizes.app: memory of app1, app2 is over budget: system 384 + proxies 128 + emr 4 x 1024"
            " = 4608 MB of 2048 MB; accepted: fewer or smaller instances, or a larger host"
        ),
    ),
    (
        "connections over budget",
        "topology:",
        "database: {server_connections: 60}\ntopology:",
        (
            f"{STACK}:11: database.server_connections: connections are over budget: superuser 3 + patroni 3 + backup 2"
            " + operator 2 + other roles 8 + password queries 2 + PgBouncer 120 = 140 of max_connections 100;"
            " accepted: fewer hosts or instances, or a larger `database.max_connections`"
        ),
    ),
    (
        "more instances than connections",
        "app: 2,",
        "app: 25,",
        (
            f"{SYSTEM}:82: database.max_connections: connections are over budget: superuser 3 + patroni 3 + backup 2"
            " + operator 2 + other roles 8 + password queries 25 + PgBouncer 100 = 143 of max_connections 100;"
            " accepted: fewer hosts or instances, or a larger `database.max_connections`"
        ),
    ),
    (
        "connections without memory",
        "topology:",
        "database: {max_connections: 2000}\ntopology:",
        (
            f"{STACK}:11: database.max_connections: 2000 connections need 4000 MB, 2 MB each, of 1536 MB"
            " for the database; accepted: at most 768"
        ),
    ),
    (
        "missing secret file",
        "{issuer: internal}",
        "{issuer: files, files: {certificate: systems/taaleem.yml, key: certs/a.key}}",
        (
            f"{STACK}:13: certificates.files.key: is a secret that is missing: the file does not exist,"
            " got 'certs/a.key'; accepted: a file, named from the project's root"
        ),
    ),
    (
        "path that leaves the project",
        "{issuer: internal}",
        "{issuer: files, files: {certificate: systems/taaleem.yml, key: ../a.key}}",
        (
            f"{STACK}:13: certificates.files.key: is a path that leaves the project, got '../a.key';"
            " accepted: a path relative to the project's root, without `..`"
        ),
    ),
    (
        "acme without e-mail",
        "issuer: internal",
        "issuer: acme",
        (
            f"{STACK}:13: certificates.email: is missing: the authority warns this address before a certificate ends;"
            " accepted: an e-mail address"
        ),
    ),
    (
        "unknown application",
        "topology:",
        "apps: {ehr: {instances: 2}}\ntopology:",
        f"{STACK}:11: apps.ehr: is not in system taaleem; accepted: emr; did you mean `emr`?",
    ),
    (
        "more instances than ports",
        "topology:",
        "apps: {emr: {instances: 5}}\ntopology:",
        f"{STACK}:11: apps.emr.instances: is out of range, got 5; accepted: at most max_instances of the system, 4",
    ),
    (
        "weight of a host that is none",
        "topology:",
        "sites: {emr: {method: weighted, weights: {app7: 2}}}\ntopology:",
        f"{STACK}:11: sites.emr.weights.app7: is no application host; accepted: app1, app2; did you mean `app2`?",
    ),
    (
        "admin with a reserved name",
        "topology:",
        "access: {admins: [{name: root, keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9]}]}\ntopology:",
        (
            f"{STACK}:11: access.admins[0].name: is taken by an account or a group of the operating system, got 'root';"
            " accepted: a name that nothing else has"
        ),
    ),
    (
        "something that is no key",
        "topology:",
        "access: {admins: [{name: lena, keys: [ssh-dss AAAA]}]}\ntopology:",
        (
            f"{STACK}:11: access.admins[0].keys[0]: is not an OpenSSH public key, got 'ssh-dss AAAA';"
            " accepted: a line such as `ssh-ed25519 AAAA... comment`"
        ),
    ),
    (
        "key twice",
        "topology:",
        "domain: b.test\ntopology:",
        f"{STACK}:11: domain: is written twice, first on line 7; accepted: one",
    ),
    (
        "tag",
        "topology:",
        "logs: !!python/object/apply:os.system [id]\ntopology:",
        (
            f"{STACK}:11: logs: has the tag tag:yaml.org,2002:python/object/apply:os.system;"
            " accepted: values without a tag"
        ),
    ),
]

SYSTEM_CASES = [
    (
        "port taken twice",
        "port: 6380",
        "port: 6379",
        (
            f"{SYSTEM}:91: cache.cache.port: port 6379 is taken by cache sessions, got 6379;"
            " accepted: a port that nothing else has"
        ),
    ),
    (
        "port of the stack itself",
        "first_port: 5005",
        "first_port: 5430",
        (
            f"{SYSTEM}:16: apps.emr.process.first_port: port 5432 is taken by PostgreSQL, got 5430;"
            " accepted: a port that nothing else has"
        ),
    ),
    (
        "port out of range",
        "first_port: 5005",
        "first_port: 80",
        (
            f"{SYSTEM}:16: apps.emr.process.first_port: is out of range, got 80;"
            " accepted: a whole number from 1024 to 65535"
        ),
    ),
    (
        "last port out of range",
        "first_port: 5005",
        "first_port: 10238",
        (
            f"{SYSTEM}:16: apps.emr.process.first_port: port 10241 is out of range, got 10238;"
            " accepted: ports from 1024 to 10239"
        ),
    ),
    (
        "site without application",
        "    app: emr",
        "    app: erm",
        f"{SYSTEM}:58: sites.emr.app: is no application of this system, got 'erm'; accepted: emr; did you mean `emr`?",
    ),
    (
        "database that is none",
        "name: taaleem\n      role",
        "name: talem\n      role",
        (
            f"{SYSTEM}:44: apps.emr.database.name: is no database of this system, got 'talem'; accepted: taaleem;"
            " did you mean `taaleem`?"
        ),
    ),
    (
        "two owners",
        "privileges: read,",
        "privileges: owner,",
        (
            f"{SYSTEM}:84: database.roles: taaleem has 2 owners (emr, reports);"
            " accepted: one role with `privileges: owner`"
        ),
    ),
    (
        "role of the stack itself",
        "{name: reports,",
        "{name: replicator,",
        (
            f"{SYSTEM}:86: database.roles[1].name: is taken by the replication of PostgreSQL, got 'replicator';"
            " accepted: a name of its own"
        ),
    ),
    (
        "secret in the open as well",
        "NODE_ENV: production",
        "SESSION_SECRET: abc",
        (
            f"{SYSTEM}:41: apps.emr.secrets.SESSION_SECRET: is in `environment` too, where everybody may read it;"
            " accepted: one of the two"
        ),
    ),
    (
        "path that leaves the release",
        "folder: public",
        "folder: ../../etc",
        (
            f"{SYSTEM}:53: apps.emr.static[1].folder: is a path that leaves the release, got '../../etc';"
            " accepted: a path relative to the release, without `..`"
        ),
    ),
]

BARE_METAL_CASES = [
    (
        "a server that packages another PostgreSQL",
        "name: db2",
        "name: db2, os: ubuntu-24.04",
        (
            f"{STACK}:14: hosts[2].os: packages PostgreSQL 16, and the system wants 17, got 'ubuntu-24.04';"
            " accepted: debian-13"
        ),
    ),
    (
        "host twice",
        "name: db2",
        "name: db1",
        f"{STACK}:14: hosts[2].name: is a host twice, got 'db1'; accepted: each name once",
    ),
    (
        "address twice",
        "10.87.40.13",
        "10.87.40.12",
        f"{STACK}:14: hosts[2].address: is the address of db1 too, got '10.87.40.12'; accepted: an address of its own",
    ),
    (
        "address outside its subnet",
        "10.87.40.13",
        "10.87.41.13",
        (
            f"{STACK}:14: hosts[2].address: is outside its subnet, got '10.87.41.13';"
            " accepted: a host address in 10.87.40.0/24"
        ),
    ),
    (
        "broadcast address",
        "10.87.40.13",
        "10.87.40.255",
        (
            f"{STACK}:14: hosts[2].address: is outside its subnet, got '10.87.40.255';"
            " accepted: a host address in 10.87.40.0/24"
        ),
    ),
    (
        "missing key",
        "address: 10.87.40.12, ",
        "",
        f"{STACK}:13: hosts[1].address: is missing; accepted: an address such as 10.87.20.11",
    ),
    (
        "tier without host",
        "groups: [edge, app, cache, ops]",
        "groups: [edge, app, ops]",
        (
            f"{STACK}:11: hosts: no host is in the group cache, which system taaleem needs;"
            " accepted: at least one host for cache"
        ),
    ),
    (
        "no host key",
        ", host_key_file: .state/taaleem-baremetal/host-keys/db1.pub",
        "",
        (
            f"{STACK}:13: hosts[1]: db1 has no host keys; accepted: `host_key: ssh-ed25519 AAAA...` or"
            " `host_key_file: <path>`"
        ),
    ),
    (
        "host key file outside",
        "host_key_file: .state/taaleem-baremetal/host-keys/db1.pub",
        "host_key_file: /etc/shadow",
        (
            f"{STACK}:13: hosts[1].host_key_file: is a path that leaves the project, got '/etc/shadow';"
            " accepted: a path relative to the project's root, without `..`"
        ),
    ),
    (
        "counts that the servers do not have",
        "hosts:",
        "topology: {size: B, database: 3}\nhosts:",
        (
            f"{STACK}:11: topology.database: wants 3 hosts in database, and 2 of `hosts` are, got 3;"
            " accepted: as many as `hosts` has"
        ),
    ),
    (
        "sizes of servers that exist",
        "hosts:",
        "sizes: {app: {cpus: 4}}\nhosts:",
        (
            f"{STACK}:11: sizes.app: is the size of hosts that are created; these exist already;"
            " accepted: `cpus` and `memory_mb` of each of `hosts`"
        ),
    ),
    (
        "memory of one server",
        "cpus: 2, memory_mb: 4096",
        "cpus: 2, memory_mb: 2048",
        (
            f"{STACK}:12: hosts[0].memory_mb: memory of app1 is over budget: system 384 + edge 128 + proxies 128"
            " + cache 576 + consensus 128 + ops 192 + emr 1 x 1024 = 2560 MB of 2048 MB;"
            " accepted: fewer or smaller instances, or a larger host"
        ),
    ),
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


@pytest.mark.parametrize(("old", "new", "message"), [case[1:] for case in STACK_CASES], ids=[c[0] for c in STACK_CASES])
def test_bad_stack_file(project: Project, old: str, new: str, message: str) -> None:
    project.edit(old, new)
    assert project.errors() == [message]


@pytest.mark.parametrize(
    ("old", "new", "message"), [case[1:] for case in SYSTEM_CASES], ids=[case[0] for case in SYSTEM_CASES]
)
def test_bad_system_file(project: Project, old: str, new: str, message: str) -> None:
    project.edit_system(old, new)
    assert project.errors() == [message]


@pytest.mark.parametrize(
    ("old", "new", "message"), [case[1:] for case in BARE_METAL_CASES], ids=[case[0] for case in BARE_METAL_CASES]
)
def test_bad_list_of_servers(project: Project, old: str, new: str, message: str) -> None:
    project.bare_metal()
    project.edit(old, new)
    assert project.errors() == [message]


def test_secret_of_another_application(project: Project) -> None:
    project.edit_system("app/emr/session", "app/erm/session")
    (message,) = project.errors()
    assert message == (
        f"{SYSTEM}:41: apps.emr.secrets.SESSION_SECRET: is not the name of a secret of this application;"
        " accepted: app/emr/<word>, a word of lower-case letters, digits, _ and -"
    )


def test_even_number_of_voters(project: Project) -> None:
    project.bare_metal()
    project.edit("groups: [database]", "groups: [database, consensus]")
    project.edit("groups: [database],", "groups: [database, consensus],")
    assert project.errors() == [
        (
            f"{STACK}:11: hosts: an even number of voters elects the database's leader: db1, db2;"
            " accepted: an odd number: one more host in `ops`, or the group `consensus` on an odd number of hosts"
        )
    ]


def test_two_database_hosts_without_ops(project: Project) -> None:
    project.edit("ops: 1", "ops: 0")
    assert [message.split(";")[0] for message in project.errors()] == [
        f"{STACK}:11: topology: no host is in the group ops, which system taaleem needs",
        f"{STACK}:11: topology: an even number of voters elects the database's leader: db1, db2",
    ]


def test_counts_with_size_a(project: Project) -> None:
    project.edit("{size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}", "{size: A, app: 2}")
    assert project.errors() == [
        f"{STACK}:11: topology.app: counts hosts, and size A is one server; accepted: no counts, or size B"
    ]


BOMB = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n".encode() for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
EXPANDS = f"{STACK}:1: grows too large when its aliases are expanded; accepted: at most 20000 values in 20 levels"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", f"{STACK}:1: is empty; accepted: a mapping of keys to values"),
        (b"# nothing\n", f"{STACK}:1: is empty; accepted: a mapping of keys to values"),
        (b"hello\n", f"{STACK}:1: is not a mapping; accepted: a mapping of keys to values"),
        (
            b"a: [1,\nb: {",
            f"{STACK}:2: is not YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
        ),
        (
            b"a: 1\n---\nb: 2\n",
            f"{STACK}:2: is not YAML: expected a single document in the stream, but found another document",
        ),
        (
            b"a: b\n\tc: d\n",
            (f"{STACK}:2: is not YAML: while scanning for the next token,"
            " found character '\\t' that cannot start any token"),
        ),
        (b"system: taaleem\nprovider: \xff\n", f"{STACK}:2: is not UTF-8: byte 0xff; accepted: UTF-8 text"),
        (b"a: \x00", f"{STACK}:1: is not YAML: character U+0000: special characters are not allowed"),
        (BOMB, EXPANDS),
        (b"a: &a [*a]\n", EXPANDS),
        (b"[" * 2000, f"{STACK}:1: is nested too deeply; accepted: at most 20 levels"),
        (
            b"#" * (MAX_BYTES + 1),
            f"{STACK}:1: is {MAX_BYTES + 1} bytes long; accepted: at most {MAX_BYTES} bytes",
        ),
        (b"[a]: b\n", f"{STACK}:1: a key is not a word; accepted: plain words as keys"),
    ],
    ids=["empty", "comment", "scalar", "broken", "two documents", "tab", "not utf-8", "nul", "alias bomb", "loop",
         "deep", "large", "list as a key"],
)  # fmt: skip
def test_not_a_file_of_ours(project: Project, raw: bytes, message: str) -> None:
    assert project.errors(raw) == [message]


def test_all_errors_of_both_files_at_once(project: Project) -> None:
    project.edit("domain: taaleem.test", "domain: taaleem")
    project.edit("app: 2", "app: two")
    project.edit("aliases: [www.taaleem.test]", "aliases: [www.taaleem.test, www.taaleem.test]\nlogs: {rotate: 3}")
    project.edit_system("rotate_mb: 10", "rotate_mb: 0")
    project.edit_system("port: 6381", "port: 6432")
    assert [message.split(": ")[:3] for message in project.errors()] == [
        [f"{STACK}:7", "domain", "is not a domain name, got 'taaleem'; accepted"],
        [f"{STACK}:9", "logs.rotate", "is not a known key; accepted"],
        [f"{STACK}:12", "topology.app", "has the wrong type, got 'two'; accepted"],
        [f"{SYSTEM}:92", "cache.rate_limit.port", "port 6432 is taken by PgBouncer, got 6432; accepted"],
        [f"{SYSTEM}:94", "logs.rotate_mb", "is out of range, got 0; accepted"],
    ]


def test_link_that_leaves_the_project(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "a.key"
    outside.write_text("secret")
    project.edit("{issuer: internal}", "{issuer: files, files: {certificate: systems/taaleem.yml, key: a.key}}")
    (project.root / "a.key").symlink_to(outside)
    assert project.errors() == [
        (
            f"{STACK}:13: certificates.files.key: is a path that leaves the project, got 'a.key';"
            " accepted: a file of the project"
        )
    ]


def test_a_certificate_that_cannot_serve_is_named_with_its_line(project: Project) -> None:
    project.edit("{issuer: internal}", "{issuer: files, files: {certificate: systems/taaleem.yml, key: a.key}}")
    (project.root / "a.key").write_text("canary")
    errors = project.errors()
    assert [error.partition(", got ")[0] for error in errors] == [
        f"{STACK}:13: certificates.files.certificate: holds no certificate",
        f"{STACK}:13: certificates.files.key: holds no private key",
    ]
    assert not [error for error in errors if "canary" in error]


def test_network_of_another_local_environment(project: Project) -> None:
    project.write()
    project.name = "other"
    assert project.errors() == [
        (
            "inventories/other/stack.yml:10: network.cidr: overlaps 10.87.20.0/24 of inventories/clinic/stack.yml,"
            " got '10.87.20.0/24'; accepted: a network that no other local environment has"
        )
    ]


def test_host_key_file_without_a_key(project: Project) -> None:
    project.bare_metal()
    keys = project.root / ".state/taaleem-baremetal/host-keys"
    keys.mkdir(parents=True)
    (keys / "db1.pub").write_text("hello\n")
    assert project.errors() == [
        (
            f"{STACK}:13: hosts[1].host_key_file: holds no OpenSSH public key,"
            " got '.state/taaleem-baremetal/host-keys/db1.pub'; accepted: one line such as `ssh-ed25519 AAAA...`"
        )
    ]


def test_name_of_the_environment(project: Project) -> None:
    project.name = "My_Clinic"
    assert project.errors() == [
        (
            "inventories/My_Clinic/stack.yml:4: the folder's name is the environment's, and is no name,"
            " got 'My_Clinic'; accepted: lower-case letters, digits and hyphens, a letter first, at most 39"
        )
    ]
