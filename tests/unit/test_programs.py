"""`stackwright_program` runs a program as starting it would, without starting Python."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from stackwright.ansible.module_utils import stackwright_programs as programs
from stackwright.ansible.modules import stackwright_program


class Ended(Exception):  # noqa: N818 - how a module ends in a test
    """The module has ended."""


class Module:
    """An Ansible module."""

    def __init__(self, **params: object) -> None:
        self.check_mode = params.pop("check_mode", False)
        self.params = {"stdin": None, "removes": None, "read_only": False, "timeout_seconds": 0} | params

    def exit_json(self, **outcome: object) -> None:
        raise Ended(outcome)

    def fail_json(self, **outcome: object) -> None:
        raise Ended({"failed": True} | outcome)


BODY = """#!{python}
import json, os, sys
import decimal
from dataclasses import dataclass
import beside

@dataclass
class Answer:
    words: list[str]

if __name__ == "__main__":
    {statement}
"""


@pytest.fixture(name="write")
def write_(tmp_path: Path):
    (tmp_path / "beside.py").write_text("WORD = 'beside'\n")

    def write(statement: str, python: str = sys.executable) -> str:
        program = tmp_path / "program"
        program.write_text(BODY.format(python=python, statement=statement))
        program.chmod(0o755)
        return str(program)

    return write


@pytest.mark.parametrize(
    ("statement", "outcome"),
    [
        ("print(json.dumps(sys.argv[1:]))", (0, '["a", "b c"]\n', "")),
        ("print(sys.stdin.read().upper(), file=sys.stderr)", (0, "", "GRÜN\n")),
        ("print(beside.WORD, Answer(['x']), __file__ == sys.argv[0])", (0, "beside Answer(words=['x']) True\n", "")),
        ("sys.exit(7)", (7, "", "")),
        ("sys.exit('no such certificate')", (1, "", "no such certificate\n")),
        ("os.kill(os.getpid(), 9)", (-9, "", "")),
        ("os.execvp('echo', ['echo', 'replaced'])", (0, "replaced\n", "")),
        ("print('x' * 300_000, end='')", (0, "x" * 300_000, "")),
    ],
)
@pytest.mark.parametrize("interpreter", ["this", "another"])
def test_a_program_behaves_as_if_it_were_started(write, statement: str, outcome: object, interpreter: str) -> None:
    program = write(statement, sys.executable if interpreter == "this" else "/usr/bin/env python3")
    assert programs.run([program, "a", "b c"], "grün", 0) == outcome


def test_a_program_has_no_descriptor_of_this_process(write) -> None:
    with Path("/dev/null").open():
        rc, stdout, _ = programs.run(
            [write("print(len(os.listdir('/proc/self/fd')), os.getpid() == os.getsid(0))")], "", 0
        )
    # Its own three, and that of the folder which it lists.
    assert (rc, stdout) == (0, "4 True\n")


def test_an_exception_is_shown_as_python_shows_it(write) -> None:
    rc, stdout, stderr = programs.run([write("raise ValueError('wrong')")], "", 0)
    assert (rc, stdout) == (1, "")
    assert stderr.startswith("Traceback")
    assert stderr.endswith("ValueError: wrong\n")


@pytest.mark.parametrize("python", [sys.executable, "/usr/bin/env python3"])
def test_a_program_ends_at_its_time_limit(write, python: str) -> None:
    begin = time.monotonic()
    rc, stdout, _ = programs.run([write("print('begun', flush=True); import time; time.sleep(60)", python)], "", 1)
    assert (rc, stdout) == (programs.TIMED_OUT, "begun\n")
    assert time.monotonic() - begin < 30


def test_nothing_that_a_program_does_stays_in_this_process(write) -> None:
    before = Path.cwd(), sys.argv, os.umask(0o022), {name for name in sys.modules if "beside" in name}
    os.umask(before[2])
    programs.run([write("os.chdir('/'); os.umask(0); os.environ['A'] = 'b'; sys.argv.append('c')")], "", 0)
    assert (Path.cwd(), sys.argv, os.umask(before[2]), {name for name in sys.modules if "beside" in name}) == before
    assert "A" not in os.environ


def test_a_program_that_was_replaced_runs_as_it_is_now(write) -> None:
    for word in ("first", "other"):
        assert programs.run([write(f"print('{word}')")], "", 0)[1] == f"{word}\n"


def test_what_a_program_imports_is_loaded_once(write) -> None:
    sys.modules.pop("decimal", None)
    programs.run([write("pass")], "", 0)
    assert "decimal" in sys.modules


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        programs.run([str(tmp_path / "absent")], "", 0)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"changed": True, "answer": {"changed": ["-"]}}),
        ({"check_mode": True}, {"changed": True, "answer": {"changed": ["--dry-run"]}}),
        ({"check_mode": True, "read_only": True}, {"answer": {"changed": ["-"]}}),
        ({"path": "/nowhere"}, {"failed": True, "rc": 127, "stdout": "", "answer": {}}),
        ({"removes": "/nowhere"}, {"changed": False, "rc": 0, "stdout": "", "answer": {}}),
        ({"argv": "print('words')"}, {"changed": False, "stdout": "words", "answer": {}}),
        ({"argv": "print(json.dumps({'changed': []}))"}, {"changed": False}),
        ({"argv": "sys.exit('broken')"}, {"failed": True, "rc": 1, "msg": "{program} ended with 1: broken"}),
    ],
)
def test_the_module_reports_what_the_program_printed(write, monkeypatch, params: dict, expected: dict) -> None:
    written = write(params.pop("argv", "print(json.dumps({'changed': sys.argv[1:] or ['-']}))"))
    program = params.pop("path", written)
    monkeypatch.setattr(stackwright_program, "AnsibleModule", lambda **_: Module(argv=[program], **params))
    with pytest.raises(Ended) as ended:
        stackwright_program.main()
    (outcome,) = ended.value.args
    expected = {key: value.format(program=program) if key == "msg" else value for key, value in expected.items()}
    assert {key: outcome[key] for key in expected} == expected
