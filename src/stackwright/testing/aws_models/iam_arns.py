"""The form of ARNs, by service: a misspelled ARN allows nothing, and no tool reports it before it is needed.

Source: service authorization reference, as remembered in 2026-11, unverified.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ARN = re.compile(r"arn:([^:]*):([^:]*):([^:]*):([^:]*):(.+)", re.DOTALL)
_PARTITIONS = ("aws", "aws-cn", "aws-us-gov")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d|\*")
_ACCOUNT = re.compile(r"\d{12}|\*")


@dataclass(frozen=True, kw_only=True)
class Form:
    """The parts that ARNs of a service have."""

    resource: str
    region: bool = True
    account: bool = True


_ID = r"[\w*?${}.:/+=,@-]+"
FORMS: Mapping[str, Form] = {
    "acm": Form(resource=rf"certificate/{_ID}"),
    "autoscaling": Form(resource=r"(autoScalingGroup|launchConfiguration):[^:]+:\w+/.+"),
    "backup": Form(resource=rf"(backup-vault|backup-plan|recovery-point|framework):{_ID}"),
    "budgets": Form(resource=r"budget/.+|\*", region=False),
    "cloudfront": Form(
        resource=rf"(distribution|cache-policy|function|origin-access-control|vpcorigin)/{_ID}", region=False
    ),
    "cloudwatch": Form(resource=r"(alarm|dashboard|insight-rule|metric-stream)[:/].+"),
    "ec2": Form(resource=rf"[a-z-]+/{_ID}|\*"),
    "elasticache": Form(
        resource=rf"(cluster|replicationgroup|user|usergroup|snapshot|parametergroup|subnetgroup|serverlesscache):{_ID}"
    ),
    "elasticloadbalancing": Form(resource=rf"(loadbalancer|targetgroup|listener|listener-rule)/{_ID}"),
    "events": Form(resource=rf"(rule|event-bus)/{_ID}"),
    "iam": Form(resource=rf"root|(role|policy|user|group|instance-profile|server-certificate)/{_ID}", region=False),
    "kms": Form(resource=rf"(key|alias)/{_ID}"),
    "lambda": Form(resource=rf"(function|layer):{_ID}"),
    "logs": Form(resource=r"log-group:.+|(delivery|delivery-source|delivery-destination|destination):.+|\*"),
    "rds": Form(
        resource=rf"(db|cluster|pg|subgrp|snapshot|og|es|secgrp|ri|auto-backup|db-proxy|target-group|deployment):{_ID}|\*"
    ),
    "rds-db": Form(resource=rf"dbuser:{_ID}/{_ID}"),
    "route53": Form(resource=rf"(hostedzone|healthcheck|change)/{_ID}", region=False, account=False),
    "s3": Form(resource=r"[a-zA-Z0-9.*?${}-]+(/.+)?", region=False, account=False),
    "secretsmanager": Form(resource=r"secret:.+"),
    "sns": Form(resource=r"[\w*?-]+(\.fifo)?(:[\w-]+)?"),
    "sqs": Form(resource=r"[\w*?-]+(\.fifo)?"),
    "ssm": Form(
        resource=rf"(parameter|document|session|automation-definition|automation-execution|association|managed-instance"
        rf"|maintenancewindow|patchbaseline|opsitem)/{_ID}|\*"
    ),
    "sts": Form(resource=rf"(assumed-role|federated-user)/{_ID}", region=False),
    "wafv2": Form(resource=rf"(regional|global)/(webacl|ipset|rulegroup|regexpatternset|managedruleset)/{_ID}"),
}
#: Documents and parameters of AWS itself have AWS's name, or nothing, in place of an account.
_NO_ACCOUNT = {"ssm", "elasticloadbalancing", "iam", "elasticache"}


def service(arn: str) -> str:
    """Return the service of an ARN; empty for a text that is not an ARN."""
    match = _ARN.fullmatch(arn)
    return match[2] if match else ""


def resource(arn: str) -> str:
    """Return the part after the account."""
    match = _ARN.fullmatch(arn)
    return match[5] if match else ""


def problem(arn: str) -> str | None:
    """Return the problem of an ARN."""
    match = _ARN.fullmatch(arn)
    if not match:
        return f"{arn!r} is no ARN, accepted: arn:partition:service:region:account:resource"
    partition, name, region, account, resource_part = match.groups()
    form = FORMS.get(name)
    if partition not in _PARTITIONS:
        return f"{arn!r}: partition {partition!r}, accepted: {', '.join(_PARTITIONS)}"
    if form is None:
        return f"{arn!r}: the form of ARNs of {name!r} is not known here"
    if not (_REGION.fullmatch(region) if form.region else region == ""):
        return f"{arn!r}: region {region!r}, accepted: {'a region' if form.region else 'none'}"
    if not _account_fits(name, account, form):
        return f"{arn!r}: account {account!r}, accepted: {'12 digits' if form.account else 'none'}"
    if not re.fullmatch(form.resource, resource_part, re.DOTALL):
        return f"{arn!r}: resource {resource_part!r}, accepted: {form.resource}"
    return None


def _account_fits(name: str, account: str, form: Form) -> bool:
    if not form.account:
        return account == ""
    return bool(_ACCOUNT.fullmatch(account)) or (name in _NO_ACCOUNT and account in ("", "aws"))
