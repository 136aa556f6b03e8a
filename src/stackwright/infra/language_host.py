"""A Python language host for a Pulumi CLI that does not include one.

The official CLI includes `pulumi-language-python`; a CLI built from its Go module does not, and the host's own module
is not available there. This one runs a program with the interpreter that runs the host itself, so it needs no
toolchain: the virtual environment is the one that it is installed in.
"""

from __future__ import annotations

import os
import queue
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import distributions, version
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

#: The engine's own limit.
_MAX_MESSAGE_BYTES = 1024 * 1024 * 400


class LanguageHost(LanguageServer):
    """Runs `__main__.py` of a Pulumi project."""

    def __init__(self, engine: str) -> None:
        super().__init__(lambda: None)
        self._engine = engine
        self.stopped = threading.Event()

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def Run(self, request: Any, context: Any) -> Any:
        program = Path(request.info.program_directory or request.pwd or ".") / (request.info.entry_point or ".")
        main = program / "__main__.py" if program.is_dir() else program
        if not main.is_file():
            return language_pb2.RunResponse(error=f"there is no program {main}")
        # The base class takes the engine's address from here; Run's own arguments are for the program.
        sys.argv = [str(main), *request.args]
        request.args[:] = [self._engine]
        os.chdir(request.pwd or main.parent)
        # A program may import its own modules; a path entry of runpy would be lost in the SDK's threads.
        if str(main.parent) not in sys.path:
            sys.path.insert(0, str(main.parent))

        def run() -> None:
            runpy.run_path(str(main), run_name="__main__")

        self.program = run
        return super().Run(request, context)  # type: ignore[no-untyped-call]

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:
        """Run a plugin that is a program, such as a policy pack: stream its output, then return its exit code."""
        folder = request.info.program_directory or request.pwd
        child = subprocess.Popen(
            [sys.executable, "-u", folder, *request.args],
            cwd=request.pwd or folder,
            env=dict(variable.partition("=")[::2] for variable in request.env) or None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        context.add_callback(child.kill)
        responses: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def pass_on(stream: IO[bytes], *, error: bool) -> None:
            while chunk := os.read(stream.fileno(), 65536):
                response = language_pb2.RunPluginResponse
                responses.put(response(stderr=chunk) if error else response(stdout=chunk))
            responses.put(None)

        for stream in (child.stdout, child.stderr):
            options = {"error": stream is child.stderr}
            threading.Thread(target=pass_on, args=(stream,), kwargs=options, daemon=True).start()
        for _ in range(2):
            yield from iter(responses.get, None)
        yield language_pb2.RunPluginResponse(exitcode=child.wait())

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        versions = {distribution.name: distribution.version for distribution in distributions()}
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=number) for name, number in sorted(versions.items())
            ]
        )

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        """Do nothing: this host already runs in the virtual environment."""
        yield from ()

    def GenerateProgram(self, request: Any, context: Any) -> Any:
        """Refuse to generate code, which `pulumi import` requests after the import."""
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "no code is written here: use pulumi import --generate-code=false")

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        self.stopped.set()
        return empty_pb2.Empty()


def main() -> None:
    """Serve until the engine ends this process."""
    parent = os.getppid()
    # The engine's address is the last argument; the arguments before it are options of the official host.
    engine = next((argument for argument in reversed(sys.argv[1:]) if not argument.startswith("-")), "")
    sizes = ("grpc.max_receive_message_length", "grpc.max_send_message_length")
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=[(size, _MAX_MESSAGE_BYTES) for size in sizes])
    host = LanguageHost(engine)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: host.stopped.set())
    # The handshake with the engine: only the port on the first line.
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine does not end this process.
    while not host.stopped.wait(timeout=1) and os.getppid() == parent:
        pass
    server.stop(grace=None)
