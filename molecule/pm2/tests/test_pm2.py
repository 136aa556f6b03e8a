"""What a user of the applications, their operators and an intruder would notice."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stackwright.testing.testinfra import security_score

FORKED = (5005, 5006)


@pytest.fixture(autouse=True)
def as_root(host: Any) -> Any:
    with host.sudo():
        yield


def ask(host: Any, port: int, path: str = "/", *headers: str) -> Any:
    options = " ".join(f"--header '{header}'" for header in headers)
    return host.run(f"curl --silent --show-error --max-time 10 {options} http://127.0.0.1:{port}{path}")


def answer(host: Any, port: int) -> dict[str, Any]:
    return dict(json.loads(ask(host, port).stdout))


def runs_as(host: Any, port: int) -> int | None:
    """The process that answers at a port, if one does."""
    reply = ask(host, port)
    return int(json.loads(reply.stdout)["pid"]) if reply.rc == 0 else None


def instances(host: Any, app: str) -> dict[str, dict[str, Any]]:
    status = json.loads(host.check_output(f"pm2-app {app} status"))
    return {instance["name"]: instance for instance in status["instances"]}


def eventually(condition: Any, seconds: int = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(1)


def test_each_port_has_its_own_process_with_the_secrets(host: Any) -> None:
    answers = [answer(host, port) for port in FORKED]
    assert [reply["instance"] for reply in answers] == ["forked-5005", "forked-5006"]
    assert len({reply["pid"] for reply in answers}) == 2
    assert {reply["secret"] for reply in answers} == {"kept in the file"}
    assert {reply["release"] for reply in answers} == {"/srv/forked/releases/v1"}


def test_cluster_shares_one_port(host: Any) -> None:
    eventually(lambda: len({answer(host, 5010)["pid"] for _ in range(10)}) == 2, 30)


def test_values_of_the_original(host: Any) -> None:
    app = json.loads(host.file("/etc/pm2/clustered.json").content_string)["apps"][0]
    expected = {
        "autorestart": True,
        "max_restarts": 10,
        "min_uptime": 10000,
        "max_memory_restart": "1024M",
        "watch": False,
        "merge_logs": True,
        "log_date_format": "YYYY-MM-DD HH:mm:ss Z",
    }
    assert {key: app[key] for key in expected} == expected


def test_runs_unprivileged_and_starts_at_boot(host: Any) -> None:
    for app in ("forked", "clustered"):
        assert host.service(f"pm2-{app}").is_enabled
        assert host.service(f"pm2-{app}").is_running
        users = host.check_output(f"ps -o user= -p $(systemctl show --property=MainPID --value pm2-{app})")
        assert users == app
    assert host.check_output(f"ps -o user= -p {answer(host, 5005)['pid']}") == "forked"


def test_unit_without_release_waits(host: Any) -> None:
    assert host.service("pm2-waiting").is_enabled
    assert not host.service("pm2-waiting").is_running
    assert host.run("systemctl start pm2-waiting").rc == 0
    assert host.check_output("pm2-app waiting revision") == "waiting"
    assert "did not start" in host.run("pm2-app waiting restart waiting-5020").stderr


def test_application_gone_from_the_inputs_is_gone(host: Any) -> None:
    assert not host.service("pm2-former").is_running
    assert not host.file("/etc/systemd/system/pm2-former.service").exists
    assert not host.file("/etc/pm2/former.json").exists


def test_hardening(host: Any) -> None:
    assert security_score(host, "pm2-forked.service") <= 4.0


def test_can_write_its_own_folders_alone(host: Any) -> None:
    assert ask(host, 5010, "/write", "x-folder: /srv/clustered/uploads").stdout == "written\n"
    for folder in ("/srv/clustered/current", "/etc/pm2", "/usr/local/bin", "/var/lib/pm2/forked"):
        assert ask(host, 5010, "/write", f"x-folder: {folder}").stdout in ("EROFS\n", "EACCES\n"), folder


def test_reload_finishes_requests_and_takes_one_after_another(host: Any) -> None:
    before = {port: answer(host, port)["pid"] for port in FORKED}
    script = (
        "(curl --silent http://127.0.0.1:5005/slow > /tmp/slow) & sleep 0.3; systemctl reload pm2-forked & "
        "none=0; while kill -0 $! 2> /dev/null; do up=0; "
        "for port in 5005 5006; do curl -sm 1 -o /dev/null http://127.0.0.1:$port/ && up=1; done; "
        "[ $up = 1 ] || none=$((none + 1)); done; wait; echo $none; cat /tmp/slow"
    )
    assert host.check_output(f"bash -c '{script}'").split() == ["0", "done"]
    assert all(answer(host, port)["pid"] != before[port] for port in FORKED)


def test_restart_of_one_instance_leaves_the_other(host: Any) -> None:
    before = {port: answer(host, port)["pid"] for port in FORKED}
    host.check_output("pm2-app forked restart forked-5006")
    assert answer(host, 5005)["pid"] == before[5005]
    assert answer(host, 5006)["pid"] != before[5006]


def test_changed_secret_makes_instances_stale_until_applied(host: Any) -> None:
    pids = [answer(host, port)["pid"] for port in FORKED]
    assert host.check_output("pm2-app forked stale") == ""
    host.check_output("sed --in-place s/kept/changed/ /etc/forked/env")
    assert host.check_output("pm2-app forked stale").split() == ["forked-5005", "forked-5006"]
    host.check_output("pm2-app forked apply")
    assert [answer(host, port)["secret"] for port in FORKED] == ["changed in the file"] * 2
    assert host.check_output("pm2-app forked stale") == ""
    assert not set(pids) & {answer(host, port)["pid"] for port in FORKED}
    host.check_output("sed --in-place s/changed/kept/ /etc/forked/env && pm2-app forked apply")


def test_cluster_reload_fails_no_request(host: Any) -> None:
    script = (
        "systemctl reload pm2-clustered & failed=0; while kill -0 $! 2> /dev/null; do "
        "curl --silent --fail --output /dev/null http://127.0.0.1:5010/ || failed=$((failed + 1)); done; echo $failed"
    )
    assert host.check_output(f"bash -c '{script}'") == "0"


def test_crash_is_restarted_and_counted(host: Any) -> None:
    before = answer(host, 5005)["pid"]
    ask(host, 5005, "/crash")
    eventually(lambda: runs_as(host, 5005) not in {None, before}, 60)
    assert instances(host, "forked")["forked-5005"]["processes"][0]["restarts"] >= 1


def test_too_much_memory_is_restarted(host: Any) -> None:
    before = answer(host, 5006)["pid"]
    ask(host, 5006, "/leak")
    eventually(lambda: runs_as(host, 5006) not in {None, before}, 150)


def test_death_of_the_supervisor_brings_everything_back(host: Any) -> None:
    before = host.check_output("systemctl show --property=MainPID --value pm2-forked")
    host.check_output("systemctl kill --signal=KILL --kill-whom=main pm2-forked")
    state = "systemctl show --property=MainPID,ActiveState --value pm2-forked"
    eventually(lambda: {"0", before}.isdisjoint(now := host.check_output(state).split()) and "active" in now, 90)
    assert [answer(host, port)["instance"] for port in FORKED] == ["forked-5005", "forked-5006"]


def test_crash_loop_is_bounded(host: Any) -> None:
    """A release that never comes up ends in a failed unit, not in restarts for ever, and a good one brings it back."""
    host.check_output("mv /srv/forked/releases/v1/server.js /srv/forked/releases/v1/kept.js")
    host.check_output("echo 'process.exit(1)' > /srv/forked/releases/v1/server.js")
    try:
        host.run("systemctl restart pm2-forked")
        eventually(
            lambda: host.check_output("systemctl show --property=ActiveState --value pm2-forked") == "failed", 500
        )
    finally:
        host.check_output("mv /srv/forked/releases/v1/kept.js /srv/forked/releases/v1/server.js")
        host.check_output("pm2-app forked restart forked-5005")
    assert answer(host, 5005)["instance"] == "forked-5005"


def test_rotation_loses_no_line(host: Any) -> None:
    log = "/var/log/forked/forked-out.log"
    script = (
        '(for i in $(seq 400); do curl -so /dev/null --header "x-line: $i." http://127.0.0.1:5005/log; done) & '
        f"for n in 1 2 3 4 5; do sleep 0.3; mv {log} {log}.$n; "
        "systemctl kill --signal=USR2 --kill-whom=main pm2-forked; done; wait"
    )
    host.check_output(f"bash -c '{script}'")
    lines = host.check_output(f"cat {log}*").splitlines()
    numbers = [line.rsplit(" ", 1)[-1] for line in lines if " line " in line]
    assert sorted(numbers) == sorted(f"{number}." for number in range(1, 401))
    assert host.file(log).exists
    assert host.file(log).mode == 0o640
    assert host.file(log).group == "adm"
    host.check_output(f"rm {log}.*")


def test_operators_read_the_status_without_sudo_and_others_do_not(host: Any) -> None:
    shown = host.check_output("runuser -u operator -- pm2-status")
    assert "forked-5005  online  release v1" in shown
    status = json.loads(host.check_output("runuser -u operator -- pm2-status --json forked"))
    assert {instance["name"] for instance in status["forked"]["instances"]} == {"forked-5005", "forked-5006"}
    refused = host.run("runuser -u visitor -- pm2-status")
    assert refused.rc == 1
    assert "join the group" in refused.stderr


def test_operators_cannot_act(host: Any) -> None:
    assert host.run("runuser -u operator -- pm2-app forked restart forked-5005").rc != 0
    assert host.run("runuser -u operator -- cat /etc/forked/env").rc != 0
    assert host.run("runuser -u operator -- ls /var/lib/pm2/forked").rc != 0


def test_secrets_are_nowhere_but_in_their_file_and_the_process(host: Any) -> None:
    secret = "kept in the file"
    assert answer(host, 5005)["secret"] == secret
    assert secret not in host.check_output("ps axewww -o args")
    assert secret not in host.check_output("pm2-app forked pm2 jlist")
    assert secret not in host.check_output("pm2-app forked pm2 env $(pm2-app forked pm2 id forked-5005 | tr -dc 0-9)")
    # A pattern that does not match itself, as the journal has this test's own commands.
    pattern = "kep[t] in the file"
    assert (
        host.run(f"grep -r '{pattern}' /var/lib/pm2 /etc/pm2 /run/pm2-forked /var/log/forked /etc/systemd/system").rc
        == 1
    )
    assert host.run(f"journalctl --no-pager | grep '{pattern}'").rc == 1


def test_pm2_tells_nobody_outside(host: Any) -> None:
    """No agent, no update check: the only sockets are PM2's own and the application's."""
    assert host.run("pgrep --full --list-full 'pm[2].*agent|Interacto[r]'").rc == 1
    assert host.check_output("ss -Htnp state established '( dport = :443 or dport = :80 )'") == ""


def test_command_line_client_starts_no_daemon_of_its_own(host: Any) -> None:
    assert "not running" in host.run("pm2-app waiting pm2 list").stderr
    assert host.run("pgrep --uid waiting").rc == 1
