"""Runs tests/contract/edge.yml against an edge that serves the contract's sites: any proxy, by its address."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import secrets
import socket
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_DEFAULT_HOST = "shop.test"
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The contract file: sites in the form of `stack.edge.sites`, the environment that they need, and the cases."""

    sites: list[dict[str, Any]]
    instances: dict[str, Any]
    static_root: str
    files: list[dict[str, Any]]
    challenges: list[dict[str, str]]
    cases: list[dict[str, Any]]


def load(path: Path) -> Contract:
    """Read the contract; the names of cases are unique."""
    contract = Contract(**yaml.safe_load(path.read_text()))
    twice = [name for name, count in Counter(case["name"] for case in contract.cases).items() if count > 1]
    if twice or not contract.cases:
        raise ValueError(f"{path}: no cases, or names that are there twice: {twice}")
    return contract


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response; `headers` has every value of a name."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    def seen(self) -> dict[str, Any]:
        """Return the request as the instance reports it."""
        return dict(json.loads(self.body))


class _Tls(http.client.HTTPSConnection):
    """Connects to the edge's address and requests a certificate for the site's name."""

    def __init__(self, address: str, context: ssl.SSLContext, name: str) -> None:
        super().__init__(address, 443, timeout=_TIMEOUT_SECONDS, context=context)
        self._tls_context, self._tls_name = context, name

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), _TIMEOUT_SECONDS)
        self.sock = self._tls_context.wrap_socket(plain, server_hostname=self._tls_name)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """The edge under test, and the CA that signed its certificates (PEM)."""

    address: str
    ca: str
    client: str = field(default="")

    def connect(self, request: Mapping[str, Any]) -> http.client.HTTPConnection:
        """Open a connection as the request specifies."""
        if request.get("scheme", "https") == "http":
            return http.client.HTTPConnection(self.address, 80, timeout=_TIMEOUT_SECONDS)
        context = ssl.create_default_context(cadata=self.ca)
        return _Tls(self.address, context, request.get("tls_name", request.get("host", _DEFAULT_HOST)))

    def send(self, request: Mapping[str, Any]) -> http.client.HTTPConnection:
        """Send a request byte by byte as given: only Host, and Content-Length of a body, are added."""
        connection = self.connect(request)
        connection.putrequest(
            request.get("method", "GET"), request.get("target", "/"), skip_host=True, skip_accept_encoding=True
        )
        connection.putheader("Host", request.get("host", _DEFAULT_HOST).replace("{edge}", self.address))
        for name, value in request.get("headers", {}).items():
            connection.putheader(name, value)
        body = b"x" * request.get("body_bytes", 0)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        # The edge refused before all was sent: the answer gives the reason.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders(body or None)
        return connection

    def ask(self, request: Mapping[str, Any]) -> Answer:
        """Return the complete response."""
        connection = self.send(request)
        try:
            response = connection.getresponse()
            headers: dict[str, list[str]] = {}
            for name, value in response.getheaders():
                headers.setdefault(name.lower(), []).append(value)
            return Answer(status=response.status, headers=headers, body=response.read())
        finally:
            connection.close()

    def own_address(self) -> str:
        """Return this machine's address as the edge sees it."""
        with socket.create_connection((self.address, 80), _TIMEOUT_SECONDS) as probe:
            return str(probe.getsockname()[0])


def run(case: Mapping[str, Any], edge: Edge) -> None:
    """Run one case; raise AssertionError with the differences."""
    if before := case.get("after"):
        for _ in range(before["requests"]):
            edge.ask(before)
    for kind, check in _KINDS.items():
        if kind in case:
            check(case, edge)
            return
    _exchange(case, edge)


def _exchange(case: Mapping[str, Any], edge: Edge) -> None:
    request = dict(case["request"])
    answer = edge.ask(request)
    if again := request.get("again_with"):
        copied_headers = {name: answer.headers[source.lower()][0] for name, source in again.items()}
        answer = edge.ask({**request, "headers": {**request.get("headers", {}), **copied_headers}})
    _check_answer(case.get("answer", {}), answer)
    if "seen" in case:
        _check_seen(case["seen"], answer.seen(), edge.own_address())
    if "same" in case:
        assert answer.seen()["headers"][case["same"]["seen"]] == answer.headers[case["same"]["answer"].lower()][0]


def _check_answer(expected: Mapping[str, Any], answer: Answer) -> None:
    if "status" in expected:
        assert answer.status == expected["status"], f"{answer.status}: {answer.body[:300]!r}"
    for name, value in expected.get("headers", {}).items():
        header_values = answer.headers.get(name.lower(), [])
        assert len(header_values) <= 1, f"{name} is there {len(header_values)} times: {header_values}"
        _check_value(name, value, header_values[0] if header_values else None)
    if "body" in expected:
        assert answer.body.decode() == expected["body"]
    if "body_bytes" in expected:
        assert len(answer.body) == expected["body_bytes"]


def _check_seen(expected: Mapping[str, Any], seen: Mapping[str, Any], client: str) -> None:
    for name, value in expected.items():
        if name == "headers":
            for header, expectation in value.items():
                text = expectation.replace("{client}", client) if isinstance(expectation, str) else expectation
                _check_value(f"seen {header}", text, seen["headers"].get(header))
        else:
            assert seen[name] == value, f"seen {name}: {seen[name]!r}, not {value!r}"


def _check_value(name: str, expected: Any, actual: str | None) -> None:
    if isinstance(expected, Mapping):
        assert actual is not None, f"{name} is missing"
        assert re.fullmatch(expected["matches"], actual), f"{name}: {actual!r} does not match {expected['matches']!r}"
    else:
        assert actual == expected, f"{name}: {actual!r}, not {expected!r}"


def _many(case: Mapping[str, Any], edge: Edge) -> None:
    """Send a number of requests, sequentially or in parallel."""
    request, count = dict(case["request"]), case["requests"]
    identifier = secrets.token_hex(8)
    request["target"] = request["target"].replace("{id}", identifier)

    def ask(_: int) -> Answer:
        time.sleep(case.get("pause_seconds", 0))
        return edge.ask(request)

    with ThreadPoolExecutor(count if case.get("at_once") else 1) as pool:
        answers = list(pool.map(ask, range(count)))
    if "statuses" in case:
        _check_counts(case["statuses"], Counter(answer.status for answer in answers))
    if "spread" in case:
        _check_counts(case["spread"], Counter(answer.seen()["instance"] for answer in answers))
    if "connections" in case:
        used = {(seen["instance"], seen["connection"]) for seen in (answer.seen() for answer in answers)}
        assert len(used) <= case["connections"], f"{len(used)} connections to instances for {count} requests"
    if "delivered" in case:
        answer = edge.ask({**request, "method": "GET", "body_bytes": 0, "target": f"/?deliveries={identifier}"})
        assert answer.seen()["deliveries"] == case["delivered"]


def _check_counts(expected: Mapping[Any, Any], counts: Counter[Any]) -> None:
    expected_counts = dict(expected)
    if "any" in expected_counts:  # any one key
        assert list(counts.values()) == [expected_counts["any"]], dict(counts)
        return
    assert set(counts) == set(expected_counts), dict(counts)
    for key, count in expected_counts.items():
        assert count in ("any", counts[key]), f"{key}: {counts[key]} times, not {count}; all: {dict(counts)}"


def _no_answer(case: Mapping[str, Any], edge: Edge) -> None:
    try:
        answer = edge.ask(case["request"])
    except ssl.SSLCertVerificationError:
        raise  # A certificate for another name counts as an answer.
    except (ssl.SSLError, http.client.RemoteDisconnected, ConnectionResetError):
        return
    raise AssertionError(f"there was an answer: {answer.status}")


def _stream(case: Mapping[str, Any], edge: Edge) -> None:
    expected = case["stream"]
    started = time.monotonic()
    connection = edge.send(case["request"])
    response = connection.getresponse()
    first = response.readline()
    waited = time.monotonic() - started
    remainder = response.read()
    headers = {name.lower(): [value] for name, value in response.getheaders()}
    connection.close()
    _check_answer(case.get("answer", {}), Answer(status=response.status, headers=headers, body=b""))
    assert waited < expected["first_within_seconds"], f"the first event came after {waited:.2f} s"
    assert (first + remainder).count(b"data: ") == expected["events"]


def _websocket(case: Mapping[str, Any], edge: Edge) -> None:
    headers = {
        "Connection": "keep-alive, Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
    }
    connection = edge.send({**case["request"], "headers": headers})
    sock = connection.sock
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(4096)
        assert data, f"the connection ended: {head!r}"
        head += data
    granted = head.startswith(b"HTTP/1.1 101 ")
    assert granted is case["websocket"], head.decode(errors="replace")
    if granted:
        for text in (b"first", b"second " * 15):
            mask = secrets.token_bytes(4)
            sock.sendall(bytes([0x81, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))
            assert _receive(sock, 2 + len(text)) == bytes([0x81, len(text)]) + text
    connection.close()


def _receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        assert part, f"the connection ended after {data!r}"
        data += part
    return data


_KINDS = {"requests": _many, "no_answer": _no_answer, "stream": _stream, "websocket": _websocket}
