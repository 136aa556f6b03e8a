"""The configuration bundle: fetched, proven to be ours and not an old one, unpacked, made runnable.

`<key>.tar.gz` holds the folder `bundle`: `manifest.json` (format, serial, environment, tier), playbooks, roles, the
inventory, and `wheels/` with `requirements.txt` where Ansible is not in the image. `<key>.tar.gz.sig` is the Ed25519
signature of `signed_message(...)`, 64 bytes.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import calls

FORMAT = 1
#: Bytes; Ansible's wheels are 60 MB, the runtime of an application about as much.
_LIMIT = 1 << 30
_SIGNATURE_BYTES = 64
_CHUNK = 1 << 20


def signed_message(sha256: str) -> bytes:
    """What the signature is of: short, so that no host needs the memory for a whole archive; good for nothing else."""
    return f"stackwright-bundle {FORMAT} {sha256}\n".encode()


@dataclass(frozen=True, kw_only=True)
class Release:
    """An unpacked bundle."""

    folder: Path
    serial: int


def fetch(config: Mapping[str, Any], metadata: calls.Metadata, root: Path) -> Release:
    """The bundle of the configuration, unpacked; no second time if it is there.

    Raises RefusedError for one that is not signed by us, not meant for this host, or older than one that was accepted.
    """
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    archive = root / "incoming.tar.gz"
    try:
        sha256 = _download(config, metadata, config["bundle"], archive, _LIMIT)
        _download(config, metadata, config["bundle"] + ".sig", root / "incoming.sig", _SIGNATURE_BYTES)
        _verify(config["public_key_file"], sha256, root)
        return _accept(config, archive, sha256, root)
    finally:
        archive.unlink(missing_ok=True)


def _download(config: Mapping[str, Any], metadata: calls.Metadata, where: str, file: Path, limit: int) -> str:
    url, headers = _address(config, metadata, where)
    digest, size = hashlib.sha256(), 0
    with calls.send("GET", url, headers, timeout=60) as answer, file.open("wb") as out:
        while chunk := calls.read_some(answer, _CHUNK):
            size += len(chunk)
            if size > limit:
                raise calls.RefusedError(f"{where} is larger than {limit} bytes")
            digest.update(chunk)
            out.write(chunk)
        calls.check_whole(answer)
    return digest.hexdigest()


def _address(config: Mapping[str, Any], metadata: calls.Metadata, where: str) -> tuple[str, dict[str, str]]:
    """The URL, and the signed headers where it is S3's."""
    parts = urllib.parse.urlsplit(where)
    if parts.scheme != "s3":
        return where, {}
    path = urllib.parse.quote(parts.path, safe="/-_.~")
    endpoint = os.environ.get("STACKWRIGHT_S3_URL")
    url = (
        f"{endpoint}/{parts.netloc}{path}"
        if endpoint
        else f"https://{parts.netloc}.s3.{config['region']}.{config['domain']}{path}"
    )
    return url, calls.sign("GET", url, config["region"], "s3", metadata.credentials())


def _verify(public_key_file: str, sha256: str, root: Path) -> None:
    message, signature = root / "incoming.msg", root / "incoming.sig"
    message.write_bytes(signed_message(sha256))
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public_key_file]
    command += ["-in", str(message), "-sigfile", str(signature)]
    try:
        whole = signature.stat().st_size == _SIGNATURE_BYTES
        if not whole or subprocess.run(command, capture_output=True).returncode != 0:
            raise calls.RefusedError("the signature of the bundle is not ours: it was changed, or is half uploaded")
    finally:
        message.unlink()
        signature.unlink()


def _accept(config: Mapping[str, Any], archive: Path, sha256: str, root: Path) -> Release:
    accepted = root / "accepted.json"
    known = json.loads(accepted.read_text(encoding="utf-8")) if accepted.is_file() else {"serial": -1, "sha256": ""}
    try:
        with tarfile.open(archive) as tar:
            file = tar.extractfile("bundle/manifest.json")
            manifest = json.loads(file.read() if file else b"")
            serial = int(manifest["serial"])
            _check(config, manifest, serial, sha256, known)
            folder = root / "releases" / f"{serial}-{sha256[:12]}"
            if not folder.is_dir():
                _unpack(tar, folder)
    except (tarfile.TarError, KeyError, TypeError, ValueError, EOFError, OSError) as problem:
        raise calls.RefusedError(f"the bundle cannot be read: {type(problem).__name__}: {problem}") from None
    write(accepted, json.dumps({"serial": serial, "sha256": sha256}))
    _select(folder, root)
    return Release(folder=folder, serial=serial)


def _check(
    config: Mapping[str, Any], manifest: Mapping[str, Any], serial: int, sha256: str, known: Mapping[str, Any]
) -> None:
    if manifest["format"] != FORMAT:
        raise calls.RefusedError(f"the bundle has the format {manifest['format']}, and {FORMAT} is known here")
    for name in ("environment", "tier"):
        if manifest[name] != config[name]:
            raise calls.RefusedError(f"the bundle is for the {name} {manifest[name]}, and this is {config[name]}")
    least = max(known["serial"], config["minimum_serial"])
    if serial < least:
        raise calls.RefusedError(f"the bundle is an old one: {serial}, and {least} was accepted before")
    if serial == known["serial"] and sha256 != known["sha256"]:
        raise calls.RefusedError(f"the bundle {serial} is another than the {serial} that was accepted before")


def _unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Files, folders, and links that stay inside; beside its place first, so that a half one is never taken for whole."""
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o755, parents=True)
    for member in tar.getmembers():
        target = os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname))  # noqa: PTH118, PTH120
        inside = _inside(os.path.normpath(member.name)) and (not member.issym() or _inside(target))
        if not (inside and (member.isfile() or member.isdir() or member.issym())) or member.name.startswith("/"):
            raise calls.RefusedError(f"the bundle has {member.name!r}, which leaves its folder or is no file")
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    # Debian 12's Python has no filters; what they refuse is refused above.
    options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    tar.extractall(part, **options)  # noqa: S202
    (part / "bundle").rename(folder)
    shutil.rmtree(part)


def _inside(path: str) -> bool:
    return path == "bundle" or path.startswith("bundle/")


def _select(folder: Path, root: Path) -> None:
    """`current` is this release; the one before it stays, older ones go."""
    link = root / "current"
    before = link.resolve() if link.is_symlink() else None
    fresh = root / "current.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(folder)
    fresh.replace(link)
    for release in (root / "releases").iterdir():
        if release not in (folder, before):
            shutil.rmtree(release, ignore_errors=True)


def environment(release: Release, settings: Path) -> dict[str, str]:
    """What Ansible runs with; made once: a virtual environment of the bundle's wheels, with no registry asked.

    Raises RefusedError where the wheels do not fit together.
    """
    folder, venv = release.folder, release.folder / ".venv"
    wheels, ready = folder / "wheels", folder / ".venv" / ".ready"
    if wheels.is_dir() and not ready.is_file():
        shutil.rmtree(venv, ignore_errors=True)
        pips = sorted(wheels.glob("pip-*.whl"))
        if not pips:
            raise calls.RefusedError("the bundle has wheels, and pip is not among them")
        # Debian's Python lacks the part that would put pip there; pip runs from its wheel just as well.
        _run([sys.executable, "-m", "venv", "--without-pip", str(venv)])
        pip = [str(venv / "bin" / "python"), str(pips[-1] / "pip"), "--disable-pip-version-check", "--no-input"]
        options = [
            "--quiet",
            "--no-index",
            "--find-links",
            str(wheels),
            "--requirement",
            str(folder / "requirements.txt"),
        ]
        _run([*pip, "install", *options])
        ready.touch()
    env = {
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": os.environ.get("HOME", "/root"),
        "LANG": "C.UTF-8",
        "ANSIBLE_NOCOLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "STACKWRIGHT_FACTS": str(settings / "facts.json"),
        # Where the bundle is a project of its own, with what is otherwise built on the controller.
        "STACKWRIGHT_ROOT": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(folder / "src"),
    }
    # Where a test, or a host that is no instance, finds other services.
    env |= {name: value for name, value in os.environ.items() if re.fullmatch(r"STACKWRIGHT_[A-Z0-9]+_URL", name)}
    if (folder / "ansible.cfg").is_file():
        env["ANSIBLE_CONFIG"] = str(folder / "ansible.cfg")
    return env


def _run(command: list[str]) -> None:
    code = subprocess.run(command).returncode
    if code != 0:
        raise calls.RefusedError(f"{' '.join(command[:3])} ... ended with {code}")


def write(file: Path, text: str) -> None:
    """Whole or not at all."""
    part = file.with_name(f".{file.name}.part")
    part.write_text(text + "\n", encoding="utf-8")
    with contextlib.suppress(OSError):
        part.chmod(0o644)
    part.replace(file)
