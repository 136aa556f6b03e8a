"""What the end-to-end tests lean on: a load that notices a lost request, a kill in mid-converge, a watch for secrets."""

from __future__ import annotations

import http.server
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stackwright.testing import canaries, command
from stackwright.testing.e2e import Client, differences
from stackwright.testing.load import Load
from stackwright.testing.on_host.connect import open_ports
from stackwright.verify import Edge

ROOT = Path(__file__).resolve().parents[2]


class Site(http.server.ThreadingHTTPServer):
    """A site that can lose requests in the ways that a proxy does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        #: "never", "kept": after an answer, as a proxy that reloads; "new": before any answer.
        self.hangs_up = "never"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Site
    answered = 0

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        lost = {"never": False, "kept": self.answered >= 2, "new": True}[self.server.hangs_up]
        if lost:
            self.close_connection = True
            return
        self.answered += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.send_header("X-Instance", "app1:5005")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: Any) -> None:
        pass


class PlainEdge(Edge):
    """The site without TLS, which is the edge's business."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1", None)
        self.port = port

    def connect(self, name: str, *, tls: bool) -> socket.socket:
        return socket.create_connection((self.address, self.port), timeout=5)


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def run_load(site: Site, **options: Any) -> Load:
    client = Client(PlainEdge(site.server_port), "site.test")
    with Load(client, "session", per_second=200, **options) as load:
        time.sleep(0.5)
    return load


def test_a_load_that_is_answered_succeeds(site: Site) -> None:
    load = run_load(site)
    load.require_success(at_least=10)
    assert load.tally.sent.keys() == {"GET", "POST"}
    assert load.tally.instances == {"app1:5005"}
    assert len(load.tally.added) == load.tally.sent["POST"]
    assert load.tally.resent == 0


def test_a_load_keeps_to_its_rate(site: Site) -> None:
    client = Client(PlainEdge(site.server_port), "site.test")
    with Load(client, "session", per_second=20) as load:
        time.sleep(1)
    assert sum(load.tally.sent.values()) <= 28


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_load_counts_bad_answers(site: Site, status: int) -> None:
    site.status = status
    with pytest.raises(AssertionError, match=f"requests failed:\n.*: {status} "):
        run_load(site).require_success(at_least=1)


def test_a_load_counts_requests_that_a_new_connection_loses(site: Site) -> None:
    site.hangs_up = "new"
    with pytest.raises(AssertionError, match="RemoteDisconnected"):
        run_load(site).require_success(at_least=1)


def test_a_load_sends_again_what_a_kept_connection_lost(site: Site) -> None:
    site.hangs_up = "kept"
    load = run_load(site)
    load.require_success(at_least=10)
    assert load.tally.resent > 5


def test_a_load_that_sent_too_little_proves_nothing(site: Site) -> None:
    with pytest.raises(AssertionError, match="too little"):
        run_load(site, writes=False).require_success(at_least=10_000)


PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - name: First
      ansible.builtin.command: {argv: ["true"]}
    - name: Second
      ansible.builtin.command: {argv: [sh, -c, "sleep SECONDS", "{{ playbook_dir }}"]}
    - name: Third
      ansible.builtin.file: {path: "{{ playbook_dir }}/third", state: touch, mode: "0600"}
"""


@pytest.fixture
def playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(ROOT / "src/stackwright/ansible/callback"))

    def write(seconds: int) -> list[str]:
        (tmp_path / "play.yml").write_text(PLAYBOOK.replace("SECONDS", str(seconds)))
        return ["ansible-playbook", "-i", "localhost,", "play.yml"]

    return write


def test_a_converge_tells_its_changes(playbook: Any, tmp_path: Path) -> None:
    recap = command.converge(playbook(0), folder=tmp_path, seconds=60)
    assert recap.changed == {"localhost": 3}
    assert recap.changes == [("localhost", "First"), ("localhost", "Second"), ("localhost", "Third")]


def test_an_interrupted_converge_goes_no_further(playbook: Any, tmp_path: Path) -> None:
    command.interrupt(playbook(30), folder=tmp_path, seconds=60, host="localhost", task="First")
    time.sleep(0.5)
    assert not (tmp_path / "third").exists()


SLOW = """
- hosts: all
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - name: First
      ansible.builtin.command: {argv: [sh, -c, "sleep SECONDS", "{{ playbook_dir }}"]}
"""


def test_an_interrupted_converge_leaves_no_worker(playbook: Any, tmp_path: Path) -> None:
    """They have sessions of their own; one would go on changing its host while the next converge runs."""
    argv = playbook(0)
    slow = "{{ 0 if inventory_hostname == 'localhost' else 30 }}"
    (tmp_path / "play.yml").write_text(SLOW.replace("SECONDS", slow))
    argv[2] = "localhost,other,"
    command.interrupt(argv, folder=tmp_path, seconds=60, host="localhost", task="First")
    time.sleep(0.5)
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path).encode() in command_line(path)]
    assert not left


def command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_task_that_never_came_is_no_interruption(playbook: Any, tmp_path: Path) -> None:
    with pytest.raises(command.CommandError, match="'Fourth' did not change localhost"):
        command.interrupt(playbook(0), folder=tmp_path, seconds=60, host="localhost", task="Fourth")


def test_a_command_that_fails_shows_its_end(tmp_path: Path) -> None:
    with pytest.raises(command.CommandError, match="exit code 3\n  \\| the reason"):
        command.run(["sh", "-c", "echo the reason; exit 3"], folder=tmp_path, seconds=10)


def test_a_command_without_end_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(command.CommandError, match="no end within 1 s\n  \\| begun"):
        command.run(["sh", "-c", "echo begun; sleep 47.11; true"], folder=tmp_path, seconds=1)
    assert "47.11" not in subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout


SECRETS = {"tls/ca_crt": "public" * 8, "app/session": "s3cr3t-" * 4, "tls/ca_key": "-----BEGIN-----\nQUJD" + "x" * 20}


def test_secrets_are_looked_for_line_by_line_and_public_ones_are_not() -> None:
    wanted = canaries.texts(SECRETS)
    assert wanted == {"app/session": ["s3cr3t-" * 4], "tls/ca_key": ["QUJD" + "x" * 20]}
    assert canaries.names_in(b"a QUJD" + b"x" * 20 + b" z", wanted) == {"tls/ca_key"}


def test_a_secret_too_short_to_look_for_is_an_error() -> None:
    with pytest.raises(AssertionError, match="app/session is too short"):
        canaries.texts({"app/session": "short"})


def test_a_secret_on_a_command_line_is_seen() -> None:
    wanted = canaries.texts(SECRETS)
    with canaries.CommandLines(wanted, every_seconds=0.02) as lines:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.4)", SECRETS["app/session"]], check=True)
    assert {name for name, _ in lines.found} == {"app/session"}
    assert lines.programs


def test_open_ports_are_told_from_closed_ones() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        opened, closed = ["127.0.0.1", server.getsockname()[1]], ["127.0.0.1", unused.getsockname()[1]]
        assert open_ports([closed, opened]) == [opened]


def test_differences_name_what_came_went_and_changed() -> None:
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4, "d": 5}) == {
        "b": (2, 4),
        "c": (3, None),
        "d": (None, 5),
    }
