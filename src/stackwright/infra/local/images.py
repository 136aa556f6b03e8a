"""Base images for local hosts: like a fresh server of a distribution, built by mmdebstrap and cached by recipe.

The image contains what an installed server contains before it is configured (systemd, SSH, Python, sudo) and no more:
a role must install what it needs. It contains no SSH host key; each host gets its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = "localhost/stackwright"

#: The packages that the Debian installer leaves on a server, as far as they make a difference to a role.
_SERVER_PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "iproute2",
    "procps",
    "ca-certificates",
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The contents of an image; the hash of the recipe is the image's tag."""

    suite: str
    packages: tuple[str, ...] = _SERVER_PACKAGES
    #: Incremented when `_customize` changes, so that old images are not used in place of new ones.
    revision: int = 2

    @property
    def digest(self) -> str:
        text = json.dumps(asdict(self) | {"machine": platform.machine()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


RECIPES = {"debian-13": Recipe(suite="trixie"), "debian-12": Recipe(suite="bookworm")}


class ImageError(RuntimeError):
    """An image is not available; the message names the remedy."""


def reference(image: str) -> str:
    """Return the podman reference of `image`, for example `localhost/stackwright/debian-13:1f0c…`."""
    if image not in RECIPES:
        raise ImageError(f"image {image!r} is not known; accepted: {', '.join(sorted(RECIPES))}")
    return f"{REPOSITORY}/{image}:{RECIPES[image].digest}"


def cache_folder() -> Path:
    """Return the cache directory, which outlives a clone of the project."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stackwright"


def ensure(image: str, podman: tuple[str, ...] = ("podman",)) -> str:
    """Build `image` unless podman or the cache has it; return its reference."""
    ref = reference(image)
    if subprocess.run([*podman, "image", "exists", ref], check=False).returncode == 0:
        return ref
    archive = cache_folder() / "images" / f"{image}-{RECIPES[image].digest}.tar"
    if not archive.is_file():
        _build(RECIPES[image], archive)
    done = subprocess.run(
        [*podman, "import", "--quiet", str(archive), ref], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ImageError(f"podman could not import {archive}: {done.stderr.strip()}")
    return ref


def _build(recipe: Recipe, archive: Path) -> None:
    builder = shutil.which("mmdebstrap")
    if builder is None:
        raise ImageError("mmdebstrap is not installed: run `make setup` (it installs the package mmdebstrap)")
    archive.parent.mkdir(parents=True, exist_ok=True)
    # An interrupted build must not leave a file under the final name.
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        partial = Path(folder) / "image.tar"
        done = subprocess.run(
            [
                builder,
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(recipe.packages)}",
                # An installed server has package lists; check mode on the host needs them, too.
                "--skip=cleanup/apt/lists",
                # A host's identity is created with the host: one key for all hosts would be worse than none.
                "--customize-hook=rm -f $1/etc/ssh/ssh_host_* $1/etc/machine-id",
                "--customize-hook=touch $1/etc/machine-id",
                # The builder's resolver and host name are not the host's.
                "--customize-hook=rm -f $1/etc/resolv.conf $1/etc/hostname",
                recipe.suite,
                str(partial),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ImageError(f"mmdebstrap {recipe.suite} failed: {done.stderr.strip()[-2000:]}")
        partial.rename(archive)
