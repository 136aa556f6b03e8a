"""Package of the components for programs in TypeScript, Go, C#, Java and YAML: `pulumi/components`.

It does the same as `pulumi.provider.experimental.component_provider_host`, whose analyzer and server it uses, except
for three limitations of that host: it passes a dict to a component where this project's components take dataclasses,
which check themselves (`package_inputs`); it reports a wrong input as a Python traceback; and it finds no descriptions,
as those of this project are comments before the attributes (`package_descriptions`).

**Names.** In the package a component is `stackwright-aws:index:Database`; in the state it is
`stackwright:aws:Database`, whichever language created it, since the class registers itself. A program that moves from
Python to another language, or back, therefore keeps its resources, and policies and aliases (`Alias(type_=...)`) know
one type. The first name is only the one that a program refers to; `stackwright-aws` is not `stackwright`, which is the
provider of hosts. Args classes of all components share one namespace, `stackwright-aws:index:`, hence no two may have
the same name: the analyzer refuses that.
"""

import json
import re
import sys
from collections.abc import Mapping
from importlib.metadata import version
from inspect import get_annotations
from typing import Any

import pulumi
from pulumi.provider import ConstructResult, main
from pulumi.provider.experimental.component import ComponentProvider
from pulumi.provider.experimental.util import camel_case
from pulumi.provider.server import ComponentInitError

from stackwright.infra import aws
from stackwright.infra.aws import package_inputs
from stackwright.infra.aws.package_descriptions import Descriptions

NAME = "stackwright-aws"


def components() -> dict[str, type[pulumi.ComponentResource]]:
    """Return every public component by its name."""
    public = {name: getattr(aws, name) for name in aws.__all__}
    return {name: kind for name, kind in public.items() if issubclass(kind, pulumi.ComponentResource)}


class Package(ComponentProvider):
    """Provider that serves the schema and creates components."""

    def __init__(self) -> None:
        self._classes = components()
        super().__init__(list(self._classes.values()), NAME, version=version("stackwright"))
        self._descriptions = Descriptions([*self._classes.values(), *map(args_class, self._classes.values())])
        self.schema = json.dumps(self._described(json.loads(self.schema or "{}")))

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        """Create a component; nothing is registered if an input is wrong."""
        self.validate_resource_type(NAME, resource_type)
        kind = resource_type.rsplit(":", maxsplit=1)[-1]
        if kind not in self._classes:
            raise ValueError(f"{resource_type} is no component, accepted: {', '.join(self._classes)}")
        component = self._classes[kind]
        try:
            args = package_inputs.build(args_class(component), inputs)
        except pulumi.InputPropertyError as error:
            problem = {"property_path": error.property_path, "reason": error.reason}
            raise _refused(resource_type, name, [problem]) from error
        except ValueError as error:
            # Args report all of their problems at once, one per line: `DatabaseArgs.storage_gb is 1, accepted: ...`.
            lines = [self._descriptions.translated(line) for line in str(error).splitlines()]
            raise _refused(resource_type, name, [_problem(line) for line in lines]) from error
        try:
            made = component(name, args, options)  # type: ignore[arg-type]
        except Exception as error:
            raise ComponentInitError(error) from error
        outputs = {name: getattr(made, name, None) for name in _outputs(component)}
        return ConstructResult(
            made.urn, {camel_case(name): value for name, value in outputs.items() if value is not None}
        )

    def _described(self, schema: dict[str, Any]) -> dict[str, Any]:
        schema["description"] = "Components for AWS: encrypted, in several zones, protected where data is kept"
        for token, resource in schema["resources"].items():
            component = self._classes[token.rsplit(":", 1)[-1]]
            resource["description"] = self._descriptions.of_class(component)
            self._describe(resource["inputProperties"], args_class(component))
            self._describe(resource["properties"], component)
        for token, kind in schema["types"].items():
            python_class = self._descriptions.classes[token.rsplit(":", 1)[-1]]
            kind["description"] = self._descriptions.of_class(python_class)
            self._describe(kind["properties"], python_class)
        return schema

    def _describe(self, properties: dict[str, Any], kind: type) -> None:
        for name, property_schema in properties.items():
            text = self._descriptions.of(kind, name)
            if text:
                property_schema["description"] = text


def args_class(component: type) -> type:
    """Return the args class of a component."""
    annotation: type = get_annotations(component.__init__)["args"]  # type: ignore[misc]
    return annotation


def _outputs(component: type) -> list[str]:
    return [name for name in get_annotations(component) if not name.startswith("_")]


def _problem(line: str) -> dict[str, str]:
    named = re.match(r"\w+Args\.(\w+)", line)
    return {"property_path": named[1] if named else "", "reason": line}


def _refused(resource_type: str, name: str, problems: list[Any]) -> pulumi.InputPropertiesError:
    shown = "\n".join(
        problem["reason"] if "Args." in problem["reason"] else f"{problem['property_path']} {problem['reason']}"
        for problem in problems
    )
    return pulumi.InputPropertiesError(f"{resource_type} {name}:\n{shown}", problems)


def serve() -> None:
    """Serve until the engine ends this process."""
    main(Package(), sys.argv[1:])
