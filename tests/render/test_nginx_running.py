"""The role's configuration in a real nginx of this machine: who is counted together, who is believed, what is logged."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from test_nginx import local, render, site, write  # noqa: F401 - `local` is a fixture

from stackwright.testing import nginx

SECRET = "patient=Amina"


class _Instance(BaseHTTPRequestHandler):
    """Answers with the headers that it saw; below /hold it waits, and to an upgrade it says 101 and waits."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "Upgrade" in self.headers or self.path.startswith(("/hold", "/held")):
            self.send_response(101 if "Upgrade" in self.headers else 200)
            if "Upgrade" in self.headers:
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
            else:
                self.send_header("Connection", "close")
                self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.flush()
            self.server.released.wait(30)  # type: ignore[attr-defined]
            self.close_connection = True
            return
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - a name of the base class

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    released: threading.Event


@pytest.fixture
def instance() -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), _Instance)
    server.released = threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.released.set()
    server.shutdown()
    server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Edge:
    """An nginx with the role's files."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port

    def send(self, path: str, **options: Any) -> http.client.HTTPResponse:
        """Ask on a connection of its own, and wait for the answer's head."""
        return self.ask(path, **options).getresponse()

    def ask(self, path: str, *, method: str = "GET", before: bytes = b"", **headers: str) -> http.client.HTTPConnection:
        """Ask and do not wait for an answer; `before` goes out first."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        connection.connect()
        if before:
            connection.sock.sendall(before)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={"Host": "shop.test", **names})
        return connection

    def status(self, path: str, **options: Any) -> int:
        response = self.send(path, **options)
        response.read()
        return response.status

    def log(self, entries: int) -> list[dict[str, Any]]:
        """The entries of the access log, which nginx writes once a second; fails where fewer come within 20 s."""
        for _ in range(200):
            lines = (self.folder / "access.log").read_text().splitlines(keepends=True)
            if len(lines) >= entries and lines[-1].endswith("\n"):
                return [json.loads(line) for line in lines]
            time.sleep(0.1)
        raise AssertionError(f"{len(lines)} entries in the access log, not {entries}")

    def errors(self) -> str:
        """The error log, which is written at once."""
        return (self.folder / "error.log").read_text()


@contextlib.contextmanager
def edge(folder: Path, system: str, instance: int, options: dict[str, Any], **inputs: Any) -> Iterator[Edge]:
    upstreams = [{"name": "shop", "members": [{"address": "127.0.0.1", "port": instance}]}]
    port, status_port = free_port(), free_port()
    inputs = {"nginx_ipv6": False, "nginx_status_port": status_port, "nginx_worker_processes": "1", **inputs}
    files = render({"nginx_sites": [site(**{"upstreams": upstreams, **options})], **inputs}, system, [])
    files = {name: re.sub(r"listen 80\b", f"listen 127.0.0.1:{port}", text) for name, text in files.items()}
    files["main.conf"] = re.sub(r"^user .*\n", "user root;\n", files["main.conf"], flags=re.MULTILINE)
    with nginx.running(write(files, folder), folder, port):
        yield Edge(folder, port)


LOCATIONS = [
    {"path": "/", "upstream": "shop", "websocket": True},
    {"path": "/hold/", "upstream": "shop", "buffering": False},
]
UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}


def test_streams_are_counted_apart_from_requests(tmp_path: Path, local: str, instance: int) -> None:  # noqa: F811
    options = {"locations": LOCATIONS, "connections_per_client": 5, "streams_per_client": 30}
    with edge(tmp_path, local, instance, options) as subject:
        open_streams = [subject.send("/socket", **UPGRADE) for _ in range(10)]
        open_streams += [subject.send("/hold/events") for _ in range(10)]
        assert Counter(stream.status for stream in open_streams) == {101: 10, 200: 10}
        # Where answers are collected first, nothing comes back yet.
        waiting = [subject.ask("/held", Accept="text/event-stream") for _ in range(10)]
        time.sleep(0.5)
        # They take nothing from the pages of everybody else behind the address.
        assert [subject.status("/page") for _ in range(20)] == [200] * 20
        # And are limited themselves, however they are dressed.
        refused = [subject.send("/socket", **UPGRADE), subject.send("/hold/events")]
        refused.append(subject.send("/held", Accept="text/event-stream"))
        assert [response.status for response in refused] == [429] * 3
        assert len(waiting) == 10


def test_concurrent_requests_are_limited(tmp_path: Path, local: str, instance: int) -> None:  # noqa: F811
    options = {"locations": LOCATIONS, "connections_per_client": 5, "streams_per_client": 30}
    with edge(tmp_path, local, instance, options) as subject:
        waiting = [subject.ask("/held") for _ in range(5)]
        time.sleep(0.5)
        assert subject.status("/page") == 429
        for connection in waiting:
            connection.close()


@pytest.mark.parametrize(
    ("addresses", "together"),
    [
        (["2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:1:ffff:ffff:ffff:ffff"], True),
        (["2001:db8:1:1::1", "2001:db8:1:2::1", "2001:db8:1:3::1"], False),
        (["198.51.100.1", "198.51.100.2", "198.51.101.1"], False),
        (["198.51.100.1", "198.51.100.1", "198.51.100.1"], True),
        (["::ffff:198.51.100.1", "::ffff:198.51.100.2", "::ffff:203.0.113.1"], False),
        (["10.10.10.10", "0.10.10.10", "10.10.10.0"], False),
        (["2001:a0a:a0a:a0a::1", "2001:a0a:a0a:a0a:a0a:a0a:a0a:a0a"], True),
    ],
)
def test_an_address_is_counted_alone_and_ipv6_by_its_64(
    tmp_path: Path,
    local: str,  # noqa: F811
    instance: int,
    addresses: list[str],
    together: bool,
) -> None:
    limits = [{"zone": "all", "rate": "1r/m"}]
    locations = [{"path": "/", "upstream": "shop", "limits": ["all"]}]
    options = {"limits": limits, "locations": locations}
    with edge(tmp_path, local, instance, options, nginx_trusted_proxies=["127.0.0.1/32"]) as subject:
        statuses = [subject.status("/", X_Forwarded_For=address) for address in addresses]
    expected = [200] + [429 if together else 200] * (len(addresses) - 1)
    assert statuses == expected


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"rate": "1r/s"}, {"rate": "1r/s", "methods": ["POST"]}),
        ({"rate": "1r/s"}, {"rate": "1r/s", "key": "site"}),
        ({"rate": "1r/s", "methods": ["POST"]}, {"rate": "9r/m", "methods": ["GET"], "burst": 3}),
    ],
)
def test_a_limit_that_counts_something_else_survives_a_reload(
    tmp_path: Path,
    local: str,  # noqa: F811
    instance: int,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """`nginx -t` does not see it: a zone of shared memory may not change its key."""
    locations = [{"path": "/", "upstream": "shop", "limits": ["all"]}]

    def options(limit: dict[str, Any]) -> dict[str, Any]:
        return {"limits": [{"zone": "all", **limit}], "locations": locations}

    with edge(tmp_path, local, instance, options(before)) as subject:
        assert subject.status("/") == 200
        text = render({"nginx_sites": [site(**options(after))]}, local, [])["sites/shop.conf"]
        live = tmp_path / "live/sites/shop.conf"
        live.write_text(re.sub(r"listen (\[::\]:)?80\b", f"listen 127.0.0.1:{subject.port}", text, count=1))
        live.write_text(re.sub(r"    listen \[::\]:80;\n", "", live.read_text()))
        master = int((tmp_path / "nginx.pid").read_text())
        children = Path(f"/proc/{master}/task/{master}/children")
        workers = children.read_text()
        os.kill(master, signal.SIGHUP)
        for _ in range(100):
            if children.read_text() != workers:
                break
            time.sleep(0.1)
        errors = subject.errors()
        assert children.read_text() != workers, f"no reload: {errors}"
    assert "[emerg]" not in errors, errors


def seen(response: http.client.HTTPResponse) -> dict[str, str]:
    return dict(json.loads(response.read()))


CLAIMS = {"X_Forwarded_For": "192.0.2.66", "X_Forwarded_Proto": "https", "X_Request_ID": "chosen-by-the-client"}


@pytest.mark.parametrize(
    ("proxies", "believed"), [(["127.0.0.0/8", "2001:db8::/32"], True), (["203.0.113.0/24"], False), ([], False)]
)
def test_a_proxy_in_front_is_believed_and_nobody_else(
    tmp_path: Path,
    local: str,  # noqa: F811
    instance: int,
    proxies: list[str],
    believed: bool,
) -> None:
    with edge(tmp_path, local, instance, {}, nginx_trusted_proxies=proxies) as subject:
        headers = seen(subject.send("/", **CLAIMS))
    assert (headers["x-forwarded-for"] == "192.0.2.66") is believed
    assert (headers["x-forwarded-proto"] == "https") is believed
    assert (headers["x-request-id"] == "chosen-by-the-client") is believed


@pytest.mark.parametrize(("proxies", "believed"), [(["127.0.0.1/32"], True), (["203.0.113.0/24"], False)])
def test_the_proxy_protocol_says_who_asks_and_headers_do_not(
    tmp_path: Path,
    local: str,  # noqa: F811
    instance: int,
    proxies: list[str],
    believed: bool,
) -> None:
    inputs = {"nginx_trusted_proxies": proxies, "nginx_proxy_protocol": True}
    with edge(tmp_path, local, instance, {}, **inputs) as subject:
        line = b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 80\r\n"
        headers = seen(subject.send("/", before=line, **CLAIMS))
        assert headers["x-forwarded-for"] == ("192.0.2.7" if believed else "127.0.0.1")
        assert headers["x-forwarded-proto"] == "http"
        assert headers["x-request-id"] != "chosen-by-the-client"
        with pytest.raises((http.client.HTTPException, OSError)):
            subject.send("/")


def test_no_log_holds_a_query(tmp_path: Path, local: str, instance: int) -> None:  # noqa: F811
    # Bound and not listening: it refuses, and nobody else can take the port.
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    limits = [{"zone": "all", "rate": "1r/m"}]
    locations = [
        {"path": "/", "upstream": "shop"},
        {"path": "/limited", "upstream": "shop", "limits": ["all"]},
        {"path": "/gone", "upstream": "gone"},
        {"path": "/files/", "type": "static", "directory": str(tmp_path)},
    ]
    upstreams = [
        {"name": "shop", "members": [{"address": "127.0.0.1", "port": instance}]},
        {"name": "gone", "members": [{"address": "127.0.0.1", "port": closed.getsockname()[1]}]},
    ]
    options = {"limits": limits, "locations": locations, "upstreams": upstreams}
    with closed, edge(tmp_path, local, instance, options) as subject:
        referer = f"https://shop.test/search?{SECRET}#{SECRET}"
        statuses = [
            subject.status(f"{path}?{SECRET}", Referer=referer)
            for path in ("/search", "/limited", "/limited", "/gone", "/files/none", "/files/")
        ]
        assert statuses == [200, 200, 429, 502, 404, 403]
        assert subject.status(f"/%3F?{SECRET}") == 200
        assert subject.status("/x", method="POST", Content_Length="99999999") == 413
        with socket.create_connection(("127.0.0.1", subject.port), 5) as raw:
            raw.sendall(f"GET /x?{SECRET} HTTP/9.9\r\nHost: shop.test\r\n\r\n".encode())
            raw.recv(1000)
        entries = subject.log(9)
        errors = subject.errors()
    assert {"/search", "/limited", "/gone", "/files/none", "/%3F"} <= {entry["uri"] for entry in entries}
    assert {entry["referer"] for entry in entries} == {"", "https://shop.test/search"}
    assert all(entry["request_id"] for entry in entries)
    for text in (json.dumps(entries), errors):
        assert "Amina" not in text
