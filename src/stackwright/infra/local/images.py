"""Base images for local hosts: what a fresh server of a distribution is, built by mmdebstrap and cached by recipe.

The image holds what an installed server holds before anybody configures it (systemd, SSH, Python, sudo) and no more:
a role must install what it needs. No SSH host key is in it; each host gets its own.
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

#: What the Debian installer leaves on a server, as far as a role can tell the difference.
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
    """What goes into an image; its hash names the image."""

    suite: str
    packages: tuple[str, ...] = _SERVER_PACKAGES
    #: Raised when `_customize` changes, so that old images are not taken for new ones.
    revision: int = 2

    @property
    def digest(self) -> str:
        text = json.dumps(asdict(self) | {"machine": platform.machine()}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


RECIPES = {"debian-13": Recipe(suite="trixie"), "debian-12": Recipe(suite="bookworm")}


class ImageError(RuntimeError):
    """An image cannot be had; the message names the remedy."""


def reference(image: str) -> str:
    """The podman reference of `image`, for example `localhost/stackwright/debian-13:1f0c…`."""
    if image not in RECIPES:
        raise ImageError(f"image {image!r} is not known; accepted: {', '.join(sorted(RECIPES))}")
    return f"{REPOSITORY}/{image}:{RECIPES[image].digest}"


def cache_folder() -> Path:
    """Where things that outlive a clone are kept."""
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
    # A build that is cut short must not leave a file under the final name.
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        partial = Path(folder) / "image.tar"
        done = subprocess.run(
            [
                builder,
                "--quiet",
                "--variant=minbase",
                f"--include={','.join(recipe.packages)}",
                # An installed server knows which packages there are; a dry run on it can say so, too.
                "--skip=cleanup/apt/lists",
                # A host's identity is made when the host is: one key for all hosts would be worse than none.
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
