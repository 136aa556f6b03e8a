"""User data of a Windows server: PowerShell that EC2Launch runs, as cloud-init runs that of Linux.

A script that is the same for every server (`boot/windows.ps1`), after the values that are its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

#: Where SSH listens unless people use it directly: there the SSM agent connects, from the server itself.
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class WindowsSettings:
    """What one server is told beyond what all are."""

    region: str
    time_server: str
    #: None where AWS's name for it will do.
    hostname: str | None
    #: Public keys of who logs in as Administrator.
    authorized_keys: Sequence[str]
    #: Where it publishes its host key; None where nobody asks.
    host_key_parameter: str | None
    #: Networks that reach SSH directly.
    ssh_from: Sequence[str]


def script(settings: WindowsSettings) -> str:
    """The user data, tags included. Raises ValueError for a value that would end the script or a line of it.

    It runs at each boot, as a first one may be interrupted; once it has come to its end it does nothing any more.
    """
    values = {
        "ComputerName": quoted(settings.hostname or ""),
        "Region": quoted(settings.region),
        "TimeServer": quoted(settings.time_server),
        "HostKeyParameter": quoted(settings.host_key_parameter or ""),
        # Without comments: they are for people, in whatever characters.
        "AuthorizedKeys": _array([" ".join(key.split()[:2]) for key in settings.authorized_keys]),
        "SshFrom": _array(settings.ssh_from),
        "SshdConfig": _array(sshd_config(settings.ssh_from)),
    }
    lines = [f"${name} = {value}" for name, value in values.items()]
    return "\n".join(["<powershell>", *lines, _program() + "</powershell>", "<persist>true</persist>", ""])


def sshd_config(ssh_from: Sequence[str]) -> list[str]:
    """Lines of the SSH server's configuration: administrators, by key, through the SSM agent unless people are let in."""
    return [
        "# Written at the first boot by stackwright.",
        "Port 22",
        *(f"ListenAddress {address}" for address in (() if ssh_from else _LOOPBACK)),
        # The one that is published.
        "HostKey __PROGRAMDATA__/ssh/ssh_host_ed25519_key",
        "PubkeyAuthentication yes",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitEmptyPasswords no",
        # Names in lower case, as sshd compares them on Windows.
        "AllowGroups administrators",
        "AuthorizedKeysFile none",
        "Subsystem sftp sftp-server.exe",
        "Match Group administrators",
        "    AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys",
    ]


def quoted(text: str) -> str:
    """A literal of PowerShell, in which nothing is expanded. Raises ValueError for what it cannot hold.

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
