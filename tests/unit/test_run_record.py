"""One run at a time on this machine, what a run leaves that did not end, and that nothing goes on after it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stackwright.cli import app, progress
from stackwright.cli.run_record import LockedError, exclusive

#: `up` in small: a phase with a converge, whose `ansible-playbook` is a script that says where it is and then sleeps.
PROGRAM = """
    import sys
    from pathlib import Path
    from types import SimpleNamespace

    from stackwright.cli import app

    folder = Path(sys.argv[1])
    environment = SimpleNamespace(name="test", state_folder=folder / ".state/test", root=folder)

    def verb():
        with app._run(environment, "converge", verbose=False) as runner:
            with runner.phase("Converging"):
                runner.converge([sys.executable, str(folder / "playbook.py")], {"PATH": "/usr/bin:/bin"})

    app.app = verb
    app.main()
"""
PLAYBOOK = """
    import json, os, subprocess, time
    events = os.fdopen(int(os.environ["STACKWRIGHT_EVENTS_FD"]), "w")
    result = {"event": "result", "host": "db1", "status": "ok", "task": "etcd : run | Start etcd"}
    for event in ({"event": "play", "name": "Consensus"}, {"event": "task", "name": "x"}, result):
        print(json.dumps(event), file=events, flush=True)
    child = subprocess.Popen(["sleep", "300"])
    time.sleep(1)
    open("started", "w").write(f"{os.getpid()} {child.pid}")
    time.sleep(300)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    (folder / "playbook.py").write_text(textwrap.dedent(PLAYBOOK))
    (folder / "started").unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: (folder / "started").exists() and len((folder / "started").read_text().split()) == 2)
    return process


def until(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(number, marks=pytest.mark.long) for number in (signal.SIGTERM, signal.SIGHUP))],
    ids=lambda number: number.name,
)
def test_an_interrupted_run_ends_its_processes_and_says_where_it_stopped(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = start(tmp_path)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 130, output
    for pid in (tmp_path / "started").read_text().split():
        until(lambda pid=pid: ended(int(pid)))
    assert "in Converging, play Consensus, after task `etcd : run | Start etcd` on db1" in " ".join(output.split())
    assert "next: stackwright converge test" in output


def test_a_killed_run_leaves_no_playbook_and_the_next_one_says_so(tmp_path: Path) -> None:
    process = start(tmp_path)
    process.kill()
    process.wait()
    playbook = int((tmp_path / "started").read_text().split()[0])
    until(lambda: ended(playbook))
    os.kill(int((tmp_path / "started").read_text().split()[1]), signal.SIGKILL)
    with exclusive(tmp_path / ".state/test", "up") as (record, earlier):
        assert earlier is not None
        assert re.search(
            r"`stackwright converge` of .*did not finish: it stopped in Converging, play Consensus", earlier
        )
        record.finish()
    with exclusive(tmp_path / ".state/test", "up") as (_, earlier):
        assert earlier is None


def test_a_second_run_is_told_whose_the_first_is(tmp_path: Path) -> None:
    process = start(tmp_path)
    with (
        pytest.raises(LockedError, match=rf"test is locked: `stackwright converge` of \w+ \(process {process.pid}\)"),
        exclusive(tmp_path / ".state/test", "up"),
    ):
        raise AssertionError("two runs at once")
    second = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert second.returncode == 3, second.stderr
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)


def test_the_state_and_the_log_are_their_owners_alone_and_the_log_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / ".state/test"
    log = state / "log/stackwright.log"
    log.parent.mkdir(parents=True, mode=0o755)
    state.chmod(0o755)
    log.write_text("x" * 100)
    log.chmod(0o644)
    monkeypatch.setattr(progress, "_LOG_BYTES", 50)
    for _ in range(3):
        progress.open_log(log)
        with log.open("a") as file:
            file.write("y" * 100)
    assert sorted(path.name for path in log.parent.iterdir()) == ["stackwright.log", "stackwright.log.1"]
    assert {path.stat().st_mode & 0o777 for path in log.parent.iterdir()} == {0o600}
    assert state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("verb", ["up", "update", "rotate-ca"])
def test_a_converge_that_stopped_names_the_verb_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(app.database_ca, "ensure", lambda _: None)
    monkeypatch.setattr(progress.Runner, "converge", lambda *_: progress.Recap(code=2))
    environment: Any = SimpleNamespace(name="test", state_folder=tmp_path / ".state/test", root=tmp_path)
    (tmp_path / "inventories").mkdir()
    with (
        pytest.raises(progress.CommandFailedError, match=f"go on with: stackwright {verb} test$"),
        app._run(environment, verb, verbose=False) as runner,
    ):
        app._converge(environment, runner, allow_older=False)
