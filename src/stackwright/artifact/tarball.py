"""Archives that are byte-for-byte equal if their contents are equal, and the checksum files next to them."""

import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

EPOCH = 1577836800  # 2020-01-01: later than any year that tar, zip or a file system refuses
MTIME_SPREAD = 5 * 365 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file or symbolic link of an archive."""

    content: bytes = b""
    link: str | None = None
    executable: bool = False

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of everything that distinguishes this entry from another at the same path."""
        kind = f"link:{self.link}" if self.link is not None else f"file:{int(self.executable)}"
        return hashlib.sha256(kind.encode() + b"\0" + self.content).digest()

    @property
    def mtime(self) -> int:
        """Return a time derived from the content.

        Web servers derive ETag and Last-Modified from time and size: with one fixed time for all, a file that
        changed but kept its size would be answered with 304 after a release.
        """
        return EPOCH + int.from_bytes(self.digest[:4]) % MTIME_SPREAD


Tree = dict[str, Entry]


def read_tree(directory: Path, prefix: str = "") -> Tree:
    """Return all files and links below `directory`, by their path with `prefix` in front."""
    return {prefix + path.relative_to(directory).as_posix(): _read(path) for path in _walk(directory)}


def tree_digest(tree: Mapping[str, Entry]) -> str:
    """Return the SHA-256 of paths, kinds and contents; independent of the compressor's version."""
    total = hashlib.sha256()
    for name in sorted(tree):
        total.update(name.encode() + b"\0" + tree[name].digest)
    return total.hexdigest()


def pack(tree: Mapping[str, Entry], root: str) -> bytes:
    """Return a .tar.gz of `tree` below the directory `root`: sorted, owned by root, no build time, no host facts."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in _folders(tree, root):
            archive.addfile(_info(folder, tarfile.DIRTYPE, 0o755, EPOCH))
        for name in sorted(tree):
            _add(archive, f"{root}/{name}", tree[name])
    return gzip.compress(raw.getvalue(), compresslevel=6, mtime=0)


def write_with_checksum(target: Path, data: bytes) -> str:
    """Write `target` and `target`.sha256 (in the format of sha256sum); return the checksum."""
    checksum = hashlib.sha256(data).hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True)
    _replace(target, data)
    _replace(target.with_name(f"{target.name}.sha256"), f"{checksum}  {target.name}\n".encode())
    return checksum


def _walk(directory: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(directory):
        for name in [*files, *(folder for folder in folders if (Path(parent) / folder).is_symlink())]:
            yield Path(parent) / name


def _read(path: Path) -> Entry:
    if path.is_symlink():
        return Entry(link=str(path.readlink()))
    return Entry(content=path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))


def _folders(tree: Mapping[str, Entry], root: str) -> list[str]:
    folders = {root}
    for name in tree:
        parent = name.rpartition("/")[0]
        while parent:
            folders.add(f"{root}/{parent}")
            parent = parent.rpartition("/")[0]
    return sorted(folders)


def _info(name: str, kind: bytes, mode: int, mtime: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, mtime
    info.uname = info.gname = "root"
    return info


def _add(archive: tarfile.TarFile, name: str, entry: Entry) -> None:
    if entry.link is not None:
        info = _info(name, tarfile.SYMTYPE, 0o777, EPOCH)
        info.linkname = entry.link
        archive.addfile(info)
        return
    info = _info(name, tarfile.REGTYPE, 0o755 if entry.executable else 0o644, entry.mtime)
    info.size = len(entry.content)
    archive.addfile(info, io.BytesIO(entry.content))


def _replace(target: Path, data: bytes) -> None:
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    scratch.write_bytes(data)
    scratch.replace(target)
