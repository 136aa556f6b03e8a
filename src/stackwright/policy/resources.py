"""Resources in the form that rules read, whether a test's recording or Pulumi's engine declared them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

#: Inputs that hold a resource's own name at AWS; other resources refer to it by one of them.
_OWN_NAMES = (
    "bucket",
    "clusterId",
    "dashboardName",
    "distributionConfigId",
    "identifier",
    "name",
    "replicationGroupId",
    "userGroupId",
    "userId",
)
#: Modules of the SDK that contain the same resource under two names.
_SAME_MODULE = {"alb": "lb", "applicationloadbalancing": "lb", "elasticloadbalancingv2": "lb"}
_VERSION_SUFFIX = re.compile(r"V2$")


class Unknown:
    """A value that only AWS can provide. In a preview it counts as set, since the update checks it again."""

    def __repr__(self) -> str:
        return "(unknown)"


UNKNOWN = Unknown()


class Declared(Protocol):
    """The interface that rules read; `stackwright.testing.recording.Registered` implements it."""

    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def custom(self) -> bool: ...
    @property
    def inputs(self) -> dict[str, Any]: ...
    @property
    def parent(self) -> str: ...
    @property
    def protect(self) -> bool: ...
    @property
    def secrets(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A declared resource; `inputs` are named as on the wire (`storageEncrypted`)."""

    type: str
    name: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    parent: str = ""
    protect: bool = False
    #: Inputs that are passed as secrets; None if that cannot be determined.
    secrets: tuple[str, ...] | None = ()
    #: Empty before the resource exists.
    id: str = ""
    urn: str = ""

    @cached_property
    def kind(self) -> str:
        """Return the type without the package and without the SDK's spelling variants: `rds/instance`."""
        module, _, class_ = self.type.removeprefix("aws:").rpartition(":")
        area, _, _ = module.partition("/")
        simple = _VERSION_SUFFIX.sub("", class_)
        return f"{_SAME_MODULE.get(area, area)}/{simple[:1].lower()}{simple[1:]}" if self.is_aws else self.type

    @property
    def is_aws(self) -> bool:
        """Return whether the resource is an AWS resource."""
        return self.type.startswith("aws:")

    def get(self, path: str) -> Any:
        """Return the input at a dotted path, None if it is not set, and UNKNOWN for any path below an unknown value."""
        return dig(self.inputs, path)

    def given(self, path: str) -> bool:
        """Return whether the path has a value."""
        return self.get(path) not in (None, "", [], {})

    def on(self, path: str) -> bool:
        """Return whether a switch is on; launch templates use strings for switches."""
        return is_true(self.get(path))

    @cached_property
    def identities(self) -> frozenset[str]:
        """Return the values that may refer to the resource: its id (in a recording, the stub id) and its names."""
        names = (self.inputs.get(key) for key in _OWN_NAMES)
        identities = {self.id, f"{self.name}-id", *(name for name in names if isinstance(name, str))}
        return frozenset(identities - {""})

    def is_meant_by(self, value: Any) -> bool:
        """Return whether a value of another resource refers to this one; an unknown value may."""
        if value is UNKNOWN:
            return True
        if not isinstance(value, str):
            return False
        return bool(self.identities & {value, *re.split(r"[:/]", value)})


class Graph:
    """All resources of a stack."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self.resources = tuple(resources)

    def of(self, *kinds: str) -> Iterator[Resource]:
        """Return the resources of the given kinds, in the order of their declaration."""
        return (resource for resource in self.resources if resource.is_aws and resource.kind in kinds)

    def pointing_at(self, resource: Resource, kind: str, *paths: str) -> Iterator[Resource]:
        """Return the resources of a kind whose value at one of the paths refers to `resource`."""
        return (
            candidate
            for candidate in self.of(kind)
            if any(resource.is_meant_by(value) for path in paths for value in as_list(candidate.get(path)))
        )


def dig(value: Any, path: str) -> Any:
    """Return the value at a dotted path; of a list the first element is read, as a Terraform block is a list of one."""
    for part in path.split("."):
        if value is UNKNOWN:
            return UNKNOWN
        if isinstance(value, list):
            value = value[0] if value else None
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def as_list(value: Any) -> list[Any]:
    """Return a list from a value that may be None, a single value or a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def is_true(value: Any) -> bool:
    """Return whether a switch is on; an unknown value counts as on."""
    return value is UNKNOWN or value is True or value == "true"


def plain(value: Any) -> Any:
    """Return a value of a recording or of the policy SDK as plain containers, with UNKNOWN for each type of unknown."""
    from pulumi.output import Unknown as SdkUnknown
    from pulumi.runtime import rpc
    from pulumi_policy.proxy import UnknownValueError

    if isinstance(value, SdkUnknown) or (isinstance(value, str) and value == rpc.UNKNOWN):
        return UNKNOWN
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        mapping = {}
        for key in value:
            try:
                mapping[str(key)] = plain(value[key])
            except UnknownValueError:
                mapping[str(key)] = UNKNOWN
        return mapping
    if isinstance(value, Sequence):
        items = []
        for position in range(len(value)):
            try:
                items.append(plain(value[position]))
            except UnknownValueError:
                items.append(UNKNOWN)
        return items
    return value


def from_declared(resources: Iterable[Declared | Resource]) -> Graph:
    """Return the graph of a recording, or of resources created by hand."""
    return Graph(resource if isinstance(resource, Resource) else _from_recording(resource) for resource in resources)


def _from_recording(declared: Declared) -> Resource:
    return Resource(
        type=declared.type,
        name=declared.name,
        inputs=plain(declared.inputs),
        parent=declared.parent,
        protect=declared.protect,
        secrets=declared.secrets,
    )


@cache
def is_taggable(type_: str) -> bool:
    """Return whether a type of the installed SDK takes tags; reads its source, as importing a service is slow."""
    module, _, _ = type_.removeprefix("aws:").rpartition(":")
    area, _, name = module.partition("/")
    spec = find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        raise RuntimeError("pulumi_aws is not installed: which types take tags cannot be known")
    path = Path(spec.origin).parent / area / f"{_snake(name)}.py"
    return path.is_file() and "@_builtins.property\n    @pulumi.getter\n    def tags(self)" in path.read_text()


def _snake(name: str) -> str:
    # Same rule as pulumi's generator: `bucketObjectv2` -> bucket_objectv2, `vpcIpamPool` -> vpc_ipam_pool.
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
