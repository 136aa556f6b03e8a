"""The story of `side_effect`: v1, v2, three bad releases, a lock, v3, v4 killed and repeated, rollback to v3."""

from __future__ import annotations

import json
from typing import Any

import pytest

HOSTS = ("10.231.17.11", "10.231.17.12")
INSTANCES = [f"{address}:{port}" for address in HOSTS for port in (5005, 5006)]


@pytest.fixture(autouse=True)
def as_root(host: Any) -> Any:
    with host.sudo():
        yield


def on_first(host: Any) -> bool:
    return bool(host.check_output("hostname") == "app1")


def drains(host: Any) -> list[list[str]]:
    """Instance, state, release at that moment."""
    return [line.split()[1:] for line in host.file("/var/log/drain.log").content_string.splitlines()]


def refusal(host: Any, case: str) -> str:
    return str(host.file(f"/root/refusal-{case}").content_string)


def test_every_instance_runs_the_release_before(host: Any) -> None:
    assert host.file("/root/before-rollback").content_string.strip() == "releases/v4"
    for instance in INSTANCES:
        assert json.loads(host.check_output(f"curl --silent http://{instance}/api/health"))["release"] == "v3"
        assert (
            host.check_output(
                f"curl --silent --output /dev/null --write-out %{{http_code}} http://{instance}/api/ready"
            )
            == "200"
        )


def test_links_tell_the_way_back(host: Any) -> None:
    links = {name: host.check_output(f"readlink /srv/contract/{name}") for name in ("current", "confirmed", "previous")}
    assert links == {"current": "releases/v3", "confirmed": "releases/v3", "previous": "releases/v4"}


def test_only_the_newest_releases_stay(host: Any) -> None:
    assert set(host.file("/srv/contract/releases").listdir()) == {"v2", "v3", "v4"}


def test_new_secret_is_read_and_file_is_private(host: Any) -> None:
    file = host.file("/etc/contract/env")
    assert (file.mode, file.user) == (0o600, "contract")
    assert host.run("runuser -u nobody -- cat /etc/contract/env").rc != 0
    answers = {json.loads(host.check_output(f"curl --silent http://{instance}/"))["secret"] for instance in INSTANCES}
    assert answers == {"first secret"}


def test_secrets_are_on_no_command_line_and_in_no_log(host: Any) -> None:
    pattern = "\\(first\\|second\\) secre[t]"
    assert host.run(f"ps axeww -o args | grep '{pattern}'").rc == 1
    assert host.run(f"grep -r '{pattern}' /var/log/contract-app /var/lib/pm2 /etc/pm2 /srv/contract").rc == 1
    assert host.run(f"journalctl --no-pager | grep '{pattern}'").rc == 1


def test_release_belongs_to_root(host: Any) -> None:
    assert host.check_output("find /srv/contract ! -user root -o -type f -perm /022") == ""


def test_migration_ran_once_per_release_while_the_old_one_served(host: Any) -> None:
    lines = host.run("cat /var/log/contract-app/contract-app-out.log").stdout.splitlines()
    migrations = [line.split(": ", 1)[1] for line in lines if ": migrated " in line]
    if not on_first(host):
        assert migrations == []
        return
    # The killed deployment had migrated; its repetition migrates again, which a migration has to bear.
    assert migrations == [
        "migrated v2 while v1 serves",
        "migrated unready while v2 serves",
        "migrated crash while v2 serves",
        "migrated v3 while v2 serves",
        "migrated v4 while v3 serves",
        "migrated v4 while v4 serves",
    ]


def test_one_instance_after_another_was_drained_before_it_stopped(host: Any) -> None:
    """The first deployment had nothing to drain: what does not answer serves nobody."""
    if not on_first(host):
        assert not host.file("/var/log/drain.log").exists
        return
    expected = [
        [instance, state, release] for instance in INSTANCES for state, release in (("on", "v1"), ("off", "v2"))
    ]
    start = drains(host).index(expected[0])
    assert drains(host)[start : start + len(expected)] == expected


def test_bad_release_reached_one_instance_and_was_taken_back(host: Any) -> None:
    for release, reason in (("unready", "answers 503 to the readiness check"), ("crash", "contract-5005")):
        message = refusal(host, release)
        assert f"Release {release} was not rolled out" in message
        assert reason in message
        assert "All instances are back on v2." in message
    if on_first(host):
        touched = {entry[0] for entry in drains(host) if entry[2] in ("unready", "crash")}
        assert touched <= {INSTANCES[0]}


def test_failed_migration_touched_no_instance(host: Any) -> None:
    assert "this migration fails" in refusal(host, "migration")
    assert "No instance was touched." in refusal(host, "migration")
    if on_first(host):
        assert not [entry for entry in drains(host) if entry[2] == "migration"]


def test_lock_of_another_controller_is_respected(host: Any) -> None:
    message = refusal(host, "locked")
    assert "locked by someone on elsewhere since noon (release v9)" in message
    assert "No instance was touched." in message


def test_nothing_is_left_of_the_interrupted_run(host: Any) -> None:
    assert host.file("/srv/contract/rolling").listdir() == []
    assert not host.file("/srv/contract/deploy.lock").exists
    if on_first(host):
        last = {instance: state for instance, state, _ in drains(host)}
        assert set(last.values()) == {"off"}
