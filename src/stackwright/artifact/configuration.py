"""The configuration bundle of a group's servers: each of them runs Ansible from it, on itself, when it boots.

It is a small project: playbooks, roles, the server's part of the inventory, files for hosts, and Ansible's wheels. It
contains no secrets: a server reads them with its own IAM role. `model/aws/boot/bundle.py` fetches, verifies and unpacks
the bundle.
"""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stackwright.artifact import runtime, tarball, wheels
from stackwright.model.aws.boot.bundle import FORMAT, signed_message

_ROOT = "bundle"
#: The parts of our package that plugins need on a server, without the rest (Pulumi programs, CLI, tests).
_CODE = (
    *("__init__.py", "cloud_secrets.py", "converge_checks.py", "processes.py", "project.py", "secret_store.py"),
    "state_files.py",
    *("ansible", "artifact", "model"),
)
#: Plugins that work on the controller only; they import what a bundle does not contain.
_CONTROLLER_PLUGINS = {"inventory/stackwright.py", "lookup/stackwright_cloud_secret.py"}
_NODE = {"x86_64": "x64", "arm64": "arm64"}


class BundleError(RuntimeError):
    """The bundle cannot be built; the message names what is missing and the remedy."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A written bundle."""

    #: `<tier>.tar.gz`; its signature is next to it, with the suffix `.sig`.
    archive: Path
    serial: int
    sha256: str

    @property
    def signature(self) -> Path:
        """Return the path of the signature: 64 bytes, Ed25519."""
        return self.archive.with_name(f"{self.archive.name}.sig")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The contents of a bundle."""

    project: Path
    environment: str
    tier: str
    #: In the format of Ansible's inventory plugin `yaml`.
    inventory: Mapping[str, Any]
    #: The operating system of the servers.
    operating_system: str
    architecture: str


def write(recipe: Recipe, key: Ed25519PrivateKey, folder: Path) -> Bundle:
    """Write the bundle and its signature into `folder`. Equal content keeps its serial and its bytes.

    Raise BundleError, WheelError and the errors of `toolchain`.
    """
    tree = dict(_tree(recipe))
    known = _known(folder / f"{recipe.tier}.json")
    content = tarball.tree_digest(tree)
    changed = known.get("content") != content
    # Greater than every previous serial, even if this machine has lost its records.
    serial = max(int(time.time()), known.get("serial", 0) + 1) if changed else known["serial"]
    manifest = {"format": FORMAT, "serial": serial, "environment": recipe.environment, "tier": recipe.tier}
    tree["manifest.json"] = tarball.Entry(content=(json.dumps(manifest) + "\n").encode())
    archive = folder / f"{recipe.tier}.tar.gz"
    if changed or not archive.is_file() or _checksum(archive) != known.get("sha256"):
        sha256 = tarball.write_with_checksum(archive, tarball.pack(tree, _ROOT))
    else:
        sha256 = known["sha256"]
    made = Bundle(archive=archive, serial=serial, sha256=sha256)
    made.signature.write_bytes(key.sign(signed_message(sha256)))
    # Last: until this is written, the next run builds the bundle again.
    state = {"content": content, "serial": serial, "sha256": sha256}
    (folder / f"{recipe.tier}.json").write_text(json.dumps(state) + "\n", encoding="utf-8")
    return made


def serial(folder: Path, tier: str) -> int:
    """Return the serial of the newest bundle that was written; 0 before the first."""
    number: int = _known(folder / f"{tier}.json").get("serial", 0)
    return number


def _known(file: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tree(recipe: Recipe) -> Iterator[tuple[str, tarball.Entry]]:
    project = recipe.project
    for folder in ("playbooks", "roles"):
        yield from _folder(project, folder)
    yield from _own_variables(project, Path("inventories") / recipe.environment)
    for part in _CODE:
        for name, entry in _folder(project, f"src/stackwright/{part}"):
            if name.removeprefix("src/stackwright/ansible/") not in _CONTROLLER_PLUGINS:
                yield name, entry
    yield "ansible.cfg", _text(_settings(project / "ansible.cfg"))
    yield "inventory/hosts.yml", _text(yaml.safe_dump(_plain(recipe.inventory), sort_keys=True))
    yield from _runtime(recipe)
    yield from _releases(recipe)
    ready = wheels.build(project / "uv.lock", recipe.operating_system, recipe.architecture)
    for file in sorted(ready.iterdir()):
        name = "requirements.txt" if file.name == "requirements.txt" else f"wheels/{file.name}"
        yield name, tarball.Entry(content=file.read_bytes())


def _folder(project: Path, name: str, under: str | None = None) -> Iterator[tuple[str, tarball.Entry]]:
    path, target = project / name, under or name
    if path.is_file():
        yield target, tarball.Entry(content=path.read_bytes())
        return
    if not path.is_dir():
        raise BundleError(f"{path} is not there, and servers need it to configure themselves")
    for packed_name, entry in tarball.read_tree(path, f"{target}/").items():
        if "__pycache__" not in packed_name:
            yield packed_name, entry


def _own_variables(project: Path, environment: Path) -> Iterator[tuple[str, tarball.Entry]]:
    """Yield the files of the environment's own variables, if there are any."""
    for name in ("group_vars", "host_vars"):
        if not (project / environment / name).is_dir():
            continue
        for target, entry in _folder(project, str(environment / name), f"inventory/{name}"):
            if b"$ANSIBLE_VAULT;" in entry.content:
                file = environment / Path(target).relative_to("inventory")
                raise BundleError(
                    f"{file} is encrypted, and servers that configure themselves have no password for it:"
                    " keep the value in the environment's secrets instead"
                )
            yield target, entry


def _settings(file: Path) -> str:
    """Return the project's ansible.cfg for a server, which reads its inventory from a file, not Pulumi's output."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(file, encoding="utf-8")
    parser["inventory"]["enable_plugins"] = "yaml"
    written = io.StringIO()
    parser.write(written)
    return written.getvalue()


def _runtime(recipe: Recipe) -> Iterator[tuple[str, tarball.Entry]]:
    """Yield Node.js and PM2, at the paths where their lookup finds them in a bundle's cache."""
    built = runtime.build(_NODE[recipe.architecture])
    folder = f"cache/stackwright/runtime/{runtime.cache_folder().name}"
    described = {"architecture": built.architecture}
    for name, archive in (("nodejs", built.nodejs), ("pm2", built.pm2)):
        file = Path(archive.path)
        described[name] = {**vars(archive), "path": file.name}  # type: ignore[assignment]
        yield f"{folder}/{file.name}", tarball.Entry(content=file.read_bytes())
    yield f"{folder}/runtime-{built.architecture}.json", _text(json.dumps(described, indent=2))
    yield from _folder(recipe.project, "tools/runtime/package-lock.json")


def _releases(recipe: Recipe) -> Iterator[tuple[str, tarball.Entry]]:
    """Yield the applications' releases, and the CA of an external database, under the names in `stack`."""
    stack = recipe.inventory["all"]["vars"]["stack"]
    for name, app in stack["apps"].items():
        file = recipe.project / app["artifact"]
        if not file.is_file():
            raise BundleError(f"{file} is not there, the release of {name}; build it with: make artifact")
        described = json.loads(file.read_text(encoding="utf-8"))
        yield from _folder(recipe.project, app["artifact"])
        for key in ("path", "static_path"):
            yield from _folder(recipe.project, str(Path(app["artifact"]).parent / described[key]))
    ca = (stack["database"] or {}).get("ca")
    if ca is not None:
        yield from _folder(recipe.project, ca)


def _text(text: str) -> tarball.Entry:
    return tarball.Entry(content=(text.rstrip("\n") + "\n").encode())


def _plain(value: Mapping[str, Any]) -> Any:
    """Return a value without tuples and other classes that YAML cannot represent."""
    return json.loads(json.dumps(value))
