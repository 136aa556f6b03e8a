"""What a verb says of a converge: the failures that stopped it, and none that the playbook had expected."""

from __future__ import annotations

import io
import os
from pathlib import Path

from rich.console import Console

from stackwright.cli.progress import Runner

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
    assert {name: host.failure and host.failure["message"] for name, host in recap.hosts.items()} == {
        "away": None,
        "rescued": None,
        "broken": "no more",
    }
