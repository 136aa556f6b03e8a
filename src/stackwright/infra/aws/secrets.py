"""Empty secrets and the permissions to read them. A command writes the values, which never pass through Pulumi."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context

#: Limits of Secrets Manager: how long a deletion can be cancelled.
_SHORTEST_RECOVERY_DAYS, _LONGEST_RECOVERY_DAYS = 7, 30
_NAME = re.compile(r"[A-Za-z0-9_+=.@-]+(/[A-Za-z0-9_+=.@-]+)*")
#: Looks like the suffix that Secrets Manager appends to an ARN: a search by a partial ARN would then find another
#: secret (API reference of CreateSecret, "Name").
_SUFFIX = re.compile(r".*-[A-Za-z0-9]{6}")

Statement = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SecretsArgs:
    """The secrets of an environment.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Names within the environment, such as `redis/sessions/emr`.
    names: Sequence[str]
    #: Its policy has to admit Secrets Manager (`EncryptionKey` with `secretsmanager`).
    kms_key_arn: pulumi.Input[str]
    #: Days within which a deletion can be cancelled; defaults to 30 where data is kept, 7 elsewhere.
    recovery_days: int | None = None

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(f"SecretsArgs.{problem}" for problem in problems))

    @property
    def chosen_recovery_days(self) -> int:
        """Return `recovery_days`, or the default of the environment's class."""
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
    """Return the name of the secret in the account: `<environment>/<name>`."""
    return context.name("secret", name)


def secret_pattern(context: Context, name: str) -> str:
    """Return the secret's ARN for policies, known before the secret exists: AWS appends a hyphen and six characters.

    Exactly six, as a `*` would also match secrets whose names only begin with this one.
    """
    return context.arn("secretsmanager", f"secret:{secret_name(context, name)}-??????")


def read_statements(context: Context, names: Sequence[str], kms_key_arn: pulumi.Input[str]) -> list[Statement]:
    """Return what a role needs to read only these secrets: their values, and the use of the key for them.

    Raises ValueError without a name, as IAM refuses a statement without resources.
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
                # Secrets Manager names the secret that it decrypts in the encryption context (user guide,
                # "Encryption").
                "StringLike": {"kms:EncryptionContext:SecretARN": patterns},
            },
        },
    ]


def secret_policy(context: Context) -> dict[str, Any]:
    """Return the resource policy of a secret: it grants nothing; the roles of the account define the access.

    Even without it other accounts have no access, unless a policy of theirs and a mistake in this account coincide.
    """
    # `secretsmanager:*`, as these statements deny: an action missing in a list would be open. `Resource: "*"` means
    # this secret.
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
                    # AWS services have no account; they access the secret for a rotation or a copy.
                    "Bool": {"aws:PrincipalIsAWSService": "false"},
                },
            },
        ],
    }


class Secrets(pulumi.ComponentResource):
    """Empty secrets by name, encrypted with the given key, closed to other accounts and to connections without TLS.

    There is no value and no version: a command writes the first one, so that no state contains it. Until then reading a
    secret fails with ResourceNotFoundException. Where data is kept, a deletion needs a second confirmation and can be
    cancelled for a month.
    """

    #: Name within the environment -> full ARN.
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
            # AWS itself checks whether a policy gives public access, now and when it is changed by hand.
            block_public_policy=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
