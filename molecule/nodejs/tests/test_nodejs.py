"""What an application that runs on this Node.js, and an operator who has to go back, would notice."""

from __future__ import annotations

from typing import Any


def test_runs_javascript_with_every_module_of_its_own(host: Any) -> None:
    script = "require('http'); require('crypto'); console.log(process.version.split('.')[0])"
    assert host.check_output(f'sudo --user=nobody node -e "{script}"') == "v24"


def test_node_comes_from_the_archive_and_there_is_no_npm(host: Any) -> None:
    assert host.check_output("readlink -f /usr/local/bin/node").startswith("/opt/nodejs/24.")
    assert not host.exists("npm")
    assert not host.package("nodejs").is_installed


def test_only_root_can_change_it(host: Any) -> None:
    assert host.check_output("find /opt/nodejs ! -user root -o -type f -perm /022") == ""


def test_version_before_stays_and_older_ones_go(host: Any) -> None:
    """`side_effect` left 1.0.0 as the current version and 0.9.0 as one from before, and converged again."""
    with host.sudo():
        versions = sorted(host.file("/opt/nodejs").listdir())
    current = host.file("/opt/nodejs/current").linked_to.rsplit("/", 1)[-1]
    assert versions == sorted(["1.0.0", current, "current", "previous"])
    assert host.file("/opt/nodejs/previous").linked_to == "/opt/nodejs/1.0.0"
