"""Checks of `backups` in `inventories/<env>/stack.yml`."""

from __future__ import annotations

from collections.abc import Iterator

from stackwright.model import topology
from stackwright.model.aws import regions
from stackwright.model.errors import KeyPath, Problem
from stackwright.model.files import Parsed
from stackwright.model.stackfile import CopyTo, StackFile
from stackwright.model.system import System

#: Keys that each kind of store needs; a kind does not accept those of another.
_KEYS = {"s3": ("endpoint", "bucket"), "sftp": ("host", "user", "path", "host_key"), "none": ()}
_PATH: KeyPath = ("backups", "copy_to")


def problems(parsed: Parsed[StackFile], stack: StackFile, system: System | None) -> Iterator[Problem]:
    """Yield the problems of the copy of the backups outside the environment."""
    managed = "database" in topology.managed(stack)
    copy_to = stack.backups.copy_to
    if copy_to is None and stack.class_ == "production":
        yield from _missing(parsed, stack, system, managed=managed)
    elif copy_to is not None and managed and copy_to.type != "none":
        message = "is not supported where AWS runs the database"
        accepted = "`aws.database.copy_region`, or {type: none}"
        yield parsed.problem((*_PATH, "type"), message, value=copy_to.type, accepted=accepted)
    elif copy_to is not None and topology.copies_to_own_bucket(stack):
        yield from _own_bucket(parsed, stack, copy_to)
    elif copy_to is not None:
        for kind, keys in _KEYS.items():
            for key in keys:
                value = getattr(copy_to, key)
                if kind == copy_to.type and value is None:
                    alternative = ", or neither endpoint nor bucket" if kind == "s3" and stack.aws is not None else ""
                    yield parsed.problem(
                        (*_PATH, key), f"is required for `type: {kind}`", accepted=f"a value{alternative}"
                    )
                if kind != copy_to.type and value is not None:
                    yield _foreign(parsed, kind, key, value)


def _foreign(parsed: Parsed[StackFile], kind: str, key: str, value: object) -> Problem:
    message, accepted = f"belongs to `type: {kind}`", f"no {key}, or `type: {kind}`"
    return parsed.problem((*_PATH, key), message, value=value, accepted=accepted)


def _own_bucket(parsed: Parsed[StackFile], stack: StackFile, copy_to: CopyTo) -> Iterator[Problem]:
    for key in _KEYS["sftp"]:
        if getattr(copy_to, key) is not None:
            yield _foreign(parsed, "sftp", key, getattr(copy_to, key))
    home, region = stack.aws.region if stack.aws is not None else "", copy_to.region
    if region is not None and (region == home or region not in regions.ZONES):
        accepted = f"another region than {home}: {', '.join(name for name in regions.ZONES if name != home)}"
        yield parsed.problem((*_PATH, "region"), "is not another region of AWS", value=region, accepted=accepted)


def _missing(parsed: Parsed[StackFile], stack: StackFile, system: System | None, *, managed: bool) -> Iterator[Problem]:
    if managed:
        copied = stack.aws is not None and (stack.aws.database.copy_region or stack.aws.database.replica_region)
        if not copied and (system is None or system.database is not None):
            message = "is required in production: backups in one region are lost with it"
            accepted = "another region, or `backups: {copy_to: {type: none}}`"
            yield parsed.problem(("aws", "database", "copy_region"), message, accepted=accepted)
        return
    message = "is required in production: backups inside the environment are lost with it"
    s3 = "{type: s3}" if stack.aws is not None else "{type: s3, ...}"
    accepted = f"{s3}, {{type: sftp, ...}} or {{type: none}}"
    yield parsed.problem(_PATH, message, accepted=accepted)
