"""PgBouncer, as the role configures it, compared with direct connections to the same PostgreSQL, with 200 clients.

Both connect to the server over TLS with its certificate verified and log in with SCRAM; clients connect to PgBouncer
over the loopback without TLS, as applications do. pgbench, PgBouncer and PostgreSQL share one host.
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
from stackwright.model.postgresql_settings import postgresql_settings
from stackwright.testing.certificates import self_signed
from stackwright.testing.render import Role

SECTION = "PgBouncer"
CLIENTS = 200
_SERVER = "database-primary.bench.internal"
#: Direct connections have to fit in addition to those that the server reserves.
_MAX_CONNECTIONS = CLIENTS + 50
#: Memory of the host; half of it is for PostgreSQL.
_MEMORY_MB = 4096
_PASSWORD = "bench-only"  # noqa: S105 - as in inputs/pooler.sql

#: Name -> options of pgbench, and transactions per client: a number and not a duration, which 200 logins could use up.
#: A thread connects one client at a time, so new connections need one thread each to be opened in parallel, as from 200
#: separate processes.
KINDS = {
    "connections are kept": ("--jobs=2", 400),
    "a new connection per transaction": (f"--connect --jobs={CLIENTS}", 5),
}


@dataclass(frozen=True, kw_only=True)
class Load:
    """The results of one run of pgbench; with new connections, the latency includes the time to connect."""

    per_second: float
    latency_ms: float


def measure(rounds: int, *, shorter: int = 1) -> tuple[list[Comparison], dict[str, Any]]:
    """Load each kind for `rounds` rounds, pooled and direct; `shorter` divides the number of transactions."""
    with one_host("bench-host", memory_mb=_MEMORY_MB) as machine:
        say("pooler: install PostgreSQL and PgBouncer on a host")
        versions = _prepare(machine)
        comparisons = []
        for name, (options, transactions) in KINDS.items():
            ask = _Bench(machine, f"{options} --transactions={max(1, transactions // shorter)}")
            pairs = in_turn(rounds, partial(ask.load, POOLED), partial(ask.load, DIRECT))
            comparisons += _comparisons(name, pairs)
            shown = ", ".join(f"{mine.per_second:.0f} : {direct.per_second:.0f}" for mine, direct in pairs)
            say(f"pooler: {name}: {shown} transactions/s")
    return comparisons, {"versions": versions, "clients": CLIENTS}


def _comparisons(name: str, pairs: list[tuple[Load, Load]]) -> list[Comparison]:
    views: tuple[tuple[str, str, Better, str], ...] = (
        ("throughput", "transactions/s", "higher", "per_second"),
        ("mean latency", "ms", "lower", "latency_ms"),
    )
    return [
        Comparison(
            section=SECTION,
            name=f"{name}: {view}",
            peer="direct connections",
            unit=unit,
            better=better,
            ours=tuple(getattr(mine, key) for mine, _ in pairs),
            peers=tuple(getattr(direct, key) for _, direct in pairs),
        )
        for view, unit, better, key in views
    ]


# --- the host -------------------------------------------------------------------------------------------------------

DIRECT = f"host={_SERVER} port=5432 dbname=bench user=bench sslmode=verify-full sslrootcert=/etc/bench/ca.crt"
POOLED = "host=127.0.0.1 port=6432 dbname=bench user=bench sslmode=disable"

_DATABASE = Path(__file__).parent / "inputs" / "pooler.sql"
_PGBOUNCER = "/usr/sbin/pgbouncer /etc/pgbouncer/pgbouncer.ini"


def _prepare(machine: Machine) -> str:
    machine.install("postgresql", "postgresql-contrib", "pgbouncer")
    certificate, key = (pem.decode() for pem in self_signed(_SERVER))
    machine.run(f"echo '{machine.address} {_SERVER}' >> /etc/hosts")
    machine.write("/etc/bench/ca.crt", certificate)
    machine.write("/etc/bench/tls.key", key, "0600")
    machine.run("chown postgres /etc/bench/tls.key; rm /usr/sbin/policy-rc.d")
    folder = machine.run("ls -d /etc/postgresql/*/main").strip()
    machine.write(f"{folder}/conf.d/bench.conf", settings(machine.address))
    machine.write(f"{folder}/pg_hba.conf", "local all postgres peer\nhostssl all all 0.0.0.0/0 scram-sha-256\n")
    for path, text in render().items():
        machine.write(path, text)
    machine.run("systemctl restart postgresql.service")
    machine.run("cd /; runuser -u postgres -- psql --quiet --set=ON_ERROR_STOP=1 --file=-", _DATABASE.read_text())
    options = "--property=RuntimeDirectory=pgbouncer --property=LimitNOFILE=4096 --property=Type=notify"
    machine.run(f"systemctl stop pgbouncer.service; systemd-run --quiet --uid=postgres {options} {_PGBOUNCER}")
    machine.run(f"{_environment(DIRECT)} pgbench --quiet --initialize --scale=10")
    machine.run(f"{_environment(DIRECT)} psql --quiet --command='VACUUM ANALYZE'")
    return machine.run("psql --version; pgbouncer --version | head -1").strip()


def settings(address: str) -> str:
    """Return PostgreSQL's settings as the role derives them, with enough connections for the direct clients."""
    derived = postgresql_settings(memory_mb=_MEMORY_MB // 2, cpus=2, max_connections=_MAX_CONNECTIONS)
    overrides = {
        "listen_addresses": address,
        "max_connections": _MAX_CONNECTIONS,
        "ssl": "on",
        "ssl_cert_file": "/etc/bench/ca.crt",
        "ssl_key_file": "/etc/bench/tls.key",
    }
    return "".join(f"{key} = '{value}'\n" for key, value in (derived | overrides).items())


def render() -> dict[str, str]:
    """Return PgBouncer's files from the role's templates, with the role's own limits."""
    inputs = {
        "pgbouncer_databases": [
            {"name": "bench", "host": _SERVER, "port": 5432, "dbname": "bench", "pool_size": 0},
        ],
        "pgbouncer_auth_password": _PASSWORD,
        "pgbouncer_tls_ca_file": "/etc/bench/ca.crt",
    }
    role = Role(checkout() / "roles" / "pgbouncer", inputs, system="Debian-13")
    folder = "etc/pgbouncer"
    return {f"/{folder}/{name}": role.template(f"{folder}/{name}.j2") for name in ("pgbouncer.ini", "userlist.txt")}


def _environment(connection: str) -> str:
    """Return variables for libpq: on pgbench's command line a connection string would be taken as a database name."""
    names = {"dbname": "PGDATABASE"}
    words = [word.partition("=") for word in connection.split()]
    return f"PGPASSWORD={_PASSWORD} " + " ".join(f"{names.get(k, f'PG{k.upper()}')}={v}" for k, _, v in words)


@dataclass(frozen=True)
class _Bench:
    machine: Machine
    options: str

    def load(self, connection: str) -> Load:
        pgbench = f"pgbench --select-only --no-vacuum --client={CLIENTS} {self.options}"
        return parse(self.machine.run(f"ulimit -n 8192; {_environment(connection)} {pgbench}"))


def parse(text: str) -> Load:
    """Parse the output of pgbench; a run with failed transactions is not a valid measurement."""
    failed = re.search(r"number of failed transactions: (\d+)", text)
    latency = re.search(r"latency average = ([\d.]+) ms", text)
    rate = re.search(r"tps = ([\d.]+)", text)
    if latency is None or rate is None or (failed and failed[1] != "0"):
        raise BenchError(f"pooler: pgbench has no good figures\n{text}")
    return Load(per_second=float(rate[1]), latency_ms=float(latency[1]))
