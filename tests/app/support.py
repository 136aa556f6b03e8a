"""The servers that the application needs, on loopback, and one instance of the application, as its users see it."""

import contextlib
import getpass
import http.client
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stackwright.testing.certificates import self_signed

START_SECONDS = 180.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def extract(archive: Path, folder: Path) -> None:
    # Debian 12's Python has no filters; these archives are our own.
    options: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as tar:
        tar.extractall(folder, **options)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def postgres_program(name: str) -> str | None:
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(versions[-1]) if versions else shutil.which(name)


def server_user() -> str:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return getpass.getuser()
    return "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"


@contextlib.contextmanager
def stopped_at_end(process: subprocess.Popen[bytes], with_signal: int = signal.SIGTERM) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(with_signal)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A primary with one streaming replica; the replica's replay can be held to make it stale."""

    primary_port: int
    replica_port: int
    password: str

    def url(self, port: int, database: str) -> str:
        return f"postgresql://app:{self.password}@127.0.0.1:{port}/{database}"

    def query(self, sql: str, database: str = "postgres", port: int | None = None) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.url(port or self.primary_port, database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


def replayed(server: Postgres) -> bool:
    """Whether the replica has all that the primary had written when this was asked."""
    written = server.query("SELECT pg_current_wal_lsn()")[0][0]
    return server.query(f"SELECT pg_last_wal_replay_lsn() >= '{written}'", port=server.replica_port) == [(True,)]


@contextlib.contextmanager
def run_postgres(folder: Path) -> Iterator[Postgres]:
    user, password = server_user(), secrets.token_hex(16)
    shutil.chown(folder, user)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGPASSWORD": password}
    password_file = folder / "password"
    password_file.write_text(password)
    shutil.chown(password_file, user)
    server = Postgres(primary_port=free_port(), replica_port=free_port(), password=password)

    def run(program: str, *arguments: str) -> None:
        command = [str(postgres_program(program)), *arguments]
        subprocess.run(command, check=True, capture_output=True, user=user, env=environment, cwd=folder, timeout=120)

    def start(name: str, port: int) -> subprocess.Popen[bytes]:
        options = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(folder),
            "fsync": "off",
        }
        settings = [item for key, value in options.items() for item in ("-c", f"{key}={value}")]
        command = [str(postgres_program("postgres")), "-D", str(folder / name), *settings]
        with (folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, user=user, env=environment, cwd=folder, stdout=log, stderr=log)
        wait_until(lambda: accepts(port), f"PostgreSQL {name} listens")
        return process

    run("initdb", "-D", str(folder / "primary"), "-U", "app", "-A", "scram-sha-256", f"--pwfile={password_file}", "-N")
    with stopped_at_end(start("primary", server.primary_port), signal.SIGINT):
        where = ("-h", "127.0.0.1", "-p", str(server.primary_port), "-U", "app")
        run("pg_basebackup", "-D", str(folder / "replica"), "-R", "-X", "stream", "-c", "fast", "--no-sync", *where)
        with stopped_at_end(start("replica", server.replica_port), signal.SIGINT):
            wait_until(lambda: _answers(server), "the replica answers")
            yield server


def _answers(server: Postgres) -> bool:
    import psycopg

    try:
        return server.query("SELECT pg_is_in_recovery()", port=server.replica_port) == [(True,)]
    except psycopg.OperationalError:
        return False


def write_certificate(folder: Path) -> None:
    """A self-signed certificate for 127.0.0.1 that is its own trust anchor: tls.crt, tls.key."""
    certificate, key = self_signed("stores", addresses=("127.0.0.1",))
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "tls.key").write_bytes(key)


@dataclass(kw_only=True)
class Redis:
    """One Redis over TLS, with a user who may do what the application does and nothing else."""

    folder: Path
    port: int
    password: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def url(self) -> str:
        return f"rediss://taaleem:{self.password}@127.0.0.1:{self.port}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "tls.crt"

    def client(self) -> Any:
        import redis

        return redis.Redis.from_url(self.url, ssl_ca_certs=str(self.ca_file), decode_responses=True)

    def start(self) -> None:
        rules = "+get +set +getex +del +incr +expire +ttl +ping +multi +exec +hello +auth +info +keys"
        configuration = [
            f"port 0\ntls-port {self.port}\nbind 127.0.0.1\ntls-auth-clients no\nsave ''\n",
            f"tls-cert-file {self.folder}/tls.crt\ntls-key-file {self.folder}/tls.key\n",
            f"user default off\nuser taaleem on >{self.password} ~taaleem:* -@all {rules}\n",
        ]
        (self.folder / "redis.conf").write_text("".join(configuration).replace("''", '""'))
        with (self.folder / "redis.log").open("ab") as log:
            command = ["redis-server", str(self.folder / "redis.conf")]
            self.process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        wait_until(lambda: accepts(self.port), "Redis listens")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=20)
            self.process = None


@contextlib.contextmanager
def run_redis(folder: Path) -> Iterator[Redis]:
    server = Redis(folder=folder, port=free_port(), password=secrets.token_hex(16))
    write_certificate(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass(kw_only=True)
class Answer:
    """An HTTP answer, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(kw_only=True)
class Instance:
    """One process of the application."""

    node: Path
    folder: Path
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return int(self.environment["PORT"])

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [str(self.node), str(self.folder / "server.js")]
            self.process = subprocess.Popen(command, env=dict(self.environment), cwd="/", stdout=log, stderr=log)
        wait_until(self.is_up, f"the instance answers: {self.log.read_text()}")

    def is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return accepts(self.port) and self.request("GET", "/api/health").status == 200

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(with_signal)
        return self.process.wait(timeout=20)

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, sid: str | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = dict(headers or {})
        if sid is not None:
            sent["Cookie"] = f"sid={sid}"
        if isinstance(body, dict):
            sent.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(status=response.status, headers=response.headers, body=response.read())

    def login(self, username: str, password: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("POST", "/api/login", {"username": username, "password": password}, headers)

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


def session_id(answer: Answer) -> str:
    cookie = answer.headers["Set-Cookie"]
    return str(cookie.split(";")[0].removeprefix("sid="))
