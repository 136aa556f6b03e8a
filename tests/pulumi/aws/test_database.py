"""PostgreSQL run by AWS, without an engine: every resource with all of its inputs, in each of its variants."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi.runtime import mocks
from pulumi.runtime.resource import all_aliases

from stackwright.infra.aws.database import Database, login_statement
from stackwright.infra.aws.database_args import DatabaseArgs, DatabaseRegionArgs, DatabaseRestoreArgs
from stackwright.infra.aws.database_parameters import LOGGED, STATIC
from stackwright.model.aws.rds import ALWAYS
from stackwright.policy import evaluate
from stackwright.testing.aws_models import botocore_checks, iam
from stackwright.testing.recording import Properties, Recording, record

KEY, LOG_KEY, SECRET_KEY = (f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{each}" for each in ("data", "logs", "secrets"))
THERE = "eu-west-1"
THERE_KEY = f"arn:aws:kms:{THERE}:{ACCOUNT}:key/there"
MASTER = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:test/master-a1B2c3"
MANAGED = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:rds!db-1-a1B2c3"
INSTANCE, LOG = "aws:rds/instance:Instance", "aws:cloudwatch/logGroup:LogGroup"
GROUP, RULE = "aws:ec2/securityGroup:SecurityGroup", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
SUBNETS, PARAMETERS = "aws:rds/subnetGroup:SubnetGroup", "aws:rds/parameterGroup:ParameterGroup"
ROLE, POLICY = "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy"
COPIES = "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication"
ROTATION = "aws:secretsmanager/secretRotation:SecretRotation"
COMPUTED = {
    INSTANCE: lambda inputs: {
        "address": f"{inputs['identifier']}.rds",
        "arn": f"arn of {inputs['identifier']}",
        "resourceId": "db-ABC",
        "masterUserSecrets": [{"secretArn": MANAGED}],
    },
    ROLE: lambda inputs: {"arn": f"arn of {inputs['name']}"},
}
ELSEWHERE = DatabaseRegionArgs(
    region=THERE, vpc_id="vpc-there", subnet_ids=["subnet-x", "subnet-y"], kms_key_arn=THERE_KEY, clients={"Apps": "sg"}
)
Expected = dict[tuple[str, str], Properties]


def args(environment_class: str = "production", **more: Any) -> DatabaseArgs:
    fixed: dict[str, Any] = {
        "context": context(environment_class),
        "vpc_id": "vpc",
        "subnet_ids": ["subnet-a", "subnet-b"],
        "clients": {"Application servers": "sg-app"},
        "instance_class": "db.m7g.large",
        "storage_gb": 100,
        "max_storage_gb": 400,
        "kms_key_arn": KEY,
    }
    return DatabaseArgs(**(fixed | more))


def run(
    environment_class: str = "production", *, preview: bool = False, kept_by_rds: bool = True, **more: Any
) -> Recording:
    def program() -> None:
        database = Database("db", args(environment_class, **more))
        pulumi.export("secrets", list(database.result.secrets))
        for endpoint, found in database.result.endpoints.items():
            pulumi.export(endpoint, {"at": list(found.addresses), "scheme": found.scheme, "port": found.port})

    kept = {} if kept_by_rds else {"masterUserSecrets": []}
    computed = {**COMPUTED, INSTANCE: lambda inputs: {**COMPUTED[INSTANCE](inputs), **kept}}
    return record(program, stack="test", computed=computed, preview=preview)


def logs(prefix: str, identifier: str, environment_class: str, *, key: str, days: int, **more: Any) -> Expected:
    return {
        (LOG, f"{prefix}-{kind}-log"): {
            "name": f"/aws/rds/instance/{identifier}/{kind}",
            "kmsKeyId": key,
            "retentionInDays": days,
            "deletionProtectionEnabled": environment_class != "development",
            "tags": tags(f"/aws/rds/instance/{identifier}/{kind}", environment_class),
            **more,
        }
        for kind in ("postgresql", "upgrade")
    }


#: Values that are the family's defaults, for which RDS keeps `pending-reboot` whatever it was sent.
SETTLED = (
    "log_autovacuum_min_duration",
    "password_encryption",
    "rds.force_autovacuum_logging_level",
    "rds.force_ssl",
)


def parameters(**more: str) -> list[dict[str, str]]:
    values = {**LOGGED, **ALWAYS, **{name.replace("__", "."): value for name, value in more.items()}}
    return [
        {
            "name": name,
            "value": values[name],
            "applyMethod": "pending-reboot" if name in {*STATIC, *SETTLED} else "immediate",
        }
        for name in sorted(values)
    ]


def place(prefix: str = "db", part: str = "database", environment_class: str = "production", **more: Any) -> Expected:
    """What is made once for a region; `more` are other parameters."""
    region: Properties = more.pop("region", {})
    far = bool(region)
    named = tags(f"test-{part}", environment_class)
    family = more.pop("family", "postgres17")
    reason, client = ("Apps", "sg") if far else ("Application servers", "sg-app")
    return {
        (GROUP, f"{prefix}-security-group"): {
            "name": f"test-{part}",
            "description": "PostgreSQL run by AWS",
            "vpcId": "vpc-there" if far else "vpc",
            "tags": named,
            **region,
        },
        (RULE, f"{prefix}-security-group-{reason.lower().replace(' ', '-')}"): {
            "securityGroupId": f"{prefix}-security-group-id",
            "description": reason,
            "ipProtocol": "tcp",
            "fromPort": 5432,
            "toPort": 5432,
            "referencedSecurityGroupId": client,
            "tags": named,
            **region,
        },
        (SUBNETS, f"{prefix}-subnet-group"): {
            "name": f"test-{part}",
            "description": "Where the database is",
            "subnetIds": ["subnet-x", "subnet-y"] if far else ["subnet-a", "subnet-b"],
            "tags": named,
            **region,
        },
        (PARAMETERS, f"{prefix}-parameters"): {
            "name": f"test-{part}-{family}",
            "family": family,
            "description": "taaleem, test",
            "parameters": parameters(**more),
            "tags": tags(f"test-{part}-{family}", environment_class),
            **region,
        },
    }


def metrics_role(
    databases: dict[str, list[str]] | None = None, environment_class: str = "production", copies: str = ""
) -> Expected:
    found = databases or {REGION: ["test-database"]}
    arns = [
        f"arn:aws:rds:{region}:{ACCOUNT}:db:{each}{copy}"
        for region, names in found.items()
        for each in names
        for copy in (["", copies] if copies else [""])
    ]
    groups = [f"arn:aws:logs:{region}:{ACCOUNT}:log-group:RDSOSMetrics" for region in found]
    may = [
        {
            "Sid": "MakeGroup",
            "Effect": "Allow",
            "Action": ["logs:CreateLogGroup", "logs:PutRetentionPolicy"],
            "Resource": [each for group in groups for each in (group, f"{group}:*")],
        },
        {
            "Sid": "WriteMetrics",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents"],
            "Resource": [f"{group}:log-stream:*" for group in groups],
        },
    ]
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "monitoring.rds.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": arns}},
    }
    return {
        (ROLE, "db-monitoring-role"): {
            "name": "test-database-monitoring",
            "description": "RDS writes what it sees of the operating system",
            "assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            "tags": tags("test-database-monitoring", environment_class),
        },
        (POLICY, "db-monitoring-policy"): {
            "name": "test-database-monitoring",
            "role": "test-database-monitoring",
            "policy": json.dumps({"Version": "2012-10-17", "Statement": may}),
        },
    }


def instance(part: str, identifier: str, environment_class: str = "production", **more: Any) -> Expected:
    """An instance with what all have, and its logs; None among `more` takes an input away."""
    keeps = environment_class != "development"
    log_key, days = more.pop("log_key", KEY), more.pop("log_days", 30)
    region = {"region": more["region"]} if "region" in more else {}
    fixed = {
        "identifier": identifier,
        "engine": "postgres",
        "instanceClass": "db.m7g.large",
        "storageType": "gp3",
        "maxAllocatedStorage": 400,
        "storageEncrypted": True,
        "kmsKeyId": KEY,
        "vpcSecurityGroupIds": ["db-security-group-id"],
        "parameterGroupName": "test-database-postgres17",
        "port": 5432,
        "publiclyAccessible": False,
        "caCertIdentifier": "rds-ca-rsa2048-g1",
        "iamDatabaseAuthenticationEnabled": False,
        "maintenanceWindow": "sun:04:00-sun:05:00",
        "autoMinorVersionUpgrade": True,
        "applyImmediately": not keeps,
        "copyTagsToSnapshot": True,
        "deleteAutomatedBackups": not keeps,
        "deletionProtection": keeps,
        "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "performanceInsightsEnabled": True,
        "databaseInsightsMode": "standard",
        "performanceInsightsKmsKeyId": KEY,
        "performanceInsightsRetentionPeriod": 7,
        "monitoringInterval": 60,
        "monitoringRoleArn": "arn of test-database-monitoring",
        "tags": tags(identifier, environment_class),
    }
    found = {name: value for name, value in (fixed | more).items() if value is not None}
    logged = logs(f"db-{part}", identifier, environment_class, key=log_key, days=days, **region)
    return {(INSTANCE, f"db-{part}"): found, **logged}


def primary(environment_class: str = "production", **more: Any) -> Expected:
    keeps = environment_class != "development"
    fixed = {
        "engineVersion": "17",
        "allowMajorVersionUpgrade": True,
        "allocatedStorage": 100,
        "username": "stackwright",
        "manageMasterUserPassword": True,
        "masterUserSecretKmsKeyId": KEY,
        "dbSubnetGroupName": "test-database",
        "multiAz": keeps,
        "backupRetentionPeriod": {"production": 14, "staging": 7, "development": 1}[environment_class],
        "backupWindow": "02:00-03:00",
        "skipFinalSnapshot": not keeps,
        "finalSnapshotIdentifier": "test-database-final-db-security-group-id" if keeps else None,
    }
    return instance("database", "test-database", environment_class, **(fixed | more))


def replica(number: int, **more: Any) -> Expected:
    fixed = {
        "replicateSourceDb": "test-database",
        "multiAz": False,
        "backupRetentionPeriod": 0,
        "skipFinalSnapshot": True,
    }
    return instance(f"replica-{number}", f"test-database-replica-{number}", **(fixed | more))


def rotation(days: int = 7) -> Expected:
    rules = {"automaticallyAfterDays": days}
    return {(ROTATION, "db-rotation"): {"secretId": MANAGED, "rotateImmediately": False, "rotationRules": rules}}


OF_THE_ENVIRONMENT = ("alarm-per-component", "budget")
COMPONENT: Expected = {("stackwright:aws:Database", "db"): {}}


def test_production_is_these_resources_and_no_other() -> None:
    run().seal({**COMPONENT, **place(), **metrics_role(), **primary(), **rotation()})


def test_development_has_no_standby_and_no_last_snapshot() -> None:
    small = "development"
    run(small).seal(
        {
            **COMPONENT,
            **place(environment_class=small),
            **metrics_role(environment_class=small),
            **primary(small),
            **rotation(),
        }
    )


def test_every_choice_reaches_its_resource() -> None:
    run(
        database_name="app",
        master_user="boss",
        engine_version="16",
        multi_az=False,
        backup_days=35,
        backup_time="22:15",
        maintenance_day="Sat",
        maintenance_time="23:30",
        iam_authentication=True,
        insights_days=465,
        monitoring_seconds=15,
        log_days=90,
        log_kms_key_arn=LOG_KEY,
        secret_kms_key_arn=SECRET_KEY,
        rotation_days=30,
        max_connections=200,
        parameters={"work_mem": "4096", "shared_buffers": "65536", "log_statement": "none"},
    ).seal(
        {
            **COMPONENT,
            **place(
                family="postgres16",
                max_connections="200",
                work_mem="4096",
                shared_buffers="65536",
                log_statement="none",
            ),
            **metrics_role(),
            **primary(
                log_key=LOG_KEY,
                log_days=90,
                dbName="app",
                username="boss",
                engineVersion="16",
                parameterGroupName="test-database-postgres16",
                multiAz=False,
                backupRetentionPeriod=35,
                backupWindow="22:15-23:15",
                maintenanceWindow="sat:23:30-sun:00:30",
                iamDatabaseAuthenticationEnabled=True,
                databaseInsightsMode="advanced",
                performanceInsightsRetentionPeriod=465,
                monitoringInterval=15,
                masterUserSecretKmsKeyId=SECRET_KEY,
            ),
            **rotation(30),
        }
    )


def test_nothing_watches_where_nobody_wants_it() -> None:
    run(insights_days=0, monitoring_seconds=0).seal(
        {
            **COMPONENT,
            **place(),
            **primary(
                performanceInsightsEnabled=False,
                performanceInsightsKmsKeyId=None,
                performanceInsightsRetentionPeriod=None,
                monitoringInterval=0,
                monitoringRoleArn=None,
            ),
            **rotation(),
        }
    )


def test_replicas_and_copies_elsewhere() -> None:
    region = {"region": THERE}
    ours = ["test-database", "test-database-replica-1", "test-database-replica-2"]
    run(
        master_secret_arn=MASTER, replicas=2, replica_region=ELSEWHERE, copy_region=THERE, copy_kms_key_arn=THERE_KEY
    ).seal(
        {
            **COMPONENT,
            **place(),
            **place("db-database-elsewhere", "database-elsewhere", region=region),
            **metrics_role({REGION: ours, THERE: ["test-database-elsewhere"]}),
            **primary(),
            **replica(1),
            **replica(2),
            **instance(
                "elsewhere",
                "test-database-elsewhere",
                log_key=THERE_KEY,
                region=THERE,
                replicateSourceDb="arn of test-database",
                kmsKeyId=THERE_KEY,
                performanceInsightsKmsKeyId=THERE_KEY,
                vpcSecurityGroupIds=["db-database-elsewhere-security-group-id"],
                parameterGroupName="test-database-elsewhere-postgres17",
                dbSubnetGroupName="test-database-elsewhere",
                multiAz=False,
                backupRetentionPeriod=14,
                backupWindow="02:00-03:00",
                skipFinalSnapshot=True,
            ),
            (COPIES, "db-copies"): {
                "sourceDbInstanceArn": "arn of test-database",
                "kmsKeyId": THERE_KEY,
                "retentionPeriod": 14,
                "region": THERE,
            },
        }
    )


def test_a_master_that_is_taken_over_stays_so_and_a_standby_means_blue_green() -> None:
    recording = run(master_secret_arn=MASTER)
    recording.seal(
        {
            **COMPONENT,
            **place(rds__logical_replication="1"),
            **metrics_role(copies="-green-*"),
            **primary(blueGreenUpdate={"enabled": True}),
        }
    )
    ignored = recording.named("db-database").ignore_changes
    assert ignored == ("manageMasterUserPassword", "masterUserSecretKmsKeyId")
    assert recording.component_outputs["db"]["masterSecretArn"] == MASTER


@pytest.mark.parametrize("more", [{"replicas": 2}, {"blue_green": False}, {"replica_region": ELSEWHERE}])
def test_after_a_takeover_nothing_of_the_master_is_declared_otherwise(more: dict[str, Any]) -> None:
    """The provider sends what has changed: nothing has, besides that nothing of it would be looked at."""
    before, after = run().named("db-database").inputs, run(master_secret_arn=MASTER, **more).named("db-database").inputs
    assert after == before
    assert after["manageMasterUserPassword"]
    standby = run(master_secret_arn=MASTER).named("db-database").inputs
    assert {key for key in before | standby if before.get(key) != standby.get(key)} == {"blueGreenUpdate"}


def test_where_rds_lost_the_password_the_program_stops_until_somebody_says_where_it_is() -> None:
    with pytest.raises(
        pulumi.RunError, match=r"RDS no longer manages the master's password: .* aws.database.master_secret"
    ):
        run(kept_by_rds=False)
    assert run(master_secret_arn=MASTER, kept_by_rds=False).component_outputs["db"]["masterSecretArn"] == MASTER


BACKUPS_ARN = f"arn:aws:rds:{REGION}:{ACCOUNT}:auto-backup:ab-1"


@pytest.mark.parametrize(
    ("restore", "inputs"),
    [
        ({"snapshot": "clinic-final-1"}, {"snapshotIdentifier": "clinic-final-1"}),
        (
            {"source": "clinic-database", "time": "2026-11-22T10:00:00Z"},
            {
                "restoreToPointInTime": {
                    "sourceDbInstanceIdentifier": "clinic-database",
                    "restoreTime": "2026-11-22T10:00:00Z",
                }
            },
        ),
        (
            {"source": BACKUPS_ARN},
            {
                "restoreToPointInTime": {
                    "sourceDbInstanceAutomatedBackupsArn": BACKUPS_ARN,
                    "useLatestRestorableTime": True,
                }
            },
        ),
    ],
)
def test_a_database_begins_with_what_is_restored(restore: dict[str, str], inputs: Properties) -> None:
    recording = run(restore=DatabaseRestoreArgs(**restore))
    recording.seal({**COMPONENT, **place(), **metrics_role(), **primary(**inputs), **rotation()})
    ignored = recording.named("db-database").ignore_changes
    assert ignored == ("kmsKeyId", "restoreToPointInTime", "snapshotIdentifier", "username")


def test_replicas_follow_a_restored_primary_and_are_not_restored_themselves() -> None:
    recording = run(restore=DatabaseRestoreArgs(snapshot="a"), replicas=1, master_secret_arn=MASTER)
    replica = next(each for each in recording.resources if each.type == INSTANCE and each.name != "db-database")
    assert "snapshotIdentifier" not in replica.inputs
    assert replica.ignore_changes == ()


def test_only_a_takeover_leaves_something_alone() -> None:
    recording = run(master_secret_arn=MASTER, replicas=1)
    assert {each.name for each in recording.resources if each.ignore_changes} == {"db-database"}
    assert not any(each.ignore_changes for each in run().resources)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"master_secret_arn": MASTER, "replicas": 1},
        {"master_secret_arn": MASTER, "multi_az": False},
        {"master_secret_arn": MASTER, "blue_green": False},
        {"master_secret_arn": MASTER, "copy_region": THERE, "copy_kms_key_arn": THERE_KEY},
    ],
)
def test_no_blue_green_where_it_cannot_be_or_is_not_wanted(more: dict[str, Any]) -> None:
    recording = run(**more)
    assert "blueGreenUpdate" not in recording.named("db-database").inputs
    names = [each["name"] for each in recording.named("db-parameters").inputs["parameters"]]
    assert "rds.logical_replication" not in names


def test_what_would_be_missed_is_protected() -> None:
    choices = {"master_secret_arn": MASTER, "replicas": 1, "replica_region": ELSEWHERE}
    recording = run(**choices, copy_region=THERE, copy_kms_key_arn=THERE_KEY)
    parts = ("database", "replica-1", "elsewhere")
    groups = {f"db-{part}-{kind}-log" for part in parts for kind in ("postgresql", "upgrade")}
    assert {each.name for each in recording.resources if each.protect} == {
        *(f"db-{part}" for part in parts),
        *groups,
        "db-copies",
    }
    assert not any(each.protect for each in run("development").resources)
    assert run().named("db-rotation").retain_on_delete


def test_every_child_has_its_parent_and_no_input_is_a_secret_or_a_password() -> None:
    recording = run(master_secret_arn=MASTER, replicas=1, replica_region=ELSEWHERE)
    assert {each.parent for each in recording.resources if each.name != "db"} == {"db"}
    assert not any(each.secrets for each in [*recording.resources, *run().resources])
    for each in recording.resources:
        assert not {"password", "passwordWo"} & each.inputs.keys()


def test_logs_and_rights_are_there_before_the_instance() -> None:
    needed = {"db-database-postgresql-log", "db-database-upgrade-log", "db-monitoring-policy"}
    assert needed <= set(run().named("db-database").depends_on)


@pytest.mark.parametrize("more", [{}, {"master_secret_arn": MASTER, "replica_region": ELSEWHERE, "blue_green": False}])
def test_policies_are_ones_that_aws_takes(more: dict[str, Any]) -> None:
    recording = run(**more)
    assert iam.check(recording.named("db-monitoring-role").inputs["assumeRolePolicy"], "trust") == []
    assert iam.check(recording.named("db-monitoring-policy").inputs["policy"], "inline") == []


@pytest.mark.parametrize("environment_class", ["development", "staging", "production"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"master_secret_arn": MASTER},
        {
            "master_secret_arn": MASTER,
            "replicas": 1,
            "replica_region": ELSEWHERE,
            "copy_region": THERE,
            "copy_kms_key_arn": THERE_KEY,
        },
    ],
)
def test_no_policy_is_violated_and_aws_takes_every_input(environment_class: str, more: dict[str, Any]) -> None:
    clients = {"Application servers": "sg-0123456789abcdef0"}
    there = {"replica_region": replace(ELSEWHERE, clients=clients)} if "replica_region" in more else {}
    resources = run(environment_class, **(more | there), clients=clients).resources
    found = [f"{each.rule}: {each.resource}: {each.message}" for each in evaluate(resources, environment_class)]
    # Alarms and the budget are components of their own.
    assert [each for each in found if not each.startswith(OF_THE_ENVIRONMENT)] == []
    report = botocore_checks.check(resources)
    assert [str(finding) for finding in report.findings] == []
    assert report.values > 50


def test_who_logs_in_by_iam_is_these_users_alone() -> None:
    def program() -> None:
        pulumi.export("statement", login_statement(context(), "db-ABC", ["app", "report"]))

    prefix = f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:db-ABC"
    statement = record(program, stack="test").outputs["statement"]
    assert statement == {
        "Sid": "LogInToDatabase",
        "Effect": "Allow",
        "Action": ["rds-db:connect"],
        "Resource": [f"{prefix}/app", f"{prefix}/report"],
    }
    assert iam.check({"Version": "2012-10-17", "Statement": [statement]}, "identity") == []


def test_outputs_without_a_replica_read_from_the_instance_itself() -> None:
    recording = run(secrets=["postgresql/report", "postgresql/app"])
    assert recording.component_outputs["db"] == {
        "address": "test-database.rds",
        "port": 5432,
        "replicaAddresses": ["test-database.rds"],
        "addressesElsewhere": {},
        "identifiers": ["test-database"],
        "arn": "arn of test-database",
        "resourceId": "db-ABC",
        "masterSecretArn": MANAGED,
        "securityGroupId": "db-security-group-id",
    }
    assert recording.outputs == {
        "secrets": ["postgresql/app", "postgresql/report"],
        "postgresql": {"at": ["test-database.rds"], "scheme": "postgresql", "port": 5432},
        "postgresql_replica": {"at": ["test-database.rds"], "scheme": "postgresql", "port": 5432},
    }


def test_outputs_with_replicas() -> None:
    recording = run(master_secret_arn=MASTER, replicas=2, replica_region=ELSEWHERE)
    found, replicas = recording.component_outputs["db"], [f"test-database-replica-{number}" for number in (1, 2)]
    assert found["replicaAddresses"] == [f"{each}.rds" for each in replicas]
    assert found["identifiers"] == ["test-database", *replicas]
    assert found["addressesElsewhere"] == {THERE: "test-database-elsewhere.rds"}
    assert recording.outputs["postgresql_replica"]["at"] == [f"{each}.rds" for each in replicas]


def test_a_preview_declares_the_same() -> None:
    choices = {"master_secret_arn": MASTER, "replicas": 1, "replica_region": ELSEWHERE}
    assert [each.name for each in run(preview=True, **choices).resources] == [
        each.name for each in run(**choices).resources
    ]
    assert [each.name for each in run(preview=True).resources] == [each.name for each in run().resources]


def test_two_clients_are_a_rule_each_and_nothing_goes_out() -> None:
    recording = run(clients={"Application servers": "sg-app", "Jobs: nightly": "sg-jobs"})
    rules = [each for each in recording.resources if each.type == RULE]
    assert {(each.name, each.inputs["referencedSecurityGroupId"]) for each in rules} == {
        ("db-security-group-application-servers", "sg-app"),
        ("db-security-group-jobs-nightly", "sg-jobs"),
    }
    assert not any("EgressRule" in each.type for each in recording.resources)


def test_a_database_that_is_renamed_in_code_is_the_same_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine gets the component's alias, and gives each child the URN that it had: none is replaced.

    `all_aliases` is the engine's rule in the SDK: a child's former name is its name with the component's replaced, so
    that it is known only of children that are named after the component, of the same type, and below it.
    """
    said: dict[str, list[str]] = {}
    register = mocks.MockMonitor.RegisterResource

    def noticing(self: Any, request: Any) -> Any:
        said[request.name] = [alias.spec.name for alias in request.aliases if alias.spec.name]
        return register(self, request)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(mocks.MockMonitor, "RegisterResource", noticing)
    choices: dict[str, Any] = {"master_secret_arn": MASTER, "replicas": 1, "replica_region": ELSEWHERE}
    before = run(**choices).resources
    children = [(each.type, each.name.replace("db", "main", 1)) for each in before if each.name != "db"]

    def program() -> None:
        database = Database("main", args(**choices), pulumi.ResourceOptions(aliases=[pulumi.Alias(name="db")]))
        former = {child: all_aliases(None, child, kind, database) for kind, child in children}
        pulumi.export("former", former)

    after = record(program, stack="test", computed=COMPUTED)
    assert said["main"] == ["db"]
    assert {(each.type, each.name) for each in after.resources if each.parent == "main"} == set(children)
    urns = "urn:pulumi:test::stackwright::stackwright:aws:Database${}::{}"
    assert after.outputs["former"] == {
        child: [urns.format(kind, child.replace("main", "db", 1))] for kind, child in children
    }


def test_other_languages_can_use_it() -> None:
    inputs = Analyzer("stackwright-aws").analyze_component(Database).inputs
    assert {"context", "vpcId", "clients", "replicaRegion", "masterSecretArn"} <= set(inputs)


TAKEN = {"master_secret_arn": MASTER}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"engine_version": "13"}, "engine_version is '13', accepted: 14, 15, 16, 17"),
    ({"instance_class": "m7g.large"}, "instance_class is 'm7g.large', accepted: a class such as db.m7g.large"),
    ({"database_name": "1a"}, "database_name is '1a', accepted: at most 63 letters, digits and _, a letter first"),
    ({"master_user": "postgres"}, "master_user is 'postgres', accepted: at most 16 letters"),
    ({"master_user": "a" * 17}, f"master_user is '{'a' * 17}', accepted: at most 16 letters"),
    ({"storage_gb": 19}, "storage_gb is 19, accepted: 20 to 65536"),
    ({"max_storage_gb": 109}, "max_storage_gb is 109, accepted: 110 to 65536, a tenth above storage_gb"),
    ({"replicas": 16, **TAKEN}, "replicas is 16, accepted: 0 to 15"),
    ({"max_connections": 5}, "max_connections is 5, accepted: 6 to 262143"),
    ({"subnet_ids": ["a"]}, "subnet_ids has 1, accepted: 2 or more, each in another zone"),
    ({"clients": {}}, "clients is empty, accepted: the security group of at least one who connects"),
    ({"clients": {"a\nb": "sg"}}, r"clients has 'a\nb', accepted: a reason of at most 200 plain characters"),
    (
        {"clients": {"a b": "x", "A-b": "y"}},
        "clients has a b, A-b, accepted: reasons that differ in a letter or a digit",
    ),
    ({"parameters": {"A b": "1"}}, "parameters has 'A b', accepted: a setting of PostgreSQL such as work_mem"),
    ({"parameters": {"fsync": "0"}}, "parameters has fsync, accepted: no setting that RDS decides"),
    (
        {"parameters": {"rds.force_ssl": "0"}},
        "parameters has rds.force_ssl, accepted: no setting that the component decides",
    ),
    ({"parameters": {"max_connections": "9"}}, "parameters has max_connections, accepted: no setting that the comp"),
    ({"insights_days": 30}, "insights_days is 30, accepted: 0, 7 or 465"),
    ({"monitoring_seconds": 2}, "monitoring_seconds is 2, accepted: 0, 1, 5, 10, 15, 30, 60"),
    ({"log_days": 0}, "log_days is 0, accepted: 1, 3, 5"),
    ({"maintenance_day": "sunday"}, "maintenance_day is 'sunday', accepted: Mon, Tue"),
    ({"maintenance_time": "24:00"}, "maintenance_time is '24:00', accepted: a time such as 04:00, in UTC"),
    ({"backup_time": "2:00"}, "backup_time is '2:00', accepted: a time such as 04:00, in UTC"),
    ({"backup_time": "03:30"}, "backup_time is 03:30, accepted: an hour or more away from maintenance_time (04:00)"),
    (
        {"backup_time": "00:10", "maintenance_time": "23:30"},
        "backup_time is 00:10, accepted: an hour or more away from maintenance_time (23:30)",
    ),
    ({"backup_days": 6}, "backup_days is 6, accepted: 7 to 35"),
    ({"backup_days": 36}, "backup_days is 36, accepted: 7 to 35"),
    ({"copy_region": REGION, "copy_kms_key_arn": KEY}, f"copy_region is '{REGION}', accepted: another region of"),
    ({"copy_region": THERE}, "copy_region and copy_kms_key_arn: accepted: both, or none"),
    ({"restore": DatabaseRestoreArgs()}, "restore names both or neither, accepted: a snapshot or a source"),
    ({"restore": DatabaseRestoreArgs(snapshot="a", source="b")}, "restore names both or neither, accepted: a snapshot"),
    ({"restore": DatabaseRestoreArgs(snapshot="a", time="b")}, "restore.time is 'b', accepted: none without a source"),
    ({"rotation_days": 0}, "rotation_days is 0, accepted: 1 to 1000"),
    ({"rotation_days": 3, **TAKEN}, "rotation_days is 3, accepted: none with master_secret_arn"),
    ({"replicas": 1}, "replicas is 1, accepted: 0 while RDS manages the master's password; first create the database"),
    ({"replica_region": ELSEWHERE}, "replica_region is set, accepted: none while RDS manages the master's password"),
    ({"blue_green": True}, "blue_green is True, accepted with a master that is taken over: first create"),
    ({"blue_green": True, "replicas": 1, **TAKEN}, "blue_green is True, accepted with no replicas, which the provider"),
    (
        {"blue_green": True, "copy_region": THERE, "copy_kms_key_arn": THERE_KEY, **TAKEN},
        "blue_green is True, accepted with no copy_region",
    ),
    ({"blue_green": True, "replica_region": ELSEWHERE, **TAKEN}, "blue_green is True, accepted with no replica_region"),
]
WRONG_ELSEWHERE: list[tuple[dict[str, Any], str]] = [
    ({"region": REGION}, f"replica_region.region is '{REGION}', accepted: another region of"),
    ({"region": "mars"}, "replica_region.region is 'mars', accepted: another region of"),
    ({"subnet_ids": []}, "replica_region.subnet_ids has 0, accepted: 2 or more"),
    ({"clients": {"": "sg"}}, "replica_region.clients has '', accepted: a reason of"),
]


def refused(environment_class: str = "production", **more: Any) -> str:
    with pytest.raises(ValueError, match="^DatabaseArgs") as caught:
        args(environment_class, **more)
    return str(caught.value)


@pytest.mark.parametrize(("more", "message"), WRONG, ids=lambda each: str(each)[:40])
def test_what_is_wrong_is_named(more: dict[str, Any], message: str) -> None:
    assert f"DatabaseArgs.{message}" in refused(**more)


@pytest.mark.parametrize(("more", "message"), WRONG_ELSEWHERE, ids=lambda each: str(each)[:40])
def test_what_is_wrong_elsewhere_is_named(more: dict[str, Any], message: str) -> None:
    fixed: dict[str, Any] = {"region": THERE, "vpc_id": "v", "subnet_ids": ["a", "b"], "kms_key_arn": THERE_KEY}
    assert f"DatabaseArgs.{message}" in refused(replica_region=DatabaseRegionArgs(**(fixed | more)), **TAKEN)


def test_all_problems_are_told_at_once() -> None:
    assert len(refused(engine_version="9", clients={}, backup_days=0, log_days=2).splitlines()) == 4


def test_development_may_do_without_backups_unless_something_is_made_from_them() -> None:
    assert args("development", backup_days=0).chosen_backup_days == 0
    message = "backup_days is 0, accepted: 1 to 35, as replicas and copies are made from backups"
    assert message in refused("development", backup_days=0, replicas=1, **TAKEN)
    assert "backup_days is 0, accepted: 1 to 35" in refused("staging", backup_days=0)


def test_windows_may_touch() -> None:
    assert args(backup_time="03:00").backup_window == "03:00-04:00"
    assert args(backup_time="23:00", maintenance_time="00:00").maintenance_window == "sun:00:00-sun:01:00"
