"""Secrets: a place for each, and who may read it. Values are put there by a command, and never pass through Pulumi."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context

#: Bounds of Secrets Manager; how long a deletion can be taken back.
_SHORTEST_RECOVERY_DAYS, _LONGEST_RECOVERY_DAYS = 7, 30
_NAME = re.compile(r"[A-Za-z0-9_+=.@-]+(/[A-Za-z0-9_+=.@-]+)*")
#: Reads like the end that Secrets Manager gives to an ARN: a search by part of an ARN then finds another secret
#: (API reference of CreateSecret, "Name").
_SUFFIX = re.compile(r".*-[A-Za-z0-9]{6}")

Statement = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SecretsArgs:
    """The secrets of an environment.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Within the environment, such as `redis/sessions/emr`.
    names: Sequence[str]
    #: Its policy has to admit Secrets Manager (`EncryptionKey` with `secretsmanager`).
    kms_key_arn: pulumi.Input[str]
    #: How long a deletion can be taken back; otherwise 30 where data is kept, 7 elsewhere.
    recovery_days: int | None = None

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(f"SecretsArgs.{problem}" for problem in problems))

    @property
    def chosen_recovery_days(self) -> int:
        """`recovery_days`, or what the class of the environment asks for."""
        if self.recovery_days is not None:
            return self.recovery_days
        return _LONGEST_RECOVERY_DAYS if self.context.keeps_data else _SHORTEST_RECOVERY_DAYS


def _problems(args: SecretsArgs) -> Iterator[str]:
    if not args.names:
        yield "names is empty, accepted: at least one"
    if len(set(args.names)) < len(args.names):
        yield f"names is {', '.join(args.names)}, accepted: each name once"
    for name in args.names:
        if not _NAME.fullmatch(name):
            yield f"names has {name!r}, accepted: letters, digits and _+=.@- in parts, such as redis/sessions/emr"
        elif _SUFFIX.fullmatch(name):
            yield f"names has {name!r}, accepted: no hyphen before the last six characters, as in ARNs of other secrets"
    if not _SHORTEST_RECOVERY_DAYS <= args.chosen_recovery_days <= _LONGEST_RECOVERY_DAYS:
        yield f"recovery_days is {args.recovery_days}, accepted: {_SHORTEST_RECOVERY_DAYS} to {_LONGEST_RECOVERY_DAYS}"


def secret_name(context: Context, name: str) -> str:
    """What the secret is called in the account: `<environment>/<name>`."""
    return context.name("secret", name)


def secret_pattern(context: Context, name: str) -> str:
    """The secret's ARN for policies, known before the secret is: AWS ends it with a hyphen and six characters.

    Exactly six, as a `*` would also mean secrets whose names only begin so.
    """
    return context.arn("secretsmanager", f"secret:{secret_name(context, name)}-??????")


def read_statements(context: Context, names: Sequence[str], kms_key_arn: pulumi.Input[str]) -> list[Statement]:
    """What a role needs to read these secrets and no other: the values, and the key for them alone.

    Raises ValueError without a name, as a statement about nothing is refused by IAM.
    """
    if not names:
        raise ValueError("names is empty, accepted: at least one secret")
    patterns = [secret_pattern(context, name) for name in sorted(set(names))]
    return [
        {
            "Sid": "ReadSecrets",
            "Effect": "Allow",
            "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
            "Resource": patterns,
        },
        {
            "Sid": "DecryptSecrets",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": [kms_key_arn],
            "Condition": {
                "StringEquals": {"kms:ViaService": f"secretsmanager.{context.region}.amazonaws.com"},
                # Secrets Manager says in the encryption context which secret it decrypts (user guide, "Encryption").
                "StringLike": {"kms:EncryptionContext:SecretARN": patterns},
            },
        },
    ]


def secret_policy(context: Context) -> dict[str, Any]:
    """Of the secret itself: it allows nobody anything; roles of the account say who may.

    Without it nobody outside gets in either, until a policy of theirs and a mistake of ours meet.
    """
    # `secretsmanager:*`, as these take away: what a list forgets would be open. `Resource: "*"` means this secret.
    deny = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}
    return {
        "Version": "2012-10-17",
        "Statement": [
            deny | {"Sid": "DenyWithoutTls", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            deny
            | {
                "Sid": "DenyOtherAccounts",
                "Condition": {
                    "StringNotEquals": {"aws:PrincipalAccount": context.account},
                    # AWS's services have no account; they come for a rotation or a copy.
                    "Bool": {"aws:PrincipalIsAWSService": "false"},
                },
            },
        ],
    }


class Secrets(pulumi.ComponentResource):
    """Empty secrets by name, encrypted with the given key, closed to other accounts and to connections without TLS.

    There is no value and no version: who puts the first one is a command, so that no state holds it. Until then reading
    one fails with ResourceNotFoundException. Where data is kept, a deletion has to be asked for twice, and can be taken
    back for a month.
    """

    #: Name within the environment -> whole ARN.
    arns: pulumi.Output[Mapping[str, str]]
    #: Name within the environment -> name in the account.
    names: pulumi.Output[Mapping[str, str]]

    def __init__(self, name: str, args: SecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Secrets", name, None, opts)
        self._args, self._context = args, args.context
        secrets = {short_name: self._create_secret(name, short_name) for short_name in args.names}
        for local_name, secret in secrets.items():
            self._create_policy(name, local_name, secret)
        self.arns = pulumi.Output.all(**{short_name: secret.arn for short_name, secret in secrets.items()})
        self.names = pulumi.Output.from_input(
            {short_name: secret_name(args.context, short_name) for short_name in args.names}
        )
        self.register_outputs({"arns": self.arns, "names": self.names})

    def _create_secret(self, name: str, secret: str) -> aws.secretsmanager.Secret:
        context, full_name = self._context, secret_name(self._context, secret)
        return aws.secretsmanager.Secret(
            f"{name}-{secret}",
            name=full_name,
            description=f"{context.system}, {context.environment}: {secret}",
            kms_key_id=self._args.kms_key_arn,
            recovery_window_in_days=self._args.chosen_recovery_days,
            tags=context.tags(full_name),
            opts=pulumi.ResourceOptions(parent=self, protect=context.keeps_data),
        )

    def _create_policy(self, name: str, secret: str, made: aws.secretsmanager.Secret) -> None:
        aws.secretsmanager.SecretPolicy(
            f"{name}-{secret}-policy",
            secret_arn=made.arn,
            policy=json.dumps(secret_policy(self._context)),
            # AWS looks for itself whether a policy lets anybody in, now and when somebody changes it by hand.
            block_public_policy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
