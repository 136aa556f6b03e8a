"""Why a task failed whose output is kept from logs: the reason is shown, and nothing of what is secret."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stackwright.ansible import reasons

ROOT = Path(__file__).resolve().parents[2]
SECRET = "Corr3ct-horse/battery+staple"


@pytest.mark.parametrize(
    ("result", "arguments", "expected"),
    [
        ({"stderr": "web: the private key does not belong to the certificate"}, {"stdin": SECRET}, "does not belong"),
        ({"msg": f"FATAL: password of user x is {SECRET}: refused"}, {"query": f"ALTER {SECRET}"}, "refused"),
        ({"msg": "url https://u:Corr3ct-horse%2Fbattery%2Bstaple@h: timed out"}, {"password": SECRET}, "timed out"),
        ({"msg": "line 2: Corr3ct-horse is unknown"}, {"content": f"a\nb {SECRET}"}, "line 2"),
        ({"results": [{"failed": True, "msg": f"{SECRET} no", "item": {"p": SECRET}}, {"msg": "fine"}]}, {}, "no"),
        ({"msg": "server: SCRAM-SHA-256$4096:c2FsdA==$abc:def was refused"}, {}, "was refused"),
    ],
)
def test_the_reason_stays_and_the_secret_goes(result: dict[str, Any], arguments: dict[str, Any], expected: str) -> None:
    shown = reasons.of_failure(result, arguments, "ansible.builtin.command", [])
    assert expected in shown
    for word in (SECRET, "Corr3ct", "battery+staple", "SCRAM", "c2FsdA"):
        assert word not in shown


def test_what_only_the_vault_knows_goes_too() -> None:
    assert SECRET not in reasons.of_failure({"msg": f"got {SECRET}"}, {}, "command", [SECRET])


def test_the_words_of_an_assertion_are_the_reason() -> None:
    item = {"name": "postgresql", "password": SECRET}
    result = {"results": [{"failed": True, "msg": "postgresql: the password is too short", "item": item}]}
    arguments = {"that": ["x"], "fail_msg": "postgresql: the password is too short"}
    shown = reasons.of_failure(result, arguments, "ansible.builtin.assert", [])
    assert shown == "postgresql: the password is too short"
    leaking = {"msg": f"postgresql: {SECRET} is too short", "item": item}
    assert reasons.of_failure(leaking, arguments, "assert", []) == f"postgresql: {reasons.HIDDEN} is too short"


def test_ansible_shows_it_for_every_task_of_every_role(tmp_path: Path) -> None:
    """By the strategy, so that no role has to do anything for it."""
    # Not in the playbook itself, whose lines Ansible shows.
    (tmp_path / "play.yml").write_text("""
- hosts: localhost
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.command: sh -c 'echo "cannot open the store with {{ lookup("ansible.builtin.env", "WORD") }}" >&2; exit 3'
      no_log: true
""")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {
        "ANSIBLE_STRATEGY_PLUGINS": str(ROOT / "src/stackwright/ansible/strategy"),
        "ANSIBLE_STRATEGY": "stackwright_linear",
        "ANSIBLE_NOCOLOR": "1",
        "STACKWRIGHT_MITOGEN": "0",
        "WORD": SECRET,
    }
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "play.yml"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    output = done.stdout + done.stderr
    assert "reason of localhost, without secrets:" in output
    assert "cannot open the" in output
    assert SECRET not in output
