"""Whole environments on AWS, recorded: the program as it is, with a key that is always the same."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from stackwright import state_files
from stackwright.testing.recording import Properties, Recording, Registered, record

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).parent / "golden"
_recorded: dict[tuple[str, bool], Recording] = {}
ENVIRONMENTS = ("taaleem-staging", "taaleem-production", "taaleem-windows-aws")


def run(project: Path, name: str, *, stack: str | None = None, preview: bool = False) -> Recording:
    """Record an environment of ours (or the text of another stack.yml) in a project of its own."""
    place(project, name, stack=stack)
    if stack is not None:
        return record(project / "pulumi", stack=name, computed=_Computed(all={}), preview=preview)
    # Of ours there is one recording, whatever the project's folder: it takes seconds, and dozens of tests look at it.
    if (name, preview) not in _recorded:
        _recorded[name, preview] = record(project / "pulumi", stack=name, computed=_Computed(all={}), preview=preview)
    return copy.deepcopy(_recorded[name, preview])


def place(project: Path, name: str, *, stack: str | None = None) -> None:
    """Put an environment of ours (or the text of another stack.yml) into a project, with a key that is always the same."""
    file = project / "inventories" / name / "stack.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(stack if stack is not None else (ROOT / "inventories" / name / "stack.yml").read_text())
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    state_files.write(project / ".state" / name / "ssh" / "id_ed25519", text, mode=0o600)
    bundle = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    state_files.write(project / ".state" / name / "bundle" / "signing_key.pem", bundle, mode=0o600)


class _Computed(dict):  # type: ignore[type-arg]
    """What AWS would fill in: an ARN for everything, and endpoints where there are some."""

    def get(self, token: str, default: object = None) -> Any:
        return lambda inputs: {"arn": f"arn of {token}", **_FILLED.get(token, lambda _: {})(inputs)}


def _options(inputs: Properties) -> list[Properties]:
    """What ACM wants in DNS."""
    return [
        {
            "domainName": name,
            "resourceRecordName": f"_x.{name}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_y-{name}.acm-validations.aws.",
        }
        for name in [inputs["domainName"], *inputs.get("subjectAlternativeNames", [])]
    ]


_FILLED: dict[str, Any] = {
    "aws:acm/certificate:Certificate": lambda inputs: {
        "arn": f"arn:aws:acm:{inputs.get('region', 'eu-central-1')}:111122223333:certificate/1",
        "domainValidationOptions": _options(inputs),
    },
    "aws:cloudfront/distribution:Distribution": lambda inputs: {
        "arn": f"arn:aws:cloudfront::111122223333:distribution/{inputs['tags']['Name']}-distribution-id",
        "domainName": "d111111abcdef8.cloudfront.net",
        "hostedZoneId": "Z2FDTNDATAQYW2",
    },
    "aws:ec2/launchTemplate:LaunchTemplate": lambda _: {"latestVersion": 1},
    "aws:elasticache/replicationGroup:ReplicationGroup": lambda inputs: {
        "primaryEndpointAddress": f"master.{inputs['replicationGroupId']}.cache.amazonaws.com",
        "readerEndpointAddress": f"replica.{inputs['replicationGroupId']}.cache.amazonaws.com",
    },
    "aws:lb/loadBalancer:LoadBalancer": lambda inputs: {
        "arn": f"arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/app/{inputs['name']}/0123456789abcdef",
        "arnSuffix": f"app/{inputs['name']}/0123456789abcdef",
        "dnsName": f"{inputs['name']}.eu-central-1.elb.amazonaws.com",
        "zoneId": "Z215JYRZR1TBD5",
    },
    "aws:lb/targetGroup:TargetGroup": lambda _: {"arnSuffix": "targetgroup/web/0123456789abcdef"},
    "aws:rds/instance:Instance": lambda inputs: {
        "address": f"{inputs['identifier']}.rds.amazonaws.com",
        "port": 5432,
        "resourceId": "db-ABC",
        "masterUserSecrets": [{"secretArn": "arn of the secret that RDS keeps"}],
    },
    "aws:route53/record:Record": lambda inputs: {"fqdn": inputs["name"].removesuffix(".")},
    "aws:s3/bucket:Bucket": lambda inputs: {
        "bucketRegionalDomainName": f"{inputs['bucket']}.s3.eu-central-1.amazonaws.com"
    },
    "aws:ec2/eip:Eip": lambda _: {"publicIp": "192.0.2.10", "allocationId": "eipalloc-0"},
    "aws:route53/zone:Zone": lambda _: {"zoneId": "Z0INTERNAL"},
    "aws:kms/key:Key": lambda inputs: {
        "arn": f"arn:aws:kms:{inputs.get('region', 'eu-central-1')}:111122223333:key/11111111-2222-3333-4444-555555555555",
        "keyId": "11111111-2222-3333-4444-555555555555",
    },
    "aws:wafv2/webAcl:WebAcl": lambda inputs: {
        "arn": f"arn:aws:wafv2:us-east-1:111122223333:global/webacl/{inputs['name']}/0123"
    },
    "aws:ec2/vpc:Vpc": lambda _: {
        "defaultSecurityGroupId": "sg-0",
        "defaultRouteTableId": "rtb-0",
        "ipv6CidrBlock": "2001:db8:0:100::/56",
    },
}


def readable(recording: Recording) -> dict[str, Any]:
    """The graph as data that a person can compare: type and name -> inputs, with what is packed into a value laid open."""
    return {f"{each.type} {each.name}": _shown(each) for each in recording.resources}


def _shown(each: Registered) -> Properties:
    found = {name: _open(name, value) for name, value in sorted(each.inputs.items())}
    options = {"parent": each.parent, "protect": each.protect, "ignoreChanges": list(each.ignore_changes)}
    return {**found, "(options)": {name: value for name, value in options.items() if value}}


def _open(name: str, value: Any) -> Any:
    if name == "userDataBase64":
        raw = base64.b64decode(value)
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode().splitlines()
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    return value


def golden_text(recording: Recording) -> str:
    """What the golden file of an environment holds."""
    return json.dumps(readable(recording), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
