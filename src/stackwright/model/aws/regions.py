"""Regions and their availability zones.

Zones are letters in this table and not requested from AWS, so that addresses and names are known before anything
exists and a preview needs no account. An account may lack a zone; the first `pulumi up` then reports it. The zones are
those in which AWS offered servers when moto 5.2.5 recorded its answers (compared by a test).
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
    # New accounts get two of three zones; which ones varies.
    "us-west-1": "ac",
    "us-west-2": "abcd",
}

#: CloudFront's certificates and its firewall are in this region, independent of the environment's region.
GLOBAL_REGION = "us-east-1"


def zones(region: str, count_or_letters: int | tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the zones: the first `count_or_letters` of the region, or those with the letters.

    Raises ValueError if the region has no such zones.
    """
    letters = ZONES[region]
    chosen = letters[:count_or_letters] if isinstance(count_or_letters, int) else "".join(count_or_letters)
    count = count_or_letters if isinstance(count_or_letters, int) else len(set(count_or_letters))
    missing = sorted(set(chosen) - set(letters))
    if missing or len(chosen) != count or count < 2:
        raise ValueError(f"{region} has the zones {', '.join(letters)}: at least two of them are needed")
    return tuple(f"{region}{letter}" for letter in chosen)
