"""`stackwright verify` of an environment that users find by DNS, against a site on loopback."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stackwright.verify import Edge, Finding, _public

NAME = "localhost"
STACK: dict[str, Any] = {
    "edge": {"sites": [{"names": [NAME], "app": "emr"}]},
    "apps": {"emr": {"health": {"path": "/api/health", "ready_path": "/api/ready"}}},
}


@dataclass
class Site:
    """What the site answers: by TLS and not, for its name and for others."""

    ca_file: Path
    ports: dict[bool, int] = field(default_factory=dict)
    ready: int = 200
    stranger: int = 404
    hsts: str = "max-age=63072000"

    def edge(self) -> Edge:
        return Edge(None, self.ca_file, self.ports)

    def look(self) -> dict[str, Finding]:
        return {each.name.removeprefix("public: "): each for each in _public(STACK, self.edge())}


def _handler(site: Site, *, tls: bool) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not (self.headers["Host"] or "").startswith(NAME):
                return self._answer(site.stranger)
            if not tls:
                return self._answer(301, Location=f"https://{NAME}{self.path}")
            return self._answer(
                site.ready if self.path == "/api/ready" else 200, **{"Strict-Transport-Security": site.hsts}
            )

        def _answer(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in ({"Content-Length": "0"} | headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    key, certificate = _pair(tmp_path)
    found, servers = Site(ca_file=certificate), []
    for tls in (True, False):
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found, tls=tls))
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        found.ports[tls] = server.server_port
        servers.append(server)
    yield found
    for server in servers:
        server.shutdown()
        server.server_close()


def _pair(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.key").write_bytes(key.private_bytes(*form))
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return folder / "tls.key", folder / "tls.crt"


def test_a_site_that_serves_is_found_well(site: Site) -> None:
    found = site.look()
    assert len(found) == 5
    assert [each for each in found.values() if not each.ok] == []


@pytest.mark.parametrize(
    ("spoil", "name", "detail"),
    [
        (lambda site: setattr(site, "ready", 503), f"https://{NAME}/api/ready", "503"),
        (lambda site: setattr(site, "hsts", ""), f"{NAME} tells browsers to stay with https", "no Strict-Transport"),
        (lambda site: setattr(site, "stranger", 200), f"{NAME} is all that answers there", "answered 200"),
        (lambda site: site.ports.update({True: site.ports[False]}), f"https://{NAME}/api/health", "SSL"),
    ],
)
def test_what_is_wrong_is_named(site: Site, spoil: Callable[[Site], None], name: str, detail: str) -> None:
    spoil(site)
    finding = site.look()[name]
    assert not finding.ok
    assert detail in finding.detail


def test_a_name_that_is_led_away_from_is_refused(site: Site) -> None:
    """As by a load balancer, which sends plain HTTP of any name to HTTPS, where it has no certificate for it."""
    site.stranger = 421
    assert site.look()[f"{NAME} is all that answers there"].ok


def test_a_name_that_does_not_resolve_says_why_that_may_be() -> None:
    stack = {**STACK, "edge": {"sites": [{"names": ["emr.taaleem.invalid"], "app": "emr"}]}}
    findings = list(_public(stack, Edge(None, None)))
    assert len(findings) == 5
    for each in findings:
        assert not each.ok, each
        assert "emr.taaleem.invalid does not resolve: its zone is not delegated" in each.detail
