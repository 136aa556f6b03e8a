"""The runtime bundle: Node.js and PM2 as two archives, so that an application host needs no npm and no registry.

`tools/runtime/package-lock.json` pins every file by its integrity hash. The archives are stored in the user's cache
under the lock file's own hash: a changed pin gets a new directory, and an equal one is never built twice.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from stackwright.artifact import tarball, toolchain

SOURCE = Path(__file__).resolve().parents[3] / "tools" / "runtime"
ARCHITECTURES = {"x64": "x86_64", "arm64": "aarch64"}  # Node.js's name -> the kernel's name
RECIPE = 1  # raised when the layout of the archives changes


@dataclass(frozen=True, kw_only=True)
class Archive:
    """An archive that a role unpacks."""

    version: str
    root: str
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """The bundle for one architecture."""

    architecture: str
    nodejs: Archive
    pm2: Archive


def cache_home() -> Path:
    """Return the user's cache directory, shared by all projects."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stackwright"


def cache_folder(source: Path = SOURCE) -> Path:
    """Return the directory of the bundle of this lock file, whether built or not."""
    lock = (source / "package-lock.json").read_bytes()
    return cache_home() / "runtime" / hashlib.sha256(b"%d\0" % RECIPE + lock).hexdigest()[:16]


def build(architecture: str = "x64", source: Path = SOURCE) -> Runtime:
    """Return the bundle, from the cache if it is complete and undamaged."""
    if architecture not in ARCHITECTURES:
        raise ValueError(f"architecture {architecture!r} is not one of {', '.join(ARCHITECTURES)}")
    folder = cache_folder(source)
    return _cached(folder, architecture) or _build(folder, architecture, source)


def _cached(folder: Path, architecture: str) -> Runtime | None:
    try:
        known = json.loads((folder / f"runtime-{architecture}.json").read_text())
        cached = Runtime(architecture=architecture, nodejs=Archive(**known["nodejs"]), pm2=Archive(**known["pm2"]))
        whole = all(_checksum(Path(archive.path)) == archive.sha256 for archive in (cached.nodejs, cached.pm2))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return cached if whole else None


def _build(folder: Path, architecture: str, source: Path) -> Runtime:
    packages = json.loads((source / "package-lock.json").read_text())["packages"]
    node_package = f"node-linux-{architecture}"
    versions = {name: packages[f"node_modules/{name}"]["version"] for name in (node_package, "pm2")}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as scratch:
        modules = _install(source, Path(scratch), architecture)
        nodejs = _archive(
            folder,
            f"nodejs-{versions[node_package]}-linux-{architecture}",
            versions[node_package],
            _nodejs_tree(modules / node_package),
        )
        pm2 = _archive(folder, f"pm2-{versions['pm2']}", versions["pm2"], _pm2_tree(modules))
    result = Runtime(architecture=architecture, nodejs=nodejs, pm2=pm2)
    (folder / f"runtime-{architecture}.json").write_text(json.dumps(asdict(result), indent=2) + "\n")
    return result


def _install(source: Path, scratch: Path, architecture: str) -> Path:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(source / name, scratch / name)
    platform = ["--os=linux", f"--cpu={architecture}", "--libc=glibc"]
    toolchain.find().run(["ci", "--omit=dev", "--ignore-scripts", *platform], cwd=scratch)
    modules = scratch / "node_modules"
    if not (modules / f"node-linux-{architecture}" / "bin" / "node").is_file():
        raise RuntimeError(f"npm installed no Node.js for linux {architecture}: is it in package-lock.json?")
    return modules


def _nodejs_tree(package: Path) -> tarball.Tree:
    return tarball.read_tree(package / "bin", "bin/") | {
        "LICENSE": tarball.Entry(content=(package / "LICENSE").read_bytes())
    }


def _pm2_tree(modules: Path) -> tarball.Tree:
    unwanted = (".bin/", ".package-lock", "node-linux-")
    tree = tarball.read_tree(modules)
    return {f"node_modules/{name}": entry for name, entry in tree.items() if not name.startswith(unwanted)}


def _archive(folder: Path, root: str, version: str, tree: tarball.Tree) -> Archive:
    target = folder / f"{root}.tar.gz"
    checksum = tarball.write_with_checksum(target, tarball.pack(tree, root))
    return Archive(version=version, root=root, path=str(target), sha256=checksum)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
