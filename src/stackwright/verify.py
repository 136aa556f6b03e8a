"""What `stackwright verify` looks at: a running environment, from outside, as its users reach it."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

_TIMEOUT_SECONDS = 10
#: Whether by TLS -> port.
_PORTS: Mapping[bool, int] = {True: 443, False: 80}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an HTTP request came back with; header names are small."""

    status: int
    headers: dict[str, str]
    body: bytes


class Edge:
    """An edge host, asked by its address for any name, as `curl --resolve` does; without one, whatever DNS says."""

    def __init__(self, address: str | None, ca_file: Path | None, ports: Mapping[bool, int] = _PORTS) -> None:
        self.address, self.ports = address, ports
        self.context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)

    def get(self, name: str, path: str, *, tls: bool = True, headers: dict[str, str] | None = None) -> Answer:
        """GET `path` of the site `name`. Raises OSError (also for a certificate that does not verify)."""
        connection = http.client.HTTPConnection(name, _PORTS[tls], timeout=_TIMEOUT_SECONDS)
        connection.sock = self.connect(name, tls=tls)
        try:
            connection.request("GET", path, headers=headers or {})
            response = connection.getresponse()
            return Answer(
                status=response.status,
                headers={key.lower(): value for key, value in response.getheaders()},
                body=response.read(),
            )
        except http.client.HTTPException as error:
            raise ConnectionError(f"no HTTP answer: {error!r}") from error
        finally:
            connection.close()

    def connect(self, name: str, *, tls: bool) -> socket.socket:
        """A connection to the edge, for the site `name`."""
        try:
            plain = socket.create_connection((self.address or name, self.ports[tls]), timeout=_TIMEOUT_SECONDS)
        except socket.gaierror:
            why = "its zone is not delegated to the name servers that the cloud gave it, or that is not known here yet"
            raise ConnectionError(f"{self.address or name} does not resolve: {why}") from None
        return self.context.wrap_socket(plain, server_hostname=name) if tls else plain


def verify(stack: dict[str, Any], ca_file: Path | None) -> Iterator[Finding]:
    """Look at every site of `stack` (the inventory's variable): on every edge host, or where users find it in DNS."""
    if stack["provider"] == "aws":
        # Hosts have addresses of a network that nobody is in.
        yield from _public(stack, Edge(None, ca_file))
        return
    for host in stack["groups"]["edge"]:
        edge = Edge(stack["hosts"][host]["address"], ca_file)
        for site in stack["edge"]["sites"]:
            yield from _site(host, edge, site["names"][0], stack["apps"][site["app"]]["health"])
        yield _finding(f"{host}: a name that no site has is refused", partial(_unknown, edge))


def _public(stack: dict[str, Any], edge: Edge) -> Iterator[Finding]:
    for site in stack["edge"]["sites"]:
        health = stack["apps"][site["app"]]["health"]
        for name in site["names"]:
            yield from _site("public", edge, name, health)
        first = site["names"][0]
        yield _finding(f"public: {first} is all that answers there", partial(_stranger, edge, first))


def _stranger(edge: Edge, name: str) -> tuple[bool, str]:
    """A request for another name, at the place where `name` is."""
    there = Edge(edge.address or name, None, edge.ports)
    # Nobody there at all is another finding.
    there.connect(name, tls=False).close()
    try:
        answer = there.get("unknown.invalid", "/", tls=False)
    except OSError:
        return True, "closed without an answer"
    led_away = answer.status in {301, 308} and "unknown.invalid" in answer.headers.get("location", "")
    return answer.status >= 400 or led_away, f"answered {answer.status}"


def _site(host: str, edge: Edge, name: str, health: dict[str, Any]) -> Iterator[Finding]:
    yield _finding(f"{host}: http://{name} redirects to https", lambda: _redirect(edge, name))
    yield _finding(f"{host}: https://{name}{health['path']}", lambda: _status(edge, name, health["path"]))
    yield _finding(f"{host}: https://{name}{health['ready_path']}", lambda: _status(edge, name, health["ready_path"]))
    yield _finding(f"{host}: {name} tells browsers to stay with https", lambda: _hsts(edge, name, health["path"]))


def _finding(name: str, look: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        ok, detail = look()
    except OSError as error:
        ok, detail = False, str(error)
    return Finding(name=name, ok=ok, detail=detail)


def _redirect(edge: Edge, name: str) -> tuple[bool, str]:
    answer = edge.get(name, "/", tls=False)
    target = answer.headers.get("location", "")
    return answer.status in {301, 308} and target.startswith(f"https://{name}/"), f"{answer.status} {target}"


def _status(edge: Edge, name: str, path: str) -> tuple[bool, str]:
    answer = edge.get(name, path)
    return answer.status == 200, f"{answer.status}"


def _hsts(edge: Edge, name: str, path: str) -> tuple[bool, str]:
    value = edge.get(name, path).headers.get("strict-transport-security", "")
    return value.startswith("max-age="), value or "no Strict-Transport-Security"


def _unknown(edge: Edge) -> tuple[bool, str]:
    try:
        answer = edge.get("unknown.invalid", "/", tls=False)
    except OSError:
        return True, "closed without an answer"
    return False, f"answered {answer.status}"
