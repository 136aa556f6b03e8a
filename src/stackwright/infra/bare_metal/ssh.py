"""SSH sessions to servers with known host keys: strict key checking, no terminal, clear messages on failure."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: A server that does not answer within this time is treated as unreachable.
CONNECT_TIMEOUT_SECONDS = 10
_SCRIPT_TIMEOUT_SECONDS = 60
#: Messages of OpenSSH when the server has the recorded host key, but refuses this user.
_REFUSALS = ("Permission denied", "Too many authentication failures")


class SshError(RuntimeError):
    """The session failed; the message names the server, the cause and the remedy."""


class LoginRefusedError(SshError):
    """The server answers, but refuses this user."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server and how to log in to it."""

    address: str
    user: str
    port: int = 22
    #: `type base64`; None trusts only the user's own known_hosts.
    host_key: str | None = None
    #: None uses the user's SSH agent and configuration.
    private_key_file: str | None = None

    @property
    def known_as(self) -> str:
        """Return the server's name in a known_hosts file."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"

    def __str__(self) -> str:
        return f"{self.user}@{self.address}:{self.port}"


def run(target: Target, script: str) -> str:
    """Run a shell script on the server and return its output."""
    if shutil.which("ssh") is None:
        raise SshError("the OpenSSH client is not installed: run `make setup`")
    if target.private_key_file is not None and not Path(target.private_key_file).expanduser().is_file():
        raise SshError(f"{target}: the private key {target.private_key_file} is not there")
    with _options(target) as options:
        try:
            done = subprocess.run(
                ["ssh", *options, target.address, "sh", "-eu", "-s"],
                input=script,
                capture_output=True,
                text=True,
                timeout=_SCRIPT_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise SshError(f"{target}: no answer within {_SCRIPT_TIMEOUT_SECONDS} s") from None
    if done.returncode != 0:
        refused = any(sign in done.stderr for sign in _REFUSALS)
        raise (LoginRefusedError if refused else SshError)(f"{target}: {_cause(done.stderr)}")
    return done.stdout


def recorded_key(target: Target) -> str:
    """Return the host key of the server in the user's own known_hosts."""
    done = subprocess.run(["ssh-keygen", "-F", target.known_as], capture_output=True, text=True, check=False)
    keys = [line.split()[1:3] for line in done.stdout.splitlines() if not line.startswith("#")]
    keys.sort(key=lambda key: key[0] != "ssh-ed25519")
    if not keys:
        raise SshError(
            f"{target}: no host key is recorded for {target.known_as}."
            f" Read it on the server's console and add it to ~/.ssh/known_hosts"
        )
    return " ".join(keys[0])


@contextmanager
def _options(target: Target) -> Iterator[list[str]]:
    options = [
        *("-o", "BatchMode=yes"),
        *("-o", "StrictHostKeyChecking=yes"),
        *("-o", f"ConnectTimeout={CONNECT_TIMEOUT_SECONDS}"),
        *("-p", str(target.port)),
        *("-l", target.user),
    ]
    if target.private_key_file is not None:
        key = str(Path(target.private_key_file).expanduser())
        options += ["-o", "IdentitiesOnly=yes", "-i", key]
    if target.host_key is None:
        yield options
        return
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known_hosts"
        known.write_text(f"{target.known_as} {target.host_key}\n")
        algorithm = target.host_key.split()[0]
        # A server offers its preferred key first; only the recorded one is accepted.
        offered = "rsa-sha2-512,rsa-sha2-256" if algorithm == "ssh-rsa" else algorithm
        yield [
            *options,
            *("-o", f"UserKnownHostsFile={known}"),
            *("-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", f"HostKeyAlgorithms={offered}"),
        ]


def _cause(stderr: str) -> str:
    """Return a readable cause of the failure; OpenSSH's own last line if it is not one of the usual cases."""
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    for sign, meaning in (
        ("REMOTE HOST IDENTIFICATION HAS CHANGED", "the server's host key is not the recorded one"),
        ("no matching host key type", "the server has no host key of the recorded key's type"),
        ("Host key verification failed", "the server's host key is not the recorded one"),
        ("Permission denied", "the server refuses the login: check the user and that its authorized_keys has the key"),
        ("Too many authentication failures", "the server refuses the login: the SSH agent offers too many keys"),
        (
            "Not allowed at this time",
            "the server refuses this machine for a while, after too many refused logins: wait",
        ),
        ("timed out", f"no answer within {CONNECT_TIMEOUT_SECONDS} s: check address, port and firewall"),
        ("Connection refused", "nothing listens on the SSH port"),
        ("No route to host", "there is no route to the address"),
        ("UNPROTECTED PRIVATE KEY FILE", "the private key is readable by others: chmod 0600 it"),
    ):
        if sign in stderr:
            return meaning
    return lines[-1] if lines else "ssh failed without a word"
