"""Uploads: whole or not at all, in a folder and in a bucket of S3 that admits what the servers' role may do."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import select
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bucket import Bucket, run_bucket
from support import Answer, Instance, Postgres, free_port, wait_until

MIB = 1024 * 1024
PART = 5 * MIB
WORDS = {"internal": "Something went wrong.", "unavailable": "A service this needs is away. Try again."}


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with run_bucket() as found:
        yield found


@pytest.fixture(scope="module")
def with_bucket(_launch_shared: Any, bucket: Bucket) -> Instance:
    instance: Instance = _launch_shared(**bucket.settings)
    return instance


@dataclass(frozen=True, kw_only=True)
class Place:
    """An instance and where it keeps uploads."""

    app: Instance
    #: Bytes that it holds back before it writes any.
    first: int
    #: All that is there, finished or not.
    names: Callable[[], list[str]]
    read: Callable[[str], bytes]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, site: Any) -> Place:
    if request.param == "folder":
        folder = Path(site.settings["UPLOADS_DIR"])
        return Place(
            app=request.getfixturevalue("app"),
            first=0,
            names=lambda: sorted(each.name for each in folder.iterdir()),
            read=lambda name: (folder / name).read_bytes(),
        )
    found: Bucket = request.getfixturevalue("bucket")
    return Place(
        app=request.getfixturevalue("with_bucket"),
        first=PART,
        names=lambda: [*found.names(), *found.unfinished()],
        read=found.read,
    )


def send(app: Instance, sid: str, content: bytes) -> Answer:
    return app.request("POST", "/api/uploads", content, {"Content-Type": "application/octet-stream"}, sid)


@contextlib.contextmanager
def begun(app: Instance, sid: str, size: int) -> Iterator[http.client.HTTPConnection]:
    """An upload whose body is still to be sent."""
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=60)
    connection.putrequest("POST", "/api/uploads")
    for name, value in {"Content-Length": str(size), "Cookie": f"sid={sid}"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    with contextlib.closing(connection):
        yield connection


def send_until_answered(connection: http.client.HTTPConnection, content: bytes) -> None:
    """As browsers and nginx do. On a busy machine the answer may come before the last byte, and nobody reads the rest."""
    rest = memoryview(content)
    while rest:
        readable, writable, _ = select.select([connection.sock], [connection.sock], [], 60)
        assert readable or writable, "neither read nor answered"
        if readable:
            return
        rest = rest[connection.sock.send(rest) :]


def failures(app: Instance) -> list[str]:
    return [line["error"] for line in app.log_lines() if line["message"] == "route failed"]


@pytest.mark.parametrize("size", [1, PART - 1, PART, PART + 1, 3 * PART + 12_345])
def test_an_upload_is_kept_as_it_was_sent(place: Place, sid: str, postgres: Postgres, size: int) -> None:
    content = os.urandom(size)
    answer = send(place.app, sid, content)
    assert answer.status == 201, answer.body
    found = answer.json
    assert (found["size"], found["sha256"]) == (size, hashlib.sha256(content).hexdigest())
    assert place.read(found["id"]) == content
    known = postgres.query(f"SELECT size_bytes, sha256 FROM uploads WHERE id = '{found['id']}'", "taaleem")
    assert known == [(size, found["sha256"])]


@pytest.mark.parametrize("sent", [100_000, 2 * PART + 1])
def test_a_body_that_breaks_off_leaves_nothing(place: Place, sid: str, sent: int) -> None:
    before, failed = place.names(), len(failures(place.app))
    with begun(place.app, sid, 4 * PART) as connection:
        connection.send(os.urandom(sent))
        if sent > place.first:
            wait_until(lambda: len(place.names()) == len(before) + 1, "the upload has begun", 10)
        else:
            time.sleep(0.5)
    wait_until(lambda: len(failures(place.app)) == failed + 1, "the application has noticed", 10)
    assert place.names() == before


def test_what_the_database_refuses_is_taken_back(place: Place, sid: str, postgres: Postgres) -> None:
    before = place.names()
    postgres.query("ALTER TABLE uploads ADD CONSTRAINT refused CHECK (size_bytes <> 4242)", "taaleem")
    try:
        answer = send(place.app, sid, os.urandom(4242))
    finally:
        postgres.query("ALTER TABLE uploads DROP CONSTRAINT refused", "taaleem")
    assert (answer.status, answer.json) == (500, {"error": "internal", "message": WORDS["internal"]})
    assert place.names() == before


def test_a_part_that_is_refused_ends_the_upload_and_leaves_nothing(
    with_bucket: Instance, bucket: Bucket, sid: str
) -> None:
    before = bucket.names()
    with begun(with_bucket, sid, 4 * PART) as connection:
        connection.send(os.urandom(PART + 1))
        wait_until(lambda: len(bucket.unfinished()) == 1, "the upload has begun", 10)
        with bucket.refusing("s3:PutObject"):
            send_until_answered(connection, os.urandom(PART))
            # It answers at once, and does not wait for the rest.
            assert connection.getresponse().status == 500
    assert (bucket.names(), bucket.unfinished()) == (before, [])
    assert failures(with_bucket)[-1] == "AccessDenied"


@pytest.mark.parametrize(
    ("settings", "status", "error", "logged"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "canary-of-another-key"}, 500, "internal", "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "AKIACANARYCANARY1234"}, 500, "internal", "InvalidAccessKeyId"),
        ({"UPLOADS_BUCKET": "of-somebody-else"}, 500, "internal", "AccessDenied"),
        (
            {
                "AWS_ACCESS_KEY_ID": None,
                "AWS_SECRET_ACCESS_KEY": None,
                "AWS_SESSION_TOKEN": None,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
            },
            503,
            "unavailable",
            "CredentialsProviderError",
        ),
    ],
    ids=["key", "user", "bucket", "nobody"],
)
def test_refused_credentials_are_an_error_without_a_secret(
    launch: Any, bucket: Bucket, sid: str, settings: dict[str, str | None], status: int, error: str, logged: str
) -> None:
    app = launch(**bucket.settings | settings)
    before = bucket.names()
    answer = send(app, sid, os.urandom(1000))
    assert (answer.status, answer.json) == (status, {"error": error, "message": WORDS[error]})
    assert failures(app) == [logged]
    assert bucket.names() == before
    # Its other work is not hindered, nor is it taken out of service.
    assert app.request("GET", "/api/stats", sid=sid).status == 200
    assert app.request("GET", "/api/ready").status == 200
    secrets = {
        value for name, value in (bucket.settings | settings).items() if value and ("KEY" in name or "TOKEN" in name)
    }
    told = app.log.read_text() + json.dumps(answer.json) + str(answer.headers)
    assert not [value for value in secrets if value in told]


def test_a_store_that_is_away_is_said_to_be(launch: Any, bucket: Bucket, sid: str) -> None:
    app = launch(**bucket.settings | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{free_port()}"})
    answer = send(app, sid, os.urandom(PART + 1))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json == {"error": "unavailable", "message": WORDS["unavailable"]}


def test_memory_does_not_grow_with_the_file(place: Place, sid: str) -> None:
    def peak_mb() -> int:
        assert place.app.process is not None
        status = Path(f"/proc/{place.app.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found.group(1)) // 1024

    assert send(place.app, sid, os.urandom(3 * PART)).status == 201
    before, block, blocks = peak_mb(), os.urandom(MIB), 320
    with begun(place.app, sid, blocks * MIB) as connection:
        for _ in range(blocks):
            connection.send(block)
        assert connection.getresponse().status == 201
    assert peak_mb() - before < blocks / 2
