"""Determines what a change of inputs means for an existing resource: nothing, an update, or a replacement."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stackwright.testing.aws import wire
from stackwright.testing.aws.sdk_schema import Resource

#: Names are unique in an account: if a name was given, the old resource has to be deleted before the new one is
#: created. The real provider does the same (nameRequiresDeleteBeforeReplace of the Terraform bridge) for the properties
#: that it can name itself.
_NAMES = ("name", "identifier", "clusterIdentifier", "replicationGroupId", "bucket")


@dataclass(frozen=True, kw_only=True)
class Change:
    """A property that differs, named by its path."""

    path: str
    #: `add`, `delete` or `update`.
    kind: str
    replaces: bool

    @property
    def name(self) -> str:
        """Return the top-level property of the resource that contains it."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All changes between two sets of inputs."""

    changes: tuple[Change, ...]
    delete_before_replace: bool

    @property
    def replaces(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(change.name for change in self.changes if change.replaces))


def diff(
    resource: Resource,
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    ignore: Collection[str] = (),
    more: Mapping[str, Collection[str]] | None = None,
) -> Difference:
    """Return the difference of two sets of inputs; `more` lists, by type, further properties that force replacement."""
    also = (more or {}).get(resource.token, ())
    documented = {path for path, replacement in resource.replacements.items() if not replacement.conditional}
    changes = tuple(
        Change(path=path, kind=kind, replaces=_replaces(path, documented | {*also}))
        for path, kind in _changes(_clean(old), _clean(new), "")
        if not any(path == ignored or path.startswith((f"{ignored}.", f"{ignored}[")) for ignored in ignore)
    )
    explicit_names = [
        name for name in _NAMES if name in resource.inputs and name in new and name not in new.get("__defaults", ())
    ]
    same = any(wire.plain(old.get(name)) == wire.plain(new[name]) for name in explicit_names)
    return Difference(changes=changes, delete_before_replace=same and any(change.replaces for change in changes))


def _clean(values: Mapping[str, Any]) -> wire.Values:
    return {name: argument for name, argument in values.items() if not name.startswith("__") and argument is not None}


def _changes(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    old, new = wire.unwrap(old), wire.unwrap(new)
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not wire.is_special(old) and not wire.is_special(new):
        for name in sorted({*old, *new}):
            inner = _joined(path, name)
            if name not in new:
                yield inner, "delete"
            elif name not in old:
                yield inner, "add"
            else:
                yield from _changes(old[name], new[name], inner)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            inner = f"{path}[{index}]"
            if index >= len(new):
                yield inner, "delete"
            elif index >= len(old):
                yield inner, "add"
            else:
                yield from _changes(old[index], new[index], inner)
    elif wire.plain(old) != wire.plain(new):
        yield path, "update"


def _joined(path: str, name: str) -> str:
    if not re.fullmatch(r"\w+", name):
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name


def _replaces(path: str, replacing: Collection[str]) -> bool:
    """Return whether the property, or a property that contains it, forces replacement."""
    bare = re.sub(r"\[\d+\]", "[]", path)
    parts = re.split(r"(?=\.|\[)", bare)
    return any("".join(parts[: end + 1]).removesuffix("[]") in replacing for end in range(len(parts)))
