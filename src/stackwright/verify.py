"""The checks of `stackwright verify`: a running environment, from outside, by the addresses of its edge hosts.

For an environment on AWS, whose hosts have no address that this machine can reach, `verify_public` checks DNS names.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from stackwright.artifact import description

_TIMEOUT_SECONDS = 10
#: With fewer days left, the renewal has failed: ACM renews 60 days before the end, an edge host 30.
_LEAST_DAYS = 14
_DAY_SECONDS = 86_400


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The response to an HTTP request; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Edge:
    """An edge host, requested by its address for any name, as `curl --resolve` does."""

    def __init__(self, address: str, ca_file: Path | None, *, proxy_protocol: bool = False) -> None:
        self.address = address
        self.proxy_protocol = proxy_protocol
        self.context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)

    def get(
        self,
        name: str,
        path: str,
        *,
        tls: bool = True,
        tls_name: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Return the answer to a GET of `path` on the site `name`. Raise OSError (also for an untrusted certificate).

        `tls_name` is the server name for TLS if it is another one.
        """
        # Without a port, as browsers send it: the connection is made below, and this only sets `Host`.
        connection = http.client.HTTPConnection(name, timeout=_TIMEOUT_SECONDS)
        connection.sock = self.connect(tls_name or name, tls=tls)
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
        """Return a connection to the edge, for the site `name`."""
        port = 443 if tls else 80
        plain = socket.create_connection((self.address, port), timeout=_TIMEOUT_SECONDS)
        if self.proxy_protocol:
            # Send the header as the load balancer does: the edge requires it, although it distrusts this machine's.
            client, client_port = plain.getsockname()[:2]
            plain.sendall(f"PROXY TCP4 {client} {self.address} {client_port} {port}\r\n".encode())
        return self.context.wrap_socket(plain, server_hostname=name) if tls else plain


def verify(stack: dict[str, Any], ca_file: Path | None, root: Path) -> Iterator[Finding]:
    """Check every site on every edge host of `stack` (the inventory's variable); releases are relative to `root`."""
    for host in stack["groups"]["edge"]:
        edge = Edge(stack["hosts"][host]["address"], ca_file, proxy_protocol=stack["edge"]["proxy_protocol"])
        for site in stack["edge"]["sites"]:
            app = stack["apps"][site["app"]]
            yield from _site(host, edge, site["names"][0], app["health"])
            for static in app["static"]:
                look = partial(_static, edge, site["names"][0], static, root / app["artifact"])
                yield finding(f"{host}: a file of https://{site['names'][0]}{static['url']}", look)
        yield finding(f"{host}: a name that no site has is refused", partial(_unknown, edge))


def _site(host: str, edge: Edge, name: str, health: dict[str, Any]) -> Iterator[Finding]:
    yield finding(f"{host}: http://{name} redirects to https", lambda: _redirect(edge, name))
    yield finding(f"{host}: https://{name}{health['path']}", lambda: status(edge, name, health["path"]))
    yield finding(f"{host}: https://{name}{health['ready_path']}", lambda: status(edge, name, health["ready_path"]))
    yield finding(f"{host}: {name} has a certificate that lasts", lambda: certificate(edge, name))
    yield finding(f"{host}: {name} tells browsers to stay with https", lambda: _hsts(edge, name, health["path"]))


def finding(name: str, look: Callable[[], tuple[bool, str]]) -> Finding:
    """Run a check and return its finding; a failed connection is a failed check, not an error."""
    try:
        ok, detail = look()
    except OSError as error:
        ok, detail = False, str(error)
    return Finding(name=name, ok=ok, detail=detail)


def _redirect(edge: Edge, name: str) -> tuple[bool, str]:
    answer = edge.get(name, "/", tls=False)
    target = answer.headers.get("location", "")
    return answer.status in {301, 308} and target.startswith(f"https://{name}/"), f"{answer.status} {target}"


def status(edge: Edge, name: str, path: str) -> tuple[bool, str]:
    """Return whether the answer is 200, with the status."""
    answer = edge.get(name, path)
    return answer.status == 200, f"{answer.status}"


def certificate(edge: Edge, name: str) -> tuple[bool, str]:
    """Return whether the certificate of a site is valid for long enough."""
    with edge.connect(name, tls=True) as connection:
        assert isinstance(connection, ssl.SSLSocket), "TLS was requested"
        content, version = connection.getpeercert() or {}, connection.version()
    days = (ssl.cert_time_to_seconds(str(content["notAfter"])) - time.time()) / _DAY_SECONDS
    names: Any = content.get("issuer", ())
    parts: dict[str, str] = dict(pair for entry in names for pair in entry)
    issuer = parts.get("organizationName") or parts.get("commonName") or "an issuer without a name"
    detail = f"{version}, by {issuer}, valid for {days:.0f} more days"
    return days >= _LEAST_DAYS, detail if days >= _LEAST_DAYS else f"{detail}, which is less than {_LEAST_DAYS}"


def _hsts(edge: Edge, name: str, path: str) -> tuple[bool, str]:
    value = edge.get(name, path).headers.get("strict-transport-security", "")
    return value.startswith("max-age="), value or "no Strict-Transport-Security"


def _static(edge: Edge, name: str, static: dict[str, Any], file: Path) -> tuple[bool, str]:
    """Return whether the edge serves a file that the release has below an address."""
    folder = static["url"].strip("/")
    try:
        release = description.read(file)
        path = first_file(Path(release.static_path), folder)
    except (OSError, description.DescriptionError, tarfile.TarError) as error:
        return False, f"the release cannot be read: {error}"
    if path is None:
        return False, f"release {release.release} has no file below {folder}/"
    return status_of(edge.get(name, f"/{folder}/{quote(path)}"), f"/{folder}/{path} of release {release.release}")


def status_of(answer: Answer, subject: str) -> tuple[bool, str]:
    """Return whether the answer is 200, with the status and the requested subject."""
    return answer.status == 200, f"{answer.status} {subject}"


def first_file(archive: Path, folder: str) -> str | None:
    """Return the path, below `folder` of an archive of static files, of a file that a web server serves."""
    with tarfile.open(archive) as files:
        for member in files:
            # The first part is the archive's single top-level directory.
            parts = tuple(part for part in PurePosixPath(member.name).parts if part != ".")[1:]
            folder_parts = PurePosixPath(folder).parts
            below = parts[len(folder_parts) :]
            if (
                member.isfile()
                and parts[: len(folder_parts)] == folder_parts
                and not any(part.startswith(".") for part in below)
            ):
                return "/".join(below)
    return None


def _unknown(edge: Edge) -> tuple[bool, str]:
    try:
        answer = edge.get("unknown.invalid", "/", tls=False)
    except OSError:
        return True, "closed without an answer"
    return False, f"answered {answer.status}"
