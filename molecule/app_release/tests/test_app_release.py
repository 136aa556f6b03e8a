"""The story of `side_effect`.

v1, v2, four bad releases, a lock, an unknown upstream, a unit that cannot start, v3, an outage, v4 killed and repeated, v5 with a host
that is lost, other ports, a changed unit, a changed file, rollback to v4.
"""

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


def drains(host: Any, upstream: str = "contract") -> list[list[str]]:
    """Instance, state, release at that moment."""
    lines = [line.split() for line in host.file("/var/log/drain.log").content_string.splitlines()]
    return [words for name, *words in lines if name == upstream]


def note(host: Any, name: str) -> tuple[dict[int, dict[str, Any] | None], int]:
    """What the instances of the host answered by port, and how many lines the edge's log had."""
    *lines, count = host.file(f"/root/note-{name}").content_string.splitlines()
    answers = {int(line.split()[0]): json.loads(line.split(" ", 1)[1] or "null") for line in lines}
    return answers, int(count)


def pids(host: Any, name: str) -> dict[int, int | None]:
    return {port: answer and answer["pid"] for port, answer in note(host, name)[0].items()}


def drains_between(host: Any, first: str, second: str, upstream: str = "contract") -> list[list[str]]:
    lines = host.file("/var/log/drain.log").content_string.splitlines()[note(host, first)[1] : note(host, second)[1]]
    return [words for name, *words in (line.split() for line in lines) if name == upstream]


def refusal(host: Any, case: str) -> str:
    return str(host.file(f"/root/refusal-{case}").content_string)


def test_every_instance_runs_the_release_before(host: Any) -> None:
    assert host.file("/root/before-rollback").content_string.strip() == "releases/v5"
    for instance in INSTANCES:
        assert json.loads(host.check_output(f"curl --silent http://{instance}/api/health"))["release"] == "v4"
        assert (
            host.check_output(
                f"curl --silent --output /dev/null --write-out %{{http_code}} http://{instance}/api/ready"
            )
            == "200"
        )


def test_links_tell_the_way_back(host: Any) -> None:
    links = {name: host.check_output(f"readlink /srv/contract/{name}") for name in ("current", "confirmed", "previous")}
    assert links == {"current": "releases/v4", "confirmed": "releases/v4", "previous": "releases/v5"}


def test_only_the_newest_releases_stay(host: Any) -> None:
    assert set(host.file("/srv/contract/releases").listdir()) == {"v3", "v4", "v5"}


def test_new_secret_is_read_and_file_is_private(host: Any) -> None:
    file = host.file("/etc/contract/env")
    assert (file.mode, file.user) == (0o600, "contract")
    assert host.run("runuser -u nobody -- cat /etc/contract/env").rc != 0
    answers = {json.loads(host.check_output(f"curl --silent http://{instance}/"))["secret"] for instance in INSTANCES}
    assert answers == {"first secret"}


def test_secrets_are_on_no_command_line_and_in_no_log(host: Any) -> None:
    pattern = "\\(first\\|second\\|third\\) secre[t]"
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
        f"migrated {release} by deploy --all while {serving} serves"
        for release, serving in [
            ("v2", "v1"),
            ("unready", "v2"),
            ("crash", "v2"),
            ("nameless", "v2"),
            # Refused by the edge. The next time nothing serves on the first host, where the unit could not start.
            ("v3", "v2"),
            ("v4", "v3"),
            ("v4", "v4"),
            # Lost in the middle, left out, and whole again, which had been confirmed before.
            ("v5", "v4"),
            ("v5", "v4"),
        ]
    ]


def test_one_instance_after_another_was_drained_before_it_stopped(host: Any) -> None:
    """The first deployment had nothing to drain: what does not answer serves nobody."""
    if not on_first(host):
        assert drains(host) == []
        return
    expected = [
        [instance, state, release] for instance in INSTANCES for state, release in (("on", "v1"), ("off", "v2"))
    ]
    start = drains(host).index(expected[0])
    assert drains(host)[start : start + len(expected)] == expected


def test_an_instance_is_taken_out_of_every_upstream(host: Any) -> None:
    if on_first(host):
        times = ("before-restart", "restart")
        assert drains_between(host, *times, "portal") == drains_between(host, *times, "contract") != []


def test_bad_release_reached_one_instance_and_was_taken_back(host: Any) -> None:
    reasons = {
        "unready": "runs release unready but answers 503 to the readiness check: no database",
        "crash": "contract-5005",
        "nameless": "contract-5005 answers 200 to the health check, but its answer is not JSON with the key `release` (expected nameless)",
    }
    for release, reason in reasons.items():
        message = refusal(host, release)
        assert f"Release {release} was not rolled out" in message
        assert reason in message
        assert "All instances are back on v2." in message
    if on_first(host):
        touched = {entry[0] for entry in drains(host) if entry[2] in reasons}
        assert touched <= {INSTANCES[0]}


def test_the_last_words_of_an_instance_are_in_the_message(host: Any) -> None:
    assert "this release ends at its start" in refusal(host, "crash")


def test_an_upstream_that_the_edge_does_not_know_fails_the_rollout(host: Any) -> None:
    message = refusal(host, "upstream")
    assert "no upstream nowhere; there are: contract, portal" in message
    assert "Going back to v2 failed on app1" in message


def test_a_unit_that_cannot_start_stops_at_the_first_host(host: Any) -> None:
    message = refusal(host, "unit")
    assert "app1" in message
    assert "GROUP" in message
    assert "app2" not in message
    if on_first(host):
        assert set(pids(host, "unit").values()) == {None}
    else:
        assert pids(host, "unit") == pids(host, "before-unit")
        assert note(host, "unit")[0][5005]["release"] == "v2"


def test_an_outage_of_the_database_is_no_reason_to_replace_an_instance(host: Any) -> None:
    assert note(host, "outage") == note(host, "before-outage")


def test_what_is_not_ready_during_an_outage_is_put_back(host: Any) -> None:
    message = refusal(host, "outage")
    assert "answers 503 to the readiness check: no database" in message
    assert "All instances are back on v3." in message
    before, after = pids(host, "outage"), pids(host, "outage-secret")
    changed = [port for port in before if before[port] != after[port]]
    assert changed == ([5005] if on_first(host) else [])
    if on_first(host):
        states = [(instance, state) for instance, state, _ in drains_between(host, "outage", "outage-secret")]
        assert states == [(INSTANCES[0], "on"), (INSTANCES[0], "off")]


def lost(host: Any, name: str) -> dict[str, Any]:
    return dict(json.loads(host.file("/root/lost.json").content_string)[name])


def test_a_host_lost_in_the_middle_ends_with_the_others_back(host: Any) -> None:
    if on_first(host):
        outcome = lost(host, "middle")
        assert outcome["code"] != 0
        assert "app2 cannot be reached any more" in outcome["output"]
        assert "All other instances run v4." in outcome["output"]


def test_a_lost_host_stops_a_deployment_with_the_way_out(host: Any) -> None:
    if on_first(host):
        outcome = lost(host, "before")
        assert outcome["code"] != 0
        assert "Nothing was rolled out: app2 failed or could not be reached" in outcome["output"]
        assert "-e app_release_without=app2" in outcome["output"]


def test_a_lost_host_can_be_left_out_and_gets_no_requests(host: Any) -> None:
    answers = note(host, "left-out")[0]
    assert {answer["release"] for answer in answers.values() if answer} == ({"v5"} if on_first(host) else {"v4"})
    if on_first(host):
        last = {instance: state for instance, state, _ in drains_between(host, "before-unit", "left-out")}
        assert {last[instance] for instance in INSTANCES[2:]} == {"on"}
        assert {last[instance] for instance in INSTANCES[:2]} == {"off"}


def test_an_instance_on_another_port_serves_before_the_old_one_goes(host: Any) -> None:
    during, after = note(host, "both-ports")[0], note(host, "other-port")[0]
    assert all(during[port]["release"] == "v5" for port in (5005, 5006, 5007))
    assert after[5006] is None
    assert {after[port]["release"] for port in (5005, 5007)} == {"v5"}


def test_a_changed_unit_is_restarted_with_the_whole_host_drained(host: Any) -> None:
    before, after = pids(host, "before-restart"), pids(host, "restart")
    assert all(after[port] and after[port] != before[port] for port in (5005, 5006))
    assert after[5007] is None
    if on_first(host):
        states = [(instance, state) for instance, state, _ in drains_between(host, "before-restart", "restart")]
        expected = []
        for address in HOSTS:
            # The old port is no member any more; its place is taken before the restart.
            ours = [instance for instance in INSTANCES if instance.startswith(f"{address}:")]
            expected += [(instance, "on") for instance in ours] + [(instance, "off") for instance in ours]
        assert states == expected


def test_a_file_that_was_changed_by_hand_is_put_back_and_what_may_have_read_it_replaced(host: Any) -> None:
    before, after = pids(host, "restart"), pids(host, "put-back")
    assert "changed" not in host.file("/srv/contract/releases/v5/server.js").content_string
    if on_first(host):
        assert after == before
        states = [(instance, state) for instance, state, _ in drains_between(host, "restart", "put-back")]
        ours = [instance for instance in INSTANCES if instance.startswith(f"{HOSTS[1]}:")]
        assert states == [(instance, state) for instance in ours for state in ("on", "off")]
    else:
        assert all(after[port] and after[port] != before[port] for port in (5005, 5006))


def test_each_release_begins_with_an_empty_cache_that_it_may_write(host: Any) -> None:
    address = HOSTS[0] if on_first(host) else HOSTS[1]
    assert (
        host.check_output(f"curl --silent --output /dev/null --write-out %{{http_code}} http://{address}:5005/cache")
        == "200"
    )
    assert host.file("/srv/contract/releases/v4/.next/cache/page").content_string == "v4"
    assert set(host.file("/var/cache/contract").listdir()) == set(host.file("/srv/contract/releases").listdir())
    assert host.file("/var/cache/contract/v5/.next_cache").listdir() == []
    assert (host.file("/var/cache/contract/v4").user, host.file("/var/cache/contract/v4/.next_cache").user) == (
        "root",
        "contract",
    )


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
    assert not host.file("/srv/contract/left-out").exists
    if on_first(host):
        last = {instance: state for instance, state, *_ in drains(host)}
        assert set(last.values()) == {"off"}
