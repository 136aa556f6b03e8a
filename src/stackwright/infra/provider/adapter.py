"""Pulumi's provider protocol on top of the backends. It is experimental in Pulumi's SDK, so only this file uses it.

Nothing here may print: the engine reads the port from the first line of standard output.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from pulumi.provider.experimental import provider as api

from stackwright.infra.provider import schema, values
from stackwright.infra.provider.backend import Backend, Failure, Properties, ProviderError, normalise, validate
from stackwright.infra.provider.values import UNKNOWN


class StackwrightProvider(api.Provider):
    """Serves the resources of `backends`."""

    def __init__(self, backends: Sequence[Backend], version: str) -> None:
        super().__init__()
        self._backends = {backend.token: backend for backend in backends}
        self._version = version
        self._cancelled = False

    async def get_schema(self, request: api.GetSchemaRequest) -> api.GetSchemaResponse:
        return api.GetSchemaResponse(schema=schema.package(tuple(self._backends.values()), self._version))

    async def check_config(self, request: api.CheckRequest) -> api.CheckResponse:
        # `version` and similar keys come from the engine; the provider has no configuration of its own.
        return api.CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: api.DiffRequest) -> api.DiffResponse:
        return api.DiffResponse(changes=False)

    async def configure(self, request: api.ConfigureRequest) -> api.ConfigureResponse:
        # Output values carry dependencies that no resource here needs, and the SDK cannot read some of them.
        return api.ConfigureResponse(
            accept_secrets=True, supports_preview=True, accept_resources=False, accept_outputs=False
        )

    async def check(self, request: api.CheckRequest) -> api.CheckResponse:
        backend = self._backend(request.type)
        inputs = values.plain(request.new_inputs)
        new = normalise(backend.inputs, inputs)
        failures = validate(backend.inputs, new, unknown=UNKNOWN)
        if not failures and UNKNOWN not in new.values():
            old = normalise(backend.inputs, values.plain(request.old_inputs))
            failures = await asyncio.to_thread(backend.check, old if request.old_inputs else None, new)
        secret = values.secrets(request.new_inputs)
        return api.CheckResponse(
            inputs=values.wire(new, secret), failures=[_failure(backend, failure, secret) for failure in failures]
        )

    async def diff(self, request: api.DiffRequest) -> api.DiffResponse:
        backend = self._backend(request.type)
        old = normalise(backend.inputs, values.plain(request.old_state))
        new = normalise(backend.inputs, values.plain(request.new_inputs))
        detailed: dict[str, api.PropertyDiff] = {}
        replaces = []
        for prop in backend.inputs:
            before, after = old.get(prop.name), new.get(prop.name)
            if prop.name in request.ignore_changes or before == after:
                continue
            if prop.replaces:
                replaces.append(prop.name)
            detailed[prop.name] = api.PropertyDiff(_difference(before, after, replaces=prop.replaces), input_diff=True)
        for name in backend.needs_repair(old):
            detailed[name] = api.PropertyDiff(api.PropertyDiffKind.UPDATE, input_diff=False)
        return api.DiffResponse(
            changes=bool(detailed),
            replaces=replaces,
            # Names and addresses are fixed: the old and the new resource cannot exist at the same time.
            delete_before_replace=bool(replaces),
            diffs=list(detailed),
            detailed_diff=detailed,
        )

    async def create(self, request: api.CreateRequest) -> api.CreateResponse:
        backend = self._backend(request.type)
        inputs = normalise(backend.inputs, values.plain(request.properties))
        secret = values.secrets(request.properties)
        if request.preview:
            properties = await self._previewed(backend, inputs)
            return api.CreateResponse(resource_id="", properties=values.wire(properties, secret))
        self._refuse_if_cancelled()
        created = await asyncio.to_thread(backend.create, inputs)
        return api.CreateResponse(resource_id=created.id, properties=values.wire(created.properties, secret))

    async def read(self, request: api.ReadRequest) -> api.ReadResponse:
        backend = self._backend(request.type)
        state = normalise(backend.inputs, values.plain(request.properties))
        resource = await asyncio.to_thread(backend.read, request.resource_id, state)
        if resource is None:
            # The engine treats an empty ID as a deleted resource and drops it from the state.
            return api.ReadResponse(resource_id="")
        secret = values.secrets(request.properties) | values.secrets(request.inputs)
        return api.ReadResponse(
            resource_id=resource.id,
            properties=values.wire(resource.properties, secret),
            inputs=values.wire(resource.inputs, secret),
        )

    async def update(self, request: api.UpdateRequest) -> api.UpdateResponse:
        backend = self._backend(request.type)
        old = normalise(backend.inputs, values.plain(request.olds))
        new = normalise(backend.inputs, values.plain(request.news))
        secret = values.secrets(request.olds) | values.secrets(request.news)
        if request.preview:
            repaired = dict.fromkeys(backend.needs_repair(old), UNKNOWN)
            return api.UpdateResponse(values.wire(old | new | repaired, secret))
        self._refuse_if_cancelled()
        properties = await asyncio.to_thread(backend.update, request.resource_id, old, new)
        return api.UpdateResponse(values.wire(properties, secret))

    async def delete(self, request: api.DeleteRequest) -> None:
        backend = self._backend(request.type)
        self._refuse_if_cancelled()
        await asyncio.to_thread(backend.delete, request.resource_id, values.plain(request.properties))

    async def cancel(self) -> None:
        # Running operations finish within seconds and are recorded; aborting them would leave unrecorded resources.
        self._cancelled = True

    async def _previewed(self, backend: Backend, inputs: Properties) -> Properties:
        unknown: dict[str, Any] = {prop.name: UNKNOWN for prop in backend.computed}
        if UNKNOWN in inputs.values():
            return unknown | inputs
        return unknown | inputs | await asyncio.to_thread(backend.preview, inputs)

    def _backend(self, token: str) -> Backend:
        # Inside components, the type in a URN is the chain of all parents' types.
        type_token = token.rsplit("$", 1)[-1]
        if type_token not in self._backends:
            raise ProviderError(f"{type_token} is not a resource of stackwright; there are {', '.join(self._backends)}")
        return self._backends[type_token]

    def _refuse_if_cancelled(self) -> None:
        if self._cancelled:
            raise ProviderError("cancelled before it began")


def _failure(backend: Backend, failure: Failure, secret: Collection[str]) -> api.CheckFailure:
    """Return the failure for the engine, which prints the value, as our reasons do; for a secret, leave out both."""
    if failure.property not in secret:
        return api.CheckFailure(failure.property, failure.reason)
    accepted = next((prop.description for prop in backend.inputs if prop.name == failure.property), "not a property")
    return api.CheckFailure("", f"{failure.property}: its value, a secret and not shown, is not accepted: {accepted}")


def _difference(before: object, after: object, *, replaces: bool) -> api.PropertyDiffKind:
    kinds = api.PropertyDiffKind
    if before is None:
        return kinds.ADD_REPLACE if replaces else kinds.ADD
    if after is None:
        return kinds.DELETE_REPLACE if replaces else kinds.DELETE
    return kinds.UPDATE_REPLACE if replaces else kinds.UPDATE
