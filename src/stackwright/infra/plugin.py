"""The executable `pulumi-resource-stackwright`, which Pulumi's engine finds on PATH and calls by gRPC."""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import grpc
import grpc.aio
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2_grpc

from stackwright.infra.bare_metal.machine import MachineBackend
from stackwright.infra.local.host import HostBackend
from stackwright.infra.local.network import NetworkBackend
from stackwright.infra.local.podman import Podman
from stackwright.infra.provider.adapter import StackwrightProvider
from stackwright.infra.provider.backend import ProviderError

#: The engine's own limit; gRPC's default of 4 MiB is too small for some states.
_MAX_MESSAGE_BYTES = 1024 * 1024 * 400


def provider() -> StackwrightProvider:
    """Return the provider with all of its resources."""
    # podman is searched only when a local host is requested: bare metal does not need it.
    connect = functools.cache(Podman)
    backends = (NetworkBackend(connect), HostBackend(connect), MachineBackend())
    return StackwrightProvider(backends, version("stackwright"))


class Servicer(ProviderServicer):
    """The SDK's servicer, with readable errors.

    The SDK lets an exception reach gRPC, which puts `Unexpected <class '...'>` in front of its message.
    """

    def __init__(self, served: StackwrightProvider, engine: str = "") -> None:
        super().__init__([], version("stackwright"), served, engine)

    async def Check(self, request: Any, context: Any) -> Any:
        return await _explained(super().Check, request, context)

    async def Diff(self, request: Any, context: Any) -> Any:
        return await _explained(super().Diff, request, context)

    async def Create(self, request: Any, context: Any) -> Any:
        return await _explained(super().Create, request, context)

    async def Read(self, request: Any, context: Any) -> Any:
        return await _explained(super().Read, request, context)

    async def Update(self, request: Any, context: Any) -> Any:
        return await _explained(super().Update, request, context)

    async def Delete(self, request: Any, context: Any) -> Any:
        return await _explained(super().Delete, request, context)


async def _explained(operation: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any) -> Any:
    try:
        return await operation(request, context)
    except ProviderError as error:
        return await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))


def main() -> None:
    """Serve until the engine ends this process."""
    parser = argparse.ArgumentParser(description="Pulumi provider `stackwright`; started by Pulumi, not by hand.")
    parser.add_argument("engine", nargs="?", default="", help="address of Pulumi's engine")
    arguments, _ = parser.parse_known_args()
    try:
        asyncio.run(_serve(arguments.engine))
    except KeyboardInterrupt:
        # The engine decides when a run is over; Ctrl-C reaches the whole process group first.
        sys.exit(0)


async def _serve(engine: str) -> None:
    parent = os.getppid()
    sizes = ("grpc.max_receive_message_length", "grpc.max_send_message_length")
    server = grpc.aio.server(options=[(size, _MAX_MESSAGE_BYTES) for size in sizes])
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider(), engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # The handshake with the engine: only the port on the first line.
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine does not end this process. Running operations still finish: `asyncio.run` waits for its threads.
    ended = asyncio.ensure_future(server.wait_for_termination())
    while os.getppid() == parent and not ended.done():
        await asyncio.wait({ended}, timeout=1)
    await server.stop(grace=None)
