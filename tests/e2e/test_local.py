"""taaleem-local: seven hosts behind one edge, looked at from outside, deployed to, broken, restored, removed.

The tests follow each other on one environment: each leaves it as it found it, up to the last, which removes it.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
import websocket

from stackwright.testing import canaries
from stackwright.testing.e2e import Environment, differences, reset_artifact, selected_release, wait_until
from stackwright.testing.leftovers import stack_leftovers
from stackwright.testing.load import Load
from stackwright.testing.on_host.connect import open_ports
from stackwright.testing.variant import variant
from stackwright.verify import Answer

NAME = "taaleem-local"
#: Nothing of these may be reached from where it has no business.
PRIVATE = [5000, 5001, 5005, 5006, 5007, 5008, 5432, 6379, 6380, 6381, 6432, 2379, 2380, 8008, 8081, 8432, 8500]
MIB = 1024 * 1024
HSTS = "max-age=31536000; includeSubDomains; preload"

pytestmark = pytest.mark.timeout(5400)


@pytest.fixture(scope="module")
def running(lifetime: Any) -> Iterator[Any]:
    with lifetime(NAME, "make", "local") as found:
        yield found
        # The other environments run the release of the sources, too.
        reset_artifact(found.environment)


@pytest.fixture(scope="module")
def local(running: Any) -> Environment:
    return running.environment


@pytest.fixture(scope="module")
def first_release(local: Environment) -> str:
    return selected_release(local)


@pytest.fixture(scope="module")
def session(local: Environment) -> str:
    """One login for all tests: the edge admits only a few a minute."""
    answer = local.client.log_in(local.secrets.get(f"app/{local.app}/admin"))
    assert answer.status == 200, answer
    cookie = SimpleCookie(answer.headers["set-cookie"])["sid"]
    assert cookie["secure"]
    assert cookie["httponly"]
    return cookie.value


def add_patient(local: Environment, session: str, name: str) -> dict[str, Any]:
    body = {"fullName": name, "dateOfBirth": "1984-02-29"}
    answer = local.client.request(
        "POST", "/api/patients", body, session=session, headers={"Idempotency-Key": uuid.uuid4().hex}
    )
    assert answer.status == 201, answer
    return dict(json.loads(answer.body)["patient"])


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_end_of_make_local_says_where_everything_is(running: Any) -> None:
    local, output = running.environment, running.output
    assert f"https://{local.domain}/" in output
    rows = [line.strip().split(maxsplit=2) for line in output.splitlines()]
    for host, facts in local.stack["hosts"].items():
        assert [host, facts["address"], ", ".join(facts["groups"])] in rows
    assert f".state/{NAME}/ca.crt" in output
    assert f"stackwright destroy {NAME}" in output


def test_the_printed_commands_work_as_they_are_printed(running: Any) -> None:
    local, lines = running.environment, running.output.splitlines()

    def printed(start: str) -> str:
        found = [line[line.index(start) :] for line in lines if start in line]
        assert found, f"no line has {start!r}"
        return str(found[-1])

    shown = local.run("sh", "-c", printed("ansible-vault view ")).output
    # Not in the assertion: a failure would print the password.
    has_password = local.secrets.get(f"app/{local.app}/admin") in shown
    assert has_password
    assert local.run("sh", "-c", printed("ssh -i ") + " hostname").output.strip() == "edge1"


def status(local: Environment) -> dict[str, Any]:
    """What `stackwright status --json` prints; `problems` are without disks, which are this machine's."""
    command = f"stackwright status {local.name} --json 2>/dev/null; echo $?"
    printed, _, code = local.run("sh", "-c", command, seconds=120).output.strip().rpartition("\n")
    report: dict[str, Any] = json.loads(printed)
    assert report["exit_code"] == int(code)
    wrong = [each for each in report["findings"] if each["state"] != "ok"]
    report["problems"] = [each for each in wrong if each["kind"] != "disk"]
    # With a full disk below, the environment's own state cannot be seen by the code.
    report["full"] = len(wrong) > len(report["problems"])
    return report


def test_status_of_a_healthy_environment_names_everything_and_no_problem(local: Environment) -> None:
    # The first backups begin with the end of the first converge.
    for _ in range(30):
        report = status(local)
        if not report["problems"]:
            break
        time.sleep(10)
    assert report["problems"] == []
    assert report["full"] or (report["state"], report["exit_code"]) == ("ok", 0)
    assert [host["name"] for host in report["hosts"]] == local.hosts
    named = {(each["kind"], each["host"], each["name"]) for each in report["findings"]}
    process = local.stack["apps"][local.app]["process_name"]
    planned = {
        ("instance", host, f"{process}-{each['port']}") for host, ones in instances(local).items() for each in ones
    }
    assert planned | {("replica", host, host) for host in local.group("database")} <= named
    assert {("application", None, local.app), ("pause", None, "patroni")} <= named
    kinds = {each["kind"] for each in report["findings"]}
    assert {"member", "service", "certificate", "backup", "updates", "restart"} <= kinds
    local.stackwright("verify", seconds=300)


def test_status_names_a_drained_member_and_a_pause(local: Environment) -> None:
    edge, database = local.group("edge")[0], local.group("database")[0]
    host, member = next((host, ones[0]) for host, ones in instances(local).items())
    drain = f"nginx-drain {local.app} {member['address']}:{member['port']}"
    patroni = "patronictl -c /etc/patroni/config.yml"
    try:
        local.ssh(edge, f"{drain} on")
        local.ssh(database, f"{patroni} pause --wait")
        report = status(local)
    finally:
        local.ssh(database, f"{patroni} resume --wait", expect=None)
        local.ssh(edge, f"{drain} off")
    assert report["full"] or (report["state"], report["exit_code"]) == ("warning", 1)
    assert {(each["kind"], each["host"], each["name"]) for each in report["problems"]} == {
        ("member", edge, f"{local.app} {host}:{member['port']}"),
        ("pause", None, "patroni"),
    }


# --- from outside ---------------------------------------------------------------------------------------------------


def test_http_is_redirected(local: Environment) -> None:
    answer = local.edge.get(local.domain, "/login?next=%2F", tls=False)
    assert (answer.status, answer.headers["location"]) == (301, f"https://{local.domain}/login?next=%2F")


def test_the_certificate_is_the_environments_own(local: Environment) -> None:
    names = [local.domain, *local.stack["aliases"]]
    for name in names:
        with local.edge.connect(name, tls=True) as connection:
            assert isinstance(connection, ssl.SSLSocket)
            certificate = connection.getpeercert()
            assert connection.version() == "TLSv1.3"
        assert certificate
        assert set(names) <= {value for _, value in certificate["subjectAltName"]}
    strangers = type(local.edge)(local.edge.address, None)
    with pytest.raises(ssl.SSLCertVerificationError):
        strangers.connect(local.domain, tls=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)],
)
def test_old_tls_is_refused(local: Environment, version: ssl.TLSVersion, accepted: bool) -> None:
    edge = local.edge
    # Else this machine's own OpenSSL would refuse before the edge could.
    edge.context.set_ciphers("ALL:@SECLEVEL=0")
    edge.context.minimum_version = edge.context.maximum_version = version
    if accepted:
        assert edge.get(local.domain, "/api/health").status == 200
    else:
        with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
            edge.connect(local.domain, tls=True)


def static_path(local: Environment) -> str:
    page = local.client.get("/login")
    assert page.status == 200
    found = re.search(r'"(/_next/static/[^"]+\.js)"', page.body.decode())
    assert found, page.body[:2000]
    return found[1]


def test_headers_are_on_every_kind_of_answer(local: Environment) -> None:
    paths = ["/login", "/api/session", "/none", static_path(local), "/public/logo.svg", "/public/none.svg"]
    answers = {path: local.client.get(path) for path in paths}
    assert [answer.status for answer in answers.values()] == [200, 401, 404, 200, 200, 404]
    for path, answer in answers.items():
        found = {name: answer.headers.get(name) for name in ("strict-transport-security", "x-frame-options")}
        assert found == {"strict-transport-security": HSTS, "x-frame-options": "SAMEORIGIN"}, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "x-powered-by" not in answer.headers, path


def test_static_files_are_kept_by_browsers(local: Environment) -> None:
    fingerprinted = local.client.get(static_path(local))
    assert fingerprinted.headers["cache-control"] == "public, max-age=31536000, immutable"
    public = local.client.get("/public/logo.svg")
    assert public.headers["cache-control"] == "public, max-age=2592000"
    # From the edge's own disk: no instance has seen the request.
    assert "x-instance" not in fingerprinted.headers
    assert "x-instance" not in public.headers


@pytest.mark.parametrize("tls", [False, True])
def test_an_unknown_name_gets_no_answer(local: Environment, tls: bool) -> None:
    with pytest.raises(OSError, match="."):
        local.edge.get("unknown.invalid", "/", tls=tls)


def test_a_wrong_password_does_not_log_in(local: Environment) -> None:
    answer = local.client.log_in("not the password")
    assert answer.status == 401
    assert "set-cookie" not in answer.headers


def test_a_login_survives_a_change_of_application_host(local: Environment, session: str) -> None:
    seen: set[str] = set()
    for _ in range(40):
        answer = local.client.get("/api/session", session)
        assert answer.status == 200, answer
        assert json.loads(answer.body)["user"]["username"] == "admin"
        seen.add(answer.headers["x-instance"].partition(":")[0])
        if seen >= set(local.group("app")):
            return
        time.sleep(0.1)
    pytest.fail(f"only {seen} answered")


def test_a_patient_is_written_to_the_primary_and_read_from_the_replica(local: Environment, session: str) -> None:
    patient = add_patient(local, session, f"Replica {uuid.uuid4().hex[:8]}")

    def arrived() -> bool:
        listed = local.client.json("/api/patients?source=replica", session)
        assert listed["standby"], "the primary answered in the replica's place"
        return patient["id"] in [item["id"] for item in listed["items"]]

    wait_until(arrived, "the patient on the replica", seconds=30, pause=0.5)
    assert not local.client.json("/api/patients?source=primary", session)["standby"]


def test_an_upload_below_the_limit_arrives_whole(local: Environment, session: str) -> None:
    body = hashlib.sha256(b"seed").digest() * (49 * MIB // 32)
    answer = local.client.request("POST", "/api/uploads", body, session=session)
    assert answer.status == 201, answer
    found = json.loads(answer.body)
    assert (found["size"], found["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())


def test_an_upload_above_the_limit_is_refused_before_it_is_sent(local: Environment, session: str) -> None:
    connection = local.client.connection()
    try:
        connection.putrequest("POST", "/api/uploads")
        connection.putheader("Content-Length", str(51 * MIB))
        connection.putheader("Cookie", f"sid={session}")
        connection.endheaders()
        assert connection.getresponse().status == 413
    finally:
        connection.close()


def test_a_websocket_echoes_through_the_edge(local: Environment) -> None:
    connection = local.edge.connect(local.domain, tls=True)
    socket = websocket.create_connection(f"wss://{local.domain}/api/ws", socket=connection, timeout=10)
    try:
        assert json.loads(socket.recv())["type"] == "hello"
        for text in ("one", "two " * 1000):
            socket.send(text)
            assert socket.recv() == text
    finally:
        socket.close()


def test_an_event_stream_is_passed_on_as_it_comes(local: Environment) -> None:
    connection = local.client.connection()
    began = time.monotonic()
    try:
        connection.request("GET", "/api/events", headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        lines = [response.readline() for _ in range(4)]
    finally:
        connection.close()
    assert b"event: hello\n" in lines
    # The next event is 15 s away: a buffer would not have been filled before.
    assert time.monotonic() - began < 8


def test_a_burst_of_logins_is_refused_with_the_time_to_wait(local: Environment) -> None:
    # No JSON object: the application refuses it before it counts an attempt, so that all that counts is the edge.
    json_type = {"Content-Type": "application/json"}
    # A clinic of 300 logs in at once; a flood is refused, as soon as it is faster than what the limit gives back.
    over = local.client.connection()

    def attempt() -> Answer:
        return local.client.request("POST", "/api/login", b"[]", headers=json_type, over=over)

    assert [attempt().status for _ in range(300)] == [400] * 300
    refused = next((answer for answer in (attempt() for _ in range(2000)) if answer.status != 400), None)
    over.close()
    assert refused is not None
    assert refused.status == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "x-instance" not in refused.headers
    # Others are not made to wait for it.
    assert local.client.get("/login").status == 200


# --- who may reach what ---------------------------------------------------------------------------------------------


def test_private_ports_are_closed_to_the_outside(local: Environment) -> None:
    targets = [[local.address(host), port] for host in local.hosts for port in [22, *PRIVATE]]
    opened = open_ports(targets)
    assert opened == [[local.address(host), 22] for host in local.hosts]


def test_the_edge_reaches_the_application_and_nothing_behind_it(local: Environment) -> None:
    behind = [host for host in local.hosts if host not in {*local.group("edge"), *local.group("app")}]
    # The repositories take backups from every host.
    ports = [port for port in PRIVATE if port not in {8432, 8500}]
    targets = [[local.address(host), port] for host in ["app1", *behind] for port in ports]
    opened = local.ask("edge1", "connect", targets)
    expected = [[each["address"], each["port"]] for each in local.stack["apps"][local.app]["instances_by_host"]["app1"]]
    assert opened == expected


def test_the_application_reaches_its_database_and_cache(local: Environment) -> None:
    """The other side of the tests above: these ports are open to those who need them."""
    targets = [[local.address("db1"), 5432], [local.address("db2"), 5432], [local.address("cache1"), 6379]]
    assert local.ask("app1", "connect", targets) == targets
    consensus = [[local.address("db1"), 2379], [local.address("db1"), 2380], [local.address("db1"), 8008]]
    assert local.ask("app1", "connect", consensus) == [[local.address("db1"), 8008]]


@pytest.mark.parametrize(
    "place",
    [
        "host=127.0.0.1 port=6432",
        "host={primary} port=5000 sslmode=verify-full sslrootcert={ca}",
    ],
    ids=["pool", "database"],
)
def test_a_wrong_database_password_is_refused(local: Environment, place: str) -> None:
    ca = f"/usr/local/share/ca-certificates/stackwright-{NAME}.crt"
    where = place.format(primary=local.stack["database"]["primary_name"], ca=ca)
    role = local.stack["apps"][local.app]["database"]["role"]
    script = (
        "read -r PGPASSWORD; export PGPASSWORD;"
        f" psql --no-psqlrc -Atc 'SELECT 4711' '{where} user={role} dbname=taaleem connect_timeout=10' 2>&1 || true"
    )
    right = local.ssh("app1", script, f"{local.secrets.get(f'postgresql/role/{role}')}\n")
    assert last_line(right) == "4711", right
    wrong = local.ssh("app1", script, "not-the-password\n")
    assert "4711" not in wrong
    assert "authentication failed" in wrong


def test_wrong_cache_passwords_are_refused(local: Environment) -> None:
    for instance in local.stack["cache"]["instances"]:
        password = local.secrets.get(f"redis/{instance['name']}/{local.app}")
        question = {
            "address": instance["address"],
            "port": instance["port"],
            "name": instance["fqdn"],
            "ca_file": f"/usr/local/share/ca-certificates/stackwright-{NAME}.crt",
            "logins": [[], [local.app, "not-the-password"], ["default", password], [local.app, password]],
        }
        answers = local.ask("app1", "redis_login", question)
        assert answers == ["-NOAUTH", "-WRONGPASS", "-WRONGPASS", "+PONG"], instance["name"]


# --- a converge that has nothing to do ------------------------------------------------------------------------------


def test_a_check_finds_nothing_to_change(local: Environment) -> None:
    recap = local.converge("--check", "--diff")
    assert recap.changed == dict.fromkeys(sorted(local.hosts), 0), recap.changes


# In `make test` a second `up` is that of tests/e2e/test_baremetal.py.
@pytest.mark.long
def test_make_local_again_changes_nothing_and_restarts_nothing(local: Environment) -> None:
    before = local.processes()
    assert len(before) > 20
    output = local.run("make", "local", seconds=2700).output
    changed = re.findall(r"^\s*(\d+) changed$", output, re.MULTILINE)
    assert changed == ["0"], output[-3000:]
    assert not differences(before, local.processes())


def test_a_controller_without_the_vault_is_refused_and_changes_nothing(local: Environment) -> None:
    def checksums() -> dict[str, str]:
        script = "find /etc /usr/local -xdev -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum"
        return {
            host: local.ssh(host, f"{script}; sha256sum /var/lib/stackwright/converge.json") for host in local.hosts
        }

    vault = local.state_folder / "secrets.vault.yml"
    before, aside = checksums(), vault.with_name("secrets.aside")
    vault.rename(aside)
    try:
        by_verb = local.stackwright("converge", seconds=300, expect=1).output
        playbook = ("ansible-playbook", "-i", str(local.file), "playbooks/site.yml")
        by_hand = local.run(*playbook, seconds=300, expect=2).output
        assert not vault.exists()
    finally:
        aside.rename(vault)
    for output in (by_verb, by_hand):
        assert "are created once" in " ".join(output.split())
    assert checksums() == before


# --- releases -------------------------------------------------------------------------------------------------------


def test_a_second_release_is_deployed_under_load_without_a_failed_request(
    local: Environment, session: str, first_release: str
) -> None:
    assert local.releases() == {first_release}
    local.run("make", "artifact", "LABEL=2.0.0", seconds=1200)
    second = selected_release(local)
    assert second.startswith("2.0.0-")
    with Load(local.client, session) as load:
        time.sleep(5)
        local.playbook("edge", "deploy-app")
        time.sleep(5)
    load.require_success(at_least=60)
    assert local.releases() == {second}
    members = {f"{host}:{each['port']}" for host, ones in instances(local).items() for each in ones}
    assert load.tally.instances >= members
    # Each POST that was answered is one patient, however often it was sent.
    assert len(set(load.tally.added)) == len(load.tally.added)
    stored = local.sql(f"SELECT count(*) FROM patients WHERE full_name LIKE '{load.mark} %'", "taaleem")
    assert int(stored) == len(load.tally.added)


def instances(local: Environment) -> dict[str, list[dict[str, Any]]]:
    return dict(local.stack["apps"][local.app]["instances_by_host"])


def test_the_release_is_rolled_back(local: Environment, session: str, first_release: str) -> None:
    with Load(local.client, session) as load:
        local.playbook("rollback-app")
    load.require_success(at_least=20)
    assert local.releases() == {first_release}
    assert local.client.get(static_path(local)).status == 200
    # As the role's README says: the inputs have to name it too, or the next converge, below, brings the second release again.
    assert reset_artifact(local) == first_release


def test_a_killed_instance_costs_no_get_and_comes_back(local: Environment, session: str) -> None:
    name, victim = next(iter(local.instances().items()))
    assert victim is not None
    with Load(local.client, session, writes=False) as load:
        time.sleep(3)
        local.ssh(name.partition(":")[0], f"kill -9 {victim['pid']}")

        def is_back() -> bool:
            found = local.instances()[name]
            return found is not None and found["pid"] != victim["pid"]

        wait_until(is_back, f"{name} back under another process", seconds=90)
        time.sleep(5)
    load.require_success(at_least=60)
    assert local.releases() == {victim["release"]}


# --- an interrupted converge ----------------------------------------------------------------------------------------

REDIS = "/etc/redis/instances/cache"
POOL = "/etc/pgbouncer/pgbouncer.ini"


def eviction(local: Environment) -> str:
    """What the running Redis does when it is full."""
    script = (
        f"REDISCLI_AUTH=$(cat {REDIS}/admin.password); export REDISCLI_AUTH;"
        " redis-cli --user admin -s /run/redis-cache/redis.sock CONFIG GET maxmemory-policy | tail -n 1"
    )
    return local.ssh("cache1", script).strip()


def framing(local: Environment) -> str:
    """What the running edge tells browsers."""
    return local.client.get("/api/health").headers["x-frame-options"]


def patience(local: Environment) -> str:
    """How long the running PgBouncer lets a query wait."""
    console = "psql --no-psqlrc -At -h /run/pgbouncer -p 6432 -U pgbouncer -d pgbouncer -c 'SHOW CONFIG'"
    shown = local.ssh("app1", f"cd / && runuser -u pgbouncer -- {console}")
    return next(line.split("|")[1] for line in shown.splitlines() if line.startswith("query_wait_timeout|"))


#: host, a change by hand that the service takes up, how to ask it, what it says then, the task after which to kill.
PLACES = [
    pytest.param(
        "cache1",
        f"sed -i 's/^maxmemory-policy .*/maxmemory-policy noeviction/' {REDIS}/redis.conf; systemctl restart redis@cache",
        eviction,
        "noeviction",
        "redis : configure | Write the configuration",
        marks=pytest.mark.long,
        id="cache",
    ),
    pytest.param(
        "edge1",
        "sed -i 's/SAMEORIGIN/DENY/' /etc/nginx/staging/sites/emr.conf; nginx-config apply --staging /etc/nginx/staging",
        framing,
        "DENY",
        "nginx : configure | Stage the configuration, and harden the unit",
        marks=pytest.mark.long,
        id="edge",
    ),
    pytest.param(
        "app1",
        f"sed -i 's/^query_wait_timeout .*/query_wait_timeout = 77/' {POOL}; systemctl reload pgbouncer; sleep 1",
        patience,
        "77",
        "pgbouncer : configure | Write the configuration",
        id="app",
    ),
]


@pytest.mark.parametrize(("host", "change", "ask", "changed", "task"), PLACES)
def test_an_interrupted_converge_is_made_good_by_the_next(
    local: Environment, host: str, change: str, ask: Callable[[Environment], str], changed: str, task: str
) -> None:
    before, said = local.condition(), ask(local)
    assert said != changed
    local.ssh(host, change)
    assert ask(local) == changed
    local.interrupt(host, task)
    # The file is right again and the service does not know yet: what was to tell it has died.
    assert ask(local) == changed
    local.converge("--limit", host)
    assert ask(local) == said
    # What nginx serves is named by its content. An instance that is unready while its cache restarts returns by itself.
    for _ in range(6):
        changed_paths = differences(before, local.condition())
        if not changed_paths:
            break
        time.sleep(10)
    assert not changed_paths


@pytest.mark.long
def test_after_the_interruptions_a_converge_changes_nothing(local: Environment) -> None:
    recap = local.converge()
    assert recap.changed == dict.fromkeys(sorted(local.hosts), 0), recap.changes


# --- backups --------------------------------------------------------------------------------------------------------


def test_a_backup_restores_with_every_patient(local: Environment, session: str) -> None:
    add_patient(local, session, "Before the backup")
    local.ssh(local.stack["backups"]["host"], "systemctl start pgbackrest-full.service")
    # What is written after the backup comes back from the archived log.
    add_patient(local, session, "After the backup")
    count = local.sql("SELECT count(*) FROM patients", "taaleem")
    assert int(count) >= 2
    written = local.sql("SELECT pg_walfile_name(pg_switch_wal())", "postgres")

    def archived() -> bool:
        last = local.sql("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver", "postgres")
        return last.partition(".")[0] >= written

    wait_until(archived, f"{written} in the archive", seconds=180, pause=3)
    wanted = {
        "backup_restore_database": "taaleem",
        "backup_restore_query": "SELECT count(*) FROM patients",
        "backup_restore_expected": count,
    }
    recap = local.playbook("restore-test", options=("-e", json.dumps(wanted)))
    assert f"restored; the query answers: {count}" in recap.output
    leftover = local.ssh(local.group("database")[-1], "ls -d /var/lib/postgresql/restore-test 2>/dev/null || true")
    assert not leftover


def send_upload(local: Environment, session: str) -> tuple[str, str]:
    """Send a file; return its name, and the host that keeps it."""
    answer = local.client.request("POST", "/api/uploads", b"an upload to restore", session=session)
    return json.loads(answer.body)["id"], answer.headers["x-instance"].partition(":")[0]


def test_a_backup_of_files_brings_an_upload_back(local: Environment, session: str) -> None:
    name, host = send_upload(local, session)
    local.ssh(host, "systemctl start backup-files.service")
    local.ssh(host, f"rm /var/lib/{local.app}/uploads/{name}")
    target = "/var/tmp/e2e-restore"
    wanted = {"backup_restore_set": "uploads", "backup_restore_files_directory": target}
    local.playbook("restore-files", options=("--limit", host, "-e", json.dumps(wanted)))
    try:
        assert local.ssh(host, f"cat {target}/var/lib/{local.app}/uploads/{name}") == "an upload to restore"
    finally:
        local.ssh(host, f"rm -rf {target}")


# --- secrets --------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_a_log_a_diff_a_process_list_the_state_or_git(local: Environment, running: Any) -> None:
    wanted = canaries.texts(local.secrets.all())
    assert {"postgresql/replication", "tls/ca_key", f"app/{local.app}/session"} <= wanted.keys()
    before = local.condition()
    holders = {host: spoil_secret_files(local, host, wanted) for host in local.hosts}
    holding = {host for host, files in holders.items() if files}
    assert holding >= {"app1", "db1", "db2", "cache1", "ops1"}, holders
    with canaries.CommandLines(wanted) as lines:
        recap = local.converge("--diff", "-v")
    assert {host for host, count in recap.changed.items() if count} >= holding
    assert {"nginx", "postgres", "ssh"} <= lines.programs, "the watch did not see into the hosts"
    assert not lines.found
    assert not canaries.names_in(recap.output.encode(), wanted)
    assert not canaries.names_in(running.output.encode(), wanted)
    assert not canaries.names_in(local.pulumi("stack", "export").encode(), wanted)
    # All of the state folder: what is encrypted does not show, and nothing else holds any.
    assert not canaries.names_in_files(local.state_folder.rglob("*"), wanted)
    tracked = local.run("git", "ls-files", "-z").output.split("\0")
    assert not canaries.names_in_files([local.root / name for name in tracked if name], wanted)
    assert not differences(before, local.condition())


def spoil_secret_files(local: Environment, host: str, wanted: dict[str, list[str]]) -> list[str]:
    """Give every configuration file of a host that holds a secret an empty line more, so that a converge writes it."""
    found = local.ask(host, "search", {"texts": wanted, "folders": ["/etc"], "commands": []})
    for path in found:
        mode = local.ssh(host, f"stat -c %a {path}").strip()
        assert mode.endswith("0"), f"{host}:{path} ({mode}) is readable by everybody and holds {found[path]}"
        local.ssh(host, f"echo >> {path}")
    return sorted(found)


def test_no_secret_is_in_the_logs_and_the_process_list_of_a_host(local: Environment) -> None:
    wanted = canaries.texts(local.secrets.all())
    for host in local.hosts:
        control = uuid.uuid4().hex
        local.ssh(host, f"logger --tag e2e {control} && journalctl --sync")
        journal = ["journalctl", "--no-pager", "--output=cat", "--all"]
        question = {
            "texts": wanted | {"control": [control]},
            "folders": ["/var/log", "/tmp", "/var/tmp"],
            "commands": [["ps", "axww", "-o", "args"], journal],
        }
        found = local.ask(host, "search", question)
        in_journal = found.pop(" ".join(journal), [])
        assert in_journal == ["control"], host
        # The journal's own files hold the control, too.
        assert not {place: names for place, names in found.items() if names != ["control"]}, host


# --- hosts that come and go ------------------------------------------------------------------------------------------


def test_hosts_come_and_go_and_ports_move_under_load(
    local: Environment, session: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An application host goes, a database host comes, the instances get other ports: in one run, and nobody notices."""
    gone = local.address("app2")
    upload = next(name for name, host in (send_upload(local, session) for _ in range(40)) if host == "app2")
    with variant(tmp_path_factory.mktemp("variant") / "project", NAME) as (files, changed):
        files.edit(("app: 2, database: 2", "app: 1, database: 3"), ("first_port: 5005", "first_port: 5105"))
        assert "app2 (app) will be removed" in changed.stackwright("validate").output
        with Load(local.client, session) as load:
            began = time.monotonic()
            # The variant is no checkout of git.
            changed.stackwright("up", "--allow-older")
            print(f"up with a host less, a host more and other ports: {time.monotonic() - began:.0f} s")
        load.require_success(at_least=60)
        changed.forget()
        assert not stack_leftovers(changed, "app2", gone)
        # An upload that only this host had.
        assert changed.ssh("app1", f"cat /var/lib/{changed.app}/uploads/{upload}") == "an upload to restore"
        listening = changed.ssh("app1", "ss -Hltn | awk '{print $4}'").split()
        placed = changed.stack["apps"][changed.app]["instances_by_host"]["app1"]
        ports = sorted({int(each.rpartition(":")[2]) for each in listening} & set(range(5005, 5205)))
        assert ports == [each["port"] for each in placed]
        assert f"dport {placed[0]['port']}" in changed.ssh("app1", "nft list table inet stackwright")
        assert "dport 5005" not in changed.ssh("app1", "nft list table inet stackwright")
        members = changed.ssh("db1", "patronictl -c /etc/patroni/config.yml list --format json")
        states = {each["Member"]: each["State"] for each in json.loads(members)}
        assert states.keys() == {"db1", "db2", "db3"}, states


# --- the end --------------------------------------------------------------------------------------------------------


def test_destroying_leaves_nothing(local: Environment, keep: bool) -> None:
    if keep:
        pytest.skip("STACKWRIGHT_E2E_KEEP is set")
    # The network, the route to it, the state folder, and the hosts.
    assert len(local.leftovers()) == 3 + len(local.hosts)
    local.run("make", "destroy", seconds=600)
    assert not local.leftovers()
