"""Inputs and calls of permissions and monitoring: IAM, CloudWatch, logs, SNS, Budgets."""

from __future__ import annotations

from collections.abc import Mapping

from stackwright.testing.aws_models.convert import Call, Members, NotSent, Spread, Target

Fields = Mapping[str, Target]
_PROVIDER = NotSent(reason="tells the provider what to do")
_LATER = NotSent(reason="another call, after the resource exists")
_BLOCK = NotSent(reason="has a resource of its own")

CALLS: Mapping[str, Call] = {
    "iam/role": Call(
        service="iam",
        operation="CreateRole",
        fields={
            "name": "RoleName",
            "assumeRolePolicy": "AssumeRolePolicyDocument",
            "forceDetachPolicies": _PROVIDER,
            "inlinePolicies": _BLOCK,
            "managedPolicyArns": _BLOCK,
            "permissionsBoundary": "PermissionsBoundary",
        },
    ),
    "iam/rolePolicy": Call(
        service="iam",
        operation="PutRolePolicy",
        fields={"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"},
    ),
    "iam/policy": Call(
        service="iam",
        operation="CreatePolicy",
        fields={"name": "PolicyName", "policy": "PolicyDocument", "delayAfterPolicyCreationInMs": _PROVIDER},
    ),
    "iam/rolePolicyAttachment": Call(
        service="iam", operation="AttachRolePolicy", fields={"role": "RoleName", "policyArn": "PolicyArn"}
    ),
    "iam/instanceProfile": Call(
        service="iam", operation="CreateInstanceProfile", fields={"name": "InstanceProfileName", "role": _LATER}
    ),
    "iam/serviceLinkedRole": Call(
        service="iam", operation="CreateServiceLinkedRole", fields={"awsServiceName": "AWSServiceName", "tags": _LATER}
    ),
    "cloudwatch/logGroup": Call(
        service="logs",
        operation="CreateLogGroup",
        fields={
            "name": "logGroupName",
            "kmsKeyId": "kmsKeyId",
            "retentionInDays": _LATER,
            "deletionProtectionEnabled": "deletionProtectionEnabled",
            "skipDestroy": _PROVIDER,
        },
    ),
    "cloudwatch/logResourcePolicy": Call(service="logs", operation="PutResourcePolicy"),
    "cloudwatch/logDeliverySource": Call(service="logs", operation="PutDeliverySource"),
    "cloudwatch/logDeliveryDestination": Call(service="logs", operation="PutDeliveryDestination"),
    "cloudwatch/logDelivery": Call(
        service="logs", operation="CreateDelivery", fields={"s3DeliveryConfigurations": "s3DeliveryConfiguration"}
    ),
    "cloudwatch/logMetricFilter": Call(
        service="logs",
        operation="PutMetricFilter",
        fields={"name": "filterName", "pattern": "filterPattern", "metricTransformation": "metricTransformations"},
    ),
    "cloudwatch/metricAlarm": Call(
        service="cloudwatch",
        operation="PutMetricAlarm",
        fields={
            "name": "AlarmName",
            "metricQueries": "Metrics",
            "evaluateLowSampleCountPercentiles": "EvaluateLowSampleCountPercentile",
        },
    ),
    "cloudwatch/compositeAlarm": Call(
        service="cloudwatch",
        operation="PutCompositeAlarm",
        fields={
            "actionsSuppressor": Spread(
                fields={
                    "alarm": "ActionsSuppressor",
                    "extensionPeriod": "ActionsSuppressorExtensionPeriod",
                    "waitPeriod": "ActionsSuppressorWaitPeriod",
                }
            ),
        },
    ),
    "cloudwatch/dashboard": Call(service="cloudwatch", operation="PutDashboard"),
    "cloudwatch/eventRule": Call(
        service="events",
        operation="PutRule",
        fields={"isEnabled": _PROVIDER},
    ),
    "cloudwatch/eventTarget": Call(
        service="events",
        operation="PutTargets",
        fields={
            "eventBusName": "EventBusName",
            "rule": "Rule",
            "targetId": "Targets[].Id",
            "appsyncTarget": "Targets[].AppSyncParameters",
            "batchTarget": "Targets[].BatchParameters",
            "ecsTarget": "Targets[].EcsParameters",
            "httpTarget": "Targets[].HttpParameters",
            "kinesisTarget": "Targets[].KinesisParameters",
            "redshiftTarget": "Targets[].RedshiftDataParameters",
            "runCommandTargets": "Targets[].RunCommandParameters.RunCommandTargets",
            "sagemakerPipelineTarget": "Targets[].SageMakerPipelineParameters",
            "sqsTarget": "Targets[].SqsParameters",
        },
        root="Targets[]",
    ),
    "sns/topic": Call(
        service="sns",
        operation="CreateTopic",
        fields={
            # The API takes attributes as pairs of strings.
            **dict.fromkeys(
                (
                    "applicationFailureFeedbackRoleArn",
                    "applicationSuccessFeedbackRoleArn",
                    "applicationSuccessFeedbackSampleRate",
                    "archivePolicy",
                    "contentBasedDeduplication",
                    "deliveryPolicy",
                    "displayName",
                    "fifoThroughputScope",
                    "fifoTopic",
                    "maximumMessageSize",
                    "firehoseFailureFeedbackRoleArn",
                    "firehoseSuccessFeedbackRoleArn",
                    "firehoseSuccessFeedbackSampleRate",
                    "httpFailureFeedbackRoleArn",
                    "httpSuccessFeedbackRoleArn",
                    "httpSuccessFeedbackSampleRate",
                    "kmsMasterKeyId",
                    "lambdaFailureFeedbackRoleArn",
                    "lambdaSuccessFeedbackRoleArn",
                    "lambdaSuccessFeedbackSampleRate",
                    "policy",
                    "signatureVersion",
                    "sqsFailureFeedbackRoleArn",
                    "sqsSuccessFeedbackRoleArn",
                    "sqsSuccessFeedbackSampleRate",
                    "tracingConfig",
                ),
                NotSent(reason="an attribute without a model"),
            )
        },
    ),
    "sns/topicPolicy": Call(
        service="sns",
        operation="SetTopicAttributes",
        fields={"arn": "TopicArn", "policy": "AttributeValue"},
        constants={"AttributeName": "Policy"},
    ),
    "sns/topicSubscription": Call(
        service="sns",
        operation="Subscribe",
        fields={
            "topic": "TopicArn",
            **dict.fromkeys(
                (
                    "confirmationTimeoutInMinutes",
                    "deliveryPolicy",
                    "endpointAutoConfirms",
                    "filterPolicy",
                    "filterPolicyScope",
                    "rawMessageDelivery",
                    "redrivePolicy",
                    "replayPolicy",
                    "subscriptionRoleArn",
                ),
                NotSent(reason="an attribute without a model, or for the provider"),
            ),
        },
    ),
    "budgets/budget": Call(
        service="budgets",
        operation="CreateBudget",
        fields={
            "name": "Budget.BudgetName",
            "accountId": "AccountId",
            "autoAdjustData": "Budget.AutoAdjustData",
            "costFilters": NotSent(reason="a map to the API: names of dimensions without a model"),
            "limitAmount": "Budget.BudgetLimit.Amount",
            "limitUnit": "Budget.BudgetLimit.Unit",
            "timePeriodStart": NotSent(reason="a date of the provider's own form"),
            "timePeriodEnd": NotSent(reason="a date of the provider's own form"),
            "plannedLimits": NotSent(reason="a map of dates to the API"),
            "notifications": "NotificationsWithSubscribers",
            "tags": "ResourceTags",
        },
        root="Budget",
        constants={"AccountId": "111122223333"},
    ),
    "costexplorer/anomalyMonitor": Call(
        service="ce",
        operation="CreateAnomalyMonitor",
        fields={
            "name": "AnomalyMonitor.MonitorName",
            "monitorSpecification": NotSent(reason="JSON of the API's own grammar"),
            "tags": "ResourceTags",
        },
        root="AnomalyMonitor",
    ),
    "costexplorer/anomalySubscription": Call(
        service="ce",
        operation="CreateAnomalySubscription",
        fields={
            "name": "AnomalySubscription.SubscriptionName",
            "accountId": "AnomalySubscription.AccountId",
            "tags": "ResourceTags",
        },
        root="AnomalySubscription",
    ),
}

NESTED: Mapping[str, Fields] = {
    "Expression": {"costCategory": "CostCategories", "dimension": "Dimensions"},
    "InputTransformer": {"inputPaths": "InputPathsMap"},
    "MetricDataQuery": {"metric": "MetricStat"},
    "MetricStat": {
        "metricName": "Metric.MetricName",
        "namespace": "Metric.Namespace",
        "dimensions": "Metric.Dimensions",
    },
    "MetricTransformation": {"name": "metricName", "namespace": "metricNamespace", "value": "metricValue"},
    "NotificationWithSubscribers": {
        "comparisonOperator": "Notification.ComparisonOperator",
        "notificationType": "Notification.NotificationType",
        "threshold": "Notification.Threshold",
        "thresholdType": "Notification.ThresholdType",
        "subscriberEmailAddresses": Members(path="Subscribers", key="Address", more={"SubscriptionType": "EMAIL"}),
        "subscriberSnsTopicArns": Members(path="Subscribers", key="Address", more={"SubscriptionType": "SNS"}),
    },
}
