"""Bad input of an environment on AWS: each is an error before the first resource, and names the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_project import ROOT, Project

STACK = "inventories/clinic/stack.yml"

#: (what is wrong, text in the stack.yml of production, what it becomes, key, the message after the key)
CASES = [
    (
        "a region that is none",
        "region: eu-central-1",
        "region: eu-center-1",
        "aws.region",
        "is not a region that is known",
    ),
    (
        "more zones than the region has",
        "zones: 3",
        "zones: 4",
        "aws.zones",
        "is more than there is or less than two, got 4; accepted: eu-central-1 has the zones a, b, c: at least two",
    ),
    ("a zone that the region has not", "zones: 3", "zones: [a, d]", "aws.zones", "is more than there is"),
    (
        "no way to the Internet, where packages come from",
        "  zones: 3",
        "  nat: none\n  zones: 3",
        "aws.nat",
        "is not accepted, got 'none'; accepted: single, per_zone",
    ),
    ("one zone", "zones: 3", "zones: [a]", "aws.zones", "is more than there is or less than two, got ('a',)"),
    (
        "a network too small for subnets",
        "10.64.0.0/16",
        "10.64.0.0/24",
        "network.cidr",
        "has no place for subnets, got '10.64.0.0/24'; accepted: a network from /16 to /22",
    ),
    (
        "subnets by hand",
        "{cidr: 10.64.0.0/16}",
        "{cidr: 10.64.0.0/16, subnets: {app: 10.64.1.0/24}}",
        "network.subnets",
        "are chosen by hand, and on AWS they follow from `network.cidr` and the zones",
    ),
    (
        "a network that overlaps a peer",
        "  zones: 3",
        "  peers: [10.0.0.0/24, 10.64.8.0/24]\n  zones: 3",
        "aws.peers[1]",
        "overlaps network.cidr, 10.64.0.0/16, got '10.64.8.0/24'; accepted: another `network.cidr`",
    ),
    (
        "a domain without its zone",
        "domain: emr.taaleem.example",
        "domain: emr.clinic.example",
        "domain",
        "is not in aws.hosted_zone, got 'emr.clinic.example'; accepted: taaleem.example or a name below it",
    ),
    (
        "no hosted zone",
        "  hosted_zone: {name: taaleem.example, id: Z0123456789ABCDEFGHIJ}\n",
        "",
        "aws.hosted_zone",
        "is m",
    ),
    (
        "an account that is none",
        '"111122223333"',
        '"1234"',
        "aws.account",
        "is not accepted, got '1234'; accepted: the 12",
    ),
    (
        "a type that is none",
        "  app:\n    group:",
        "  app:\n    instance_type: m7i.lrge\n    group:",
        "aws.app.instance_type",
        "is not a type of server that is known here, got 'm7i.lrge'",
    ),
    (
        "a type of another architecture than the image",
        "  app:\n    group:",
        "  app:\n    instance_type: m7g.large\n    group:",
        "aws.app.instance_type",
        "is arm64, and the image is x86_64, got 'm7g.large'; accepted: a type of x86_64, or `aws.app.architecture: arm64`",
    ),
    (
        "a size that RDS does not offer",
        "database: {cpus: 4, memory_mb: 16384}",
        "database: {cpus: 4, memory_mb: 4000000}",
        "sizes.database",
        "is not to be had: no database has 4 CPUs and 4000000 MB; accepted: at most 64 and 524288",
    ),
    (
        "a class that RDS does not offer",
        "database: {storage_gb: 100,",
        "database: {instance_class: db.m7g.lareg, storage_gb: 100,",
        "aws.database.instance_class",
        "is not a class that RDS offers for PostgreSQL, got 'db.m7g.lareg'",
    ),
    (
        "nothing kept in production",
        "database: {storage_gb: 100,",
        "database: {backup_days: 0, storage_gb: 100,",
        "aws.database.backup_days",
        "keeps nothing (production), got 0; accepted: 7 to 35 days",
    ),
    (
        "too little kept in production",
        "database: {storage_gb: 100,",
        "database: {backup_days: 3, storage_gb: 100,",
        "aws.database.backup_days",
        "is too short for production, got 3; accepted: 7 to 35 days",
    ),
    (
        "copies to where the originals are",
        "copy_region: eu-west-1",
        "copy_region: eu-central-1",
        "aws.database.copy_region",
        "is the environment's own: a copy there is lost with it, got 'eu-central-1'; accepted: another region",
    ),
    (
        "nothing to restore",
        "database: {storage_gb: 100,",
        "database: {restore: {time: 2026-11-22T10:00:00Z}, storage_gb: 100,",
        "aws.database.restore",
        "is not one thing; accepted: `snapshot`, or `source` with or without `time`",
    ),
    (
        "a time of a snapshot",
        "database: {storage_gb: 100,",
        "database: {restore: {snapshot: a, time: 2026-11-22T10:00:00Z}, storage_gb: 100,",
        "aws.database.restore.time",
        "is for `source`: a snapshot has a time of its own, got '2026-11-22T10:00:00Z'; accepted: none",
    ),
    (
        "a restore of itself",
        "database: {storage_gb: 100,",
        "database: {restore: {source: clinic-database}, storage_gb: 100,",
        "aws.database.restore.source",
        "is the environment's own database, which is created by it, got 'clinic-database'; accepted: the ARN of its",
    ),
    (
        "a time that is none",
        "database: {storage_gb: 100,",
        "database: {restore: {source: a, time: 2026-13-22T10:00:00Z}, storage_gb: 100,",
        "aws.database.restore.time",
        "is not a time, got '2026-13-22T10:00:00Z'; accepted: such as 2026-11-22T10:00:00Z, in UTC",
    ),
    (
        "storage without room to grow",
        "database: {storage_gb: 100,",
        "database: {max_storage_gb: 105, storage_gb: 100,",
        "aws.database.max_storage_gb",
        "leaves no room, got 105; accepted: at least 110, a tenth more than `storage_gb`",
    ),
    (
        "a node too small for the purpose",
        "  database: {storage_gb",
        "  cache: {node_type: cache.t4g.micro}\n  database: {storage_gb",
        "aws.cache.node_type",
        "has 512 MB, a quarter of them kept back, and cache needs 500 MB, got 'cache.t4g.micro'; accepted: cache.t4g.small",
    ),
    (
        "a group that is upside down",
        "min: 2\n      max: 4\n      cpu",
        "min: 5\n      max: 4\n      cpu",
        "aws.app.group.min",
        "is more than there may be, got 5; accepted: at most `max`, 4",
    ),
    (
        "a schedule outside the group",
        "min: 3, max: 4, time_zone",
        "min: 3, max: 9, time_zone",
        "aws.app.group.schedules[0]",
        "is no part of 2 to 4, got '3 to 9'; accepted: min and max within those of the group",
    ),
    (
        "warm servers of spot capacity",
        "      warm: 1\n",
        "      warm: 1\n      spot: {types: [c7i.2xlarge]}\n",
        "aws.app.group.warm",
        "cannot be kept of a group that uses spot capacity, got 1; accepted: 0, or no `spot`",
    ),
    (
        "a tier that AWS runs",
        "{size: C, ops: 1}",
        "{size: C, ops: 1, edge: 1}",
        "topology.edge",
        "counts hosts of a tier that AWS runs in size C; accepted: no count, or size B",
    ),
    (
        "replicas of a master that RDS still manages",
        "{size: C, ops: 1}",
        "{size: C, ops: 1, database: 2}",
        "topology.database",
        "asks RDS for replicas while it manages the master's password, got 2; accepted: first 1; then, once the master",
    ),
    (
        "nobody who reaches a database that AWS runs",
        "{size: C, ops: 1}",
        "{size: C}",
        "topology.ops",
        (
            "leaves no host that reaches the database: AWS runs the server and nobody logs in to it, so its roles, databases"
            " and rights are applied from a host of ops; accepted: 1, or `aws.database.run_by: hosts`"
        ),
    ),
    (
        "the same, said",
        "{size: C, ops: 1}",
        "{size: C, ops: 0}",
        "topology.ops",
        "leaves no host that reaches the database",
    ),
    (
        "replicas of such a master, by name",
        "database: {storage_gb: 100,",
        "database: {replicas: 1, storage_gb: 100,",
        "aws.database.replicas",
        "asks RDS for replicas while it manages the master's password, got 1; accepted: first 0; then",
    ),
    (
        "a replica elsewhere of such a master",
        "database: {storage_gb: 100,",
        "database: {replica_region: eu-west-3, storage_gb: 100,",
        "aws.database.replica_region",
        "asks RDS for a replica while it manages the master's password, got 'eu-west-3'; accepted: first none; then",
    ),
    (
        "a secret that is none",
        "database: {storage_gb: 100,",
        "database: {master_secret: master, storage_gb: 100,",
        "aws.database.master_secret",
        "",
    ),
    (
        "another issuer than ACM",
        "\naws:",
        "\ncertificates: {issuer: acme, email: a@taaleem.example}\naws:",
        "certificates.issuer",
        "is for an edge of the environment's own; in size C the load balancer's certificate is ACM's, got 'acme'",
    ),
    (
        "a firewall in front of nothing",
        "  database: {storage_gb",
        "  load_balancer: {kind: network, cdn: false}\n  database: {storage_gb",
        "aws.load_balancer.firewall",
        "has nothing to stand on: a network load balancer passes on what it cannot read, got True",
    ),
    (
        "logs kept for a time",
        "  zones: 3",
        "  flow_log_days: 31\n  zones: 3",
        "aws.flow_log_days",
        "is not a time that Cloud",
    ),
    (
        "nobody hears alarms",
        "  notify: [operations@taaleem.example]\n",
        "",
        "aws.notify",
        "is missing: nobody would hear",
    ),
    (
        "more servers than connections",
        "max: 4\n      cpu",
        "max: 19\n      cpu",
        "database.max_connections",
        "connections are",
    ),
]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path, stack=(ROOT / "inventories/taaleem-production/stack.yml").read_text())


@pytest.mark.parametrize(
    ("old", "new", "key", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_message(project: Project, old: str, new: str, key: str, message: str) -> None:
    project.edit(old, new)
    project.edit_system("memory_mb: 192", "memory_mb: 500")
    problems = [line.split(": ", 2)[1:] for line in project.errors()]
    assert [found for found, _ in problems] == [key]
    assert problems[0][1].startswith(message), problems


def test_a_restore_is_refused_where_hosts_run_the_database(project: Project) -> None:
    project.edit("database: {storage_gb: 100,", "database: {run_by: hosts, restore: {snapshot: a}, storage_gb: 100,")
    project.edit("\naws:\n", "\nbackups: {copy_to: {type: none}}\naws:\n")
    (message,) = project.errors()
    assert "aws.database.restore: has no effect: AWS runs no database of this environment; accepted: none;" in message


def test_a_restore_is_refused_where_hosts_run_redis(project: Project) -> None:
    project.edit("topology: {size: C", "topology: {size: B")
    project.edit("\naws:\n", "\naws:\n  cache: {restore: {sessions: a}}\n")
    expected = "aws.cache.restore: has no effect: AWS runs no Redis of this environment; accepted: none;"
    assert any(expected in line for line in project.errors())


def test_a_restore_for_a_purpose_that_the_system_does_not_have(project: Project) -> None:
    project.edit_system("cache: [sessions, cache, rate_limit]", "cache: [sessions, rate_limit]")
    project.edit_system("  cache: {port: 6380, memory_mb: 192, eviction: allkeys-lru}\n", "")
    project.edit("\naws:\n", "\naws:\n  cache: {restore: {sessions: a, cache: b}}\n")
    (message,) = project.errors()
    expected = "aws.cache.restore.cache: is not a purpose of the system's cache; accepted: sessions, rate_limit"
    assert message.endswith(expected)


def test_a_daily_snapshot_of_redis_has_dots_in_its_name(project: Project) -> None:
    cache = "\naws:\n  cache: {{restore: {{sessions: {}}}}}\n"
    name = "automatic.clinic-sessions-2026-11-22-02-00"
    project.edit("\naws:\n", cache.format(name))
    restore = project.load().stack.aws
    assert restore is not None
    assert restore.cache.restore == {"sessions": name}
    project.edit(name, "arn:aws:elasticache")
    (message,) = project.errors()
    assert "aws.cache.restore.sessions" in message
    assert "accepted: the name of a snapshot" in message


def test_placeholders_of_the_documentation_are_refused(project: Project) -> None:
    """Each in a line of its own; a checksum of zeros would leave hosts that nobody can reach."""
    project.edit("  example: true\n", "")
    messages = [line.split(": ", 1)[1] for line in project.errors()]
    suffix = ", or `aws.example: true`"
    text = "is a placeholder of the documentation"
    zeros = "0" * 64
    assert sorted(messages) == sorted(
        [
            f"aws.account: {text}, got '111122223333'; accepted: the number of your account{suffix}",
            f"aws.hosted_zone.id: {text}, got 'Z0123456789ABCDEFGHIJ'; accepted: the id of your zone{suffix}",
            f"aws.ssm_agent.sha256.x86_64: {text}, got '{zeros}'; accepted: the package's SHA-256{suffix}",
            f"domain: {text}, got 'emr.taaleem.example'; accepted: a domain that you have registered{suffix}",
            *(
                f"aws.notify[{position}]: {text}, got '{address}'; accepted: an address that is read{suffix}"
                for position, address in enumerate(["operations@taaleem.example"])
            ),
        ]
    )


def test_section_goes_with_the_provider(project: Project) -> None:
    project.edit("provider: aws", "provider: local")
    assert any("aws: goes with `provider: aws`, and this is local" in line for line in project.errors())


def test_provider_goes_with_the_section(project: Project) -> None:
    project.stack = project.stack[: project.stack.index("\naws:")] + "\n"
    assert any("aws: is missing; accepted: region, account, hosted_zone" in line for line in project.errors())


def test_group_needs_the_load_balancer_of_aws(project: Project) -> None:
    project.edit("{size: C, ops: 1}", "{size: B}")
    assert any(
        "aws.app.group: needs a load balancer of AWS, and size B has its own" in line for line in project.errors()
    )


def test_a_release_whose_master_user_could_not_own_for_others(project: Project) -> None:
    project.edit_system('version: "17"', 'version: "15"')
    assert any(
        "system: is PostgreSQL 15, which RDS does not offer or our roles cannot manage there, got 'taaleem'; accepted: 16, 17"
        in line
        for line in project.errors()
    )


def test_several_folders_of_uploads_have_no_place_in_a_bucket(project: Project) -> None:
    project.edit_system("uploads: [uploads]", "uploads: [uploads, scans]")
    wanted = (
        "system: keeps uploads in apps.emr.uploads.uploads, apps.emr.uploads.scans; in size C they go into a bucket, which is"
        " one for all, got 'taaleem'; accepted: one folder in one application, or size B"
    )
    assert any(wanted in line for line in project.errors())
    project.edit("{size: C, ops: 1}", "{size: B}")
    assert not [line for line in project.errors() if "uploads" in line]


def test_a_database_of_ones_own_needs_no_such_host(project: Project) -> None:
    project.edit("{size: C, ops: 1}", "{size: C, ops: 0, database: 3}")
    project.edit("database: {storage_gb: 100,", "database: {run_by: hosts, storage_gb: 100,")
    assert not [line for line in project.errors() if "topology.ops" in line]


def test_a_name_that_aws_refuses(project: Project) -> None:
    project.name = "internal-clinic-"
    assert project.errors() == [
        (
            "inventories/internal-clinic-/stack.yml:5: the folder's name is the environment's, and AWS takes it for no load"
            " balancer, database, bucket, got 'internal-clinic-'; accepted: no hyphen at the end or twice in a row; not"
            " beginning with internal-, sg- or aws-"
        )
    ]


def test_a_budget_has_somebody_to_tell(project: Project) -> None:
    project.edit("class: production", "class: staging")
    project.edit("  notify: [operations@taaleem.example]\n", "")
    assert [line.split(": ", 1)[1] for line in project.errors()] == [
        "aws.notify: is missing: nobody would hear of the budget; accepted: at least one e-mail address"
    ]


def test_a_region_without_servers_of_the_class(project: Project) -> None:
    project.edit("region: eu-central-1", "region: me-south-1")
    project.edit("  database: {storage_gb", "  load_balancer: {cdn: false}\n  database: {storage_gb")
    message = (
        "is not to be had: no x86_64 server of me-south-1 is known here that fits the class; accepted: another region,"
        " architecture or class"
    )
    assert [line.split(": ", 1)[1] for line in project.errors()] == [f"sizes.app: {message}", f"aws.region: {message}"]


def test_types_that_the_region_does_not_have(project: Project) -> None:
    project.edit("region: eu-central-1", "region: eu-central-2")
    project.edit("  database: {storage_gb", "  load_balancer: {cdn: false}\n  database: {storage_gb")
    project.edit("      warm: 1\n", "      spot: {types: [m7i.xlarge, r7i.large]}\n")
    project.edit("  app:\n    group:", "  app:\n    instance_type: r7i.xlarge\n    group:")
    accepted = "accepted: a size of c7i, m7i, t3, or another region"
    assert [line.split(": ", 1)[1] for line in project.errors()] == [
        f"aws.app.instance_type: is not offered in eu-central-2, got 'r7i.xlarge'; {accepted}",
        f"aws.app.group.spot.types[1]: is not offered in eu-central-2, got 'r7i.large'; {accepted}",
    ]
