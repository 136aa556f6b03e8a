"""User data of a Windows server: PowerShell that EC2Launch runs, as cloud-init runs that of Linux.

It consists of the values of one server, followed by a script that is the same for all (`boot/windows.ps1`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

#: Addresses that SSH listens on unless users connect directly: the SSM agent connects from the server itself.
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class WindowsSettings:
    """Settings that differ from server to server."""

    region: str
    time_server: str
    #: None to keep the name that AWS gives.
    hostname: str | None
    #: Public keys of the users who log in as Administrator.
    authorized_keys: Sequence[str]
    #: Parameter where the server publishes its host key; None if it is not needed.
    host_key_parameter: str | None
    #: Networks that may reach SSH directly.
    ssh_from: Sequence[str]


def script(settings: WindowsSettings) -> str:
    """Return the user data, tags included. Raises ValueError for a value that would end the script or a line of it.

    It runs at each boot, as the first run may be interrupted; once it has completed, it does nothing.
    """
    values = {
        "ComputerName": quoted(settings.hostname or ""),
        "Region": quoted(settings.region),
        "TimeServer": quoted(settings.time_server),
        "HostKeyParameter": quoted(settings.host_key_parameter or ""),
        # Without comments: they are for humans and may contain any characters.
        "AuthorizedKeys": _array([" ".join(key.split()[:2]) for key in settings.authorized_keys]),
        "SshFrom": _array(settings.ssh_from),
        "SshdConfig": _array(sshd_config(settings.ssh_from)),
    }
    lines = [f"${name} = {value}" for name, value in values.items()]
    return "\n".join(["<powershell>", *lines, _program() + "</powershell>", "<persist>true</persist>", ""])


def sshd_config(ssh_from: Sequence[str]) -> list[str]:
    """Return sshd's configuration: administrators log in by key, through the SSM agent unless `ssh_from` is set."""
    return [
        "# Written at the first boot by stackwright.",
        "Port 22",
        *(f"ListenAddress {address}" for address in (() if ssh_from else _LOOPBACK)),
        # The key that is published.
        "HostKey __PROGRAMDATA__/ssh/ssh_host_ed25519_key",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitEmptyPasswords no",
        # Names in lower case, as sshd on Windows compares them.
        "AllowGroups administrators",
        "AuthorizedKeysFile none",
        "Subsystem sftp sftp-server.exe",
        "Match Group administrators",
        "    AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys",
    ]


def quoted(text: str) -> str:
    """Return a PowerShell literal in which nothing is expanded. Raises ValueError for text that it cannot hold.

    Windows PowerShell reads a script in the server's own code page, where letters that are not ASCII may become quotes.
    """
    if not (text.isascii() and text.isprintable()) or "</powershell>" in text.lower():
        raise ValueError(
            f"{text!r} is no value for user data of Windows, accepted: one line of ASCII that ends no script"
        )
    return "'" + text.replace("'", "''") + "'"


def _array(values: Sequence[str]) -> str:
    return f"@({', '.join(quoted(text) for text in values)})"


def _program() -> str:
    return resources.files("stackwright.model.aws.boot").joinpath("windows.ps1").read_text(encoding="utf-8")
