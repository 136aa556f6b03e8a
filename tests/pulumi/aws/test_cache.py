"""Redis run by AWS, without an engine: every resource with all of its inputs, in each of its variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws import cache_users
from stackwright.infra.aws.cache import Cache
from stackwright.infra.aws.cache_args import FAMILIES, NEWEST, CacheArgs, CacheGroupArgs, CacheUserArgs
from stackwright.testing.recording import Properties, Recording, record

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/data"
LOG_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/logs"
ACCESS = (
    "on ~taaleem:* resetchannels &taaleem:* -@all"
    " +@read +@write +@connection +@transaction +@pubsub +@scripting -@admin -@dangerous +info +client|list"
)
#: Of an application that has the instance for itself.
ALONE = ACCESS.replace("taaleem:*", "*") + " +keys +sort +sort_ro +flushdb"
GROUP = "aws:elasticache/replicationGroup:ReplicationGroup"
USER = "aws:elasticache/user:User"
COMPUTED = {
    GROUP: lambda inputs: {
        "primaryEndpointAddress": f"master.{inputs['replicationGroupId']}.aws",
        "readerEndpointAddress": f"replica.{inputs['replicationGroupId']}.aws",
    },
}
SESSIONS = CacheGroupArgs(
    node_type="cache.t4g.small",
    eviction="noeviction",
    persistence="append_only",
    users=[CacheUserArgs(name="emr", secret="redis/sessions/emr")],
)
RATE_LIMIT = CacheGroupArgs(
    node_type="cache.t4g.micro",
    port=6381,
    eviction="volatile-ttl",
    users=[CacheUserArgs(name="emr", secret="redis/rate_limit/emr")],
)
GROUPS = {"sessions": SESSIONS, "rate_limit": RATE_LIMIT}


def group(**more: Any) -> CacheGroupArgs:
    fixed: dict[str, Any] = {"node_type": "cache.t4g.micro", "users": SESSIONS.users}
    return CacheGroupArgs(**(fixed | more))


def args(environment_class: str = "production", **more: Any) -> CacheArgs:
    fixed: dict[str, Any] = {
        "context": context(environment_class),
        "vpc_id": "vpc",
        "subnet_ids": ["subnet-a", "subnet-b"],
        "clients": {"Application servers": "sg-app"},
        "groups": GROUPS,
        "kms_key_arn": KEY,
    }
    return CacheArgs(**(fixed | more))


def run(environment_class: str = "production", *, preview: bool = False, **more: Any) -> Recording:
    def program() -> None:
        cache = Cache("cache", args(environment_class, **more))
        pulumi.export("secrets", list(cache.result.secrets))
        for endpoint, found in cache.result.endpoints.items():
            pulumi.export(endpoint, {"at": list(found.addresses), "scheme": found.scheme, "port": found.port})

    return record(program, stack="test", computed=COMPUTED, preview=preview)


def shared(ports: tuple[int, ...] = (6379, 6381), environment_class: str = "production") -> Mapping[Any, Properties]:
    found: dict[tuple[str, str], Properties] = {
        ("stackwright:aws:Cache", "cache"): {},
        ("aws:ec2/securityGroup:SecurityGroup", "cache-security-group"): {
            "name": "test-cache",
            "description": "Redis run by AWS",
            "vpcId": "vpc",
            "tags": tags("test-cache", environment_class),
        },
        ("aws:elasticache/subnetGroup:SubnetGroup", "cache-subnet-group"): {
            "name": "test-cache",
            "description": "Where the stores are",
            "subnetIds": ["subnet-a", "subnet-b"],
            "tags": tags("test-cache", environment_class),
        },
    }
    for port in ports:
        key = (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            f"cache-security-group-application-servers-{port}",
        )
        found[key] = {
            "securityGroupId": "cache-security-group-id",
            "description": "Application servers",
            "ipProtocol": "tcp",
            "fromPort": port,
            "toPort": port,
            "referencedSecurityGroupId": "sg-app",
            "tags": tags("test-cache", environment_class),
        }
    return found


def logs(part: str, environment_class: str = "production", key: str = KEY, days: int = 30) -> Mapping[Any, Properties]:
    return {
        ("aws:cloudwatch/logGroup:LogGroup", f"cache-{part}-{kind}"): {
            "name": f"test/cache/{part}/{kind}",
            "kmsKeyId": key,
            "retentionInDays": days,
            "deletionProtectionEnabled": environment_class != "development",
            "tags": tags(f"test/cache/{part}/{kind}", environment_class),
        }
        for kind in ("slow-log", "engine-log")
    }


def parameters(part: str, family: str, policy: str, environment_class: str = "production") -> Mapping[Any, Properties]:
    return {
        ("aws:elasticache/parameterGroup:ParameterGroup", f"cache-{part}-parameters"): {
            "name": f"test-{part}-{family}",
            "family": family,
            "description": f"test: {part.replace('-', '_')}",
            "parameters": [
                {"name": "maxmemory-policy", "value": policy},
                {"name": "reserved-memory-percent", "value": "25"},
            ],
            "tags": tags(f"test-{part}-{family}", environment_class),
        }
    }


def user(part: str, name: str = "emr", **more: Any) -> Mapping[Any, Properties]:
    environment_class = more.pop("environment_class", "production")
    fixed = {
        "userId": f"test-{part}-{name}",
        "userName": f"test-{part}-{name}",
        "engine": "valkey",
        "accessString": ALONE if name == "emr" else ACCESS,
        "authenticationMode": {"type": "iam"},
        "tags": tags(f"test-{part}-{name}", environment_class),
    }
    return {(USER, f"cache-{part}-user-{name}"): fixed | more}


def users(
    part: str, *names: str, engine: str = "valkey", environment_class: str = "production"
) -> Mapping[Any, Properties]:
    return {
        ("aws:elasticache/userGroup:UserGroup", f"cache-{part}-users"): {
            "userGroupId": f"test-{part}",
            "engine": engine,
            "userIds": [f"test-{part}-{name}" for name in names],
            "tags": tags(f"test-{part}", environment_class),
        }
    }


def store(
    part: str, family: str = "valkey8", environment_class: str = "production", **more: Any
) -> Mapping[Any, Properties]:
    fixed = {
        "replicationGroupId": f"test-{part}",
        "description": f"taaleem, test: {part.replace('-', '_')}",
        "engine": "valkey",
        "engineVersion": "8.1",
        "autoMinorVersionUpgrade": True,
        "nodeType": "cache.t4g.micro",
        "port": 6379,
        "numCacheClusters": 2,
        "automaticFailoverEnabled": True,
        "multiAzEnabled": True,
        "parameterGroupName": f"test-{part}-{family}",
        "subnetGroupName": "test-cache",
        "securityGroupIds": ["cache-security-group-id"],
        "userGroupIds": [f"test-{part}"],
        "transitEncryptionEnabled": True,
        "transitEncryptionMode": "required",
        "atRestEncryptionEnabled": True,
        "kmsKeyId": KEY,
        "logDeliveryConfigurations": [
            {
                "destination": f"test/cache/{part}/{kind}",
                "destinationType": "cloudwatch-logs",
                "logFormat": "json",
                "logType": kind,
            }
            for kind in ("slow-log", "engine-log")
        ],
        "maintenanceWindow": "sun:04:00-sun:05:00",
        "snapshotWindow": "02:00-03:00",
        "snapshotRetentionLimit": 0,
        "applyImmediately": False,
        "tags": tags(f"test-{part}", environment_class),
    }
    return {(GROUP, f"cache-{part}"): fixed | more}


def test_production_is_these_resources_and_no_other() -> None:
    run().seal(
        {
            **shared(),
            **logs("sessions"),
            **parameters("sessions", "valkey8", "noeviction"),
            **user("sessions"),
            **users("sessions", "emr"),
            **store(
                "sessions",
                nodeType="cache.t4g.small",
                snapshotRetentionLimit=7,
                finalSnapshotIdentifier="test-sessions-final-group-id",
            ),
            **logs("rate-limit"),
            **parameters("rate-limit", "valkey8", "volatile-ttl"),
            **user("rate-limit"),
            **users("rate-limit", "emr"),
            **store("rate-limit", port=6381),
        }
    )


def test_development_has_one_node_and_no_last_snapshot() -> None:
    small = "development"
    run(small, groups={"sessions": SESSIONS}).seal(
        {
            **shared((6379,), small),
            **logs("sessions", small),
            **parameters("sessions", "valkey8", "noeviction", small),
            **user("sessions", environment_class=small),
            **users("sessions", "emr", environment_class=small),
            **store(
                "sessions",
                environment_class=small,
                nodeType="cache.t4g.small",
                numCacheClusters=1,
                automaticFailoverEnabled=False,
                multiAzEnabled=False,
                snapshotRetentionLimit=1,
                applyImmediately=True,
            ),
        }
    )


def test_every_choice_reaches_its_resource() -> None:
    chosen = group(
        persistence="snapshot",
        snapshot_days=14,
        snapshot="last-of-another",
        replicas=2,
        eviction="allkeys-lru",
        users=[
            CacheUserArgs(name="emr", secret="redis/a/emr", access_string="on ~a:* -@all +@read"),
            CacheUserArgs(name="mail", secret="redis/a/mail"),
        ],
    )
    run(
        groups={"a": chosen},
        engine="redis",
        engine_version="7.0",
        log_kms_key_arn=LOG_KEY,
        log_days=90,
        maintenance_day="Sat",
        maintenance_time="23:30",
        snapshot_time="23:00",
    ).seal(
        {
            **shared((6379,)),
            **logs("a", key=LOG_KEY, days=90),
            **parameters("a", "redis7", "allkeys-lru"),
            **user("a", engine="redis", accessString="on ~a:* -@all +@read"),
            **user("a", "mail", engine="redis"),
            **user(
                "a",
                "default",
                engine="redis",
                userName="default",
                accessString="off -@all",
                authenticationMode={"type": "no-password-required"},
            ),
            **users("a", "emr", "mail", "default", engine="redis"),
            **store(
                "a",
                family="redis7",
                engine="redis",
                engineVersion="7.0",
                numCacheClusters=3,
                snapshotRetentionLimit=14,
                snapshotName="last-of-another",
                finalSnapshotIdentifier="test-a-final-group-id",
                maintenanceWindow="sat:23:30-sun:00:30",
                snapshotWindow="23:00-00:00",
            ),
        }
    )


def test_what_would_be_missed_is_protected() -> None:
    protected = {each.name for each in run().resources if each.protect}
    log_groups = {f"cache-{part}-{kind}" for part in ("sessions", "rate-limit") for kind in ("slow-log", "engine-log")}
    assert protected == {"cache-sessions", *log_groups}
    assert not any(each.protect for each in run("development").resources)


def test_every_child_has_its_parent_and_no_input_is_a_secret() -> None:
    recording = run()
    children = [each for each in recording.resources if each.name != "cache"]
    assert {each.parent for each in children} == {"cache"}
    assert not any(each.secrets for each in recording.resources)


@pytest.mark.parametrize("engine", ["valkey", "redis"])
def test_no_password_is_an_input_and_a_password_set_outside_stays(engine: str) -> None:
    made = [each for each in run(engine=engine).resources if each.type == USER]
    assert not any({"passwords", "passwordsWo"} & each.inputs.keys() for each in made)
    applications = [each for each in made if not each.name.endswith("-default")]
    assert {each.ignore_changes for each in applications} == {("authenticationMode",)}
    # Until then nobody can log in: IAM refuses whom it does not admit. It wants the same word twice.
    assert all(each.inputs["authenticationMode"] == {"type": "iam"} for each in applications)
    assert all(each.inputs["userId"] == each.inputs["userName"] for each in applications)
    # Without a password, and therefore off; Pulumi keeps it so.
    others = [(each.inputs["accessString"], each.ignore_changes) for each in made if each not in applications]
    assert others == ([("off -@all", ())] * 2 if engine == "redis" else [])


def test_outputs() -> None:
    recording = run()
    assert recording.component_outputs["cache"] == {
        "primaryAddresses": {"sessions": "master.test-sessions.aws", "rate_limit": "master.test-rate-limit.aws"},
        "readerAddresses": {"sessions": "replica.test-sessions.aws", "rate_limit": "replica.test-rate-limit.aws"},
        "ports": {"sessions": 6379, "rate_limit": 6381},
        "groupIds": {"sessions": "cache-sessions-id", "rate_limit": "cache-rate-limit-id"},
        "userNames": {"sessions": {"emr": "test-sessions-emr"}, "rate_limit": {"emr": "test-rate-limit-emr"}},
        "secrets": {"sessions": {"emr": "redis/sessions/emr"}, "rate_limit": {"emr": "redis/rate_limit/emr"}},
        "securityGroupId": "cache-security-group-id",
    }
    assert recording.outputs == {
        "secrets": ["redis/rate_limit/emr", "redis/sessions/emr"],
        "redis_sessions": {"at": ["master.test-sessions.aws"], "scheme": "rediss", "port": 6379},
        "redis_rate_limit": {"at": ["master.test-rate-limit.aws"], "scheme": "rediss", "port": 6381},
    }


def test_a_preview_declares_the_same() -> None:
    names = [each.name for each in run().resources]
    assert [each.name for each in run(preview=True).resources] == names


def test_two_clients_and_a_shared_port_are_a_rule_each() -> None:
    clients = {"Application servers": "sg-app", "Jobs: nightly": "sg-jobs"}
    recording = run(clients=clients, groups={"a": group(), "b": group()})
    rules = [each for each in recording.resources if "IngressRule" in each.type]
    assert {(each.name, each.inputs["referencedSecurityGroupId"]) for each in rules} == {
        ("cache-security-group-application-servers-6379", "sg-app"),
        ("cache-security-group-jobs-nightly-6379", "sg-jobs"),
    }
    assert not any("EgressRule" in each.type for each in recording.resources)


def test_names_of_any_length_fit() -> None:
    name = cache_users.user_name(context(), "a_purpose_with_a_long_name", "an-application-with-a-name")
    assert len(name) <= 40
    assert name != cache_users.user_name(context(), "a_purpose_with_a_long_name", "an-application-with-a-nam2")


def test_who_sets_passwords_may_touch_these_users_alone() -> None:
    assert cache_users.password_statements(context(), ["test-a-emr"]) == [
        {
            "Sid": "SetPasswordsOfCacheUsers",
            "Effect": "Allow",
            "Action": ["elasticache:DescribeUsers", "elasticache:ModifyUser"],
            "Resource": [f"arn:aws:elasticache:{REGION}:{ACCOUNT}:user:test-a-emr"],
        }
    ]


@pytest.mark.parametrize(("engine", "version"), [(engine, each) for engine in FAMILIES for each in FAMILIES[engine]])
def test_every_version_has_a_family_of_its_engine(engine: str, version: str) -> None:
    chosen = args(engine=engine, engine_version=version)
    assert (chosen.chosen_version, chosen.family) == (version, f"{engine}{version.split('.', maxsplit=1)[0]}")
    assert NEWEST[engine] in FAMILIES[engine]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"engine": "memcached"}, "engine is 'memcached', accepted: redis, valkey"),
    ({"engine_version": "7.0"}, "engine_version is '7.0', accepted for valkey: 7.2, 8.0, 8.1, 8.2"),
    ({"clients": {}}, "clients is empty, accepted: the security group of at least one who connects"),
    ({"clients": {"a\nb": "sg"}}, r"clients has 'a\nb', accepted: a reason of at most 200 plain characters"),
    (
        {"clients": {"a b": "x", "A-b": "y"}},
        "clients has a b, A-b, accepted: reasons that differ in a letter or a digit",
    ),
    ({"maintenance_day": "sunday"}, "maintenance_day is 'sunday', accepted: Mon, Tue, Wed, Thu, Fri, Sat, Sun"),
    ({"maintenance_time": "24:00"}, "maintenance_time is '24:00', accepted: a time such as 04:00, in UTC"),
    ({"snapshot_time": "2:00"}, "snapshot_time is '2:00', accepted: a time such as 04:00, in UTC"),
    ({"log_days": 0}, "log_days is 0, accepted: 1, 3, 5, 7, 14, 30, 60"),
    ({"groups": {}}, "groups is empty, accepted: at least one purpose"),
    ({"groups": {"A-b": group()}}, "groups has 'A-b', accepted: at most 32 of a-z, 0-9 and _, such as rate_limit"),
    ({"subnet_ids": ["a"]}, "subnet_ids has 1, accepted: 2 or more, each in another zone"),
    ({"subnet_ids": [], "groups": {"a": group(replicas=0)}}, "subnet_ids has 0, accepted: 1 or more"),
]
WRONG_GROUPS: list[tuple[dict[str, Any], str]] = [
    ({"node_type": "t4g.small"}, "node_type is 't4g.small', accepted: a node such as cache.t4g.small"),
    ({"port": 80}, "port is 80, accepted: 1024 to 65535"),
    ({"eviction": "lru"}, "eviction is 'lru', accepted: noeviction, allkeys-lru, volatile-lru, volatile-ttl"),
    ({"persistence": "yes"}, "persistence is 'yes', accepted: append_only, snapshot, none"),
    ({"replicas": 6}, "replicas is 6, accepted: 0 to 5"),
    ({"replicas": 0, "persistence": "append_only"}, "replicas is 0, accepted: 1 or more for append_only in production"),
    ({"snapshot_days": 36, "persistence": "snapshot"}, "snapshot_days is 36, accepted: 0 to 35"),
    ({"snapshot_days": 0, "persistence": "snapshot"}, "snapshot_days is 0, accepted: 1 to 35 for what persists"),
    ({"snapshot_days": 3}, "snapshot_days is 3, accepted: 0, or a persistence other than none"),
    ({"users": []}, "users is empty, accepted: at least one, as nobody else can log in"),
    ({"users": [*SESSIONS.users, *SESSIONS.users]}, "users is emr, emr, accepted: each name once"),
]
WRONG_USERS: list[tuple[dict[str, Any], str]] = [
    ({"name": "Emr"}, "users[Emr].name is 'Emr', accepted: at most 32 of a-z, 0-9 and -, and not default"),
    ({"name": "default"}, "users[default].name is 'default', accepted"),
    ({"secret": ""}, "users[emr].secret is '', accepted: the name of a secret such as redis/sessions/emr"),
    ({"access_string": "~a:*"}, "users[emr].access_string is '~a:*', accepted: an ACL that begins with on or off"),
    ({"access_string": ""}, "users[emr].access_string is '', accepted: an ACL that begins with on or off"),
    *[
        (
            {"access_string": f"on {word} ~*"},
            "users[emr].access_string says or lifts a password, accepted: keys, channels",
        )
        for word in (">canary", "#canary", "<canary", "!canary", "nopass", "resetpass", "reset")
    ],
]


def refused(**more: Any) -> str:
    with pytest.raises(ValueError, match="^CacheArgs") as caught:
        args(**more)
    return str(caught.value)


@pytest.mark.parametrize(("more", "message"), WRONG, ids=lambda each: str(each)[:40])
def test_what_is_wrong_is_named(more: dict[str, Any], message: str) -> None:
    assert f"CacheArgs.{message}" in refused(**more)


@pytest.mark.parametrize(("more", "message"), WRONG_GROUPS, ids=lambda each: str(each)[:40])
def test_what_is_wrong_with_a_group_is_named(more: dict[str, Any], message: str) -> None:
    assert f"CacheArgs.groups[a].{message}" in refused(groups={"a": group(**more)})


@pytest.mark.parametrize(("more", "message"), WRONG_USERS, ids=lambda each: str(each)[:40])
def test_what_is_wrong_with_a_user_is_named_and_no_password_is_shown(more: dict[str, Any], message: str) -> None:
    one = CacheUserArgs(**({"name": "emr", "secret": "redis/a/emr"} | more))
    problem = refused(groups={"a": group(users=[one])})
    assert f"CacheArgs.groups[a].{message}" in problem
    assert "canary" not in problem


def test_all_problems_are_told_at_once() -> None:
    assert len(refused(engine="x", clients={}, groups={"a": group(port=1, replicas=9)}).splitlines()) == 4


def test_development_may_do_without() -> None:
    args("development", groups={"a": group(persistence="append_only", replicas=0, snapshot_days=0)})


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([Cache])
    assert found["component_definitions"]["Cache"].inputs
    assert all(each.properties for each in found["type_definitions"].values())
