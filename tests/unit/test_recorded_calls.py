"""What a converge records of a host, when it does not, and what differs when the same is asked again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from rich.console import Console

from stackwright.ansible import recorded_calls
from stackwright.ansible.action import stackwright_drift
from stackwright.ansible.recorded_calls import Call, Recorder
from stackwright.cli import drift
from stackwright.model.drift_report import report

ROOT = Path(__file__).resolve().parents[2]


def call(module: str, answer: dict[str, Any], **values: Any) -> Call:
    fields = {"role": "redis", "task": "run | Ask", "user": "root", "arguments": {}, "secret": False} | values
    return Call(module=module, answer=answer, **fields)


STAT = {"exists": True, "isdir": False, "mode": "0644", "size": 3, "mtime": 1.5, "atime": 1.0, "checksum": "a"}
FOLDER = {"exists": True, "isdir": True, "mode": "0755", "size": 3, "mtime": 1.5, "nlink": 2}
COMMAND = {"rc": 0, "stdout": "a none\nb none", "stderr": "", "start": "1", "delta": "2", "changed": True}


@pytest.mark.parametrize(
    ("module", "before", "after", "expected"),
    [
        # A module with a check mode: what it would do counts, not what it says beside.
        ("stackwright_files", {"changed": False, "x": 1}, {"changed": False, "x": 2}, None),
        (
            "stackwright_files",
            {"changed": False},
            {"changed": True, "changed_paths": ["/a", "/b"]},
            ("unchanged", "would change: /a, /b"),
        ),
        ("ansible.builtin.user", {"changed": False}, {"changed": True}, ("unchanged", "would change")),
        ("ansible.builtin.user", {"changed": False}, {"failed": True, "msg": "no"}, ("unchanged", "no")),
        # One that looks: its whole answer, but for what differs from call to call.
        ("ansible.builtin.command", COMMAND, COMMAND | {"start": "2", "delta": "3"}, None),
        (
            "ansible.builtin.command",
            COMMAND,
            COMMAND | {"stdout": "a none\nb reload"},
            ("stdout: b none", "stdout: b reload"),
        ),
        ("ansible.builtin.command", COMMAND, COMMAND | {"rc": 1}, ("rc: 0", "rc: 1")),
        (
            "ansible.builtin.command",
            COMMAND | {"stdout": '{"a": false, "b": 1}'},
            COMMAND | {"stdout": '{"a": true, "b": 1}'},
            ("stdout: {a: False}", "stdout: {a: True}"),
        ),
        ("ansible.builtin.stat", {"stat": STAT}, {"stat": STAT | {"atime": 2.0}}, None),
        ("ansible.builtin.stat", {"stat": STAT}, {"stat": STAT | {"mode": "0666"}}, ("mode: 0644", "mode: 0666")),
        ("ansible.builtin.stat", {"stat": STAT}, {"stat": {"exists": False}}, "exists"),
        # What is in a folder changes its size and its time.
        ("ansible.builtin.stat", {"stat": FOLDER}, {"stat": FOLDER | {"size": 9, "mtime": 2.5, "nlink": 3}}, None),
        (
            "ansible.builtin.find",
            {"files": [FOLDER | {"path": "/a"}, FOLDER | {"path": "/b"}], "examined": 2},
            {"files": [FOLDER | {"path": "/b", "size": 7}, FOLDER | {"path": "/a"}], "examined": 2},
            None,
        ),
        ("ansible.builtin.find", {"files": [FOLDER | {"path": "/a"}]}, {"files": []}, "files"),
        ("patroni_ready", {"role": "replica"}, {"role": "primary"}, ("role: replica", "role: primary")),
        ("patroni_ready", {"role": "replica"}, {"failed": True, "msg": "no leader"}, ("an answer", "no leader")),
    ],
)
def test_what_decides_is_compared(
    module: str, before: dict[str, Any], after: dict[str, Any], expected: tuple[str, str] | str | None
) -> None:
    difference = call(module, before).compare(after)
    if expected is None:
        assert difference is None
    elif isinstance(expected, str):
        assert difference is not None
        assert expected in str(difference["expected"])
    else:
        assert difference == {"expected": expected[0], "actual": expected[1]}


def test_a_record_gives_back_what_it_was_given() -> None:
    recorded = call("ansible.builtin.stat", {"stat": STAT | {"path": Path("/a")}}, secret=True)
    assert recorded.compare(json.loads(json.dumps(recorded.answer, default=str))) is None
    assert recorded.compare({"stat": {}}) == {"expected": None, "actual": None}
    assert recorded.what == "kept from logs"


def test_a_command_that_is_asked_again_has_a_time_limit() -> None:
    limit = f"timeout --kill-after=5 {recorded_calls.COMMAND_SECONDS}"
    by_words = call("ansible.builtin.command", COMMAND, arguments={"argv": ["a", "b c"], "stdin": "x"})
    assert by_words.safe_arguments() == {"argv": [*limit.split(), "a", "b c"], "stdin": "x"}
    as_text = call("ansible.legacy.command", COMMAND, arguments={"_raw_params": "a 'b c'"})
    assert as_text.safe_arguments() == {"_raw_params": f"{limit} a 'b c'"}
    other = call("ansible.builtin.stat", {"stat": STAT}, arguments={"path": "/a"})
    assert other.safe_arguments() == {"path": "/a"}
    assert [each.in_check_mode for each in (by_words, as_text, other)] == [False, False, True]


@pytest.mark.parametrize(
    ("module", "arguments", "query", "expected"),
    [
        ("ansible.builtin.command", {"argv": ["true"]}, True, True),
        ("ansible.builtin.command", {"argv": ["true"]}, False, False),
        ("community.postgresql.postgresql_query", {}, False, False),
        ("ansible.builtin.uri", {"url": "https://a"}, False, True),
        ("ansible.builtin.uri", {"url": "https://a", "method": "POST"}, False, False),
        ("ansible.builtin.uri", {"url": "https://a", "dest": "/a"}, False, False),
        ("stackwright_files", {}, False, True),
        ("stackwright_lock", {}, True, False),
        ("ansible.builtin.apt", {}, True, False),
        ("ansible.builtin.shell", {}, True, False),
    ],
)
def test_only_what_is_known_to_look_is_asked_again(
    module: str, arguments: dict[str, Any], query: bool, expected: bool
) -> None:
    assert recorded_calls.is_observable(module, arguments, query=query) is expected


class Run:
    """A run of a playbook for an environment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, whole: bool = True) -> None:
        monkeypatch.setattr(recorded_calls.project, "state_folder", lambda name: folder / name)
        self.index, self.recorder = folder / "test" / "recorded-calls.json", Recorder()
        self.recorder.begin("test", whole=whole)

    def ask(
        self,
        module: str,
        arguments: dict[str, Any],
        answer: dict[str, Any],
        *,
        check_mode: bool | None = None,
        **task: Any,
    ) -> None:
        fields = {"_uuid": f"{module} {check_mode}", "delegate_to": None, "environment": [], "no_log": False} | task
        made = SimpleNamespace(
            **fields, _role=SimpleNamespace(get_name=lambda: "tls"), get_name=lambda **_: "tls : run | Ask"
        )
        if check_mode is not None:
            made._check_mode = check_mode
        self.recorder.add_task("h1", made, in_process=True)
        action = SimpleNamespace(_task=made, _play_context=SimpleNamespace(become=True, become_user="root"))
        self.recorder.add_answer(
            action, {"inventory_hostname": "h1"}, {"module": module, "arguments": arguments}, answer
        )

    def recorded(self) -> list[Call]:
        content = self.recorder.content("h1")
        assert content is not None
        return [*recorded_calls.calls(content)]


def test_the_last_answer_of_a_question_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch)
    for state in ("starting", "running"):
        run.ask("ansible.builtin.uri", {"url": "https://h1"}, {"status": 200, "json": {"state": state}})
    (recorded,) = run.recorded()
    assert (recorded.answer["json"], recorded.user, recorded.task) == ({"state": "running"}, "root", "run | Ask")


def test_a_program_runs_in_check_mode_with_a_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch)
    run.ask("stackwright_program", {"argv": ["/usr/local/sbin/stackwright-tls", "reload"]}, COMMAND)
    (recorded,) = run.recorded()
    assert recorded.in_check_mode
    assert recorded.safe_arguments()["timeout_seconds"] == recorded_calls.COMMAND_SECONDS


@pytest.mark.parametrize(
    ("module", "task"),
    [
        ("ansible.builtin.command", {}),
        ("ansible.builtin.command", {"check_mode": True}),
        ("stackwright_files", {"environment": [{"A": "b"}]}),
    ],
)
def test_what_cannot_be_asked_again_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, task: dict[str, Any]
) -> None:
    run = Run(tmp_path, monkeypatch)
    run.ask("ansible.builtin.stat", {"path": "/a"}, {"stat": STAT})
    run.ask(module, {}, COMMAND, **task)
    content = run.recorder.content("h1")
    assert content is not None
    assert recorded_calls.not_asked(content) == [{"role": "tls", "task": "run | Ask"}]
    assert [recorded.kind for recorded in run.recorded()] == ["stat"]


def test_a_host_that_changed_has_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch)
    run.ask("ansible.builtin.stat", {"path": "/a"}, {"stat": STAT})
    content = run.recorder.content("h1")
    assert content is not None
    run.recorder.remember("h1", content)
    run.recorder.remember("h2", content)
    assert recorded_calls.index(run.index)["h1"]["sha256"] == recorded_calls.checksum(content)
    run.recorder.discard("h1")
    assert recorded_calls.index(run.index).keys() == {"h2"}
    assert run.recorder.content("h1") is None
    # Any run that changes it ends the record, whole or not.
    later = Run(tmp_path, monkeypatch, whole=False)
    later.recorder.discard("h2")
    assert recorded_calls.index(run.index) == {}


def test_two_records_of_the_same_have_different_checksums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else who reads the checksum could try passwords on it."""
    run = Run(tmp_path, monkeypatch)
    run.ask("ansible.builtin.stat", {"path": "/a"}, {"stat": STAT})
    first, second = run.recorder.content("h1"), run.recorder.content("h1")
    assert first is not None
    assert second is not None
    assert recorded_calls.checksum(first) != recorded_calls.checksum(second)


def test_a_run_that_leaves_something_out_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, monkeypatch, whole=False)
    run.ask("ansible.builtin.stat", {"path": "/a"}, {"stat": STAT})
    assert run.recorder.content("h1") is None


def test_without_an_environment_nothing_is_recorded() -> None:
    recorder = Recorder()
    recorder.begin(None, whole=True)
    recorder.discard("h1")
    assert recorder.content("h1") is None


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_an_index_that_cannot_be_read_knows_no_host(tmp_path: Path, text: str) -> None:
    (tmp_path / "index").write_text(text)
    assert recorded_calls.index(tmp_path / "index") == {}


READ = {
    "users": ["root"],
    "recorded_at": "2026-11-30T12:00:00Z",
    "not_asked": [{"role": "backup", "task": "run | Init"}],
}
DIFFERENCE = {"role": "redis", "task": "run | Ask", "what": "redis", "expected": "a", "actual": "b"}


def results(**hosts: Any) -> list[dict[str, Any]]:
    return [
        {"host": name, "status": "ok", "task": "Ask", **(answer if isinstance(answer, dict) else {"said": answer})}
        for name, answers in hosts.items()
        for answer in answers
    ]


@pytest.mark.parametrize(
    ("hosts", "code", "shown"),
    [
        (
            {"h1": [[READ], [{"compared": 3, "differences": []}]]},
            0,
            ["e: no differences in 3 checks; 1 tasks not checked"],
        ),
        (
            {"h1": [[READ], [{"compared": 1, "differences": []}, {"compared": 2, "differences": [DIFFERENCE]}]]},
            1,
            ["h1  redis  Ask: a -> b", "e: 1 difference in 3 checks"],
        ),
        (
            {"h1": [[{"users": [], "problem": "no record"}], []]},
            3,
            ["h1  not compared: no record", "1 of 1 hosts not compared"],
        ),
        ({"h1": [{"status": "unreachable", "message": "ssh:\nrefused"}]}, 3, ["h1  not compared: refused"]),
        (
            {
                "h1": [[READ], [{"compared": 1, "differences": [DIFFERENCE | {"expected": None, "actual": None}]}]],
                "h2": [],
            },
            1,
            [
                "h1  redis  Ask: differs (values hidden by no_log)",
                "h2  not compared: Ansible says nothing of it",
            ],
        ),
    ],
)
def test_the_report(hosts: dict[str, Any], code: int, shown: list[str]) -> None:
    found = report("e", "2026-11-30T12:00:01Z", drift.from_results(results(**hosts), [*hosts]))
    assert found.exit_code == code
    jsonschema.validate(json.loads(found.to_json()), json.loads((ROOT / "schemas/drift.schema.json").read_text()))
    console = Console(file=io.StringIO(), width=80)
    drift.show(console, found)
    for text in shown:
        assert text in console.file.getvalue()  # type: ignore[attr-defined]


class Asking(stackwright_drift.ActionModule):
    """The action on a host that answers with an error."""

    def __init__(self, error: Exception) -> None:
        self._error, self._task = error, SimpleNamespace(check_mode=False, no_log=False)

    def _execute_module(self, *_: Any, **__: Any) -> dict[str, Any]:
        assert (self._task.check_mode, self._task.no_log) == (True, True)
        raise self._error


def test_a_module_that_is_gone_is_a_difference_and_a_host_that_is_gone_is_none() -> None:
    recorded = call("ansible.builtin.stat", {"stat": STAT}, arguments={"path": "/a"})
    difference = Asking(AnsibleError("no such module"))._ask(recorded, {})
    assert difference is not None
    assert (difference["what"], difference["actual"]) == ("/a", "no such module")
    with pytest.raises(AnsibleConnectionFailure):
        Asking(AnsibleConnectionFailure("lost"))._ask(recorded, {})
