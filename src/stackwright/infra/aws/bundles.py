"""From an environment on AWS to the bundle that its group's servers configure themselves with, in the bucket where they look."""

from __future__ import annotations

import json
import ssl
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from stackwright.artifact import configuration
from stackwright.artifact.configuration import Bundle, BundleError
from stackwright.infra import keys, program, signing
from stackwright.infra.aws.object_store_args import ARTIFACTS
from stackwright.model import topology
from stackwright.model.aws import member
from stackwright.model.environment import Environment

TIER = "app"
#: Where the servers of a tier look, in the bucket for artifacts.
KEY = "bundle/{tier}.tar.gz"
_TIMEOUT_SECONDS = 30

Ask = Callable[[Sequence[str]], str]
Fetch = Callable[[str], bytes]


def folder(environment: Environment) -> Path:
    """Where bundles are written on this machine, beside the key that signs them."""
    return signing.key_file(environment).parent


def serial(environment: Environment) -> int:
    """Of the newest bundle: servers refuse older ones, and a new one replaces them."""
    return configuration.serial(folder(environment), TIER)


def fetch(url: str) -> bytes:
    """By HTTPS. Raises BundleError."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()) as answer:  # noqa: S310
            found: bytes = answer.read(1 << 20)
    except OSError as problem:
        raise BundleError(f"{url} cannot be read: {problem}; or give a file: aws.database.ca_file") from None
    return found


def write(environment: Environment, output: Mapping[str, Any], get: Fetch = fetch) -> Bundle:
    """Write and sign the bundle of what the environment is now.

    Raises BundleError, WheelError and InventoryError, which name what is missing and the remedy.
    """
    inventory = member.inventory(environment, output, program.key_pair(environment).public_key)
    ca = (inventory["all"]["vars"]["stack"]["database"] or {}).get("ca")
    if ca is not None:
        _require_ca(environment, environment.root / ca, get)
    aws, slot = environment.stack.aws, environment.slots[0]
    recipe = configuration.Recipe(
        project=environment.root,
        environment=environment.name,
        tier=TIER,
        inventory=inventory,
        operating_system=slot.os,
        architecture=topology.architecture(aws, TIER) if aws is not None else "x86_64",
    )
    return configuration.write(recipe, signing.private_key(environment), folder(environment))


def _require_ca(environment: Environment, file: Path, get: Fetch) -> None:
    """Of the region's database servers: AWS publishes it, and no system trusts it for anything else ("Using SSL/TLS", RDS)."""
    if not file.is_file():
        region = environment.stack.aws.region if environment.stack.aws else ""
        text = get(f"https://truststore.pki.rds.amazonaws.com/{region}/{region}-bundle.pem")
        _check_ca(file.name, text)
        keys.write(file, text.decode("ascii"), mode=0o644)
    _check_ca(str(file), file.read_bytes())


def _check_ca(name: str, text: bytes) -> None:
    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError:
        found = []
    if not found:
        raise BundleError(f"{name} holds no certificates, accepted: PEM with the CA of the database's servers")


def upload(output: Mapping[str, Any], bundle: Bundle, ask: Ask) -> bool:
    """Put the bundle where servers look, unless it is there; return whether it was not."""
    bucket, key = output["cloud"]["buckets"][ARTIFACTS], KEY.format(tier=TIER)
    region = output["cloud"]["region"]
    place = ["--region", region, "--bucket", bucket]
    listed = json.loads(ask(["aws", "s3api", "list-objects-v2", *place, "--prefix", f"{key}.sig", "--output", "json"]))
    if listed.get("Contents"):
        known = json.loads(ask(["aws", "s3api", "head-object", *place, "--key", f"{key}.sig", "--output", "json"]))
        if known.get("Metadata", {}).get("bundle-sha256") == bundle.sha256:
            return False
    # The signature last: it says what is there, and a server that reads between the two refuses the pair and tries again.
    for name, file in ((key, bundle.archive), (f"{key}.sig", bundle.signature)):
        meta = ["--metadata", f"bundle-sha256={bundle.sha256}"]
        ask(["aws", "s3api", "put-object", *place, "--key", name, "--body", str(file), *meta])
    return True
