"""Provides an nginx binary to test rendered configuration, without installing a server on this machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PACKAGES = (
    "nginx",
    "nginx-common",
    "libnginx-mod-http-brotli-filter",
    "libnginx-mod-http-brotli-static",
    "libbrotli1",
)


class NginxMissingError(RuntimeError):
    """Raised if nginx is not installed and could not be unpacked."""


@cache
def unpacked() -> Path:
    """Return a directory with the distribution's nginx, downloaded but not installed, cached by version."""
    version = _candidate_version()
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stackwright" / "nginx"
    packages = hashlib.sha256(" ".join(_PACKAGES).encode()).hexdigest()[:8]
    folder = home / f"{version}_{packages}"
    if not folder.exists():
        temporary = home / f"{folder.name}.{os.getpid()}"
        temporary.mkdir(parents=True)
        _run(["apt-get", "download", "--quiet", *_PACKAGES], temporary)
        for package in temporary.glob("*.deb"):
            _run(["dpkg-deb", "--extract", package.name, "root"], temporary)
            (temporary / package.name).unlink()
        try:
            temporary.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(temporary)
    return folder / "root"


def test(main: Path, prefix: Path) -> str:
    """Run `nginx -t` on a main file; return its standard error, or raise AssertionError if nginx rejects the file."""
    root = unpacked()
    environment = {"LD_LIBRARY_PATH": ":".join(map(str, root.glob("usr/lib/*-linux-*")))}
    command = [str(root / "usr/sbin/nginx"), "-t", "-c", str(main), "-p", str(prefix)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    return run.stderr


@contextlib.contextmanager
def running(main: Path, prefix: Path, port: int) -> Iterator[None]:
    """Run nginx with a main file until the block ends; it accepts requests at 127.0.0.1:`port` from the start."""
    root = unpacked()
    environment = {"LD_LIBRARY_PATH": ":".join(map(str, root.glob("usr/lib/*-linux-*")))}
    command = [str(root / "usr/sbin/nginx"), "-c", str(main), "-p", str(prefix), "-g", "daemon off;"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 10
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "nginx has ended"
            assert time.monotonic() < until, "nginx does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _candidate_version() -> str:
    try:
        policy = subprocess.run(["apt-cache", "policy", "nginx"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise NginxMissingError(f"apt-cache cannot tell of nginx: {error}") from error
    match = re.search(r"Candidate: ([0-9][^\s]*)", policy.stdout)
    if not match:
        raise NginxMissingError("no package nginx is known here; run apt-get update")
    return match[1]


def _run(command: list[str], folder: Path) -> None:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if run.returncode:
        raise NginxMissingError(f"{' '.join(command)}: {run.stderr.strip()}")
