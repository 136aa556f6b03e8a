"""The provider behind a real gRPC channel, and the engine's side of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from stackwright.infra.plugin import Servicer
from stackwright.infra.provider.adapter import StackwrightProvider
from stackwright.infra.provider.backend import Backend


class Client:
    """The engine's side of the provider protocol, in plain Python values."""

    def __init__(self, stub: provider_pb2_grpc.ResourceProviderStub) -> None:
        self.stub = stub

    def check(self, kind: str, new: dict[str, Any], old: dict[str, Any] | None = None) -> Any:
        return self.stub.Check(
            provider_pb2.CheckRequest(urn=urn(kind), olds=struct(old) if old else None, news=struct(new))
        )

    def failures(self, kind: str, new: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, str]:
        return {each.property: each.reason for each in self.check(kind, new, old).failures}

    def diff(self, kind: str, state: dict[str, Any], new: dict[str, Any], **more: Any) -> Any:
        return self.stub.Diff(
            provider_pb2.DiffRequest(id="some", urn=urn(kind), olds=struct(state), news=struct(new), **more)
        )

    def create(self, kind: str, properties: dict[str, Any], *, preview: bool = False) -> Any:
        return self.stub.Create(
            provider_pb2.CreateRequest(urn=urn(kind), properties=struct(properties), preview=preview)
        )

    def read(self, kind: str, resource_id: str, state: dict[str, Any] | None = None) -> Any:
        return self.stub.Read(provider_pb2.ReadRequest(id=resource_id, urn=urn(kind), properties=struct(state or {})))

    def update(
        self, kind: str, resource_id: str, state: dict[str, Any], new: dict[str, Any], *, preview: bool = False
    ) -> Any:
        return self.stub.Update(
            provider_pb2.UpdateRequest(
                id=resource_id, urn=urn(kind), olds=struct(state), news=struct(new), preview=preview
            )
        )

    def delete(self, kind: str, resource_id: str, state: dict[str, Any] | None = None) -> None:
        self.stub.Delete(provider_pb2.DeleteRequest(id=resource_id, urn=urn(kind), properties=struct(state or {})))


def urn(kind: str) -> str:
    """The URN of a resource inside a component, where types are chained."""
    return f"urn:pulumi:test::stackwright::stackwright:local:LocalCompute${kind}::some"


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    """Plain values as they travel."""
    made = struct_pb2.Struct()
    made.update(values)
    return made


def plain(message: struct_pb2.Struct) -> dict[str, Any]:
    """What travelled, as plain values."""
    found: dict[str, Any] = json_format.MessageToDict(message)
    return found


@contextmanager
def serving(backends: Sequence[Backend]) -> Iterator[Client]:
    """The provider on a port of this machine."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server()
        servicer = Servicer(StackwrightProvider(backends, "1.2.3"))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield Client(provider_pb2_grpc.ResourceProviderStub(channel))
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(None), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
