"""`stackwright verify` on AWS, against sites on loopback that behave as an edge host, a load balancer or CloudFront does."""

from __future__ import annotations

import dataclasses
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stackwright import verify, verify_public
from stackwright.model.aws.stackfile import HostedZone
from stackwright.model.environment import load
from stackwright.testing import certificates
from stackwright.verify import Edge, Finding

ROOT = Path(__file__).resolve().parents[2]
NAME, ALIAS = "clinic.test", "www.clinic.test"
ZONE = HostedZone(name="clinic.test", id="Z0123456789ABCDEFGHIJ")
FILE = "/_next/static/chunks/app-1a2b.js"
HEADERS = {"X-Frame-Options": "SAMEORIGIN", "X-Content-Type-Options": "nosniff"}
HSTS = "max-age=31536000; includeSubDomains; preload"


def stack(**site: Any) -> dict[str, Any]:
    """The part of the inventory's variable that is looked at; of size C unless `edge` says otherwise."""
    edge = site.pop("edge", [])
    usual = {
        "app": "emr",
        "names": [NAME],
        "tls": {"redirect_http": True, "hsts": {"max_age_days": 365, "include_subdomains": True, "preload": True}},
        "headers": HEADERS,
        "static": [
            {"url": "/_next/static", "max_age_days": 365, "immutable": True},
            {"url": "/public", "max_age_days": 30, "immutable": False},
        ],
    }
    health = {"path": "/api/health", "ready_path": "/api/ready"}
    return {
        "groups": {"edge": edge},
        "edge": {"sites": [usual | site]},
        "apps": {"emr": {"health": health}},
    }


@dataclasses.dataclass
class Behaviour:
    """What answers, and how it may be wrong."""

    cdn: bool = True
    #: As a host of ours: no answer to a name that it does not know.
    closes: bool = False
    #: As a load balancer without a CDN: everything that comes by HTTP is sent to HTTPS, with the port.
    sends_all: bool = False
    health: int = 200
    redirect: str = "https://{host}{target}"
    hsts: str | None = HSTS
    headers: dict[str, str] = dataclasses.field(default_factory=lambda: dict(HEADERS))
    page: str = f'<script src="{FILE}"></script>'
    control: str = "public, max-age=31536000, immutable"
    #: After how many requests the CDN keeps the file; never, if None.
    kept_after: int | None = 2
    keeps_answers: bool = False
    knows_all: bool = False
    asked: list[tuple[str, str]] = dataclasses.field(default_factory=list)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behaviour: Behaviour, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour, self.tls = behaviour, context is not None
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: Any) -> None:
        """A client that does not like the certificate hangs up."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        this, host = self.server.behaviour, self.headers["Host"]
        this.asked.append((host, self.path))
        if host not in (NAME, ALIAS) and not this.knows_all:
            if this.closes:
                self.close_connection = True
            elif this.sends_all and not self.server.tls:
                self._answer(301, {"Location": f"https://{host}:443{self.path}"})
            else:
                self._answer(404, {})
        elif not self.server.tls:
            self._answer(301, {"Location": this.redirect.format(host=host, target=self.path)})
        else:
            self._site(this)

    def _site(self, this: Behaviour) -> None:
        if self.path == "/":
            self._answer(302, {"Location": "/login?next=%2F"})
        elif self.path.startswith("/login"):
            self._answer(200, {}, this.page)
        elif self.path == FILE:
            times = sum(path == FILE for _, path in this.asked)
            hit = this.kept_after is not None and times > this.kept_after
            self._answer(200, {"Cache-Control": this.control, **self._cdn(hit)}, "js")
        else:
            self._answer(this.health, self._cdn(this.keeps_answers))

    def _cdn(self, hit: bool) -> dict[str, str]:
        if not self.server.behaviour.cdn:
            return {}
        return {"X-Cache": f"{'Hit' if hit else 'Miss'} from cloudfront", "X-Amz-Cf-Id": "abc=="}

    def _answer(self, status: int, headers: dict[str, str], body: str = "") -> None:
        this = self.server.behaviour
        self.send_response(status)
        more = {} if this.hsts is None or not self.server.tls else {"Strict-Transport-Security": this.hsts}
        for key, value in {**headers, **more, **this.headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


def certificate(folder: Path, *names: str, days: float = 90) -> tuple[Path, Path]:
    """A key with a certificate that is its own authority."""
    key = certificates.new_key()
    made = certificates.certificate("Test Trust", key, names=names, ca=True, days=days + 1 / 24)
    (folder / "key.pem").write_bytes(certificates.key_pem(key))
    (folder / "crt.pem").write_bytes(certificates.certificate_pem(made))
    return folder / "crt.pem", folder / "key.pem"


class Loopback(verify_public.Internet):
    """Two ports of this machine, by names that DNS is said to know."""

    def __init__(self, ca_file: Path | None, http_port: int, https_port: int, unknown: dict[str, int]) -> None:
        super().__init__(ca_file)
        self.ports, self.unknown = (http_port, https_port), unknown

    def addresses(self, name: str) -> list[str]:
        if name in self.unknown:
            raise socket.gaierror(self.unknown[name], "as said")
        return ["127.0.0.1"]

    def edge(self, name: str) -> Edge:
        return LoopbackEdge(self._ca_file, self.ports)


class LoopbackEdge(Edge):
    def __init__(self, ca_file: Path | None, ports: tuple[int, int]) -> None:
        super().__init__("127.0.0.1", ca_file)
        self.ports = ports

    def connect(self, name: str, *, tls: bool) -> socket.socket:
        plain = socket.create_connection((self.address, self.ports[tls]), timeout=5)
        return self.context.wrap_socket(plain, server_hostname=name) if tls else plain


Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    """What is found of a site that behaves so: name -> finding."""
    monkeypatch.setattr(verify_public, "_PAUSE_SECONDS", 0)
    servers: list[Server] = []

    def run(
        behaviour: Behaviour,
        *,
        described: dict[str, Any] | None = None,
        cdn: bool = True,
        names: tuple[str, ...] = (NAME, ALIAS),
        days: float = 90,
        trusted: bool = True,
        unknown: dict[str, int] | None = None,
    ) -> dict[str, Finding]:
        chain, key = certificate(tmp_path, *names, days=days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        pair = [Server(behaviour, None), Server(behaviour, context)]
        servers.extend(pair)
        for server in pair:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        ports = [server.server_address[1] for server in pair]
        internet = Loopback(chain if trusted else None, int(ports[0]), int(ports[1]), unknown or {})
        found = list(verify_public.verify(described or stack(), ZONE, internet, cdn=cdn))
        assert len({each.name for each in found}) == len(found)
        return {each.name: each for each in found}

    yield run
    for server in servers:
        server.shutdown()
        server.server_close()


def bad(found: dict[str, Finding]) -> dict[str, str]:
    return {name: each.detail for name, each in found.items() if not each.ok}


def test_all_is_well_behind_a_cdn(look: Look) -> None:
    found = look(Behaviour(), described=stack(names=[NAME, ALIAS]))
    assert bad(found) == {}
    assert [name for name in found if ALIAS not in name] == [
        "clinic.test is in DNS",
        "the certificate of clinic.test",
        "http://clinic.test redirects to https",
        "https://clinic.test/api/health",
        "https://clinic.test/api/ready",
        "clinic.test tells browsers to stay with https",
        "security headers of clinic.test",
        "clinic.test is behind the CDN, which keeps no answer of the application",
        "https://clinic.test/_next/static/ is kept by the CDN and by browsers",
        "clinic.test: a name that no site has is refused",
    ]
    # Each of its names is looked at.
    assert len([name for name in found if ALIAS in name]) == 10
    assert found["clinic.test is in DNS"].detail == "127.0.0.1"
    assert found["the certificate of clinic.test"].detail == "TLSv1.3, by Test Trust, valid for 90 more days"
    assert found["https://clinic.test/_next/static/ is kept by the CDN and by browsers"].detail == (
        f"{FILE}: 200, public, max-age=31536000, immutable; Hit from cloudfront"
    )
    assert found["clinic.test: a name that no site has is refused"].detail == "http: 404, https: 404"


def test_all_is_well_on_an_edge_host_without_a_cdn(look: Look) -> None:
    found = look(Behaviour(cdn=False, closes=True), described=stack(edge=["edge1"]), cdn=False)
    assert bad(found) == {}
    assert not [name for name in found if "CDN" in name]
    assert found["https://clinic.test/_next/static/ is kept by browsers"].ok
    said = found["clinic.test: a name that no site has is refused"].detail
    assert said == "http: closed without an answer, https: closed without an answer"


def test_a_load_balancer_writes_its_port_and_refuses_at_https(look: Look) -> None:
    behaviour = Behaviour(cdn=False, sends_all=True, redirect="https://{host}:443{target}")
    found = look(behaviour, cdn=False)
    assert bad(found) == {}
    assert found["clinic.test: a name that no site has is refused"].detail == "http: 301, https: 404"


def test_the_host_is_sent_as_browsers_send_it(look: Look) -> None:
    behaviour = Behaviour()
    look(behaviour)
    assert {host for host, _ in behaviour.asked} == {NAME, verify_public.UNKNOWN}


def test_a_name_without_an_address_says_what_to_compare_and_nothing_more_is_asked(look: Look) -> None:
    behaviour = Behaviour()
    found = look(behaviour, described=stack(names=[NAME, ALIAS]), unknown={ALIAS: socket.EAI_NONAME})
    assert list(bad(found)) == [f"{ALIAS} is in DNS"]
    said = found[f"{ALIAS} is in DNS"].detail
    assert said.startswith(
        "no address: the hosted zone clinic.test (Z0123456789ABCDEFGHIJ) is not delegated to Route 53, or"
    )
    assert "`aws route53 get-hosted-zone --id Z0123456789ABCDEFGHIJ --query DelegationSet.NameServers`" in said
    assert "`dig +short NS clinic.test`" in said
    assert not [name for name in found if ALIAS in name and "DNS" not in name]


def test_a_resolver_that_is_silent_is_no_missing_delegation(look: Look) -> None:
    found = look(Behaviour(), unknown={NAME: socket.EAI_AGAIN})
    assert bad(found) == {
        "clinic.test is in DNS": "this machine's resolver does not answer (as said): try again, or from elsewhere"
    }


def test_a_certificate_of_nobody_that_browsers_trust(look: Look) -> None:
    found = bad(look(Behaviour(), trusted=False))
    assert "certificate verify failed" in found["the certificate of clinic.test"]
    assert "https://clinic.test/api/health" in found


def test_a_certificate_of_another_name(look: Look) -> None:
    found = bad(look(Behaviour(), names=(ALIAS,)))
    assert "not valid for 'clinic.test'" in found["the certificate of clinic.test"]


def test_a_certificate_that_nobody_renewed(look: Look) -> None:
    found = bad(look(Behaviour(), days=5))
    assert found == {
        "the certificate of clinic.test": "TLSv1.3, by Test Trust, valid for 5 more days, which is less than 14"
    }


@pytest.mark.parametrize(("days", "good"), [(90, True), (5, False)])
def test_an_edge_host_of_ones_own_with_a_certificate_that_nobody_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, good: bool
) -> None:
    chain, key = certificate(tmp_path, NAME, days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server = Server(Behaviour(), context)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    port = int(server.server_address[1])
    monkeypatch.setattr(verify, "Edge", lambda _address, ca_file, **_: LoopbackEdge(ca_file, (port, port)))
    described = stack(edge=["edge1"]) | {"hosts": {"edge1": {"address": "127.0.0.1"}}}
    described["edge"]["proxy_protocol"] = False
    described["apps"]["emr"] |= {"static": [], "artifact": "dist/taaleem.json"}
    try:
        found = {entry.name: entry for entry in verify.verify(described, chain, tmp_path)}
    finally:
        server.shutdown()
        server.server_close()
    lasts = found[f"edge1: {NAME} has a certificate that lasts"]
    assert lasts.ok == good
    assert f"valid for {days} more days" in lasts.detail


@pytest.mark.parametrize(
    ("wrong", "name", "said"),
    [
        ({"health": 503}, "https://clinic.test/api/ready", "503"),
        ({"redirect": "https://{host}/"}, "http://clinic.test redirects to https", "301 https://clinic.test/"),
        (
            {"redirect": "http://{host}{target}"},
            "http://clinic.test redirects to https",
            "301 http://clinic.test/a?b=c",
        ),
        ({"hsts": None}, "clinic.test tells browsers to stay with https", "no Strict-Transport-Security; expected: "),
        (
            {"hsts": "max-age=300; includeSubDomains"},
            "clinic.test tells browsers to stay with https",
            "max-age=300; includeSubDomains; expected: max-age=31536000; preload",
        ),
        (
            {"headers": {"X-Frame-Options": "DENY"}},
            "security headers of clinic.test",
            "X-Frame-Options is DENY, expected: SAMEORIGIN; X-Content-Type-Options is missing, expected: nosniff",
        ),
        (
            {"cdn": False},
            "clinic.test is behind the CDN, which keeps no answer of the application",
            "no X-Amz-Cf-Id: CloudFront did not answer; does the name lead to the distribution?",
        ),
        (
            {"keeps_answers": True},
            "clinic.test is behind the CDN, which keeps no answer of the application",
            "Hit from cloudfront",
        ),
        (
            {"kept_after": None},
            "https://clinic.test/_next/static/ is kept by the CDN and by browsers",
            f"{FILE}: 200, public, max-age=31536000, immutable; not kept after 6 requests: Miss from cloudfront",
        ),
        (
            {"control": "no-cache"},
            "https://clinic.test/_next/static/ is kept by the CDN and by browsers",
            f"{FILE}: 200, no-cache; expected: 200, immutable, max-age=31536000",
        ),
        (
            {"page": "<p>no script</p>"},
            "https://clinic.test/_next/static/ is kept by the CDN and by browsers",
            "the page /login?next=%2F (200) names no file below /_next/static/",
        ),
        (
            {"knows_all": True},
            "clinic.test: a name that no site has is refused",
            "answered 302",
        ),
    ],
)
def test_what_is_wrong_is_said(look: Look, wrong: dict[str, Any], name: str, said: str) -> None:
    found = bad(look(Behaviour(**wrong)))
    assert said in found[name]


def test_an_edge_host_that_answers_a_stranger_is_found(look: Look) -> None:
    found = bad(look(Behaviour(cdn=False), described=stack(edge=["edge1"]), cdn=False))
    assert found == {"clinic.test: a name that no site has is refused": "http: answered 404, https: answered 404"}


def test_what_a_site_does_not_promise_is_not_asked_of_it(look: Look) -> None:
    tls = {"redirect_http": False, "hsts": None}
    found = look(Behaviour(cdn=False), described=stack(tls=tls, headers={}, static=[]), cdn=False)
    assert list(found) == [
        "clinic.test is in DNS",
        "the certificate of clinic.test",
        "https://clinic.test/api/health",
        "https://clinic.test/api/ready",
        "clinic.test: a name that no site has is refused",
    ]


def test_nothing_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    found = list(verify_public.verify(stack(), ZONE, Loopback(None, port, port, {}), cdn=True))
    # "Refused" is what an unknown name meets with, too.
    assert {each.name for each in found if each.ok} == {
        "clinic.test is in DNS",
        "clinic.test: a name that no site has is refused",
    }
    assert "Connection refused" in next(each.detail for each in found if each.name == "https://clinic.test/api/health")


@pytest.mark.parametrize(("name", "cdn"), [("taaleem-production", True), ("taaleem-staging", False)])
def test_which_environment_has_a_cdn(name: str, cdn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = load(ROOT / "inventories" / name)
    asked: dict[str, Any] = {}

    def verify(described: Any, zone: HostedZone, internet: Any, *, cdn: bool) -> Iterator[Finding]:
        asked.update(cdn=cdn, zone=zone.name)
        yield from ()

    monkeypatch.setattr(verify_public, "verify", verify)
    groups = {"edge": [host.name for host in environment.hosts if "edge" in host.groups]}
    assert list(verify_public.of(environment, {"groups": groups}, None)) == []
    assert asked == {"cdn": cdn, "zone": "taaleem.example"}
