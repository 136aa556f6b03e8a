"""The wheels with which a server runs Ansible on itself, as `uv.lock` pins them, for the server's Python and CPU.

They are stored in the user's cache under the hash of the pinned set: an equal set is downloaded only once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.markers import Marker

#: The dependency group of pyproject.toml that a bundle contains.
GROUP = "bundle"
#: Operating system of an image -> its Python, which selects the wheels' tags (python3 at packages.debian.org and
#: packages.ubuntu.com).
PYTHON = {"debian-12": "3.11", "debian-13": "3.13", "ubuntu-24.04": "3.12"}
_MACHINE = {"x86_64": "x86_64", "arm64": "aarch64"}
#: glibc of the oldest image is 2.36; no wheel is built for a newer one than 2.34.
_MANYLINUX = ("2_34", "2_28", "2_17", "2014")


class WheelError(RuntimeError):
    """The wheels are not available; the message names what is missing and the remedy."""


def requirements(lock: Path, python: str, architecture: str) -> str:
    """Return the group and its dependencies as pip requirements: exact versions, and the hashes of every pinned wheel.

    Raise WheelError if the lock file does not exist or lacks the group.
    """
    try:
        packages = {package["name"]: package for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]}
        first = packages["stackwright"]["dev-dependencies"][GROUP]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as problem:
        raise WheelError(f"{lock} has no group {GROUP!r} of stackwright: uv lock ({problem!r})") from None
    target = _environment(python, architecture)
    closure: dict[str, Mapping[str, Any]] = {}
    _collect(first, packages, target, closure)
    return "".join(_line(closure[name]) for name in sorted(closure))


def _collect(
    dependencies: list[dict[str, Any]],
    packages: Mapping[str, dict[str, Any]],
    target: dict[str, str],
    closure: dict[str, Mapping[str, Any]],
) -> None:
    for dependency in dependencies:
        applies = "marker" not in dependency or Marker(dependency["marker"]).evaluate(target)
        if applies and dependency["name"] not in closure:
            closure[dependency["name"]] = packages[dependency["name"]]
            _collect(packages[dependency["name"]].get("dependencies", []), packages, target, closure)


def _environment(python: str, architecture: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": _MACHINE[architecture],
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
    }


def _line(package: Mapping[str, Any]) -> str:
    hashes = "".join(f" \\\n    --hash={wheel['hash']}" for wheel in package.get("wheels", []))
    return f"{package['name']}=={package['version']}{hashes}\n"


def build(lock: Path, operating_system: str, architecture: str) -> Path:
    """Return the directory of wheels and `requirements.txt`, from the cache if it exists there.

    Raise WheelError for an operating system whose Python is not known, and if a download fails.
    """
    python = PYTHON.get(operating_system)
    if python is None or architecture not in _MACHINE:
        known = f"{', '.join(PYTHON)} on {' or '.join(_MACHINE)}"
        raise WheelError(f"no wheels for {operating_system} on {architecture}, there are for {known}")
    text = requirements(lock, python, architecture)
    key = hashlib.sha256(f"{python}\0{architecture}\0{text}".encode()).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stackwright" / "wheels"
    folder = base / key
    if not folder.is_dir():
        base.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=base, prefix=".build-"))
        try:
            _download(scratch, text, python, architecture)
            # Atomic: if another process was faster, its directory has the same content.
            with contextlib.suppress(OSError):
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _download(folder: Path, text: str, python: str, architecture: str) -> None:
    file = folder / "requirements.txt"
    file.write_text(text, encoding="utf-8")
    argv = [sys.executable, "-m", "pip", "download", *_options(python, architecture)]
    done = subprocess.run([*argv, "--dest", str(folder), "--requirement", str(file)], capture_output=True, text=True)
    if done.returncode != 0:
        raise WheelError(f"pip download of Ansible's wheels for Python {python} failed: {done.stderr.strip()[-2000:]}")


def _options(python: str, architecture: str) -> Iterator[str]:
    yield from ("--disable-pip-version-check", "--no-input", "--quiet", "--no-deps", "--require-hashes")
    yield from ("--only-binary", ":all:", "--python-version", python, "--implementation", "cp")
    yield from ("--abi", f"cp{python.replace('.', '')}", "--abi", "abi3", "--abi", "none")
    for glibc in _MANYLINUX:
        yield from ("--platform", f"manylinux{'_' if '_' in glibc else ''}{glibc}_{_MACHINE[architecture]}")
