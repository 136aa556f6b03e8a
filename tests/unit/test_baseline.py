"""Programs of the role baseline: names in /etc/hosts, pending updates, what other files make of the role's settings."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jinja2
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles/baseline"
NAMES = "10.0.0.1 db1.test.internal db1\n"
BLOCK = f"# BEGIN stackwright\n{NAMES}# END stackwright\n"
SYSTEM = "127.0.0.1 localhost\n127.0.1.1 other\n"


def program(path: str) -> ModuleType:
    # A program on a PATH has no suffix.
    loader = SourceFileLoader(Path(path).stem, str(ROLE / path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


hosts_block = program("files/hosts_block.py")
pending_updates = program("files/pending-updates")
effective_settings = program("library/effective_settings.py")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SYSTEM, BLOCK + SYSTEM),
        ("", BLOCK),
        (BLOCK + SYSTEM, BLOCK + SYSTEM),
        # Where an earlier release has put it, it may stay.
        (SYSTEM + BLOCK, SYSTEM + BLOCK),
        (BLOCK.replace("10.0.0.1", "10.0.0.2") + SYSTEM, BLOCK + SYSTEM),
        (BLOCK + SYSTEM + BLOCK, BLOCK + SYSTEM),
        # Half a block takes no other line along.
        ("# BEGIN stackwright\n" + SYSTEM, BLOCK + SYSTEM),
        (SYSTEM + "# END stackwright\n", BLOCK + SYSTEM),
        ("# BEGIN stackwright\n" + SYSTEM + BLOCK, BLOCK + SYSTEM),
        # glibc gives the addresses of all lines, and sorts a loopback address first.
        ("127.0.0.1 localhost\n127.0.1.1 db1.test.internal db1 # own\n", BLOCK + "127.0.0.1 localhost\n"),
        (BLOCK + "127.0.1.1 db1 other\n", BLOCK + "127.0.1.1 other\n"),
        ("# 10.0.0.9 db1\n10.0.0.8 db10\n", BLOCK + "# 10.0.0.9 db1\n10.0.0.8 db10\n"),
    ],
)
def test_the_names_are_there_once_and_everything_else_stays(before: str, after: str) -> None:
    assert hosts_block.with_block(before, NAMES) == after
    assert hosts_block.with_block(after, NAMES) == after


def test_without_names_there_is_no_block() -> None:
    assert hosts_block.with_block(BLOCK + SYSTEM, "\n") == SYSTEM


def test_a_file_with_the_names_is_not_written(tmp_path: Path) -> None:
    """It is watched: to write it would start the program again, for ever."""
    names, hosts = tmp_path / "names", tmp_path / "hosts"
    names.write_text(NAMES)
    argv = [sys.executable, ROLE / "files/hosts_block.py", names, hosts]
    assert "were not there" in subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert hosts.read_text() == BLOCK
    assert hosts.stat().st_mode & 0o777 == 0o644
    before = hosts.stat()
    assert subprocess.run(argv, check=True, capture_output=True, text=True).stdout == ""
    assert hosts.stat() == before


def test_a_match_block_that_admits_more_is_named_whatever_its_condition(tmp_path: Path) -> None:
    file = tmp_path / "sshd_config"
    file.write_text(
        "PasswordAuthentication yes\n"
        "Match Address 10.0.0.0/8\n  PermitRootLogin=yes\n  X11Forwarding no\n"
        "Match User backup\n\tpasswordauthentication yes\n"
        "Match all\nPermitRootLogin yes\n"
    )
    wanted = {"PermitRootLogin": "no", "PasswordAuthentication": "no", "X11Forwarding": "no"}
    found = effective_settings.match_overrides(file, wanted)
    assert [line.removeprefix(f"{file}:") for line in found] == [
        "3: 'PermitRootLogin=yes' under 'Match Address 10.0.0.0/8'",
        "6: 'passwordauthentication yes' under 'Match User backup'",
    ]


def test_files_that_sshd_includes_are_looked_into(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/b.conf").write_text(f"Include {tmp_path}/sshd_config\n")
    (tmp_path / "sshd_config").write_text(f"include {tmp_path}/d/*.conf {tmp_path}/nothing\n")
    assert effective_settings.sshd_files(tmp_path / "sshd_config") == [tmp_path / "sshd_config", tmp_path / "d/b.conf"]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("permitrootlogin no", None),
        ("allowgroups admins", None),
        ("allowgroups wheel", "allowgroups wheel"),
        ("allowusers bob\nallowusers alice", "allowusers alice bob"),
        ("allowusers bob\nallowusers me", None),
        ("denyusers me", "denyusers me"),
        ("denygroups admins", "denygroups admins"),
    ],
)
def test_an_admin_who_would_be_locked_out_is_noticed(text: str, refused: str | None) -> None:
    assert effective_settings.lockout(effective_settings.parse(text), "me", {"me", "admins"}) == refused


CONFIG = """# /usr/lib/sysctl.d/50-default.conf
kernel.sysrq = 0x01b6
-net.ipv4.conf.all.rp_filter = 1

# /etc/sysctl.d/60-stackwright.conf
fs.protected_fifos = 2
net/ipv4/tcp_syncookies = 1
net.ipv4.ip_local_port_range = 20000 60999
# /usr/lib/sysctl.d/99-protect-links.conf
fs.protected_fifos = 1
# fs.protected_regular = 2
"""


def test_a_file_that_is_read_later_is_named() -> None:
    settings = {
        "fs.protected_fifos": "2",
        "net.ipv4.tcp_syncookies": "1",
        "net.ipv4.conf.all.rp_filter": "1",
        "net.ipv4.ip_local_port_range": "20000\t60999",
        "fs.protected_regular": "2",
    }
    assert effective_settings.differing_assignments(CONFIG, settings) == [
        "/usr/lib/sysctl.d/99-protect-links.conf: fs.protected_fifos is 1, and has to be 2",
        "no file: fs.protected_regular is nothing, and has to be 2",
    ]


@pytest.mark.parametrize(
    ("facts", "listens"),
    [({}, True), ({"lo": {"ipv4": {}}}, False), ({"lo": {"ipv4": {}, "ipv6": [{"address": "::1"}]}}, True)],
    ids=["not asked", "ipv6.disable=1", "as usual"],
)
def test_the_edge_listens_on_ipv6_where_the_host_has_it(facts: dict[str, object], listens: bool) -> None:
    wiring = yaml.safe_load((ROLE.parents[1] / "playbooks/group_vars/edge/nginx.yml").read_text())
    assert jinja2.Environment().from_string(wiring["nginx_ipv6"]).render(ansible_facts=facts) == str(listens)


class Version:
    """As python3-apt has one: ordered, with the archives that offer it."""

    def __init__(self, version: str, *archives: str) -> None:
        self.version, self.origins = version, [SimpleNamespace(archive=archive) for archive in archives]

    def __gt__(self, other: Version) -> bool:
        return self.version > other.version


def package(name: str, installed: Version | None, *newer: Version) -> SimpleNamespace:
    versions = [*([installed] if installed else []), *newer]
    return SimpleNamespace(
        name=name,
        is_installed=installed is not None,
        installed=installed,
        is_upgradable=installed is not None and bool(newer),
        candidate=newer[-1] if newer else installed,
        versions=versions,
    )


def test_pending_updates_are_those_of_installed_packages_by_name() -> None:
    packages = [
        package("redis-server", Version("1", "stable"), Version("2", "stable-updates")),
        package("patroni", Version("1", "stable"), Version("2", "stable", "stable-security")),
        package("bash", Version("1", "stable", "stable-security")),
        package("etcd-server", None, Version("2", "stable-security")),
    ]
    assert pending_updates.pending(packages, ["patroni", "bash"]) == [
        {"package": "patroni", "installed": "1", "candidate": "2", "security": True, "excluded": True},
        {"package": "redis-server", "installed": "1", "candidate": "2", "security": False, "excluded": False},
    ]


def test_a_point_release_contains_the_security_updates_before_it() -> None:
    newer = Version("2", "noble-security"), Version("3", "noble-updates")
    (update,) = pending_updates.pending([package("postgresql-16", Version("1", "noble"), *newer)], [])
    assert (update["candidate"], update["security"]) == ("3", True)


def test_a_security_update_that_is_installed_counts_no_longer() -> None:
    (update,) = pending_updates.pending([package("bash", Version("2", "noble-security"), Version("3", "noble"))], [])
    assert update["security"] is False


@pytest.mark.parametrize(
    ("name", "excluded"),
    [("postgresql-17", True), ("libpostgresql-jdbc", False), ("redis-tools", True), ("nginx", False)],
)
def test_exclusions_are_patterns_from_the_start_of_the_name(name: str, excluded: bool) -> None:
    (update,) = pending_updates.pending([package(name, Version("1"), Version("2"))], ["postgresql-", "redis-"])
    assert update["excluded"] is excluded
