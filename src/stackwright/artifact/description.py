"""The description of an application's release, and checks of its two archives without unpacking them."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any

from stackwright.artifact.runtime import cache_home
from stackwright.model.errors import listed

RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
CHECKSUM = re.compile(r"[0-9a-f]{64}")
#: How many missing files a message names.
NAMED_FILES = 3


class DescriptionError(Exception):
    """A description, or an archive that it names, is invalid; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """A release: its archives and their checksums. Paths are absolute."""

    release: str
    path: str
    sha256: str
    static_path: str
    static_sha256: str


def read(file: Path) -> Description:
    """Return a release's description. Raise DescriptionError with key and accepted values, or FileNotFoundError."""
    try:
        content: Any = json.loads(file.read_text())
    except ValueError as error:
        raise DescriptionError(f"{file}: not JSON: {error}") from error
    names = [field.name for field in fields(Description)]
    if not isinstance(content, dict):
        raise DescriptionError(f"{file}: must be an object with the keys {', '.join(names)}")
    for name in names:
        value = content.get(name)
        if not isinstance(value, str) or not value:
            raise DescriptionError(f"{file}: {name}: got {value!r}; must be text")
    for name, pattern, accepted in (
        ("release", RELEASE, "letters, digits and . _ + -"),
        ("sha256", CHECKSUM, "64 hexadecimal digits in lower case"),
        ("static_sha256", CHECKSUM, "64 hexadecimal digits in lower case"),
    ):
        if not pattern.fullmatch(content[name]):
            raise DescriptionError(f"{file}: {name}: got {content[name]!r}; must be {accepted}")
    paths = {name: str(file.parent / content[name]) for name in ("path", "static_path")}
    return Description(**{name: str(paths.get(name, content[name])) for name in names})


def check_static(release: Description, static: Sequence[Mapping[str, Any]]) -> None:
    """Raise DescriptionError unless the static archive has the files of every entry of `static` (`url`, `folder`).

    That is: at least one file under each address, and every file that the application's archive has in the directory.
    An archive that passed is remembered by its checksum, which the roles verify.
    """
    entries = sorted((str(entry["url"]), str(entry["folder"])) for entry in static)
    passed = _passed(release, entries)
    if not entries or passed.exists():
        return
    served, packed = _files(Path(release.static_path)), _files(Path(release.path))
    for url, folder in entries:
        _check_entry(release.static_path, url, served, {name for name in packed if _below(name, folder)}, folder)
    passed.parent.mkdir(parents=True, exist_ok=True)
    passed.touch()


def _check_entry(archive: str, url: str, served: set[str], packed: Iterable[str], folder: str) -> None:
    prefix = url.strip("/")
    if not any(_below(name, prefix) for name in served):
        raise DescriptionError(
            f"{archive}: no file below {prefix}/, which `static` of the application serves at {url};"
            " pack one top folder with the files under the paths of their addresses, as a release with another id"
        )
    expected = {f"{prefix}/{PurePosixPath(name).relative_to(folder.strip('/'))}" for name in packed}
    if missing := sorted(expected - served):
        raise DescriptionError(
            f"{archive}: {listed(missing, NAMED_FILES)} not found, though the application has"
            f" {'it' if len(missing) == 1 else 'them'} in {folder}; pack both archives from one build"
        )


def _below(name: str, folder: str) -> bool:
    return name.startswith(f"{folder.strip('/')}/")


def _files(archive: Path) -> set[str]:
    """Return the files of an archive, without the top-level directory."""
    try:
        with tarfile.open(archive) as content:
            names = [member.name for member in content if not member.isdir()]
    except FileNotFoundError as error:
        raise DescriptionError(f"{archive}: not found") from error
    except tarfile.TarError as error:
        raise DescriptionError(f"{archive}: not a tar archive: {error}") from error
    return {name.removeprefix("./").partition("/")[2] for name in names}


def _passed(release: Description, entries: Sequence[tuple[str, str]]) -> Path:
    content = json.dumps([release.sha256, release.static_sha256, entries])
    return cache_home() / "static-checks" / hashlib.sha256(content.encode()).hexdigest()
