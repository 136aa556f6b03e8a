"""Our edge compared with the distribution's nginx and the original configuration: one host, one binary, alternating.

Both run on the same host as the load generator and the same trivial instances, so the ratios are those of whole
requests, of which nginx is a part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.process import BenchError, checkout
from bench.samples import Better, Comparison, in_turn
from bench.workplace import Machine, one_host, say
from stackwright.model import edge_nginx, inventory
from stackwright.model import environment as model
from stackwright.testing.certificates import self_signed
from stackwright.testing.render import Role

SECTION = "Edge"
NAME = "bench-edge.test"
_INPUTS = Path(__file__).parent / "inputs"
_PARTS = ("main.conf", "http.conf", "tls.conf", "proxy.conf", "upstreams.conf", "default.conf")
_STATIC = "/var/lib/bench/static"
#: The port of each configuration.
OURS, ORIGINAL = 443, 8443
#: Below the model's default limit of connections per client.
_CONNECTIONS = 32
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, kw_only=True)
class Load:
    """The results of one run of wrk."""

    per_second: float
    median_ms: float
    p99_ms: float


#: Name -> path and headers of the requests.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "passed on to an instance": ("/index.html", ()),
    "static file, 16 KiB": ("/_next/static/chunk.js", ()),
    "20 KiB of JSON, compressed": ("/rows.json", ("Accept-Encoding: gzip",)),
    "a new TLS connection per request": ("/index.html", ("Connection: close",)),
}


def measure(rounds: int, seconds: int) -> tuple[list[Comparison], dict[str, Any]]:
    """Load both configurations with each kind of request for `rounds` rounds of `seconds` seconds."""
    with one_host("bench-host") as machine:
        say("edge: install nginx and wrk on a host")
        versions = _prepare(machine)
        comparisons = []
        for name, (path, headers) in KINDS.items():
            _require_equal(machine, path)
            ask = _Wrk(machine, path, headers, seconds)
            pairs = in_turn(rounds, partial(ask.load, OURS), partial(ask.load, ORIGINAL))
            comparisons += _comparisons(name, pairs)
            shown = ", ".join(f"{mine.per_second:.0f} : {original.per_second:.0f}" for mine, original in pairs)
            say(f"edge: {name}: {shown} requests/s")
    return comparisons, {"versions": versions, "connections": _CONNECTIONS, "seconds": seconds}


def _comparisons(name: str, pairs: list[tuple[Load, Load]]) -> list[Comparison]:
    views: tuple[tuple[str, str, Better, str], ...] = (
        ("throughput", "requests/s", "higher", "per_second"),
        ("median latency", "ms", "lower", "median_ms"),
        ("latency, 99th percentile", "ms", "lower", "p99_ms"),
    )
    return [
        Comparison(
            section=SECTION,
            name=f"{name}: {view}",
            peer="the original's configuration",
            unit=unit,
            better=better,
            ours=tuple(getattr(mine, key) for mine, _ in pairs),
            peers=tuple(getattr(original, key) for _, original in pairs),
        )
        for view, unit, better, key in views
    ]


# --- the host -------------------------------------------------------------------------------------------------------


def _prepare(machine: Machine) -> str:
    role, files = render()
    machine.install(*role.value("__nginx_packages"), "wrk", "curl")
    certificate, key = (pem.decode() for pem in self_signed(NAME))
    machine.write("/etc/bench/tls.crt", certificate)
    machine.write("/etc/bench/tls.key", key)
    machine.run(f"echo '127.0.0.1 {NAME}' >> /etc/hosts")
    machine.write("/var/lib/bench/upstream/index.html", "<p>ready</p>\n" * 40)
    machine.write("/var/lib/bench/upstream/rows.json", rows())
    machine.write(f"{_STATIC}/emr/current/_next/static/chunk.js", script())
    for path, text in files.items():
        machine.write(f"/etc/nginx/{path}", text)
    machine.write("/etc/nginx/upstream.conf", (_INPUTS / "upstream.conf").read_text())
    machine.write("/etc/nginx/sites-enabled/taaleem-emr", (_INPUTS / "original-edge.conf").read_text())
    machine.run("mkdir -p /var/log/stackwright-edge; rm -f /etc/nginx/sites-enabled/default")
    for main in ("/etc/nginx/upstream.conf", "/etc/nginx/stackwright.conf", "/etc/nginx/nginx.conf"):
        # Each in its own systemd scope, so that it survives the call that starts it.
        machine.run(f"nginx -t -q -c {main} && systemd-run --quiet --scope nginx -c {main}")
    return machine.run("nginx -v 2>&1; wrk -v 2>&1 | head -1; openssl version").strip()


def render() -> tuple[Role, dict[str, str]]:
    """Return our configuration for taaleem on one server, by file below /etc/nginx."""
    environment = model.load(checkout() / "inventories" / "taaleem-single" / "stack.yml")
    facts = inventory.stack(environment, environment.hosts)["edge"]
    neutral = [site | {"names": [NAME]} for site in facts["sites"]]
    sites = edge_nginx.nginx_sites(neutral, certificate_folder="/etc/bench", static_root=_STATIC)
    connections = facts["worker_connections"]
    inputs = {
        "nginx_sites": sites,
        "nginx_tls_min_version": edge_nginx.tls_min_version(neutral),
        "nginx_worker_connections": connections,
        "nginx_open_files_limit": 2 * connections + 1024,
    }
    role = Role(checkout() / "roles" / "nginx", inputs, system="Debian-13")
    files = {f"live/{part}": role.template(f"etc/nginx/live/{part}.j2") for part in _PARTS}
    for site in role.value("__nginx_sites"):
        files[f"live/sites/{site['name']}.conf"] = role.template("etc/nginx/live/sites/site.conf.j2", item=site)
    # Two servers must not write to the same log.
    files = {path: text.replace("/var/log/nginx/", "/var/log/stackwright-edge/") for path, text in files.items()}
    files["live/generation.conf"] = 'map $server_port $edge_generation { default "bench"; }\n'
    files["stackwright.conf"] = "pid /run/stackwright-edge.pid;\ninclude live/main.conf;\n"
    return role, files


def rows() -> str:
    """Return about 20 KiB of JSON that compresses like rows of a table."""
    row = '{{"id":{0},"fullName":"Patient {0}","dateOfBirth":"19{1:02}-0{2}-1{2}","city":"Town {3}"}}'
    return "[" + ",\n".join(row.format(n, n % 97, n % 9 + 1, n * 7919 % 1000) for n in range(255)) + "]\n"


def script() -> str:
    """Return 16 KiB of script."""
    return "".join(f"export const value{n} = {n * 7919};\n" for n in range(2000))[: 16 * 1024]


def _require_equal(machine: Machine, path: str) -> None:
    """Require that both configurations give the same answer, as otherwise the comparison would be meaningless."""
    bodies = [
        machine.run(f"curl -fsS --cacert /etc/bench/tls.crt https://{NAME}:{port}{path} | sha256sum")
        for port in (OURS, ORIGINAL)
    ]
    if bodies[0] != bodies[1]:
        raise BenchError(f"edge: {path} is not the same from both configurations")


@dataclass(frozen=True)
class _Wrk:
    machine: Machine
    path: str
    headers: tuple[str, ...]
    seconds: int

    def load(self, port: int) -> Load:
        headers = " ".join(f"-H '{header}'" for header in self.headers)
        address = f"https://{NAME}:{port}{self.path}"
        # The first second is a warm-up, which fills caches and opens connections.
        wrk = f"wrk --threads 1 --connections {_CONNECTIONS} --latency {headers}"
        self.machine.run(f"{wrk} --duration 1s {address}")
        return parse(self.machine.run(f"{wrk} --duration {self.seconds}s {address}"))


def parse(text: str) -> Load:
    """Parse the output of wrk; a run with failed requests is not a valid measurement."""
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if bad:
        raise BenchError(f"edge: {bad[1]} requests got another answer than 2xx or 3xx\n{text}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    latencies = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s|m))$", text, re.MULTILINE))
    if rate is None or set(latencies) != {"50", "99"}:
        raise BenchError(f"edge: wrk printed no figures\n{text}")
    return Load(
        per_second=float(rate[1]), median_ms=_milliseconds(latencies["50"]), p99_ms=_milliseconds(latencies["99"])
    )


def _milliseconds(text: str) -> float:
    number = text.rstrip("usm")
    return float(number) * _UNITS[text[len(number) :]]
