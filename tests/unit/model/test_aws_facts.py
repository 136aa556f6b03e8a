"""The tables of servers and zones against what AWS answered: moto ships DescribeInstanceTypes and -Offerings as recorded."""

from __future__ import annotations

import gzip
import json
from importlib import resources
from typing import Any

import pytest

from stackwright.model.aws import regions, sizes


def _recorded(name: str) -> Any:
    return json.loads(
        gzip.decompress(resources.files("moto.ec2").joinpath("resources", f"{name}.json.gz").read_bytes())
    )


TYPES = _recorded("instance_types")
OFFERINGS = "instance_type_offerings/availability-zone"


def _zones(region: str) -> dict[str, set[str]]:
    """Letter -> types of a region's zones; local and wavelength zones have longer names and are left out."""
    found: dict[str, set[str]] = {}
    for each in _recorded(f"{OFFERINGS}/{region}"):
        letter = each["Location"].removeprefix(region)
        if len(letter) == 1:
            found.setdefault(letter, set()).add(each["InstanceType"])
    return found


@pytest.mark.parametrize("name", sizes.SERVERS)
def test_a_server_is_as_aws_describes_it(name: str) -> None:
    ours, recorded = sizes.SERVERS[name], TYPES[name]
    assert ours.cpus == recorded["VCpuInfo"]["DefaultVCpus"]
    assert ours.memory_mb == recorded["MemoryInfo"]["SizeInMiB"]
    assert [ours.architecture] == [
        each for each in recorded["ProcessorInfo"]["SupportedArchitectures"] if each in ("x86_64", "arm64")
    ]
    # Launch templates encrypt disks, and say `ebs_optimized`; credits are of types that burst alone.
    assert recorded["EbsInfo"]["EncryptionSupport"] == "supported"
    assert recorded["EbsInfo"]["EbsOptimizedSupport"] in ("default", "supported")
    assert recorded["BurstablePerformanceSupported"] is name.startswith("t")


@pytest.mark.parametrize("region", regions.ZONES)
def test_a_region_has_our_zones(region: str) -> None:
    # Of us-west-1 each account is given two of three, and the recorded one has others.
    if region != "us-west-1":
        assert set(regions.ZONES[region]) <= set(_zones(region))
    assert len(regions.ZONES[region]) <= len(_zones(region))


@pytest.mark.parametrize("region", regions.ZONES)
def test_a_region_offers_what_is_chosen_from(region: str) -> None:
    there = set().union(*_zones(region).values())
    missing = {name for name in sizes.SERVERS if name not in there}
    if region == "me-central-1":
        # The recording is older than AWS's price list of 2025-11-04, which sells both families there.
        missing = {name for name in missing if not name.startswith(("t3.", "t4g."))}
    assert {name for name in sizes.SERVERS if not sizes.offered(name, region)} == missing
