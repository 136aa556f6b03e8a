"""The filters of the roles `pm2` and `app_release`, and the parts of their modules that need no host."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from stackwright.ansible.action import stackwright_lock as lock_action
from stackwright.ansible.filter import app_release, pm2
from stackwright.ansible.modules import stackwright_archive as archive
from stackwright.ansible.modules import stackwright_lock as lock
from stackwright.ansible.modules import stackwright_release_state as state

APPLICATION = {
    "name": "taaleem-emr",
    "user": "taaleem",
    "directory": "/srv/taaleem/current",
    "environment_file": "/etc/taaleem/env",
    "environment": {"HOST": "10.0.0.21"},
    "instances": [{"name": "taaleem-emr-5005", "port": 5005}, {"name": "taaleem-emr-5006", "port": 5006}],
}


def ecosystem(**changes: Any) -> list[dict[str, Any]]:
    application = pm2.pm2_application(APPLICATION | changes)
    return list(pm2.pm2_ecosystem(application, "/opt/nodejs/current/bin/node")["apps"])


def test_ecosystem_has_the_values_of_the_original() -> None:
    assert ecosystem()[0] == {
        "name": "taaleem-emr-5005",
        "script": "/srv/taaleem/current/server.js",
        "args": [],
        "cwd": "/srv/taaleem/current",
        "interpreter": "/opt/nodejs/current/bin/node",
        "node_args": ["--env-file=/etc/taaleem/env"],
        "exec_mode": "fork",
        "instances": 1,
        "autorestart": True,
        "max_restarts": 10,
        "min_uptime": 10_000,
        "max_memory_restart": "1024M",
        "watch": False,
        "kill_timeout": 30_000,
        "wait_ready": True,
        "listen_timeout": 30_000,
        "merge_logs": True,
        "log_date_format": "YYYY-MM-DD HH:mm:ss Z",
        "out_file": "/var/log/taaleem-emr/taaleem-emr-out.log",
        "error_file": "/var/log/taaleem-emr/taaleem-emr-error.log",
        "pmx": False,
        "vizion": False,
        "env": {"HOST": "10.0.0.21", "INSTANCE_ID": "taaleem-emr-5005", "NODE_ENV": "production", "PORT": "5005"},
    }


def test_each_instance_has_its_port_and_may_have_its_logs() -> None:
    apps = ecosystem(merge_logs=False)
    assert [app["env"]["PORT"] for app in apps] == ["5005", "5006"]
    assert [app["out_file"] for app in apps] == [
        f"/var/log/taaleem-emr/taaleem-emr-{port}-out.log" for port in (5005, 5006)
    ]


def test_backoff_is_set_only_if_it_is_wanted() -> None:
    assert "exp_backoff_restart_delay" not in ecosystem()[0]
    assert ecosystem(restart_backoff_ms=100)[0]["exp_backoff_restart_delay"] == 100


def test_cluster_shares_a_port() -> None:
    one = {"name": "taaleem-emr", "port": 5005, "workers": 4}
    assert [(app["exec_mode"], app["instances"]) for app in ecosystem(mode="cluster", instances=[one])] == [
        ("cluster", 4)
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instances": [{"name": "a", "port": 1}, {"name": "b", "port": 1}]}, "instance port used twice: 1"),
        ({"instances": [{"name": "a", "port": 1}, {"name": "a", "port": 2}]}, "instance name used twice: a"),
        ({"instances": [{"name": "a", "port": 1, "workers": 2}]}, "several workers on one port need mode: cluster"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        ecosystem(**changes)


def test_exports_name_ports_logs_and_how_to_reopen_them() -> None:
    exports = pm2.pm2_exports([APPLICATION])
    assert [(port["port"], port["from"]) for port in exports["ports"]] == [(5005, ["edge"]), (5006, ["edge"])]
    assert exports["logs"][0]["reopen"] == "systemctl kill --signal=USR2 --kill-whom=main pm2-taaleem-emr.service"


def test_folders_that_an_application_writes_are_backed_up() -> None:
    exports = pm2.pm2_exports([{**APPLICATION, "writable_paths": ["/var/lib/emr/uploads"]}])
    assert exports["backups"] == [{"name": "uploads", "paths": ["/var/lib/emr/uploads"]}]


def test_times_grow_with_the_instances() -> None:
    application = pm2.pm2_application(APPLICATION)
    assert (pm2.pm2_start_seconds(application), pm2.pm2_stop_seconds(application)) == (60, 75)


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not on PATH")
def test_environment_file_means_to_node_what_was_written(tmp_path: Path) -> None:
    environment = {
        "PLAIN": "value",
        "URL": "postgresql://u:p%40ss@127.0.0.1:6432/db?sslmode=verify-full#x",
        "SINGLE": "it's",
        "MIXED": 'it\'s "quoted" $HOME \\n #',
        "EMPTY": "",
        "BLANKS": "  kept  ",
        "LINES": "one\ntwo",
    }
    path = tmp_path / "env"
    path.write_text(app_release.app_release_environment_file(environment))
    command = ["node", f"--env-file={path}", "-e", "console.log(JSON.stringify(process.env))"]
    clean = {"PATH": os.environ["PATH"]}
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, text=True, env=clean).stdout)
    assert {name: answer.get(name) for name in environment} == environment


@pytest.mark.parametrize("value", ["'`\"", "'`\\n", "nul\0"])
def test_value_that_cannot_be_written_is_refused_without_being_shown(value: str) -> None:
    if value == "'`\\n":
        assert app_release.app_release_environment_file({"A": "'`x"}) == 'A="\'`x"\n'
    with pytest.raises(AnsibleFilterError, match="app_release_environment: SECRET:") as error:
        app_release.app_release_environment_file({"SECRET": value})
    assert value not in str(error.value)


def test_name_that_is_none_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="'A-B' is no name"):
        app_release.app_release_environment_file({"A-B": "x"})


def test_command_is_filled_and_a_wrong_placeholder_named() -> None:
    command = ["drain", "{address}:{port}", "{state}"]
    assert app_release.app_release_command(command, address="::1", port=5005, state="on") == ["drain", "::1:5005", "on"]
    with pytest.raises(AnsibleFilterError, match=r"placeholders are \{port\}, \{state\}"):
        app_release.app_release_command(command, port=5005, state="on")


@given(st.lists(st.integers(0, 99), unique=True, max_size=15), st.integers(2, 8), st.data())
def test_surplus_keeps_the_newest_and_the_protected(ages: list[int], keep: int, data: st.DataObject) -> None:
    found = [{"path": f"/srv/a/releases/r{age}", "mtime": 1000 - age} for age in ages]
    names = [f"r{age}" for age in sorted(ages)]
    protected = data.draw(st.lists(st.sampled_from(names), max_size=3)) if names else []
    surplus = [path.rsplit("/", 1)[-1] for path in app_release.app_release_surplus(found, keep, protected)]
    left = [name for name in names if name not in surplus]
    assert set(protected) <= set(left)
    assert len(left) <= max(keep, len(set(protected)))
    assert len(left) >= min(keep, len(names))
    free = [name for name in names if name not in protected]
    assert surplus == sorted(free[len(free) - len(surplus) :])


def test_surplus_leaves_an_unpacking_alone() -> None:
    found = [{"path": f"/srv/a/releases/{name}", "mtime": 1} for name in (".r3.partial", "r1", "r2")]
    assert app_release.app_release_surplus(found, 2, ["r1"]) == []


def test_setenv() -> None:
    assert app_release.app_release_setenv({"B": 1, "A": "x y"}) == ["--setenv=A=x y", "--setenv=B=1"]


def describe(**changes: Any) -> str:
    member = {
        "name": "a-5005",
        "alive": True,
        "release": "v2",
        "health": 200,
        "ready": 200,
        "ready_body": "",
        "stale": False,
    }
    return state.explain(member | changes, "v2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alive": False}, "a-5005 does not answer"),
        ({"release": None, "health": 500}, "a-5005 answers 500 to the health check"),
        (
            {"release": None},
            "a-5005 answers 200 to the health check, but its answer is not JSON with the key `release` (expected v2)",
        ),
        ({"release": "v1"}, "a-5005 runs release v1, not v2"),
        ({"ready": 503}, "a-5005 runs release v2 but answers 503 to the readiness check"),
        (
            {"ready": 503, "ready_body": "no database"},
            "a-5005 runs release v2 but answers 503 to the readiness check: no database",
        ),
        ({"ready": 0}, "a-5005 runs release v2 but answers nothing to the readiness check"),
        ({"stale": True}, "a-5005 runs with outdated files"),
    ],
)
def test_an_unhealthy_instance_is_explained(changes: dict[str, Any], message: str) -> None:
    assert describe(**changes) == message


@pytest.mark.parametrize(
    ("status", "body", "release"),
    [(200, '{"release": "v1"}', "v1"), (503, '{"release": "v1"}', None), (200, "<html>", None), (200, "[1]", None)],
)
def test_release_of_a_health_answer(status: int, body: str, release: str | None) -> None:
    assert state.running_release(status, body) == release


def test_lock_is_taken_once_and_removed_only_for_its_holder(tmp_path: Path) -> None:
    path, mine, other = tmp_path / "lock", {"pid": 1}, {"pid": 2}
    assert lock.write(path, {"holder": mine})
    assert not lock.write(path, {"holder": other})
    assert not lock.remove(path, other)
    assert lock.read(path) == {"holder": mine}
    assert lock.remove(path, mine)
    assert list(tmp_path.iterdir()) == []


def test_lock_cut_short_has_no_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text('{"hol')
    assert lock.read(path) == {"holder": {}}


def test_only_a_process_of_this_controller_can_be_seen_to_have_ended() -> None:
    me = lock_action.holder()
    assert not lock_action.has_ended(me)
    assert lock_action.has_ended(me | {"started": "1"})
    # The same host name says nothing: two containers of a CI have one.
    assert not lock_action.has_ended(me | {"started": "1", "machine": "boot/pid:[1]"})
    assert lock_action.started(os.getpid()) != lock_action.started(1)


def test_lock_is_that_of_the_run_whether_its_task_has_a_worker_or_not() -> None:
    """What started ansible-playbook, such as a shell, lives on after a run that was killed."""
    forking = multiprocessing.get_context("fork")
    answers = forking.SimpleQueue()
    worker = forking.Process(target=lambda: answers.put(lock_action.holder()))
    worker.start()
    worker.join()
    assert lock_action.holder()["pid"] == answers.get()["pid"] == os.getpid()


def test_archive_of_another_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(b"x")
    with pytest.raises(archive.ArchiveError, match="expected 00"):
        archive.verify_checksum(path, "00")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the archive has no manifest.json"),
        ("{", "manifest.json is not JSON"),
        ('{"release": "v1"}', "manifest.json says release = 'v1', expected 'v2'"),
        ("[]", "manifest.json says release = None, expected 'v2'"),
    ],
)
def test_archive_of_another_release_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(archive.ArchiveError, match=message):
        archive.verify_manifest(tmp_path, "manifest.json", {"release": "v2"})


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        ({"msg": "locked by someone"}, "locked by someone"),
        ({}, "the task"),
        (
            {"msg": "non-zero return code", "cmd": ["nginx-drain", "x"], "rc": 3, "stderr": "no upstream x"},
            "`nginx-drain x` ended with 3: no upstream x",
        ),
        (
            {"msg": "non-zero return code", "cmd": "sh -c x", "rc": 1, "stderr": "", "stdout": "in the output"},
            "`sh -c x` ended with 1: in the output",
        ),
        (
            {
                "msg": "One or more items failed",
                "results": [{"rc": 0}, {"failed": True, "msg": "", "cmd": ["a"], "rc": 4, "stderr": "refused"}],
            },
            "`a` ended with 4: refused",
        ),
        ({"msg": "All items completed", "results": [{"unreachable": True, "msg": "no route"}]}, "no route"),
    ],
)
def test_the_cause_of_a_failure_is_found_wherever_it_is(failure: dict[str, Any], reason: str) -> None:
    assert app_release.app_release_reason(failure, "the task") == reason


def test_hosts_that_are_left_out_are_named_by_commas_or_blanks() -> None:
    assert app_release.app_release_names("app2, app3") == ["app2", "app3"]
    assert app_release.app_release_names("") == []


def test_commands_of_services_are_filled() -> None:
    services = [{"name": "x", "pending": ["a", "{service}"], "restart": ["b", "{service}"]}]
    assert app_release.app_release_services(services, service="emr") == [
        {"name": "x", "pending": ["a", "emr"], "restart": ["b", "emr"]}
    ]


def test_caches_are_below_folders_of_root_alone() -> None:
    paths = app_release.app_release_cache_paths([".next/cache", "tmp"], "/var/cache/emr", "v1", "emr")
    assert [(entry["path"], entry["owner"]) for entry in paths] == [
        ("/var/cache/emr", "root"),
        ("/var/cache/emr/v1", "root"),
        ("/var/cache/emr/v1/.next_cache", "emr"),
        ("/var/cache/emr/v1/tmp", "emr"),
    ]
    assert app_release.app_release_cache_paths([], "/var/cache/emr", "v1", "emr") == []


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A host with one instance whose answers a test sets, under a manager that says what it is told."""
    answers: dict[str, Any] = {"health": (200, '{"release": "v1"}'), "ready": (200, "")}
    monkeypatch.setattr(state, "get", lambda _address, _port, path: answers[path])
    for name in ("current", "confirmed"):
        (tmp_path / name).symlink_to("releases/v1")
    (tmp_path / "rolling").mkdir()

    def ask(
        release: str = "v1", instances: Any = None, unexpected: Any = (), pending: str = "none", **changes: Any
    ) -> Any:
        known = [{"name": "a-5005", "stale": False, "processes": [{}]}] if instances is None else instances
        manager, service = tmp_path / "manager", tmp_path / "service"
        manager.write_text(
            f"#!/bin/sh\ncat <<END\n{json.dumps({'instances': known, 'unexpected': list(unexpected)})}\nEND\n"
        )
        service.write_text(f"#!/bin/sh\necho '{pending}'\n")
        for file in (manager, service):
            file.chmod(0o755)
        answers.update(changes)
        return state.describe(
            {
                "root": str(tmp_path),
                "release": release,
                "members": [{"name": "a-5005", "address": "127.0.0.1", "port": 5005}],
                "health_path": "health",
                "ready_path": "ready",
                "status_command": [str(manager)],
                "services": [{"name": "pooler", "pending": [str(service)]}],
            }
        )

    return ask


def test_a_host_with_the_release_is_settled(host: Any) -> None:
    assert host()["settled"]


def test_an_instance_that_is_not_ready_is_not_replaced(host: Any) -> None:
    """The database is away: the release is right, and a restart would not help."""
    assert host(ready=(503, "no database"))["settled"]


@pytest.mark.parametrize(
    "changes",
    [
        {"release": "v2"},
        {"health": (0, "")},
        {"health": (500, "")},
        {"instances": [{"name": "a-5005", "stale": True, "processes": [{}]}]},
        # What answers on the port is not an instance of this manager: another application, or another name of this one.
        {"instances": []},
        {"instances": [{"name": "a-5005", "stale": False, "processes": []}]},
    ],
)
def test_an_instance_is_replaced(host: Any, changes: dict[str, Any]) -> None:
    found = host(**changes)
    assert found["members"][0]["replace"]
    assert found["todo"] == ["a-5005"]
    assert not found["settled"]


def test_what_a_host_owes_is_found(host: Any, tmp_path: Path) -> None:
    assert host(pending="restart: unit")["pending"] == ["pooler"]
    assert not host(pending="restart: unit")["settled"]
    assert host(pending="none", unexpected=["a-5006"])["surplus"] == ["a-5006"]
    assert not host(unexpected=["a-5006"])["settled"]
    for name in ("a-5005", "a-5006"):
        (tmp_path / "rolling" / name).touch()
    marked = host()
    assert (marked["todo"], marked["marks_of_removed"]) == (["a-5005"], ["a-5006"])
    assert not marked["members"][0]["replace"]
