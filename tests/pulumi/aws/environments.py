"""Whole environments on AWS, recorded: the program as it is, with a key that is always the same."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from stackwright.infra import keys
from stackwright.testing.recording import Properties, Recording, Registered, record

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(__file__).parent / "golden"
ENVIRONMENTS = ("taaleem-staging",)


def run(project: Path, name: str, *, stack: str | None = None, preview: bool = False) -> Recording:
    """Record an environment of ours (or the text of another stack.yml) in a project of its own."""
    place(project, name, stack=stack)
    return record(project / "pulumi", stack=name, computed=_Computed(all={}), preview=preview)


def place(project: Path, name: str, *, stack: str | None = None) -> None:
    """Put an environment of ours (or the text of another stack.yml) into a project, with a key that is always the same."""
    file = project / "inventories" / name / "stack.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(stack if stack is not None else (ROOT / "inventories" / name / "stack.yml").read_text())
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    keys.write(project / ".state" / name / "ssh" / "id_ed25519", text, mode=0o600)


class _Computed(dict):  # type: ignore[type-arg]
    """What AWS would fill in: an ARN for everything, and endpoints where there are some."""

    def get(self, token: str, default: object = None) -> Any:
        return lambda inputs: {"arn": f"arn of {token}", **_FILLED.get(token, lambda _: {})(inputs)}


_FILLED: dict[str, Any] = {
    "aws:ec2/eip:Eip": lambda _: {"publicIp": "192.0.2.10", "allocationId": "eipalloc-0"},
    "aws:route53/zone:Zone": lambda _: {"zoneId": "Z0INTERNAL"},
    "aws:kms/key:Key": lambda _: {"keyId": "11111111-2222-3333-4444-555555555555"},
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
