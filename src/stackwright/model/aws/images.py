"""Images that servers on AWS start from: the newest of an operating system that its vendor publishes in each region."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Our name for a processor architecture -> the name that image vendors use.
_MACHINES: Mapping[str, str] = {"x86_64": "amd64", "arm64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Image:
    """What has to be known about an image before a server is created from it."""

    system: str
    architecture: str
    #: Public parameter of Systems Manager that holds the id of the newest image in a region.
    parameter: str
    #: The user that may log in at first.
    user: str
    #: Device of the root disk; a disk with another name would be an additional one.
    root_device: str
    #: GB; the size of the image's own disk, which is the minimum for a root disk.
    least_disk_gb: int
    #: Whether the entry was verified with an account; none has been, see `_SYSTEMS`.
    verified: bool = False

    @property
    def image_id(self) -> str:
        """Return the reference for launch templates only: AWS resolves it each time a server starts."""
        return f"resolve:ssm:{self.parameter}"

    @property
    def windows(self) -> bool:
        """Return whether the image is Windows."""
        return self.system.startswith("windows-")

    @property
    def has_agent(self) -> bool:
        """Return whether the SSM agent is in the image; Debian's images have none."""
        return not self.system.startswith("debian-")


@dataclass(frozen=True, kw_only=True)
class _System:
    parameter: str
    user: str
    root_device: str
    least_disk_gb: int
    architectures: tuple[str, ...] = ("x86_64", "arm64")


#: From memory (2026-11) of Debian's wiki "Cloud/AmazonEC2Image", of Canonical's "Find Ubuntu images on AWS" and of the
#: EC2 guide for Windows. `aws ssm get-parameter --name PARAMETER` shows whether an entry is still valid.
_SYSTEMS: Mapping[str, _System] = {
    "debian-12": _System(
        parameter="/aws/service/debian/release/12/latest/{machine}",
        user="admin",
        root_device="/dev/xvda",
        least_disk_gb=8,
    ),
    "debian-13": _System(
        parameter="/aws/service/debian/release/13/latest/{machine}",
        user="admin",
        root_device="/dev/xvda",
        least_disk_gb=8,
    ),
    "ubuntu-24.04": _System(
        parameter="/aws/service/canonical/ubuntu/server/24.04/stable/current/{machine}/hvm/ebs-gp3/ami-id",
        user="ubuntu",
        root_device="/dev/sda1",
        least_disk_gb=8,
    ),
    **{
        f"windows-{year}": _System(
            parameter=f"/aws/service/ami-windows-latest/Windows_Server-{year}-English-Full-Base",
            user="Administrator",
            root_device="/dev/sda1",
            least_disk_gb=30,
            architectures=("x86_64",),
        )
        for year in (2022, 2025)
    },
}
SYSTEMS = tuple(_SYSTEMS)
ARCHITECTURES = tuple(_MACHINES)


def image(system: str, architecture: str) -> Image:
    """Return the newest image of an operating system for a processor. Raises ValueError if there is none."""
    entry = _SYSTEMS.get(system)
    if entry is None:
        raise ValueError(f"{system!r} is no operating system that is known here, accepted: {', '.join(SYSTEMS)}")
    if architecture not in entry.architectures:
        accepted = ", ".join(entry.architectures)
        raise ValueError(f"{system} has no image for {architecture!r}, accepted: {accepted}")
    return Image(
        system=system,
        architecture=architecture,
        parameter=entry.parameter.format(machine=_MACHINES[architecture]),
        user=entry.user,
        root_device=entry.root_device,
        least_disk_gb=entry.least_disk_gb,
    )
