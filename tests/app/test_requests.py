"""What a client gets: pages, sessions, patients, cache, limits, live connections."""

import concurrent.futures
import http.client
import json
import re
import secrets
import uuid
from pathlib import Path
from typing import Any

import pytest
import websocket
from support import Instance, Postgres, Redis, session_id, wait_until

PATIENT = {"fullName": "Amina Haddad", "dateOfBirth": "1984-02-29", "phone": "+971 4 000 0000"}


def add(app: Instance, sid: str | None, body: dict[str, Any], key: str | None = None, **headers: str) -> Any:
    sent = {"Idempotency-Key": key or str(uuid.uuid4())} | headers
    return app.request("POST", "/api/patients", body, sent, sid)


def test_health_names_the_instance_and_the_release(app: Instance, release: Any) -> None:
    answer = app.request("GET", "/api/health")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert (answer.json["instance"], answer.json["release"]) == (f"test:{app.port}", release.release)


def test_instance_says_who_answered(app: Instance, release: Any) -> None:
    assert app.process is not None
    answer = app.request("GET", "/api/instance")
    assert answer.json | {"host": ""} == {
        "instance": f"test:{app.port}",
        "port": app.port,
        "pid": app.process.pid,
        "release": release.release,
        "host": "",
    }
    assert answer.headers["X-Instance"] == f"test:{app.port}"


def test_ready_checks_each_service(app: Instance) -> None:
    # It is ready without its replica, too, which has a second to answer: on a busy machine that is not always enough.
    wait_until(lambda: app.request("GET", "/api/ready").status == 200, "ready")
    wait_until(lambda: set(app.request("GET", "/api/ready").json["checks"].values()) == {"ok"}, "every service is ok")


def test_pages_need_a_session_and_run_only_their_own_scripts(app: Instance, sid: str) -> None:
    outside = app.request("GET", "/")
    assert (outside.status, outside.headers["Location"]) == (307, "/login")
    page = app.request("GET", "/", sid=sid)
    assert page.status == 200
    assert "Patients" in page.body.decode()
    found = re.search(r"'nonce-([^']+)'", page.headers["Content-Security-Policy"])
    assert found
    scripts = re.findall(r"<script[^>]*>", page.body.decode())
    assert len(scripts) > 3
    assert all(f'nonce="{found.group(1)}"' in script for script in scripts)


def test_static_files_are_where_the_edge_looks_for_them(app: Instance, unpacked: Path) -> None:
    manifest = json.loads((unpacked / "manifest.json").read_text())
    for entry in manifest["static"]:
        files = [path for path in (unpacked / entry["path"]).rglob("*") if path.is_file()]
        assert files, entry
        for file in files:
            path = entry["url"] + file.relative_to(unpacked / entry["path"]).as_posix()
            answer = app.request("GET", path)
            assert (path, answer.status, answer.body) == (path, 200, file.read_bytes())


def test_a_release_holds_no_key(unpacked: Path) -> None:
    previews = json.loads((unpacked / ".next/prerender-manifest.json").read_text())["preview"]
    assert set(previews.values()) == {False}
    assert json.loads((unpacked / ".next/server/server-reference-manifest.json").read_text())["encryptionKey"] == ""


def test_login_sets_a_cookie_that_scripts_and_plain_http_do_not_get(app: Instance, site: Any) -> None:
    answer = app.login("Admin", site.admin_password, {"X-Real-IP": "198.51.100.1"})
    assert answer.status == 200
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))


@pytest.mark.parametrize("username", ["admin", "nobody"])
def test_wrong_credentials_are_refused_alike(app: Instance, username: str) -> None:
    answer = app.login(username, "wrong" * 4, {"X-Real-IP": "198.51.100.2"})
    assert (answer.status, answer.json["error"]) == (401, "wrong_credentials")
    assert answer.headers["Set-Cookie"] is None


def test_a_session_is_known_to_every_instance_until_logout(app: Instance, sid: str, launch: Any) -> None:
    other = launch()
    wait_until(lambda: other.request("GET", "/api/ready").status == 200, "the other instance is ready")
    assert other.request("GET", "/api/session", sid=sid).json["user"]["username"] == "admin"
    assert other.request("POST", "/api/logout", {}, sid=sid).status == 200
    assert app.request("GET", "/api/session", sid=sid).status == 401


def test_the_store_does_not_hold_the_cookie(app: Instance, sid: str, redis: Redis) -> None:
    keys = redis.client().keys("taaleem:session:*")
    assert keys
    assert not [key for key in keys if sid in key]
    assert app.request("GET", "/api/session", sid=keys[0].rpartition(":")[2]).status == 401


def test_a_login_does_not_take_over_a_planted_session(app: Instance, site: Any) -> None:
    planted = secrets.token_urlsafe(32)
    headers = {"X-Real-IP": "198.51.100.3", "Cookie": f"sid={planted}"}
    assert session_id(app.login("admin", site.admin_password, headers)) != planted
    assert app.request("GET", "/api/session", sid=planted).status == 401


def test_too_many_attempts_for_a_user_are_429_from_whatever_address(app: Instance) -> None:
    statuses = [app.login("victim", "x", {"X-Real-IP": f"198.51.100.{10 + n}"}).status for n in range(5)]
    assert statuses == [401, 401, 401, 401, 429]
    refused = app.login("victim", "x", {"X-Real-IP": "198.51.100.20"})
    assert 0 < int(refused.headers["Retry-After"]) <= 300


def test_too_many_attempts_from_an_address_are_429_for_whatever_user(app: Instance) -> None:
    statuses = [app.login(f"user{n}", "x", {"X-Real-IP": "198.51.100.30"}).status for n in range(9)]
    assert statuses == [401] * 8 + [429]


def test_only_the_edge_may_say_who_the_client_is(launch: Any) -> None:
    direct = launch(TRUSTED_PROXIES="192.0.2.1")
    wait_until(lambda: direct.request("GET", "/api/ready").status == 200, "ready")
    headers = {"X-Request-ID": "chosen-by-client", "X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}
    answer = direct.request("GET", "/api/session", headers=headers)
    assert answer.headers["X-Request-ID"] != "chosen-by-client"
    wait_until(lambda: any(line["message"] == "request" for line in direct.log_lines()), "a line in the log")
    assert [line["client"] for line in direct.log_lines() if line["message"] == "request"] == ["127.0.0.1"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_a_change_sent_by_another_site_is_refused(app: Instance, sid: str, headers: dict[str, str]) -> None:
    assert add(app, sid, PATIENT, **headers).status == 403


def test_a_patient_is_added_once_per_key(app: Instance, sid: str, postgres: Postgres) -> None:
    key = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda _: add(app, sid, PATIENT, key), range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert len({answer.json["patient"]["id"] for answer in answers}) == 1
    assert add(app, sid, PATIENT | {"fullName": "Someone Else"}, key).status == 422
    assert postgres.query(f"SELECT count(*) FROM patients WHERE idempotency_key = '{key}'", "taaleem") == [(1,)]
    patient = answers[0].json["patient"]
    count = f"SELECT count(*) FROM audit_log WHERE subject = '{patient['id']}' AND action = 'patient.create'"
    assert postgres.query(count, "taaleem") == [(1,)]
    found = app.request("GET", f"/api/patients/{patient['id']}", sid=sid).json["patient"]
    assert {name: found[name] for name in PATIENT} == PATIENT


def test_reads_come_from_the_server_that_was_asked_for(app: Instance, sid: str) -> None:
    patient = add(app, sid, PATIENT | {"fullName": f"Replicated {uuid.uuid4()}"}).json["patient"]
    primary = app.request("GET", "/api/patients?source=primary", sid=sid).json
    assert (primary["source"], primary["standby"]) == ("primary", False)
    assert patient in primary["items"]

    def replicated() -> bool:
        replica = app.request("GET", "/api/patients", sid=sid).json
        # The primary's answer is right, too, where the replica took longer than its second.
        return (replica["source"], replica["standby"]) == ("replica", True) and patient in replica["items"]

    wait_until(replicated, "the replica answers, with the patient", 30)


def test_without_a_replica_the_primary_answers(launch: Any, sid: str, site: Any) -> None:
    alone = launch(DATABASE_READ_URL="postgresql://app:x@127.0.0.1:1/taaleem")
    wait_until(lambda: alone.request("GET", "/api/ready").status == 200, "ready")
    assert alone.request("GET", "/api/ready").json["checks"]["replica"] == "away"
    answer = alone.request("GET", "/api/patients?source=replica", sid=sid)
    assert (answer.status, answer.json["source"]) == (200, "primary")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fullName": " "}, "fullName"),
        ({"dateOfBirth": "2023-02-30"}, "dateOfBirth"),
        ({"dateOfBirth": "2999-01-01"}, "dateOfBirth"),
        ({"phone": "<script>"}, "phone"),
    ],
)
def test_an_invalid_patient_is_refused_by_name(app: Instance, sid: str, change: dict[str, str], named: str) -> None:
    answer = add(app, sid, PATIENT | change)
    assert (answer.status, answer.json["error"]) == (422, "invalid")
    assert answer.json["message"].startswith(named)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/patients"),
        ("POST", "/api/patients"),
        ("GET", f"/api/patients/{uuid.uuid4()}"),
        ("GET", "/api/stats"),
        ("POST", "/api/uploads"),
        ("GET", "/api/session"),
    ],
)
def test_nothing_is_told_without_a_session(app: Instance, method: str, path: str) -> None:
    assert app.request(method, path, {} if method == "POST" else None, sid="guess").status == 401


def test_counts_are_cached_until_a_patient_is_added(app: Instance, sid: str) -> None:
    add(app, sid, PATIENT)
    first = app.request("GET", "/api/stats", sid=sid)
    second = app.request("GET", "/api/stats", sid=sid)
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert first.json == second.json
    add(app, sid, PATIENT)
    third = app.request("GET", "/api/stats", sid=sid)
    assert (third.headers["X-Cache"], third.json["patients"]) == ("MISS", first.json["patients"] + 1)


def test_websocket_echoes_and_greets(app: Instance) -> None:
    client = websocket.create_connection(f"ws://127.0.0.1:{app.port}/api/ws", timeout=10)
    assert json.loads(client.recv())["instance"] == f"test:{app.port}"
    client.send("مرحبا")
    assert client.recv() == "مرحبا"
    client.send_binary(bytes(range(256)))
    assert client.recv() == bytes(range(256))
    client.close()


@pytest.mark.parametrize(
    ("path", "origin", "status"), [("/api/ws", "https://evil.example", 403), ("/elsewhere", None, 404)]
)
def test_websocket_refuses(app: Instance, path: str, origin: str | None, status: int) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(
            f"ws://127.0.0.1:{app.port}{path}", timeout=10, origin=origin, suppress_origin=origin is None
        )
    assert refused.value.status_code == status


def test_events_arrive_one_by_one(app: Instance) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    connection.request("GET", "/api/events")
    response = connection.getresponse()
    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no"
    names = []
    while len(names) < 3:
        line = response.readline().decode().strip()
        if line.startswith("event:"):
            names.append(line.removeprefix("event: "))
    connection.close()
    assert names == ["hello", "heartbeat", "heartbeat"]


def test_the_log_has_the_request_and_no_person(app: Instance, sid: str, site: Any) -> None:
    request_id = f"test-{uuid.uuid4()}"
    patient = add(app, sid, PATIENT).json["patient"]
    path = f"/api/patients/{patient['id']}?name=Amina"
    answer = app.request("GET", path, headers={"X-Request-ID": request_id, "X-Real-IP": "203.0.113.5"}, sid=sid)
    assert answer.headers["X-Request-ID"] == request_id

    def lines() -> list[dict[str, Any]]:
        return [line for line in app.log_lines() if line.get("request_id") == request_id]

    wait_until(lambda: len(lines()) == 1, "one line for the request", 5)
    line = lines()[0]
    assert (line["path"], line["status"], line["client"]) == ("/api/patients/:id", 200, "203.0.113.5")
    assert line["release"]
    assert line["instance"]
    text = app.log.read_text()
    unwanted = [PATIENT["fullName"], PATIENT["phone"], patient["id"], sid, site.admin_password, "Amina"]
    unwanted += [site.settings["SESSION_SECRET"], site.settings["DATABASE_URL"], site.settings["REDIS_CACHE_URL"]]
    assert not [word for word in unwanted if word in text]


def test_idle_connections_outlive_those_of_the_edge(app: Instance) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    connection.request("GET", "/api/health")
    response = connection.getresponse()
    response.read()
    timeout = re.search(r"timeout=(\d+)", response.headers["Keep-Alive"])
    connection.close()
    assert timeout
    assert int(timeout.group(1)) > 60


def test_a_stream_that_its_client_left_makes_room(launch: Any) -> None:
    app = launch(MAX_LIVE_CONNECTIONS="1")
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    connection.request("GET", "/api/events")
    connection.getresponse().readline()
    assert app.request("GET", "/api/events").status == 503
    connection.close()

    def admitted() -> bool:
        try:
            websocket.create_connection(f"ws://127.0.0.1:{app.port}/api/ws", timeout=10).close()
        except websocket.WebSocketBadStatusException:
            return False
        return True

    wait_until(admitted, "the place is free", 10)
