"""The plugin's process: implements Pulumi's provider protocol for every resource of the installed `pulumi_aws`.

It uses the plain gRPC servicer, not `pulumi.provider.experimental`, which cannot send an unknown and converts every
value twice. Nothing here may print: the first line of standard output is the port, and the engine reads it.
"""
# ruff: noqa: ARG002, N802 - the methods have gRPC's names and arguments

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from stackwright.testing import aws
from stackwright.testing.aws import invokes, plausible, preflight, sdk_schema, sdk_source, wire
from stackwright.testing.aws.check import Failure, check, completed
from stackwright.testing.aws.configuration import Configuration, ConfigurationError, configured, problems
from stackwright.testing.aws.diff import Change, Difference, diff
from stackwright.testing.aws.failures import Failures, OrderError
from stackwright.testing.aws.journal import Journal

#: The engine's own limit.
_MAX_MESSAGE_BYTES = 1024 * 1024 * 400


class OrderedFailureError(RuntimeError):
    """A failure that a test requested."""


_EXPLAINED = (
    ConfigurationError,
    OrderError,
    OrderedFailureError,
    invokes.RefusedError,
    preflight.PreflightError,
    sdk_source.UnknownTypeError,
)


def _explained(method: Callable[..., Any]) -> Callable[..., Any]:
    """Report errors with their own message; gRPC would add a prefix."""

    @wraps(method)
    def call(self: Recorder, request: Any, context: Any) -> Any:
        try:
            return method(self, request, context)
        except _EXPLAINED as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))

    return call


class Recorder(provider_pb2_grpc.ResourceProviderServicer):
    """Answers the engine as AWS's provider would, and records the requested operations."""

    def __init__(
        self,
        journal: Path,
        *,
        failures: Path | None = None,
        replaces: Mapping[str, Sequence[str]] | None = None,
        account: str = "",
    ) -> None:
        self._journal = Journal(journal)
        self._failures = Failures(failures)
        self._replaces = replaces or {}
        self._account = account
        self._configuration = Configuration()
        self._cancelled = threading.Event()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=sdk_source.version())

    @_explained
    def GetSchema(self, request: Any, context: Any) -> Any:
        """Return names only: reading the properties of all types takes ten seconds, and Python programs need none."""
        shown = {
            "name": "aws",
            "version": sdk_source.version(),
            "resources": {token: {} for token in sdk_source.tokens() if token.startswith("aws:")},
        }
        return provider_pb2.GetSchemaResponse(schema=json.dumps(shown))

    @_explained
    def CheckConfig(self, request: Any, context: Any) -> Any:
        return _checked(wire.values(request.news), problems(wire.values(request.news)))

    @_explained
    def DiffConfig(self, request: Any, context: Any) -> Any:
        old, new = (wire.values(message) for message in (request.old_inputs or request.olds, request.news))
        same = wire.plain(old) == wire.plain(new)
        # Resources detect a change of region themselves.
        kinds = provider_pb2.DiffResponse
        return kinds(changes=kinds.DIFF_NONE if same else kinds.DIFF_SOME)

    @_explained
    def Configure(self, request: Any, context: Any) -> Any:
        settings = wire.values(request.args) or {
            name.removeprefix("aws:config:"): value for name, value in request.variables.items()
        }
        self._configuration = configured(settings, self._account)
        self._journal.write(operation="configure", began=time.time(), inputs=settings)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    @_explained
    def Check(self, request: Any, context: Any) -> Any:
        self._ready()
        resource = sdk_schema.resource(_token(request))
        inputs = wire.values(request.news)
        failures = check(resource.token, resource.inputs, inputs)
        if failures:
            return _checked(inputs, failures, resource.secrets)
        old = wire.values(request.olds)
        # A name that was generated once is kept.
        chosen = old["name"] if "name" in old.get("__defaults", ()) else self._chosen_name(resource, request.urn)
        return _checked(completed(resource.inputs, inputs, self._configuration.default_tags, chosen), [])

    @_explained
    def Diff(self, request: Any, context: Any) -> Any:
        self._ready()
        resource = sdk_schema.resource(_token(request))
        new, state = wire.values(request.news), wire.values(request.olds)
        old = wire.values(request.old_inputs) or {
            name: argument for name, argument in state.items() if name in resource.inputs
        }
        difference = diff(resource, old, new, ignore=list(request.ignoreChanges), more=self._replaces)
        return _difference(difference, self._moved(resource, state, new, difference))

    @_explained
    def Create(self, request: Any, context: Any) -> Any:
        with self._operation("create", request, request.properties) as resource:
            made = self._made(resource, request.urn, wire.values(request.properties))
            properties = wire.message(plausible.outputs(made, preview=request.preview))
            return provider_pb2.CreateResponse(id="" if request.preview else made.id, properties=properties)

    @_explained
    def Read(self, request: Any, context: Any) -> Any:
        """Return the given state. With an id alone, as in `Vpc.get`, the rest is made up."""
        with self._operation("read", request, request.inputs) as resource:
            state = wire.values(request.properties)
            if not any(name in state for name in resource.outputs if resource.computed(name)):
                made = self._made(resource, request.urn, state, request.id)
                return provider_pb2.ReadResponse(
                    id=request.id, properties=wire.message(plausible.outputs(made)), inputs=request.inputs
                )
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    @_explained
    def Update(self, request: Any, context: Any) -> Any:
        with self._operation("update", request, request.news) as resource:
            new, state, old = (wire.values(message) for message in (request.news, request.olds, request.old_inputs))
            previous = {
                name: property_value
                for name, property_value in state.items()
                if resource.computed(name) or name not in {*new, *old}
            }
            made = self._made(resource, request.urn, new, request.id)
            properties = plausible.outputs(made, previous, preview=request.preview)
            return provider_pb2.UpdateResponse(properties=wire.message(properties))

    @_explained
    def Delete(self, request: Any, context: Any) -> Any:
        with self._operation("delete", request, request.old_inputs):
            return empty_pb2.Empty()

    @_explained
    def Invoke(self, request: Any, context: Any) -> Any:
        self._ready()
        arguments = wire.plain(wire.values(request.args))
        returned = invokes.answer(request.tok, arguments, self._configuration)
        self._journal.write(operation="invoke", type=request.tok, began=time.time(), inputs=wire.values(request.args))
        answer: dict[str, Any] = {"return": wire.message(returned)}
        return provider_pb2.InvokeResponse(**answer)

    def Cancel(self, request: Any, context: Any) -> Any:
        self._cancelled.set()
        return empty_pb2.Empty()

    @contextmanager
    def _operation(self, operation: str, request: Any, inputs: Any) -> Iterator[sdk_schema.Resource]:
        """Wrap one operation: fail if a failure is due, and write the journal entry in either case."""
        began, token, preview = time.time(), _token(request), getattr(request, "preview", False)
        error = ""
        made_id = getattr(request, "id", "")
        try:
            self._ready()
            if self._cancelled.is_set():
                raise OrderedFailureError("cancelled before it began")
            resource = sdk_schema.resource(token)
            error = "" if preview else self._failures.due(operation, request.urn, token)
            if error:
                raise OrderedFailureError(error)
            if operation == "create" and not preview:
                preflight.check(token, wire.values(request.properties))
                made_id = self._made(resource, request.urn, wire.values(request.properties)).id
            yield resource
            if not preview:
                self._failures.succeeded(operation)
        except _EXPLAINED as failed:
            error = str(failed)
            raise
        finally:
            self._journal.write(
                operation=operation, urn=request.urn, type=token, id=made_id, preview=preview, error=error,
                began=began, inputs=wire.values(inputs),
            )  # fmt: skip

    def _ready(self) -> None:
        if not self._configuration.region:
            raise ConfigurationError("provider aws has no region: set `region` of the provider, or aws:region")

    def _made(self, resource: sdk_schema.Resource, urn: str, inputs: wire.Values, known_id: str = "") -> plausible.Made:
        own_region = inputs.get("region")
        region = (
            own_region
            if isinstance(own_region, str) and not wire.is_unknown(own_region)
            else self._configuration.region
        )
        return plausible.Made(
            resource=resource,
            urn=urn,
            account=self._configuration.account,
            region=region,
            inputs=inputs,
            known_id=known_id,
        )

    def _chosen_name(self, resource: sdk_schema.Resource, urn: str) -> str:
        made = self._made(resource, urn, {})
        return f"{made.name}-{made.digits('name', 7)}"

    def _moved(
        self, resource: sdk_schema.Resource, state: wire.Values, new: wire.Values, difference: Difference
    ) -> tuple[Change, ...]:
        """Return the changes, with a replacement if the provider's region changed, as in version 7 and later."""
        new_region = wire.unwrap(new.get("region", self._configuration.region))
        there = wire.unwrap(state.get("region", new_region))
        other_changes = tuple(change for change in difference.changes if change.name != "region")
        if "region" not in resource.inputs or there == new_region:
            return other_changes
        return (*other_changes, Change(path="region", kind="update", replaces=True))


def _token(request: Any) -> str:
    # Inside components, the type in a URN is the chain of all parents' types.
    token: str = request.urn.split("::")[2].rsplit("$", 1)[-1]
    return token


def _checked(inputs: wire.Values, failures: Sequence[Failure], secrets: Collection[str] = ()) -> Any:
    """Return the failures. The engine prints the value of a failed property, so a secret's path goes into the text."""
    return provider_pb2.CheckResponse(
        inputs=wire.message(inputs),
        failures=[
            provider_pb2.CheckFailure(property="", reason=f"{failure.path} {failure.reason}")
            if failure.path in secrets or wire.holds_secret(inputs.get(failure.path))
            else provider_pb2.CheckFailure(property=failure.path, reason=failure.reason)
            for failure in failures
        ],
    )


def _difference(difference: Difference, changes: Sequence[Change]) -> Any:
    kinds = provider_pb2.DiffResponse
    replaces = list(dict.fromkeys(change.name for change in changes if change.replaces))
    return kinds(
        changes=kinds.DIFF_SOME if changes else kinds.DIFF_NONE,
        replaces=replaces,
        deleteBeforeReplace=bool(replaces) and difference.delete_before_replace,
        diffs=list(dict.fromkeys(change.name for change in changes)),
        detailedDiff={
            change.path: provider_pb2.PropertyDiff(
                kind=provider_pb2.PropertyDiff.Kind.Value(
                    change.kind.upper() + ("_REPLACE" if change.replaces else "")
                ),
                inputDiff=True,
            )
            for change in changes
        },
        hasDetailedDiff=True,
    )


def main() -> None:
    """Serve until the engine ends this process."""
    journal = os.environ.get(aws.JOURNAL)
    if not journal:
        sys.exit(f"this provider only records, it makes nothing at AWS: {aws.JOURNAL} has to name its journal")
    failures, replaces = os.environ.get(aws.FAILURES), os.environ.get(aws.REPLACES)
    try:
        recorder = Recorder(
            Path(journal),
            failures=Path(failures) if failures else None,
            replaces=json.loads(Path(replaces).read_text(encoding="utf-8")) if replaces else None,
            account=os.environ.get(aws.ACCOUNT, ""),
        )
    except (OrderError, OSError, ValueError) as error:
        sys.exit(str(error))
    parent = os.getppid()
    sizes = ("grpc.max_receive_message_length", "grpc.max_send_message_length")
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=[(size, _MAX_MESSAGE_BYTES) for size in sizes])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The handshake with the engine: the port, alone on the first line.
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine does not end this process.
    try:
        while os.getppid() == parent:
            time.sleep(1)
    except KeyboardInterrupt:
        # Ctrl-C reaches the whole process group; the engine decides when a run is over, and calls `Cancel`.
        pass
    server.stop(grace=None)


if __name__ == "__main__":
    main()
