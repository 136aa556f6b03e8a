"""S3 (moto), for one role that may do with one bucket what that of a group's servers may, and nothing else.

Every request has to be signed with the role's credentials, and is refused where the role's policy does not allow it.
"""

import contextlib
import json
import logging
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

_ENVIRONMENT = "taaleem-production"
_GOLDEN = Path(__file__).resolve().parents[1] / "pulumi/aws/golden" / f"{_ENVIRONMENT}.json"
_ROLE, _TRUST = "servers", {"Version": "2012-10-17", "Statement": []}
REGION = "eu-central-1"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The bucket for uploads."""

    name: str
    url: str
    #: Of the role: id, secret, token.
    credentials: tuple[str, str, str]
    #: Of an operator, who may do everything.
    iam: Any
    s3: Any

    @property
    def settings(self) -> dict[str, str | None]:
        """Of an instance that keeps uploads in it."""
        key, secret, token = self.credentials
        return {
            "UPLOADS_DIR": None,
            "UPLOADS_BUCKET": self.name,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
        }

    def names(self) -> list[str]:
        return sorted(each["Key"] for each in self.s3.list_objects_v2(Bucket=self.name).get("Contents", []))

    def unfinished(self) -> list[str]:
        """Uploads in parts that were neither completed nor aborted."""
        return [each["Key"] for each in self.s3.list_multipart_uploads(Bucket=self.name).get("Uploads", [])]

    def read(self, name: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.name, Key=name)["Body"].read()
        return body

    @contextlib.contextmanager
    def refusing(self, action: str) -> Iterator[None]:
        """What the role may not do for a while."""
        denied = _document({"Effect": "Deny", "Action": action, "Resource": "*"})
        self.iam.put_role_policy(RoleName=_ROLE, PolicyName="refused", PolicyDocument=denied)
        try:
            yield
        finally:
            self.iam.delete_role_policy(RoleName=_ROLE, PolicyName="refused")


def golden_policy() -> Mapping[str, Any]:
    """Of the role of taaleem-production's servers, as Pulumi would make it."""
    graph = json.loads(_GOLDEN.read_text())
    policy: Mapping[str, Any] = graph[f"aws:iam/rolePolicy:RolePolicy {_ENVIRONMENT}-app-servers-policy"]["policy"]
    return policy


def bucket_of(policy: Mapping[str, Any]) -> str:
    """The bucket that a policy lets uploads into."""
    (statement,) = [each for each in policy["Statement"] if each["Sid"] == "KeepUploads"]
    (resource,) = statement["Resource"]
    return str(resource).removeprefix("arn:aws:s3:::").removesuffix("/*")


@contextlib.contextmanager
def run_bucket(policy: Mapping[str, Any] | None = None, address: str = "127.0.0.1", port: int = 0) -> Iterator[Bucket]:
    """The bucket that the role's policy names, otherwise that of `golden_policy`."""
    policy = golden_policy() if policy is None else policy
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address=address, port=port, verbose=False)
    server.start()
    url = f"http://{address}:{server.get_host_and_port()[1]}"
    try:
        first = _Clients(url=url, credentials=("anybody", "anything", ""))
        operator = _Clients(url=url, credentials=_operator(first))
        found = Bucket(
            name=bucket_of(policy),
            url=url,
            credentials=_assumed(first, policy),
            iam=operator.client("iam"),
            s3=operator.client("s3"),
        )
        found.s3.create_bucket(Bucket=found.name, CreateBucketConfiguration={"LocationConstraint": REGION})
        _ask(url, "reset-auth", "0")
        yield found
    finally:
        # Both are of all of this process.
        _ask(url, "reset-auth", "inf")
        _ask(url, "reset")
        server.stop()


@dataclass(frozen=True, kw_only=True)
class _Clients:
    url: str
    credentials: tuple[str, str, str]

    def client(self, service: str) -> Any:
        key, secret, token = self.credentials
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token or None,
        )


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _operator(clients: _Clients) -> tuple[str, str, str]:
    iam, everything = clients.client("iam"), {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.create_user(UserName="operator")
    iam.put_user_policy(UserName="operator", PolicyName="own", PolicyDocument=_document(everything))
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"], ""


def _assumed(clients: _Clients, policy: Mapping[str, Any]) -> tuple[str, str, str]:
    iam = clients.client("iam")
    role = iam.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=json.dumps(_TRUST))["Role"]
    iam.put_role_policy(RoleName=_ROLE, PolicyName="own", PolicyDocument=json.dumps(policy))
    found = clients.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="i-0123456789abcdef0")
    credentials = found["Credentials"]
    return credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]


def _ask(url: str, what: str, body: str = "") -> None:
    asked = urllib.request.Request(f"{url}/moto-api/{what}", body.encode(), {"Content-Type": "text/plain"})
    urllib.request.urlopen(asked, timeout=10).close()
