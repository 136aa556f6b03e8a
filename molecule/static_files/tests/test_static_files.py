"""What an edge serves after two failed deployments, a remedy, a host that was away, refused archives and a rollback."""

import json

import pytest

ROOT = "/var/lib/stackwright/static/shop"


def test_two_failed_deployments_take_no_file_from_the_release_that_runs(host):
    assert host.file("/root/after-four").content_string.split() == ["four.js", "one.js", "three.js"]


def test_nothing_is_removed_while_a_host_cannot_say_what_it_keeps(host):
    assert host.file("/root/after-five").content_string.split() == ["five.js", "four.js", "one.js", "three.js"]


def test_a_rollback_publishes_first(host):
    assert host.file("/root/after-rollback").content_string == "one\n"


def test_the_published_release_has_the_files_of_one_name(host):
    assert host.file(f"{ROOT}/current/public/name.txt").content_string == "five\n"
    assert host.file(f"{ROOT}/current/_next/static/five.js").content_string == "five\n"


def test_what_was_changed_by_hand_is_put_back(host):
    """The side effect changed one file of the release in place, and took one away from what is served."""
    record = json.loads(host.file(f"{ROOT}/releases/five/.stackwright-archive").content_string)
    assert record["repaired"]
    assert host.file(f"{ROOT}/releases/five/public/name.txt").content_string == "five\n"


def test_releases_that_no_host_keeps_are_gone(host):
    assert sorted(host.file(f"{ROOT}/releases").listdir()) == ["five", "four", "one"]
    assert sorted(host.file(f"{ROOT}/current/_next/static").listdir()) == ["five.js", "four.js", "one.js"]
    assert len(host.file(f"{ROOT}/served").listdir()) <= 2


@pytest.mark.parametrize(
    ("release", "reason"),
    [
        ("five", "exists with other content; a version never changes"),
        ("seven", "expected " + "0" * 64),
    ],
)
def test_an_archive_that_cannot_be_right_is_refused_and_named(host, release, reason):
    assert reason in host.file(f"/root/refused-{release}").content_string
    assert not host.file(f"{ROOT}/releases/{release}").exists or release == "five"


def test_the_web_server_may_read_but_not_write(host):
    owner = host.check_output(f"stat --format=%U {ROOT}/current/public/name.txt")
    assert owner == "root"
    assert host.run(f"su -s /bin/sh nobody -c 'cat {ROOT}/current/public/name.txt'").stdout == "five\n"
