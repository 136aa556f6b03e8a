"""What a verb says of a converge: the failures that stopped it, and none that the playbook had expected."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from stackwright.cli import progress
from stackwright.cli.progress import CommandFailedError, Runner

ROOT = Path(__file__).resolve().parents[2]


def test_only_what_stopped_a_host_counts_as_its_failure(tmp_path: Path) -> None:
    (tmp_path / "ansible.cfg").write_text("[defaults]\n")
    (tmp_path / "hosts.yml").write_text(
        "all: {hosts: {away: {ansible_host: 127.0.0.1, ansible_port: 1}, rescued: {ansible_connection: local},"
        " broken: {ansible_connection: local}}}\n"
    )
    (tmp_path / "play.yml").write_text("""
- hosts: all
  gather_facts: false
  tasks:
    - name: Ask
      ansible.builtin.ping:
      ignore_unreachable: true
      vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
- hosts: rescued:broken
  gather_facts: false
  tasks:
    - name: Try
      block: [{ansible.builtin.fail: {msg: expected}}]
      rescue: [{ansible.builtin.debug: {msg: fine}}]
    - name: Change
      ansible.builtin.command: "true"
      vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
      when: inventory_hostname == "rescued"
    - name: Fail
      ansible.builtin.fail: {msg: no more}
      when: inventory_hostname == "broken"
""")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "src/stackwright/ansible/callback"),
    }
    runner = Runner(Console(file=io.StringIO()), tmp_path / "state/log/stackwright.log", verbose=False)
    files = [str(tmp_path / name) for name in ("hosts.yml", "play.yml")]
    recap = runner.converge(["ansible-playbook", "-i", *files], environment)
    assert recap.code == 2
    assert recap.changes == [("rescued", "rescued:broken 1")]
    assert {name: host.failure and host.failure["message"] for name, host in recap.hosts.items()} == {
        "away": None,
        "rescued": None,
        "broken": "no more",
    }


def test_a_playbook_that_asks_ends_within_its_time(tmp_path: Path) -> None:
    runner = Runner(Console(file=io.StringIO()), tmp_path / "state/log/stackwright.log", verbose=False)
    with pytest.raises(CommandFailedError, match="not all hosts answered within 1 s"):
        runner.results(["sh", "-c", "sleep 4711 & wait"], os.environ, 1)
    assert "sleep 4711" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_a_host_is_shown_with_its_task_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    recap = progress.Recap(code=0)
    told = [
        {"event": "play", "name": "Cache"},
        {"event": "start", "host": "cache1", "task": "redis : run | Start"},
        {"event": "result", "host": "cache1", "status": "changed", "task": "redis : run | Start"},
        {"event": "start", "host": "cache1", "task": "redis : run | Move"},
    ]
    for event in told:
        progress._apply(event, recap)
    clock[0] = 107.0
    console = Console(file=io.StringIO(), width=100)
    console.print(progress._table(recap, 90.0))
    shown = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert shown[0] == ["Cache", "17", "s"]
    assert shown[2] == ["cache1", "1", "1", "redis", ":", "run", "|", "Move", "7"]
    assert recap.changes == [("cache1", "redis 1")]
