"""User data of Windows, as text: there is no PowerShell here, and no Windows, so that nothing of it has been run.

The golden file is written by `STACKWRIGHT_GOLDEN=write pytest tests/pulumi/aws/test_user_data_windows.py`.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from stackwright.model.aws import images
from stackwright.model.aws.user_data import LIMIT_BYTES, UserData
from stackwright.model.aws.user_data_windows import WindowsSettings, quoted, script, sshd_config

GOLDEN = Path(__file__).parent / "golden" / "windows-user-data.txt"
SETTINGS = WindowsSettings(
    region="eu-central-1",
    time_server="169.254.169.123",
    hostname="app1",
    authorized_keys=["ssh-ed25519 AAAAC3Nza lena@büro", "ssh-rsa AAAAB3Nza"],
    host_key_parameter="/stackwright/test/host-keys/app1",
    ssh_from=[],
)
TEXT = script(SETTINGS)


def test_the_text_is_the_golden_one() -> None:
    if os.environ.get("STACKWRIGHT_GOLDEN") == "write":
        GOLDEN.write_text(TEXT)
    assert GOLDEN.read_text() == TEXT


def position(text: str) -> int:
    assert TEXT.count(text) == 1, text
    return TEXT.index(text)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("Rename-Computer -NewName", "Write-SSMParameter"),
        ("Disable-NetFirewallRule", "Start-Service -Name sshd"),
        ("'/inheritance:r', '/grant:r', '*S-1-5-18:F', '*S-1-5-32-544:F'", 'Move-Item -Path "$keys.new"'),
        ("@('-t', '-f', \"$config.new\")", 'Move-Item -Path "$config.new"'),
        ('Move-Item -Path "$config.new"', "Restart-Service -Name sshd"),
        ('Move-Item -Path "$keys.new"', "Restart-Service -Name sshd"),
        ("-Name DefaultShell -Value $shell", "Restart-Service -Name sshd"),
        ("Restart-Service -Name sshd", "Write-SSMParameter"),
        ("Write-SSMParameter", "Set-Text $done"),
    ],
)
def test_nobody_is_told_before_the_server_is_ready_and_safe(first: str, then: str) -> None:
    assert position(first) < position(then)


def test_an_interrupted_first_boot_goes_on_and_a_finished_one_is_left_alone() -> None:
    assert TEXT.endswith("</powershell>\n<persist>true</persist>\n")
    assert position("-eq $instance)) { exit 0 }") < position("Rename-Computer")
    assert TEXT.rpartition("\n</powershell>")[0].endswith("\nSet-Text $done @($instance)")


def test_what_the_image_has_is_not_installed() -> None:
    """The agent is started; only an SSH server that is missing is added, of Windows' own."""
    assert re.findall(r"Install-\S+|Add-\S+|Invoke-WebRequest|msiexec", TEXT) == ["Add-WindowsCapability"]
    assert position("if (-not (Get-Service -Name sshd") < position("Add-WindowsCapability")


def test_a_program_that_fails_ends_the_script() -> None:
    """Windows PowerShell goes on after a program with an error; all of them go through the function that looks."""
    assert "if ($LASTEXITCODE -ne 0) { throw" in TEXT
    lines = [line.strip() for line in TEXT.splitlines() if re.search(r"\w+\.exe'? @|& ", line)]
    assert [line for line in lines if not line.startswith("Invoke-Program ")] == [
        "return & $Action",
        "& (Join-Path $programs $Name) @Arguments | Out-Host",
    ]


def test_ssh_is_for_administrators_by_key_through_the_agent() -> None:
    lines = sshd_config([])
    assert [line for line in lines if line.startswith("ListenAddress")] == [
        "ListenAddress 127.0.0.1",
        "ListenAddress ::1",
    ]
    for line in ("PasswordAuthentication no", "KbdInteractiveAuthentication no", "AllowGroups administrators"):
        assert line in lines
    # What follows `Match` is for its group alone.
    assert lines[-2:] == [
        "Match Group administrators",
        "    AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys",
    ]
    assert not any("Match" in line for line in lines[:-2])
    assert "$SshFrom = @()" in TEXT


def test_networks_of_people_have_a_rule_and_something_that_listens() -> None:
    networks = ["203.0.113.0/24", "2001:db8::/32"]
    assert not any(line.startswith("ListenAddress") for line in sshd_config(networks))
    text = script(replace(SETTINGS, ssh_from=networks))
    assert "$SshFrom = @('203.0.113.0/24', '2001:db8::/32')" in text
    assert "RemoteAddress = $SshFrom" in text


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("app1", "'app1'"),
        ("", "''"),
        ("it's", "'it''s'"),
        ("'; Stop-Computer; '", "'''; Stop-Computer; '''"),
        ('$env:TEMP `n $(1) "x"', "'$env:TEMP `n $(1) \"x\"'"),
        ("C:\\a b\\", "'C:\\a b\\'"),
    ],
)
def test_a_value_is_a_literal_whatever_is_in_it(value: str, literal: str) -> None:
    assert quoted(value) == literal
    # Each quote inside is doubled, so that only the last ends the literal.
    assert re.fullmatch(r"'([^']|'')*'", literal)


@pytest.mark.parametrize(
    "value", ["a\nb", "a\0", "a\r", "\u2019; exit; \u2019", "đ", "x</powershell>", "</PowerShell>"]
)
def test_a_value_that_would_end_the_script_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="is no value for user data of Windows, accepted: one line of ASCII"):
        quoted(value)


def test_keys_are_without_their_comments() -> None:
    assert "$AuthorizedKeys = @('ssh-ed25519 AAAAC3Nza', 'ssh-rsa AAAAB3Nza')" in TEXT
    # Windows PowerShell reads a script without a mark in the server's own code page.
    assert TEXT.isascii()


def test_a_name_without_a_value_is_empty_and_defined() -> None:
    """Strict mode ends the script at a variable that is not there."""
    text = script(replace(SETTINGS, hostname=None, host_key_parameter=None, authorized_keys=[]))
    for line in ("$ComputerName = ''", "$HostKeyParameter = ''", "$AuthorizedKeys = @()"):
        assert line in text.splitlines()


def host(keys: int) -> UserData:
    return UserData(
        image=images.image("windows-2025", "x86_64"),
        region="eu-central-1",
        hostname="app1",
        authorized_keys=[f"ssh-rsa {'A' * 700}{number}" for number in range(keys)],
    )


def test_it_is_as_long_as_aws_takes() -> None:
    encoded = host(10).encoded()
    assert len(base64.b64decode(encoded)) <= LIMIT_BYTES
    with pytest.raises(ValueError, match=r"has \d+ bytes \(\d+ before compression\), accepted: at most 16384"):
        host(20).encoded()
