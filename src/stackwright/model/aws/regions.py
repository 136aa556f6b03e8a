"""Regions and their availability zones.

Zones are letters of this table, not a question to AWS, so that addresses and names are known before anything exists and
a preview needs no account. An account may lack a zone; the first `pulumi up` then says so. Zones are those in which AWS
offered servers when moto 5.2.5 recorded its answers (a test compares).
"""

from __future__ import annotations

from collections.abc import Mapping

ZONES: Mapping[str, str] = {
    "af-south-1": "abc",
    "ap-east-1": "abc",
    "ap-northeast-1": "acd",
    "ap-northeast-2": "abcd",
    "ap-northeast-3": "abc",
    "ap-south-1": "abc",
    "ap-south-2": "abc",
    "ap-southeast-1": "abc",
    "ap-southeast-2": "abc",
    "ap-southeast-3": "abc",
    "ca-central-1": "abd",
    "eu-central-1": "abc",
    "eu-central-2": "abc",
    "eu-north-1": "abc",
    "eu-south-1": "abc",
    "eu-south-2": "abc",
    "eu-west-1": "abc",
    "eu-west-2": "abc",
    "eu-west-3": "abc",
    "il-central-1": "abc",
    "me-central-1": "abc",
    "me-south-1": "abc",
    "sa-east-1": "abc",
    "us-east-1": "abcdef",
    "us-east-2": "abc",
    # New accounts are given two of three; which ones differs.
    "us-west-1": "ac",
    "us-west-2": "abcd",
}

#: CloudFront's certificates and its firewall live here, wherever the environment is.
GLOBAL_REGION = "us-east-1"

#: Region -> the list that AWS keeps of the addresses that CloudFront fetches from
#: (`com.amazonaws.global.cloudfront.origin-facing`), which has another id in each. Those of AWS's announcement of it
#: (2022-02), compared with three public programs in 2026-11; newer regions have one, too, and need a line.
CLOUDFRONT_LISTS: Mapping[str, str] = {
    "ap-northeast-1": "pl-58a04531",
    "ap-northeast-2": "pl-22a6434b",
    "ap-south-1": "pl-9aa247f3",
    "ap-southeast-1": "pl-31a34658",
    "ap-southeast-2": "pl-b8a742d1",
    "ca-central-1": "pl-38a64351",
    "eu-central-1": "pl-a3a144ca",
    "eu-north-1": "pl-fab65393",
    "eu-west-1": "pl-4fa04526",
    "eu-west-2": "pl-93a247fa",
    "eu-west-3": "pl-75b1541c",
    "sa-east-1": "pl-5da64334",
    "us-east-1": "pl-3b927c52",
    "us-east-2": "pl-b6a144df",
    "us-west-1": "pl-4ea04527",
    "us-west-2": "pl-82a045eb",
}


def zones(region: str, wanted: int | tuple[str, ...]) -> tuple[str, ...]:
    """The names of the zones: the first `wanted` of the region, or those with the letters.

    Raises ValueError where the region has no such zones.
    """
    letters = ZONES[region]
    chosen = letters[:wanted] if isinstance(wanted, int) else "".join(wanted)
    count = wanted if isinstance(wanted, int) else len(set(wanted))
    missing = sorted(set(chosen) - set(letters))
    if missing or len(chosen) != count or count < 2:
        raise ValueError(f"{region} has the zones {', '.join(letters)}: at least two of them are needed")
    return tuple(f"{region}{letter}" for letter in chosen)
