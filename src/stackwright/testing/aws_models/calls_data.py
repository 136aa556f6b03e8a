"""Inputs and calls of data stores: RDS, ElastiCache, S3, KMS, Secrets Manager, SSM, Backup."""

from __future__ import annotations

from collections.abc import Mapping

from stackwright.model.aws import names
from stackwright.testing.aws_models.convert import Call, NotSent, Target, one_of

Fields = Mapping[str, Target]
_PROVIDER = NotSent(reason="tells the provider what to do")
_LATER = NotSent(reason="another call, after the resource exists")
_DELETION = NotSent(reason="a parameter of the deletion")

_RDS_INSTANCE: Fields = {
    "identifier": "DBInstanceIdentifier",
    "identifierPrefix": _PROVIDER,
    "instanceClass": "DBInstanceClass",
    "username": "MasterUsername",
    "password": "MasterUserPassword",
    "passwordWo": "MasterUserPassword",
    "passwordWoVersion": _PROVIDER,
    "parameterGroupName": "DBParameterGroupName",
    "caCertIdentifier": "CACertificateIdentifier",
    "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
    "performanceInsightsEnabled": "EnablePerformanceInsights",
    "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
    "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
    "customerOwnedIpEnabled": "EnableCustomerOwnedIp",
    "maintenanceWindow": "PreferredMaintenanceWindow",
    "backupWindow": "PreferredBackupWindow",
    "customIamInstanceProfile": "CustomIamInstanceProfile",
    "replicateSourceDb": NotSent(reason="makes it a replica: CreateDBInstanceReadReplica, with the same names"),
    "replicaMode": one_of("open-read-only", "mounted"),
    "upgradeStorageConfig": _PROVIDER,
    "warningEventCategories": _PROVIDER,
    "snapshotIdentifier": NotSent(reason="makes it a restore: RestoreDBInstanceFromDBSnapshot"),
    "restoreToPointInTime": NotSent(reason="makes it a restore: RestoreDBInstanceToPointInTime"),
    "s3Import": NotSent(reason="makes it a restore: RestoreDBInstanceFromS3"),
    "skipFinalSnapshot": _DELETION,
    "finalSnapshotIdentifier": _DELETION,
    "deleteAutomatedBackups": _DELETION,
    "applyImmediately": _LATER,
    "allowMajorVersionUpgrade": _LATER,
    "blueGreenUpdate": _LATER,
}
_CACHE_GROUP: Fields = {
    "description": "ReplicationGroupDescription",
    "nodeType": "CacheNodeType",
    "parameterGroupName": "CacheParameterGroupName",
    "subnetGroupName": "CacheSubnetGroupName",
    "securityGroupNames": "CacheSecurityGroupNames",
    "maintenanceWindow": "PreferredMaintenanceWindow",
    "numNodeGroups": "NumNodeGroups",
    "finalSnapshotIdentifier": _DELETION,
    "applyImmediately": _LATER,
    "authTokenUpdateStrategy": _LATER,
    "authTokenWo": "AuthToken",
    "authTokenWoVersion": _PROVIDER,
}
_PASSWORDS: Fields = {
    "passwords": "Passwords",
    "passwordsWo": "Passwords",
    "passwordsWoVersion": _PROVIDER,
    "authenticationMode": "AuthenticationMode",
}


def _s3(operation: str, fields: Fields | None = None, root: str = "") -> Call:
    return Call(
        service="s3",
        operation=operation,
        fields={"expectedBucketOwner": "ExpectedBucketOwner", **(fields or {})},
        root=root,
    )


CALLS: Mapping[str, Call] = {
    "rds/instance": Call(service="rds", operation="CreateDBInstance", fields=_RDS_INSTANCE),
    "rds/subnetGroup": Call(
        service="rds",
        operation="CreateDBSubnetGroup",
        fields={"name": "DBSubnetGroupName", "description": "DBSubnetGroupDescription"},
    ),
    "rds/parameterGroup": Call(
        service="rds",
        operation="CreateDBParameterGroup",
        fields={
            "name": "DBParameterGroupName",
            "family": "DBParameterGroupFamily",
            "parameters": _LATER,
        },
        constants={"Description": "Managed by Pulumi"},
    ),
    "rds/eventSubscription": Call(
        service="rds",
        operation="CreateEventSubscription",
        fields={"name": "SubscriptionName", "snsTopic": "SnsTopicArn"},
    ),
    "rds/instanceAutomatedBackupsReplication": Call(
        service="rds",
        operation="StartDBInstanceAutomatedBackupsReplication",
        fields={"retentionPeriod": "BackupRetentionPeriod"},
    ),
    "rds/proxy": Call(
        service="rds",
        operation="CreateDBProxy",
        fields={"name": "DBProxyName", "auths": "Auth"},
    ),
    "rds/proxyDefaultTargetGroup": Call(
        service="rds",
        operation="ModifyDBProxyTargetGroup",
        fields={"dbProxyName": "DBProxyName"},
        constants={"TargetGroupName": "default"},
    ),
    "rds/proxyTarget": Call(
        service="rds",
        operation="RegisterDBProxyTargets",
        fields={"dbInstanceIdentifier": "DBInstanceIdentifiers", "dbClusterIdentifier": "DBClusterIdentifiers"},
    ),
    "elasticache/replicationGroup": Call(
        service="elasticache", operation="CreateReplicationGroup", fields=_CACHE_GROUP
    ),
    "elasticache/subnetGroup": Call(
        service="elasticache",
        operation="CreateCacheSubnetGroup",
        fields={"name": "CacheSubnetGroupName", "description": "CacheSubnetGroupDescription"},
    ),
    "elasticache/parameterGroup": Call(
        service="elasticache",
        operation="CreateCacheParameterGroup",
        fields={"name": "CacheParameterGroupName", "family": "CacheParameterGroupFamily", "parameters": _LATER},
        constants={"Description": "Managed by Pulumi"},
    ),
    "elasticache/user": Call(service="elasticache", operation="CreateUser", fields=_PASSWORDS),
    "elasticache/userGroup": Call(service="elasticache", operation="CreateUserGroup"),
    "elasticache/userGroupAssociation": Call(
        service="elasticache", operation="ModifyUserGroup", fields={"userId": "UserIdsToAdd"}
    ),
    "s3/bucket": _s3(
        "CreateBucket",
        {
            # The model has neither a pattern nor a length for it.
            "bucket": "Bucket",
            "bucketPrefix": _PROVIDER,
            "objectLockEnabled": "ObjectLockEnabledForBucket",
            "bucketNamespace": "BucketNamespace",
            "tags": "CreateBucketConfiguration.Tags",
            "acl": _LATER,
            **dict.fromkeys(
                (
                    "accelerationStatus",
                    "corsRules",
                    "grants",
                    "lifecycleRules",
                    "logging",
                    "objectLockConfiguration",
                    "policy",
                    "replicationConfiguration",
                    "requestPayer",
                    "serverSideEncryptionConfiguration",
                    "versioning",
                    "website",
                ),
                NotSent(reason="has a resource of its own"),
            ),
        },
    ),
    "s3/bucketVersioning": _s3(
        "PutBucketVersioning", {"versioningConfiguration": "VersioningConfiguration", "mfa": "MFA"}
    ),
    "s3/bucketServerSideEncryptionConfiguration": _s3(
        "PutBucketEncryption", {"rules": "ServerSideEncryptionConfiguration.Rules"}
    ),
    "s3/bucketPublicAccessBlock": _s3("PutPublicAccessBlock", root="PublicAccessBlockConfiguration"),
    "s3/bucketOwnershipControls": _s3("PutBucketOwnershipControls", {"rule": "OwnershipControls.Rules"}),
    "s3/bucketPolicy": _s3("PutBucketPolicy"),
    "s3/bucketLifecycleConfiguration": _s3(
        "PutBucketLifecycleConfiguration",
        {
            "rules": "LifecycleConfiguration.Rules",
            "transitionDefaultMinimumObjectSize": "TransitionDefaultMinimumObjectSize",
        },
    ),
    "s3/bucketObjectLockConfiguration": _s3(
        "PutObjectLockConfiguration",
        {
            "rule": "ObjectLockConfiguration.Rule",
            "objectLockEnabled": "ObjectLockConfiguration.ObjectLockEnabled",
        },
    ),
    "s3/bucketLogging": _s3("PutBucketLogging", root="BucketLoggingStatus.LoggingEnabled"),
    "s3/bucketAcl": _s3("PutBucketAcl"),
    "s3/bucketCorsConfiguration": _s3("PutBucketCors", {"corsRules": "CORSConfiguration.CORSRules"}),
    "s3/bucketReplicationConfig": _s3("PutBucketReplication", root="ReplicationConfiguration"),
    "s3/bucketObjectv2": _s3(
        "PutObject",
        {
            "source": _PROVIDER,
            "websiteRedirect": "WebsiteRedirectLocation",
            "content": "Body",
            "contentBase64": "Body",
            "etag": _PROVIDER,
            "sourceHash": _PROVIDER,
            "kmsKeyId": "SSEKMSKeyId",
            "overrideProvider": _PROVIDER,
            "tags": NotSent(reason="a query string"),
            "objectLockRetainUntilDate": "ObjectLockRetainUntilDate",
        },
    ),
    "s3/accountPublicAccessBlock": Call(
        service="s3control", operation="PutPublicAccessBlock", root="PublicAccessBlockConfiguration"
    ),
    "kms/key": Call(
        service="kms",
        operation="CreateKey",
        fields={
            "customerMasterKeySpec": "KeySpec",
            "deletionWindowInDays": _DELETION,
            "enableKeyRotation": _LATER,
            "rotationPeriodInDays": _LATER,
            "isEnabled": _LATER,
            "bypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck",
        },
    ),
    "kms/alias": Call(service="kms", operation="CreateAlias", fields={"name": "AliasName"}),
    "kms/grant": Call(
        service="kms",
        operation="CreateGrant",
        fields={"grantCreationTokens": "GrantTokens", "retireOnDelete": _PROVIDER},
    ),
    "secretsmanager/secret": Call(
        service="secretsmanager",
        operation="CreateSecret",
        fields={
            "policy": _LATER,
            "recoveryWindowInDays": _DELETION,
            "forceOverwriteReplicaSecret": "ForceOverwriteReplicaSecret",
            "replicas": "AddReplicaRegions",
        },
    ),
    "secretsmanager/secretPolicy": Call(
        service="secretsmanager",
        operation="PutResourcePolicy",
        fields={"secretArn": "SecretId", "policy": "ResourcePolicy"},
    ),
    "secretsmanager/secretRotation": Call(
        service="secretsmanager", operation="RotateSecret", fields={"rotationEnabled": _PROVIDER}
    ),
    "ssm/parameter": Call(
        service="ssm",
        operation="PutParameter",
        fields={
            "insecureValue": "Value",
            "valueWo": "Value",
            "valueWoVersion": _PROVIDER,
            "arn": _PROVIDER,
        },
    ),
    "ssm/document": Call(
        service="ssm",
        operation="CreateDocument",
        fields={"attachmentsSources": "Attachments", "permissions": _LATER},
    ),
    "ssm/association": Call(
        service="ssm",
        operation="CreateAssociation",
        fields={"waitForSuccessTimeoutSeconds": _PROVIDER, "outputLocation": "OutputLocation.S3Location"},
    ),
    "backup/vault": Call(
        service="backup",
        operation="CreateBackupVault",
        fields={"name": "BackupVaultName", "kmsKeyArn": "EncryptionKeyArn", "tags": "BackupVaultTags"},
    ),
    "backup/vaultPolicy": Call(service="backup", operation="PutBackupVaultAccessPolicy"),
    "backup/vaultLockConfiguration": Call(service="backup", operation="PutBackupVaultLockConfiguration"),
    "backup/plan": Call(
        service="backup",
        operation="CreateBackupPlan",
        fields={
            "name": "BackupPlan.BackupPlanName",
            "tags": "BackupPlanTags",
            "advancedBackupSettings": "BackupPlan.AdvancedBackupSettings",
            "rules": "BackupPlan.Rules",
            "scanSettings": "BackupPlan.ScanSettings",
        },
    ),
    "backup/selection": Call(
        service="backup",
        operation="CreateBackupSelection",
        fields={
            "planId": "BackupPlanId",
            "selectionTags": "BackupSelection.ListOfTags",
            "name": "BackupSelection.SelectionName",
        },
        root="BackupSelection",
    ),
}

NESTED: Mapping[str, Fields] = {
    "ServerSideEncryptionRule": {"blockedEncryptionTypes": "BlockedEncryptionTypes.EncryptionType"},
    "AuthenticationMode": {"passwordCount": _PROVIDER},
    "Lifecycle": {"coldStorageAfter": "MoveToColdStorageAfterDays", "deleteAfter": "DeleteAfterDays"},
    "CopyAction": {"destinationVaultArn": "DestinationBackupVaultArn"},
    "Condition": {"key": "ConditionKey", "type": "ConditionType", "value": "ConditionValue"},
    "ConditionParameter": {"key": "ConditionKey", "value": "ConditionValue"},
    "S3OutputLocation": {
        "s3BucketName": "OutputS3BucketName",
        "s3KeyPrefix": "OutputS3KeyPrefix",
        "s3Region": "OutputS3Region",
    },
    "ReplicaRegionType": {"lastAccessedDate": _PROVIDER, "status": _PROVIDER, "statusMessage": _PROVIDER},
    "LogDeliveryConfigurationRequest": {
        # One field here; the API has one field for each kind of destination.
        "destination": NotSent(reason="the name of the log group or stream, by its type"),
    },
    "NodeGroupConfiguration": {"replicaCount": "ReplicaCount"},
    "LifecycleRule": {"id": "ID", "filter": "Filter"},
    "BackupRuleInput": {
        "targetVaultName": "TargetBackupVaultName",
        "schedule": "ScheduleExpression",
        "completionWindow": "CompletionWindowMinutes",
        "startWindow": "StartWindowMinutes",
    },
    "ReplicationRule": {"id": "ID"},
    "RotationRulesType": {"automaticallyAfterDays": "AutomaticallyAfterDays"},
    "UserAuthConfig": {"authScheme": "AuthScheme"},
}
#: (call, parameter) -> the kind of `names.RULES` with the limits that the model lacks (API reference, "Constraints").
NAMES: Mapping[tuple[str, str], names.Rule] = {
    ("CreateDBInstance", "DBInstanceIdentifier"): names.RULES["database"],
    ("CreateDBSubnetGroup", "DBSubnetGroupName"): names.RULES["database_subnet_group"],
    ("CreateDBParameterGroup", "DBParameterGroupName"): names.RULES["database_parameter_group"],
    ("CreateReplicationGroup", "ReplicationGroupId"): names.RULES["cache_group"],
    ("CreateCacheSubnetGroup", "CacheSubnetGroupName"): names.RULES["cache_subnet_group"],
    ("CreateCacheParameterGroup", "CacheParameterGroupName"): names.RULES["cache_parameter_group"],
    ("CreateUser", "UserId"): names.RULES["cache_user"],
    ("CreateUserGroup", "UserGroupId"): names.RULES["cache_user_group"],
    ("CreateBucket", "Bucket"): names.RULES["bucket"],
    ("CreateSecurityGroup", "GroupName"): names.RULES["security_group"],
    ("CreateLaunchTemplate", "LaunchTemplateName"): names.RULES["launch_template"],
    ("CreateLoadBalancer", "Name"): names.RULES["load_balancer"],
    ("CreateTargetGroup", "Name"): names.RULES["target_group"],
    ("CreateTopic", "Name"): names.RULES["topic"],
    ("CreateAlias", "AliasName"): names.RULES["kms_alias"],
    ("CreateSecret", "Name"): names.RULES["secret"],
}
