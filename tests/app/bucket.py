"""S3 on loopback (moto), for one user who may do with one bucket what the role of a group's servers may, and nothing else."""

import contextlib
import json
import logging
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

ENVIRONMENT = "taaleem-production"
GOLDEN = Path(__file__).resolve().parents[1] / "pulumi/aws/golden" / f"{ENVIRONMENT}.json"
REGION = "eu-central-1"
_USER = "servers"


@dataclass(kw_only=True)
class Bucket:
    """The bucket for uploads."""

    name: str
    url: str
    key_id: str
    secret: str
    iam: Any
    s3: Any

    @property
    def settings(self) -> dict[str, str | None]:
        """Of an instance that keeps uploads in it."""
        return {
            "UPLOADS_DIR": None,
            "UPLOADS_BUCKET": self.name,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
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
        """What the user may not do for a while."""
        denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
        self.iam.put_user_policy(UserName=_USER, PolicyName="refused", PolicyDocument=document)
        try:
            yield
        finally:
            self.iam.delete_user_policy(UserName=_USER, PolicyName="refused")


def of_role() -> dict[str, Any]:
    """The statement of the group's role about uploads, as Pulumi would make it."""
    graph = json.loads(GOLDEN.read_text())
    policy = graph[f"aws:iam/rolePolicy:RolePolicy {ENVIRONMENT}-app-servers-policy"]["policy"]
    (statement,) = [each for each in policy["Statement"] if each["Sid"] == "KeepUploads"]
    return dict(statement)


@contextlib.contextmanager
def run_bucket() -> Iterator[Bucket]:
    """From when it is yielded every request has to be signed by a user who may do what it asks for."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        statement = of_role()
        (resource,) = statement["Resource"]
        name = resource.removeprefix("arn:aws:s3:::").removesuffix("/*")
        anybody = _client("iam", url, ("anybody", "anything"))
        operator = _user(anybody, "operator", {"Effect": "Allow", "Action": "*", "Resource": "*"})
        key_id, secret = _user(anybody, _USER, statement)
        s3 = _client("s3", url, operator)
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        _authorize_after(url, "0")
        yield Bucket(name=name, url=url, key_id=key_id, secret=secret, iam=_client("iam", url, operator), s3=s3)
        # It is one switch for all of this process.
        _authorize_after(url, "inf")
    finally:
        server.stop()


def _authorize_after(url: str, requests: str) -> None:
    plain = {"Content-Type": "text/plain"}
    asked = urllib.request.Request(f"{url}/moto-api/reset-auth", requests.encode(), plain)
    urllib.request.urlopen(asked, timeout=10).close()


def _user(iam: Any, name: str, statement: dict[str, Any]) -> tuple[str, str]:
    iam.create_user(UserName=name)
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def _client(service: str, url: str, key: tuple[str, str]) -> Any:
    return boto3.client(
        service, endpoint_url=url, region_name=REGION, aws_access_key_id=key[0], aws_secret_access_key=key[1]
    )
