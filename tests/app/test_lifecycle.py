"""Start, outage and end of an instance; migrations; what the build gives."""

import concurrent.futures
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import websocket
from support import Instance, Postgres, accepts, run_redis, wait_until

LONG = "x" * 20


def open_upload(app: Instance, sid: str) -> http.client.HTTPConnection:
    """A request that the server has begun and that ends when the caller sends the rest."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=20)
    connection.putrequest("POST", "/api/uploads")
    for name, value in {"Content-Length": "20", "Cookie": f"sid={sid}"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(LONG[:10].encode())
    return connection


def ready(app: Instance) -> bool:
    return app.request("GET", "/api/ready").status == 200


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_finishes_what_has_begun(launch: Any, sid: str, site: Any, stop: int) -> None:
    app = launch()
    wait_until(lambda: ready(app), "ready")
    uploads = Path(site.settings["UPLOADS_DIR"])
    before = len(list(uploads.iterdir()))
    idle = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    idle.request("GET", "/api/health")
    idle.getresponse().read()
    upload = open_upload(app, sid)
    wait_until(lambda: len(list(uploads.iterdir())) == before + 1, "the upload has begun", 10)
    live = websocket.create_connection(f"ws://127.0.0.1:{app.port}/api/ws", timeout=10)
    live.recv()
    events = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    events.request("GET", "/api/events")
    stream = events.getresponse()

    app.process.send_signal(stop)
    wait_until(lambda: not accepts(app.port), "new connections are refused", 5)
    idle.request("GET", "/api/ready")  # on a connection from before: still answered, and asked to go
    last = idle.getresponse()
    assert (last.status, json.loads(last.read())["status"]) == (503, "draining")
    assert last.headers["Connection"] == "close"
    opcode, data = live.recv_data(control_frame=True)
    assert (opcode, int.from_bytes(data[:2])) == (websocket.ABNF.OPCODE_CLOSE, 1001)
    live.close()
    assert "event: goodbye" in stream.read().decode()

    upload.send(LONG[10:].encode())
    answer = upload.getresponse()
    assert (answer.status, json.loads(answer.read())["size"]) == (201, 20)
    assert app.process.wait(timeout=10) == 0


def test_readiness_goes_before_the_listener(launch: Any) -> None:
    app = launch(DRAIN_DELAY_MS="1500")
    wait_until(lambda: ready(app), "ready")
    app.process.send_signal(signal.SIGTERM)
    wait_until(lambda: app.request("GET", "/api/ready").status == 503, "draining", 1)
    assert app.request("GET", "/api/health").status == 200
    assert app.process.wait(timeout=10) == 0


def test_a_client_that_never_ends_does_not_hold_the_process(launch: Any, sid: str) -> None:
    app = launch(KILL_TIMEOUT_MS="3000")
    wait_until(lambda: ready(app), "ready")
    upload = open_upload(app, sid)
    time.sleep(0.5)
    began = time.monotonic()
    assert app.stop() == 1
    assert time.monotonic() - began < 3
    upload.close()


def test_the_process_manager_is_told_when_it_listens_and_may_stop_it_by_message(site: Any, tmp_path: Path) -> None:
    """The channel of PM2: a parent that forks, waits for `ready`, and sends `shutdown`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parent = tmp_path / "parent.js"
    parent.write_text(
        """
        const child = require('child_process').fork(process.argv[2], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
        child.on('message', (message) => {
          if (message !== 'ready') return;
          fetch(`http://127.0.0.1:${process.env.PORT}/api/health`).then((answer) => {
            console.log(answer.status);
            child.send('shutdown');
          });
        });
        child.on('exit', (code) => console.log(`exit ${code}`));
        """
    )
    command = [site.node, parent, site.folder / "server.js"]
    environment = site.settings | {"PORT": str(port)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split("\n")[:2] == ["200", "exit 0"], result.stderr


def test_an_outage_of_the_stores_stops_readiness_but_not_the_process(
    launch: Any, tmp_path: Path, sid: str, site: Any
) -> None:
    own = tmp_path / "redis"
    own.mkdir()
    with run_redis(own) as redis:
        urls = dict.fromkeys(("REDIS_SESSIONS_URL", "REDIS_RATE_LIMIT_URL"), redis.url)
        app = launch(**urls, NODE_EXTRA_CA_CERTS=str(redis.ca_file), REDIS_CA_FILE="", REDIS_CACHE_URL=redis.url)
        wait_until(lambda: ready(app), "ready with the CA from NODE_EXTRA_CA_CERTS")
        redis.stop()
        wait_until(lambda: not ready(app), "not ready")
        assert app.request("GET", "/api/health").status == 200
        refused = app.login("admin", site.admin_password, {"X-Real-IP": "198.51.100.77"})
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        redis.start()
        wait_until(lambda: ready(app), "ready again", 15)


def test_a_cache_that_is_away_costs_no_answer(launch: Any, sid: str) -> None:
    app = launch(REDIS_CACHE_URL="rediss://taaleem:x@127.0.0.1:1")
    wait_until(lambda: ready(app), "ready")
    answer = app.request("GET", "/api/stats", sid=sid)
    assert (answer.status, answer.headers["X-Cache"]) == (200, "BYPASS")


def test_lost_database_connections_fail_no_request(app: Instance, sid: str, postgres: Postgres) -> None:
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'taaleem'"
    for _ in range(5):
        assert app.request("GET", "/api/patients?source=primary", sid=sid).status == 200
        postgres.query(end)
        body = {"fullName": "Retry", "dateOfBirth": "2000-01-01"}
        answer = app.request("POST", "/api/patients", body, {"Idempotency-Key": str(uuid.uuid4())}, sid)
        assert answer.status == 201, answer.body


BUCKET = {"UPLOADS_DIR": "", "UPLOADS_BUCKET": "kept-elsewhere", "AWS_REGION": "eu-central-1"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SESSION_SECRET": "hunter2"}, "SESSION_SECRET is shorter"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
        ({"PORT": "99999"}, "PORT must be a whole number"),
        ({"REDIS_CACHE_URL": "http://x"}, "REDIS_CACHE_URL must be a URL"),
        ({"UPLOADS_DIR": ""}, "exactly one of UPLOADS_DIR and UPLOADS_BUCKET must be set"),
        (BUCKET | {"UPLOADS_DIR": "/srv/kept"}, "exactly one of UPLOADS_DIR and UPLOADS_BUCKET must be set"),
        (BUCKET | {"UPLOADS_BUCKET": "S3://Uploads"}, "UPLOADS_BUCKET must be the name of a bucket"),
        (BUCKET | {"AWS_REGION": ""}, "AWS_REGION is not set"),
        (BUCKET | {"AWS_ENDPOINT_URL_S3": "s3.test:9000"}, "AWS_ENDPOINT_URL_S3 must be a URL"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(site: Any, change: dict[str, str], named: str) -> None:
    environment = {**site.settings, "PORT": "5005", **change}
    command = [site.node, site.folder / "server.js"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 1
    line = json.loads(result.stdout.splitlines()[-1])
    assert (line["level"], line["message"]) == ("error", "cannot start")
    assert named in line["reason"]
    assert not [value for value in change.values() if value and value in line["reason"]]


def test_settings_may_come_from_a_file_that_the_environment_overrides(site: Any, launch: Any, tmp_path: Path) -> None:
    file = tmp_path / "app.env"
    file.write_text(f"SESSION_SECRET={site.settings['SESSION_SECRET']}\nINSTANCE_ID=from-file\nCACHE_TTL_SECONDS=45\n")
    app = launch(SESSION_SECRET=None, ENV_FILE=str(file), INSTANCE_ID="from-environment")
    assert app.request("GET", "/api/health").json["instance"] == "from-environment"


def migrate(site: Any, database: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    url = site.settings["DATABASE_URL"].rpartition("/")[0] + f"/{database}"
    given = {"PATH": os.environ["PATH"], "DATABASE_URL": url, **environment}
    command = [site.node, site.folder / "migrate.js", *arguments]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)


ALL = ["001_users.sql", "002_patients.sql", "003_audit_log.sql"]


def test_migrations_run_once_however_many_run_them(site: Any, postgres: Postgres) -> None:
    postgres.query("CREATE DATABASE concurrent")
    assert json.loads(migrate(site, "concurrent", "--check").stdout) == {"pending": ALL}
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: migrate(site, "concurrent", ADMIN_PASSWORD=LONG), range(4)))
    assert [run.returncode for run in runs] == [0] * 4, [run.stderr for run in runs]
    applied = sorted((json.loads(run.stdout)["applied"] for run in runs), key=len)
    assert applied == [[], [], [], ALL]
    again = json.loads(migrate(site, "concurrent").stdout)
    assert again == {"applied": [], "administrator_created": False}
    assert json.loads(migrate(site, "concurrent", "--check").stdout) == {"pending": []}
    assert postgres.query("SELECT count(*) FROM users", "concurrent") == [(1,)]


def test_a_migration_that_fails_leaves_nothing(site: Any, postgres: Postgres) -> None:
    postgres.query("CREATE DATABASE refused")
    for password in ("", "short"):
        run = migrate(site, "refused", ADMIN_PASSWORD=password)
        assert run.returncode == 1
        assert "set ADMIN_PASSWORD" in json.loads(run.stderr)["error"]
    assert postgres.query("SELECT to_regclass('users') IS NULL", "refused") == [(True,)]


def test_a_changed_migration_is_noticed_and_an_unknown_one_is_not_minded(site: Any, postgres: Postgres) -> None:
    postgres.query("CREATE DATABASE changed")
    assert migrate(site, "changed", ADMIN_PASSWORD=LONG).returncode == 0
    postgres.query("INSERT INTO schema_migrations VALUES ('999_newer_release.sql', 'x')", "changed")
    assert migrate(site, "changed").returncode == 0
    postgres.query("UPDATE schema_migrations SET checksum = 'x' WHERE name = '001_users.sql'", "changed")
    run = migrate(site, "changed")
    assert run.returncode == 1
    assert "001_users.sql was changed" in json.loads(run.stderr)["error"]


def test_migrations_prefer_their_own_connection(site: Any, postgres: Postgres) -> None:
    postgres.query("CREATE DATABASE direct")
    direct = postgres.url(postgres.primary_port, "direct")
    assert migrate(site, "not-there", MIGRATION_DATABASE_URL=direct, ADMIN_PASSWORD=LONG).returncode == 0
    assert postgres.query("SELECT count(*) FROM users", "direct") == [(1,)]
