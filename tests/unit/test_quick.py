"""A quick converge: what it takes for unchanged. In doubt it has to run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from stackwright.ansible import recorded_calls, run_inputs
from stackwright.cli import quick
from stackwright.model.drift_report import Difference, DriftReport, HostDrift, Question

HOSTS = ["app1", "db1"]
NOW = datetime(2030, 1, 8, tzinfo=UTC)


@pytest.fixture(name="root", autouse=True)
def root_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "ansible.cfg",
        "systems/emr.yml",
        "inventories/emr/stack.yml",
        "playbooks/site.yml",
        "roles/a/tasks/main.yml",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a")
    (tmp_path / ".state/emr").mkdir(parents=True)
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(tmp_path))
    # pytest changes it within a test.
    monkeypatch.setattr(run_inputs, "_SESSION", run_inputs._SESSION | {"PYTEST_CURRENT_TEST"})
    # Below it everything counts as temporary.
    monkeypatch.setattr(run_inputs.tempfile, "gettempdir", lambda: "/nowhere")
    return tmp_path


@pytest.fixture(name="log")
def log_(monkeypatch: pytest.MonkeyPatch) -> run_inputs.ReadLog:
    """A log of this test alone: Python keeps a hook for ever, so that it is fed by hand."""
    log = run_inputs.ReadLog()
    monkeypatch.setattr(run_inputs.sys, "addaudithook", lambda _hook: None)
    log.start()
    monkeypatch.setattr(run_inputs, "read_log", log)
    return log


def read(log: run_inputs.ReadLog, path: Path) -> None:
    log._note("open", (str(path), "r", os.O_RDONLY | os.O_CLOEXEC))


def entries(digest: str | None, at: datetime = NOW - timedelta(days=1)) -> dict[str, dict[str, str]]:
    return {host: {"sha256": "x", "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "inputs": digest or ""} for host in HOSTS}


def reason(digest: str | None, **options: datetime) -> str | None:
    return quick.changed_inputs("emr", HOSTS, entries(digest, **options), None, NOW)


def record() -> str | None:
    return run_inputs.record("emr", extra_variables=False)


def test_equal_inputs_are_equal(log: run_inputs.ReadLog) -> None:
    assert reason(record()) is None


@pytest.mark.parametrize(
    "name",
    ["ansible.cfg", "systems/emr.yml", "inventories/emr/stack.yml", "playbooks/site.yml", "roles/a/tasks/main.yml"],
)
def test_a_changed_file_of_the_project_is_named_though_nothing_read_it(log, root: Path, name: str) -> None:
    digest = record()
    (root / name).write_text("b")
    assert reason(digest) == f"{root / name} changed since the last one"


@pytest.mark.parametrize(
    "name", ["roles/b/defaults/main.yml", "inventories/emr/host_vars/db1.yml", "group_vars/all.yml"]
)
def test_a_new_file_of_the_project_is_named(log, root: Path, name: str) -> None:
    digest = record()
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text("b")
    assert reason(digest) == f"{root / name} changed since the last one"


def test_a_changed_file_of_the_package_is_named(log, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filters' work is done outside of roles and plugins: an upgrade has to be rolled out."""
    package = root / "package/stackwright"
    (package / "model").mkdir(parents=True)
    (package / "model/edge.py").write_text("a")
    monkeypatch.setattr(run_inputs.stackwright, "__file__", str(package / "__init__.py"))
    digest = record()
    (package / "model/edge.py").write_text("b")
    assert reason(digest) == f"{package / 'model/edge.py'} changed since the last one"


def test_a_file_outside_of_the_project_counts_if_it_was_read(log, root: Path) -> None:
    """Such as a certificate that somebody else renews."""
    certificate, other = root / "elsewhere/tls.crt", root / "elsewhere/other.crt"
    certificate.parent.mkdir()
    certificate.write_text("a")
    read(log, certificate)
    digest = record()
    other.write_text("b")
    assert reason(digest) is None
    certificate.write_text("b")
    assert reason(digest) == f"{certificate} changed since the last one"


def test_a_file_that_was_looked_for_counts_when_it_comes(log, root: Path) -> None:
    read(log, root / "elsewhere.yml")
    digest = record()
    (root / "elsewhere.yml").write_text("b")
    assert reason(digest) == f"{root / 'elsewhere.yml'} changed since the last one"


def test_the_names_in_a_folder_count_if_it_was_listed(log, root: Path) -> None:
    folder = root / "certificates"
    folder.mkdir()
    log._note("os.scandir", (str(folder),))
    digest = record()
    (folder / "new").write_text("")
    assert reason(digest) == f"the names in {folder} changed since the last one"


def test_an_environment_variable_counts(log, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = record()
    monkeypatch.setenv("COLUMNS", "77")
    assert reason(digest) is None
    monkeypatch.setenv("ANSIBLE_JINJA2_NATIVE", "1")
    assert reason(digest) == "the environment variable ANSIBLE_JINJA2_NATIVE changed since the last one"


def test_the_output_of_the_stack_counts_and_not_its_file(log, root: Path) -> None:
    """Pulumi writes its state anew in every run."""
    file = root / ".state/emr/pulumi/stacks/emr.json"
    file.parent.mkdir(parents=True)
    file.write_text("a")
    read(log, file)
    log.output = {"hosts": {"app1": "192.0.2.1"}}
    digest = record()
    file.write_text("b")
    assert quick.changed_inputs("emr", HOSTS, entries(digest), {"hosts": {"app1": "192.0.2.1"}}, NOW) is None
    assert reason(digest) == "the output of the Pulumi stack changed since the last one"


def test_versions_count(log, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = root / "lib/site-packages"
    (packages / "ansible_core-2.19.1.dist-info").mkdir(parents=True)
    monkeypatch.setattr(run_inputs.sys, "path", [str(packages)])
    digest = record()
    (packages / "ansible_core-2.19.1.dist-info").rename(packages / "ansible_core-2.19.2.dist-info")
    assert reason(digest) == "the version of Python or of a package changed since the last one"


def test_only_some_of_many_changes_are_named(log, root: Path) -> None:
    digest = record()
    for number in range(5):
        (root / f"roles/a/{number}").write_text("")
    assert str(reason(digest)).endswith("roles/a/2 and 2 more changed since the last one")


@pytest.mark.parametrize(
    ("event", "arguments", "word"),
    [
        ("subprocess.Popen", ("pass", ["pass", "show", "x"], None, None), "pass"),
        ("subprocess.Popen", (None, ["/usr/bin/pass"], None, None), "pass"),
        ("socket.connect", (None, ("192.0.2.1", 443)), "192.0.2.1"),
        ("open", (), "open: not enough values"),
    ],
)
def test_what_else_was_asked_cannot_be_compared(log, event: str, arguments: tuple, word: str) -> None:
    log._note(event, arguments)
    assert record() is None
    assert word in str(reason(None))


def test_git_and_the_connections_to_hosts_tell_no_inputs(log) -> None:
    log._note("subprocess.Popen", ("git", ["git", "rev-parse"], None, None))
    log._note("socket.connect", (None, "/tmp/mitogen.sock"))
    assert record()


def test_a_file_that_changed_during_the_run_is_no_measure(log, root: Path) -> None:
    (root / "dist.json").write_text("a")
    read(log, root / "dist.json")
    (root / "dist.json").write_text("other")
    assert record() is None
    assert "dist.json changed meanwhile" in str(reason(None))


def test_a_run_with_variables_on_its_command_line_is_no_measure(log) -> None:
    assert run_inputs.record("emr", extra_variables=True) is None
    assert "variables on its command line" in str(reason(None))


def test_a_process_that_kept_no_log_is_no_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_inputs, "read_log", run_inputs.ReadLog())
    assert record() is None


def test_python_itself_writes_the_log(root: Path) -> None:
    """In a process of its own, as a hook cannot be removed."""
    script = """
        import socket, subprocess, sys
        from pathlib import Path
        from stackwright.ansible import run_inputs
        run_inputs.tempfile.gettempdir = lambda: "/nowhere"
        log = run_inputs.read_log
        log.start(); log.start()
        Path("one").read_text(); open(b"two").close(); Path("three").write_text("")
        [*Path("roles").iterdir()]
        print([Path(name).name for name in log.files()], [Path(name).name for name in log.folders()], log.problem())
        subprocess.run(["true"])
        print(log.problem())
    """
    for name in ("one", "two"):
        (root / name).write_text("")
    argv = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['one', 'two'] ['roles'] None", "it also started or contacted true"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": "x"}', "{"])
def test_an_unreadable_record_is_none(log, root: Path, text: str) -> None:
    digest = record()
    (root / ".state/emr/inputs.json").write_text(text)
    assert "not known" in str(reason(digest))


def test_a_record_shows_no_secret_and_belongs_to_its_owner(log, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret-of-the-operator")
    log.environment = dict(os.environ)
    first, second = record(), record()
    file = root / ".state/emr/inputs.json"
    assert "secret-of-the-operator" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    # The same secret has another digest each time.
    assert first != second


@pytest.mark.parametrize(
    ("host", "entry", "words"),
    [
        ("db1", None, "the last full run changed db1, or did not reach it"),
        ("db1", {"inputs": "other"}, "db1 was recorded with other inputs"),
        ("app1", {"at": "2030-01-01T00:00:00Z"}, "one is due every 7 days"),
        ("app1", {"at": "2030-01-08T00:00:01Z"}, "one is due every 7 days"),
    ],
    ids=["changed", "another run", "a week ago", "a clock that was ahead"],
)
def test_every_host_has_to_be_of_the_last_full_run(log, host: str, entry: dict | None, words: str) -> None:
    known = entries(record())
    known[host] |= entry or {}
    if entry is None:
        del known[host]
    assert words in str(quick.changed_inputs("emr", HOSTS, known, None, NOW))


DIFFERENCE = Difference(role="tls", task="run", what="", expected="a", actual="b")


def question(role: str, task: str) -> Question:
    return Question(role=role, task=task)


def answered(**options: object) -> DriftReport:
    hosts = [HostDrift(name="app1", compared=5), HostDrift(**({"name": "db1", "compared": 5} | options))]
    return DriftReport(environment="emr", asked_at="", exit_code=0, hosts=hosts)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, None),
        ({"not_asked": [question(*next(iter(quick.UNASKED)))]}, None),
        ({"not_asked": [question("tls", "run | Ask")]}, "not every task can be verified on db1 (tls: run | Ask)"),
        ({"problem": "unreachable"}, "db1 was not compared: unreachable"),
        ({"compared": 0}, "not every task can be verified on db1 (none was recorded)"),
        ({"differences": [DIFFERENCE]}, "db1 differs from the last one (tls: run)"),
    ],
)
def test_every_host_has_to_answer_as_recorded(options: dict, words: str | None) -> None:
    assert quick.unverified(answered(**options)) == words


@pytest.mark.parametrize(
    ("provider", "option", "replay", "enabled"),
    [
        ("local", None, None, True),
        ("local", False, None, False),
        ("local", True, "0", False),
        ("bare_metal", None, None, False),
        ("bare_metal", True, None, True),
        ("aws", None, "1", False),
    ],
)
def test_it_is_off_except_on_this_machine(
    monkeypatch, provider: str, option: bool | None, replay: str | None, enabled: bool
) -> None:
    monkeypatch.delenv("STACKWRIGHT_REPLAY", raising=False)
    if replay:
        monkeypatch.setenv("STACKWRIGHT_REPLAY", replay)
    assert quick.is_enabled(SimpleNamespace(provider=provider), option) is enabled


def test_the_index_names_the_inputs_of_the_run(log, root: Path) -> None:
    recorder = recorded_calls.Recorder()
    recorder.begin("emr", whole=True)
    for host in HOSTS:
        recorder.remember(host, "{}")
    known = recorded_calls.index(recorded_calls.index_path("emr"))
    assert quick.changed_inputs("emr", HOSTS, known, None, datetime.now(UTC) + timedelta(seconds=5)) is None
    assert json.loads((root / ".state/emr/inputs.json").read_text())["files"]


def test_what_stands_in_for_a_task_is_there() -> None:
    """Else a renamed task would be taken for one that cannot be verified, and each quick converge be a full one."""
    tasks = Path(__file__).resolve().parents[2] / "roles"
    for role, task in quick.UNASKED:
        texts = [path.read_text() for path in (tasks / role / "tasks").glob("*.yml")]
        assert any(f"name: {task}\n" in text for text in texts), (role, task)
