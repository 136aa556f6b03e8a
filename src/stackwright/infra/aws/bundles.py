"""The bundles that the servers of an Auto Scaling group on AWS configure themselves with: writing and uploading."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stackwright.artifact import configuration
from stackwright.artifact.configuration import Bundle
from stackwright.infra import program, signing
from stackwright.infra.aws import database_ca
from stackwright.infra.aws.database_ca import Fetch
from stackwright.infra.aws.object_store_args import ARTIFACTS
from stackwright.model import topology
from stackwright.model.aws import member
from stackwright.model.environment import Environment

TIER = "app"
#: The object in the artifacts bucket that the servers of a tier read.
KEY = "bundle/{tier}.tar.gz"

Ask = Callable[[Sequence[str]], str]


def folder(environment: Environment) -> Path:
    """Return the local directory for bundles, next to the key that signs them."""
    return signing.key_file(environment).parent


def serial(environment: Environment) -> int:
    """Return the serial of the newest bundle: servers refuse older bundles, and a newer one replaces the servers."""
    return configuration.serial(folder(environment), TIER)


def write(environment: Environment, output: Mapping[str, Any], get: Fetch = database_ca.fetch) -> Bundle:
    """Write and sign the bundle for the current state of the environment.

    Raises BundleError, WheelError and InventoryError, which name what is missing and the remedy.
    """
    inventory = member.inventory(environment, output, program.key_pair(environment).public_key)
    database_ca.ensure(environment, get)
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


def upload(output: Mapping[str, Any], bundle: Bundle, ask: Ask) -> bool:
    """Upload the bundle for the servers unless it is already there; return whether it was uploaded."""
    bucket, key = output["cloud"]["buckets"][ARTIFACTS], KEY.format(tier=TIER)
    region = output["cloud"]["region"]
    bucket_options = ["--region", region, "--bucket", bucket]
    listed = json.loads(
        ask(["aws", "s3api", "list-objects-v2", *bucket_options, "--prefix", f"{key}.sig", "--output", "json"])
    )
    if listed.get("Contents"):
        known = json.loads(
            ask(["aws", "s3api", "head-object", *bucket_options, "--key", f"{key}.sig", "--output", "json"])
        )
        if known.get("Metadata", {}).get("bundle-sha256") == bundle.sha256:
            return False
    # The signature last, because it identifies the uploaded bundle: a server that reads between the two uploads refuses
    # the pair and tries again.
    for name, file in ((key, bundle.archive), (f"{key}.sig", bundle.signature)):
        meta = ["--metadata", f"bundle-sha256={bundle.sha256}"]
        ask(["aws", "s3api", "put-object", *bucket_options, "--key", name, "--body", str(file), *meta])
    return True
