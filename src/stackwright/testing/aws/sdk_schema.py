"""Inputs and outputs of AWS resources, as the Python SDK declares them: read per type, on first use."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from stackwright.testing.aws import documentation, sdk_source
from stackwright.testing.aws.documentation import Replacement
from stackwright.testing.aws.immutable import IMMUTABLE
from stackwright.testing.aws.sdk_source import Location, Member, Module, UnknownTypeError

__all__ = [
    "Kind",
    "Property",
    "Resource",
    "Type",
    "UnknownTypeError",
    "members",
    "provider",
    "replacements",
    "resource",
]


class Kind(StrEnum):
    """The kind of a value on the wire."""

    STRING = "a string"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "true or false"
    LIST = "a list"
    MAP = "a map"
    OBJECT = "an object"
    ENUM = "one of a list"
    ASSET = "an asset or archive"
    ANY = "anything"


@dataclass(frozen=True, kw_only=True)
class Type:
    """One alternative of a property's type."""

    kind: Kind
    #: For a list or map: the possible types of its values.
    items: tuple[Type, ...] = ()
    #: For an object: where its members are declared; see `members`.
    declared: Location | None = None
    #: For an enum: its values.
    values: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Property:
    """A property, named as on the wire."""

    name: str
    types: tuple[Type, ...]
    required: bool
    documentation: str

    def type(self, kind: Kind) -> Type | None:
        """Return the alternative of that kind."""
        return next((alternative for alternative in self.types if alternative.kind is kind), None)


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource type."""

    token: str
    inputs: Mapping[str, Property]
    #: All properties of an existing resource, including its inputs. `required`: never absent.
    outputs: Mapping[str, Property]
    #: Outputs that the SDK marks as secret.
    secrets: frozenset[str]
    #: Inputs by path (`ingress[].fromPort`) that force replacement, according to the documentation or `immutable`.
    replacements: Mapping[str, Replacement]
    import_hint: documentation.ImportHint

    def computed(self, name: str) -> bool:
        """Return whether the value of a property comes from AWS alone."""
        return name in self.outputs and name not in self.inputs


@cache
def resource(token: str) -> Resource:
    """Return the resource type of a token such as `aws:rds/instance:Instance`."""
    location = sdk_source.locate(token)
    source = sdk_source.module(location.file)
    # `BucketLoggingArgs` may be a block inside of a bucket: then the resource's own class is `BucketLoggingInitArgs`.
    arguments = next(name for end in ("Args", "InitArgs") if (name := location.class_name + end) in source)
    inputs = members(Location(file=location.file, class_name=arguments))
    state = f"_{location.class_name}State"
    declared = {member.wire: member for member in source.members(location.class_name)}
    shapes = members(Location(file=location.file, class_name=state)) if state in source else inputs
    outputs = {
        name: Property(
            name=name,
            types=shapes[name].types if name in shapes else (Type(kind=Kind.ANY),),
            required=not member.annotation.startswith("pulumi.Output[Optional["),
            documentation=member.documentation,
        )
        for name, member in declared.items()
    }
    text = source.source(location.class_name)
    return Resource(
        token=token,
        inputs=inputs,
        outputs=outputs,
        secrets=_secrets(text),
        replacements=_replacements(source, location.class_name, arguments, inputs) | _immutable(token),
        import_hint=documentation.import_hint(text, {member.name: member.wire for member in declared.values()}),
    )


@cache
def provider() -> Mapping[str, Property]:
    """Return the configuration properties of the provider itself."""
    return members(Location(file=sdk_source.package() / "provider.py", class_name="ProviderArgs"))


def replacements(token: str) -> Mapping[str, Replacement]:
    """Return what is known about replacement of a type: path -> source and wording. For reading, not for programs."""
    return resource(token).replacements


@cache
def members(location: Location) -> Mapping[str, Property]:
    """Return the properties of an arguments class, by their names on the wire."""
    source = sdk_source.module(location.file)
    if location.class_name not in source:
        return {}
    return {member.wire: _property(member, source) for member in source.members(location.class_name)}


def _property(member: Member, source: Module) -> Property:
    return Property(
        name=member.wire,
        types=_types(ast.parse(member.annotation, mode="eval").body, source.path.parent),
        required=member.required,
        documentation=member.documentation,
    )


_PLAIN = {"str": Kind.STRING, "int": Kind.INTEGER, "float": Kind.NUMBER, "bool": Kind.BOOLEAN}


def _types(node: ast.expr, folder: Path) -> tuple[Type, ...]:
    match node:
        case ast.Subscript(value=outer, slice=inner):
            return _subscripted(ast.unparse(outer), inner, folder)
        case ast.Attribute(value=ast.Name(id="_builtins"), attr=name) if name in _PLAIN:
            return (Type(kind=_PLAIN[name]),)
        case ast.Attribute(value=ast.Name(id="pulumi")):
            return (Type(kind=Kind.ASSET),)
        case ast.Constant(value=str(name)):
            return _named(name, folder)
        case _:
            return (Type(kind=Kind.ANY),)


def _subscripted(outer: str, inner: ast.expr, folder: Path) -> tuple[Type, ...]:
    if outer in {"pulumi.Input", "pulumi.Output", "Optional"}:
        return _types(inner, folder)
    if outer == "Sequence":
        return (Type(kind=Kind.LIST, items=_types(inner, folder)),)
    if not isinstance(inner, ast.Tuple):
        return (Type(kind=Kind.ANY),)
    if outer == "Mapping":
        return (Type(kind=Kind.MAP, items=_types(inner.elts[1], folder)),)
    alternatives = [alternative for element in inner.elts for alternative in _types(element, folder)]
    return tuple(dict.fromkeys(alternatives))


def _named(name: str, folder: Path) -> tuple[Type, ...]:
    """Return the type of a class by name: an object, an enum, or a resource, which is sent as its id."""
    if "." in name:
        service, _, name = name.partition(".")
        folder = sdk_source.package() / service.removeprefix("_")
    inputs, enums = sdk_source.module(folder / "_inputs.py"), sdk_source.module(folder / "_enums.py")
    if name in inputs:
        return (Type(kind=Kind.OBJECT, declared=Location(file=inputs.path, class_name=name)),)
    if name in enums:
        values = re.findall(r'^    \w+ = "(.*)"$', enums.source(name), re.MULTILINE)
        return (Type(kind=Kind.ENUM, values=tuple(values)),)
    if name.endswith("Args"):
        imported = sdk_source.module(sdk_source.package() / "iam" / "_inputs.py")
        # Other services use `PolicyDocumentArgs` under its bare name.
        is_of_iam = name in imported
        return (Type(kind=Kind.OBJECT, declared=Location(file=imported.path, class_name=name)) if is_of_iam else _ANY,)
    return (Type(kind=Kind.STRING),)


_ANY = Type(kind=Kind.ANY)


def _secrets(text: str) -> frozenset[str]:
    listed = re.search(r"additional_secret_outputs=\[(.*?)\]", text)
    return frozenset(re.findall(r'"(\w+)"', listed[1])) if listed else frozenset()


def _replacements(
    source: Module, class_name: str, arguments: str, inputs: Mapping[str, Property]
) -> dict[str, Replacement]:
    names = {member.name: member.wire for member in source.members(arguments)}
    by_path = documentation.replaced_by_the_text(source.source(class_name), names)
    _collect(inputs, "", frozenset(), by_path)
    return by_path


def _immutable(token: str) -> dict[str, Replacement]:
    known = IMMUTABLE.get(token)
    return {name: Replacement(sentence=known.source, conditional=False) for name in known.properties} if known else {}


def _collect(
    properties: Mapping[str, Property], prefix: str, above: frozenset[Location], by_path: dict[str, Replacement]
) -> None:
    for declared in properties.values():
        replacement = documentation.replacement(declared.documentation)
        if replacement:
            by_path[prefix + declared.name] = replacement
        for kind in declared.types:
            inner, brackets = (kind.items[0], "[]") if kind.items else (kind, "")
            # Web firewall statements contain statements.
            if inner.declared and inner.declared not in above:
                path = f"{prefix}{declared.name}{brackets}."
                _collect(members(inner.declared), path, above | {inner.declared}, by_path)
