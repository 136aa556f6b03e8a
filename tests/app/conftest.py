"""Fixtures: a release built from the sources, its servers, and instances of it under the Node.js that hosts get."""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stackwright.artifact import application, runtime

sys.path.insert(0, str(Path(__file__).parent))
from support import (
    Instance,
    Postgres,
    Redis,
    extract,
    free_port,
    postgres_program,
    replayed,
    run_postgres,
    run_redis,
    session_id,
    wait_until,
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.app)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What all instances of one test run share."""

    node: Path
    folder: Path
    settings: dict[str, str]
    admin_password: str


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    if not (postgres_program("postgres") and postgres_program("initdb")):
        pytest.fail("PostgreSQL is not installed: apt-get install postgresql")
    folder = tmp_path_factory.mktemp("postgres")
    for parent in (folder, *folder.parents[:2]):  # pytest's own folders are closed to the server's user
        parent.chmod(0o755)
    with run_postgres(folder) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    if shutil.which("redis-server") is None:
        pytest.fail("Redis is not installed: apt-get install redis-server")
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The very Node.js that hosts run, from the bundle."""
    bundle = runtime.build()
    folder = tmp_path_factory.mktemp("node")
    extract(bundle.nodejs.path, folder)
    return folder / bundle.nodejs.root / "bin" / "node"


@pytest.fixture(scope="session")
def release() -> application.Release:
    return application.build()


@pytest.fixture(scope="session")
def unpacked(release: application.Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    extract(release.path, folder)
    return folder / f"taaleem-{release.release}"


@pytest.fixture(scope="session")
def site(
    node: Path, unpacked: Path, postgres: Postgres, redis: Redis, tmp_path_factory: pytest.TempPathFactory
) -> Site:
    postgres.query("CREATE DATABASE taaleem")
    settings = {
        "PATH": os.environ["PATH"],
        "NODE_ENV": "production",
        "HOST": "127.0.0.1",
        "DATABASE_URL": postgres.url(postgres.primary_port, "taaleem"),
        "DATABASE_READ_URL": postgres.url(postgres.replica_port, "taaleem"),
        "REDIS_SESSIONS_URL": redis.url,
        "REDIS_CACHE_URL": redis.url,
        "REDIS_RATE_LIMIT_URL": redis.url,
        "REDIS_CA_FILE": str(redis.ca_file),
        "SESSION_SECRET": secrets.token_hex(32),
        "TRUSTED_PROXIES": "127.0.0.1",
        "UPLOADS_DIR": str(tmp_path_factory.mktemp("uploads")),
        "EVENTS_HEARTBEAT_MS": "300",
        "DRAIN_IDLE_MS": "300",
        "LOGIN_LIMIT_PER_USER": "4",
        "LOGIN_LIMIT_PER_ADDRESS": "8",
    }
    found = Site(node=node, folder=unpacked, settings=settings, admin_password=secrets.token_urlsafe(16))
    environment = settings | {"ADMIN_PASSWORD": found.admin_password}
    subprocess.run([node, unpacked / "migrate.js"], env=environment, check=True, timeout=60)
    wait_until(lambda: replayed(postgres), "the replica has the schema")
    return found


Launch = Callable[..., Instance]


@pytest.fixture(scope="session")
def _launch_shared(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    with _launcher(site, tmp_path_factory.mktemp("logs")) as launch:
        yield launch


@pytest.fixture
def launch(site: Site, tmp_path: Path) -> Iterator[Launch]:
    """Starts further instances; keywords are further environment, None takes a setting away."""
    with _launcher(site, tmp_path) as start:
        yield start


@contextlib.contextmanager
def _launcher(site: Site, logs: Path) -> Iterator[Launch]:
    started: list[Instance] = []

    def start(**changes: str | None) -> Instance:
        port = str(free_port())
        environment = site.settings | {"PORT": port, "INSTANCE_ID": f"test:{port}"} | changes
        instance = Instance(
            node=site.node,
            folder=site.folder,
            environment={name: value for name, value in environment.items() if value is not None},
            log=logs / f"{port}.log",
        )
        started.append(instance)
        instance.start()
        return instance

    try:
        yield start
    finally:
        for instance in started:
            if instance.process is not None and instance.process.poll() is None:
                instance.process.kill()
                instance.process.wait()


@pytest.fixture(scope="session")
def app(_launch_shared: Launch) -> Instance:
    return _launch_shared()


@pytest.fixture
def sid(app: Instance, site: Site) -> str:
    """A session of the administrator, from an address of its own so that no limit of another test counts."""
    address = f"192.0.2.{secrets.randbelow(250) + 1}"
    answer = app.login("admin", site.admin_password, {"X-Real-IP": address})
    assert answer.status == 200, answer.body
    return session_id(answer)
