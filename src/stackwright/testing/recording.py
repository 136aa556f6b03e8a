"""Runs a Pulumi program without an engine and records everything that it declares.

`set_mocks` shows only the inputs to a test; this module records the whole registration (parent, protection,
dependencies, ...), and `Recording.seal` fails on every resource that the test did not name. Nothing is missed: the
program is awaited to its last output before the test continues.
"""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime import mocks as sdk
from pulumi.runtime import rpc, run_in_stack
from pulumi.runtime.proto import engine_pb2_grpc, resource_pb2_grpc
from pulumi.runtime.settings import configure, reset_options

from stackwright.testing.aws import invokes
from stackwright.testing.aws.configuration import Configuration

Properties = dict[str, Any]

#: The region of a lookup whose arguments name none.
_RECORDED_REGION = "eu-central-1"


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A resource as the program declared it; `inputs` are named as on the wire."""

    type: str
    name: str
    custom: bool
    inputs: Properties
    #: Name of the parent; empty for a direct child of the stack.
    parent: str
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    #: Names of the resources that it depends on.
    depends_on: tuple[str, ...] = ()
    #: Inputs that are passed as secrets.
    secrets: tuple[str, ...] = ()
    #: Previous names, or whole URNs, that were set on the resource itself; the engine passes them on to children.
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Everything that a program registered."""

    resources: tuple[Registered, ...]
    #: Exports of the program.
    outputs: Properties
    #: Outputs of components, by name.
    component_outputs: Mapping[str, Properties] = field(default_factory=dict)

    def named(self, name: str) -> Registered:
        """Return the one resource with that name."""
        (registered,) = (resource for resource in self.resources if resource.name == name)
        return registered

    def seal(self, expected: Mapping[tuple[str, str], Properties]) -> None:
        """Require exactly these (type, name) with exactly these inputs; raise an error with every difference."""
        actual = {(resource.type, resource.name): resource.inputs for resource in self.resources}
        missing = [f"not declared: {key}" for key in expected if key not in actual]
        extra = [f"not expected: {key}" for key in actual if key not in expected]
        differing = [
            f"{key}: {name} is {actual[key].get(name)!r}, expected {inputs.get(name)!r}"
            for key, inputs in expected.items()
            if key in actual
            for name in sorted({*inputs, *actual[key]})
            if actual[key].get(name) != inputs.get(name)
        ]
        problems = [*missing, *extra, *differing]
        if problems or len(actual) != len(self.resources):
            raise AssertionError("\n".join(["the program declared something else:", *problems]))


def record(
    program: Path | Callable[[], None],
    *,
    stack: str,
    project: str = "stackwright",
    preview: bool = False,
    computed: Mapping[str, Callable[[Properties], Properties]] | None = None,
) -> Recording:
    """Run a program (a project's directory, or a function) to its end; an error in it is raised here.

    `computed` contains, per resource type, the function that fills in a provider's outputs.
    """
    monitor = _Monitor(_Provider(computed or {}))
    features = monitor.GetDeploymentInfo(empty_pb2.Empty())  # type: ignore[no-untyped-call]
    settings = sdk.MockSettings(  # type: ignore[no-untyped-call]
        monitor=monitor,
        monitor_features=set(features.supportedFeatures),
        engine=sdk.MockEngine(None),
        project=project,
        stack=stack,
        dry_run=preview,
        organization=None,
    )
    run: Callable[[], Any] = program if callable(program) else lambda: runpy.run_path(str(program / "__main__.py"))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Not `set_mocks`: it creates its own root stack and does not wait for anything.
    configure(settings)
    try:
        loop.run_until_complete(run_in_stack(run))
    finally:
        loop.close()
        asyncio.set_event_loop(None)
        reset_options()
    return monitor.recording()


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A stub of the engine that records the registrations of another process."""

    #: Host and port of both the monitor and the engine.
    address: str
    #: Returns the registrations so far.
    recording: Callable[[], Recording]


@contextmanager
def listen(
    *,
    stack: str,
    project: str = "stackwright",
    computed: Mapping[str, Callable[[Properties], Properties]] | None = None,
) -> Iterator[Listener]:
    """Record a separate process, such as a component package, which registers over gRPC; otherwise like `record`."""
    monitor = _Monitor(_Provider(computed or {}), stack_and_project=(stack, project))
    # One request at a time: the SDK's mock is made for a single program.
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(_Servicer(monitor), server)
    engine_pb2_grpc.add_EngineServicer_to_server(_Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield Listener(address=f"127.0.0.1:{port}", recording=monitor.recording)
    finally:
        server.stop(grace=None).wait()


class _Servicer(resource_pb2_grpc.ResourceMonitorServicer):
    def __init__(self, monitor: _Monitor) -> None:
        self._monitor = monitor

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:
        return self._monitor.GetDeploymentInfo(request)  # type: ignore[no-untyped-call]

    def Invoke(self, request: Any, context: Any) -> Any:
        return self._monitor.Invoke(request)  # type: ignore[no-untyped-call]

    def RegisterResource(self, request: Any, context: Any) -> Any:
        return self._monitor.RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:
        return self._monitor.RegisterResourceOutputs(request)


class _Engine(engine_pb2_grpc.EngineServicer):
    def Log(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


class _Provider(sdk.Mocks):
    def __init__(self, computed: Mapping[str, Callable[[Properties], Properties]]) -> None:
        self._computed = computed

    def new_resource(self, args: sdk.MockResourceArgs) -> tuple[str | None, Properties]:
        inputs: Properties = args.inputs
        fill_in = self._computed.get(args.typ)
        return f"{args.name}-id" if args.custom else None, inputs | (fill_in(inputs) if fill_in else {})

    def call(self, args: sdk.MockCallArgs) -> tuple[Properties, list[tuple[str, str]] | None]:
        try:
            return invokes.answer(args.token, args.args, Configuration(region=_RECORDED_REGION)), []
        except invokes.RefusedError as error:
            raise AssertionError(str(error)) from error


class _Monitor(sdk.MockMonitor):
    def __init__(self, provider: _Provider, stack_and_project: tuple[str, str] | None = None) -> None:
        super().__init__(provider)
        #: Stack and project, if no program in this process sets them.
        self._place = stack_and_project
        self._registered: list[Registered] = []
        self._outputs: Properties = {}
        self._component_outputs: dict[str, Properties] = {}

    def recording(self) -> Recording:
        return Recording(
            resources=tuple(sorted(self._registered, key=lambda resource: (resource.type, resource.name))),
            outputs=self._outputs,
            component_outputs=self._component_outputs,
        )

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        if self._place is None:
            return super().make_urn(parent, type_, name)
        above = parent.split("::")[2] if parent else ""
        chain = f"{above}$" if above and above != "pulumi:pulumi:Stack" else ""
        return f"urn:pulumi:{'::'.join(self._place)}::{chain}{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._registered.append(_registered(request))
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:
        outputs = rpc.deserialize_properties(request.outputs)
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            self._outputs = outputs
        else:
            self._component_outputs[_name(request.urn)] = outputs
        return empty_pb2.Empty()


def _registered(request: Any) -> Registered:
    inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
    secrets = tuple(sorted(name for name, value in inputs.items() if rpc.is_rpc_secret(value)))
    return Registered(
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs={name: rpc.unwrap_rpc_secret(value) for name, value in inputs.items()},
        parent="" if "pulumi:pulumi:Stack::" in request.parent else _name(request.parent),
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace,
        ignore_changes=tuple(request.ignoreChanges),
        depends_on=tuple(sorted({_name(urn) for urn in request.dependencies})),
        secrets=secrets,
        aliases=tuple(alias.urn or alias.spec.name for alias in request.aliases),
    )


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]
