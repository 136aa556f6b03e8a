"""Rules for permissions and secrets: no wildcards, no keys that outlive their owner, no secrets in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.policy import statements
from stackwright.policy.references import cis, fsbp
from stackwright.policy.resources import UNKNOWN, Resource, as_list
from stackwright.policy.rule import Rules, Settings

RULES = Rules()
_ALL: Mapping[str, tuple[str, ...]] = {**statements.RESOURCE_BASED, **statements.IDENTITY}
#: Inputs that hold the value of a secret; use AWS-managed secrets and ARNs instead.
_VALUES = (
    "authToken",
    "masterPassword",
    "password",
    "passwords",
    "privateKey",
    "secretBinary",
    "secretString",
)
#: The write-only inputs, which never reach the state; a plain value still appears in the output of a preview.
_WRITE_ONLY = ("authTokenWo", "passwordWo", "passwordsWo", "secretStringWo", "valueWo")
_LOOKS_SECRET = (
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), "an access key of AWS"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"://[^/\s:@{}$]+:[^/\s:@{}$]+@"), "a URL with a password"),
    (
        re.compile(r"(?i)\b(password|passwd|secret_key|auth_token|api_key)\b\s*[=:]\s*['\"]?[^\s'\"{}$<]{8,}"),
        "a password",
    ),
)
#: Managed policies that grant everything.
_ADMINISTRATORS = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


@RULES.resource(
    "no-wildcard-action",
    "critical",
    *_ALL,
    fix="list the actions that are needed",
    references=(*fsbp("IAM.1", "IAM.21"), *cis("1.16")),
)
def _actions(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A policy allows actions by name."""
    for name, document in statements.documents(resource, _ALL):
        for statement in statements.allowed(document):
            where = f"{name}: {statement.get('Sid') or 'a statement'}"
            yield from (
                f"{where} allows {action}" for action in statements.actions(statement) if "*" in action or "?" in action
            )
            if "NotAction" in statement:
                yield f"{where} allows all but some (NotAction)"


@RULES.resource(
    "no-wildcard-resource",
    "high",
    *statements.IDENTITY,
    fix="name the ARNs; only actions without a resource level (stackwright.policy.statements) take *",
    references=(*fsbp("IAM.1"), *cis("1.16")),
)
def _resources(resource: Resource, _settings: Settings) -> Iterator[str]:
    """An identity policy names the resources, wherever the action supports resource-level permissions."""
    for name, document in statements.documents(resource, statements.IDENTITY):
        for statement in statements.allowed(document):
            where = f"{name}: {statement.get('Sid') or 'a statement'}"
            if "NotResource" in statement:
                yield f"{where} allows all resources but some (NotResource)"
            if "*" in as_list(statement.get("Resource")):
                could = [action for action in statements.actions(statement) if not statements.needs_star(action)]
                if could:
                    yield f"{where} allows {', '.join(could)} on every resource"


@RULES.resource(
    "no-administrators",
    "critical",
    "iam/rolePolicyAttachment",
    "iam/role",
    "iam/groupPolicyAttachment",
    "iam/userPolicyAttachment",
    fix="write the statements that are needed",
    references=(*fsbp("IAM.1"), *cis("1.16")),
)
def _administrators(resource: Resource, _settings: Settings) -> Iterator[str]:
    """No principal in the environment is an administrator."""
    for arn in (*as_list(resource.get("policyArn")), *as_list(resource.get("managedPolicyArns"))):
        if str(arn).rpartition("/")[2] in _ADMINISTRATORS:
            yield f"{arn} is attached"


@RULES.resource(
    "trust-is-named",
    "critical",
    "iam/role",
    fix="name the service or the account, with the conditions that its documentation asks for",
)
def _trust(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A role can be assumed only by the principals that it names."""
    for name, document in statements.documents(resource, statements.TRUST):
        for statement in statements.allowed(document):
            if statements.is_everybody(statement.get("Principal")):
                yield f"{name}: everybody may take the role"


@RULES.resource(
    "no-long-lived-keys",
    "high",
    "iam/user",
    "iam/accessKey",
    "iam/userLoginProfile",
    fix="use a role: instance profiles, or identity federation for people and pipelines",
    references=(*fsbp("IAM.2", "IAM.3"), *cis("1.14", "1.15")),
)
def _keys(resource: Resource, _settings: Settings) -> Iterator[str]:
    """An environment has no IAM users and no access keys: a key that leaks stays valid."""
    yield f"{resource.kind} is declared"


@RULES.resource(
    "no-secret-value", "critical", fix="let AWS manage the secret, or put its value by a command; hand on its ARN"
)
def _secrets(resource: Resource, _settings: Settings) -> Iterator[str]:
    """No input contains the value of a secret: inputs appear in the state, in previews and in logs."""
    secret = resource.secrets
    yield from (f"{name} is set" for name in _VALUES if resource.given(name))
    if secret is not None:
        yield from (f"{name} is not a secret" for name in _WRITE_ONLY if resource.given(name) and name not in secret)
    if resource.kind == "ssm/parameter" and resource.get("type") == "SecureString" and resource.given("value"):
        yield "value of a SecureString is set"
    for path, text in _texts(resource.inputs):
        yield from (f"{path} looks like {what}" for pattern, what in _LOOKS_SECRET if pattern.search(text))


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if value is UNKNOWN:
        return
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, member in value.items():
            yield from _texts(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for position, member in enumerate(value):
            yield from _texts(member, f"{path}[{position}]")


@RULES.resource(
    "managed-master-password",
    "critical",
    "rds/instance",
    fix="set manageMasterUserPassword",
)
def _master(resource: Resource, _settings: Settings) -> Iterator[str]:
    """RDS creates, stores and rotates the password of a database's owner; no user enters it."""
    if resource.given("replicateSourceDb") or resource.given("snapshotIdentifier"):
        return
    if not resource.on("manageMasterUserPassword"):
        yield "manageMasterUserPassword is off"
