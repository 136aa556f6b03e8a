"""Answers the few invokes that have a definite answer without AWS; all others are refused by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from stackwright.testing.aws.configuration import Configuration
from stackwright.testing.aws.plausible import partition
from stackwright.testing.aws.wire import Values

#: Regions whose zones are not named a, b, c in every account (Regions and Availability Zones, AWS).
_ZONES = {"us-east-1": "abcdef", "us-west-1": "ac", "us-west-2": "abcd", "ap-northeast-1": "acd"}
_DIRECTIONS = {"north": "n", "south": "s", "east": "e", "west": "w", "central": "c"}


class RefusedError(LookupError):
    """Raised for an invoke that cannot be answered here."""


def answer(token: str, arguments: Mapping[str, Any], configuration: Configuration) -> Values:
    """Return the answer to an invoke such as `aws:index/getRegion:getRegion`."""
    handler = _ANSWERS.get(token)
    if handler is None:
        known = ", ".join(known_token.rsplit(":", 1)[-1] for known_token in _ANSWERS)
        raise RefusedError(f"{token} would ask AWS, and there is none here: only {known} can be answered")
    return handler(arguments, configuration)


def _identity(_: Mapping[str, Any], configuration: Configuration) -> Values:
    account = configuration.account
    arn = f"arn:{partition(configuration.region)}:iam::{account}:user/recording"
    return {"accountId": account, "arn": arn, "id": account, "userId": "AIDARECORDINGRECORDING"}


def _region(arguments: Mapping[str, Any], configuration: Configuration) -> Values:
    region = arguments.get("region") or arguments.get("name") or configuration.region
    return {
        "description": region,
        "endpoint": f"ec2.{region}.{_suffix(region)}",
        "id": region,
        "name": region,
        "region": region,
    }


def _partition(_: Mapping[str, Any], configuration: Configuration) -> Values:
    name, suffix = partition(configuration.region), _suffix(configuration.region)
    reverse = ".".join(reversed(suffix.split(".")))
    return {"dnsSuffix": suffix, "id": name, "partition": name, "reverseDnsPrefix": reverse}


def _zones(arguments: Mapping[str, Any], configuration: Configuration) -> Values:
    region = arguments.get("region") or configuration.region
    area, direction, number = region.rsplit("-", 2)
    short = direction
    for word, letter in _DIRECTIONS.items():
        short = short.replace(word, letter)
    excluded = {*(arguments.get("excludeNames") or ()), *(arguments.get("excludeZoneIds") or ())}
    all_zones = {
        f"{region}{letter}": f"{area.replace('-', '')}{short}{number}-az{index}"
        for index, letter in enumerate(_ZONES.get(region, "abc"), start=1)
    }
    zones = {name: zone for name, zone in all_zones.items() if not {name, zone} & excluded}
    return {
        **arguments,
        "groupNames": [region],
        "id": region,
        "names": list(zones),
        "region": region,
        "zoneIds": list(zones.values()),
    }


def _prefix_list(arguments: Mapping[str, Any], configuration: Configuration) -> Values:
    region = arguments.get("region") or configuration.region
    name, list_id = arguments.get("name"), arguments.get("id")
    if not name and not list_id:
        raise RefusedError(
            "aws:ec2/getManagedPrefixList:getManagedPrefixList: only lists of a name or an id can be made up"
        )
    number = list_id or f"pl-{hashlib.sha256(f'{region}|{name}'.encode()).hexdigest()[:8]}"
    owner = "AWS" if not name or name.startswith("com.amazonaws.") else configuration.account
    holder = "aws" if owner == "AWS" else owner
    return {
        "addressFamily": "IPv6" if name and "ipv6" in name else "IPv4",
        "arn": f"arn:{partition(region)}:ec2:{region}:{holder}:prefix-list/{number}",
        "entries": [],
        "id": number,
        "maxEntries": 0,
        "name": name or number,
        "ownerId": owner,
        "region": region,
        "tags": {},
        "version": 0,
    }


def _parameter(arguments: Mapping[str, Any], configuration: Configuration) -> Values:
    """Return a public parameter that holds the id of an image."""
    name, region = arguments["name"], arguments.get("region") or configuration.region
    if not name.startswith("/aws/service/"):
        raise RefusedError(f"aws:ssm/getParameter:getParameter: {name} is not a public parameter of an image")
    image_id = f"ami-{hashlib.sha256(f'{region}|{name}'.encode()).hexdigest()[:17]}"
    return {
        "arn": f"arn:{partition(region)}:ssm:{region}::parameter{name}",
        "id": name,
        "insecureValue": image_id,
        "name": name,
        "region": region,
        "type": "String",
        "value": image_id,
        "version": 1,
        "withDecryption": True,
    }


def _policy_document(arguments: Mapping[str, Any], _: Configuration) -> Values:
    merged = [*(arguments.get("sourcePolicyDocuments") or ()), *(arguments.get("overridePolicyDocuments") or ())]
    if merged or arguments.get("sourceJson") or arguments.get("overrideJson"):
        raise RefusedError("aws:iam/getPolicyDocument:getPolicyDocument: documents are not merged here")
    document = {
        "Version": arguments.get("version", "2012-10-17"),
        "Statement": [_statement(statement) for statement in arguments.get("statements") or ()],
    }
    text = json.dumps(document, indent=2)
    return {
        **arguments,
        "id": hashlib.sha256(text.encode()).hexdigest()[:10],
        "json": text,
        "minifiedJson": json.dumps(document),
    }


def _statement(arguments: Mapping[str, Any]) -> Values:
    statement: Values = {"Effect": arguments.get("effect", "Allow")}
    if arguments.get("sid"):
        statement["Sid"] = arguments["sid"]
    for name in ("actions", "notActions", "resources", "notResources"):
        if arguments.get(name):
            key = name[0].upper() + name[1:-1]
            statement[key] = arguments[name][0] if len(arguments[name]) == 1 else list(arguments[name])
    for name, key in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        for principal in arguments.get(name) or ():
            values = list(principal["identifiers"])
            statement.setdefault(key, {})[principal["type"]] = values[0] if len(values) == 1 else values
    for condition in arguments.get("conditions") or ():
        values = list(condition["values"])
        statement.setdefault("Condition", {}).setdefault(condition["test"], {})[condition["variable"]] = (
            values[0] if len(values) == 1 else values
        )
    return statement


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


_ANSWERS: Mapping[str, Callable[[Mapping[str, Any], Configuration], Values]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getPartition:getPartition": _partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": _prefix_list,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy_document,
    "aws:ssm/getParameter:getParameter": _parameter,
}
