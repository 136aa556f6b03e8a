"""What was backed up can be read back by its owner and by nobody else, and old backups are noticed."""

import json
import os
import time

import pytest
import testinfra

from stackwright.testing.testinfra import security_score

TOOL = "/usr/local/lib/stackwright/backup_tool.py"
CONFIG = "/etc/stackwright/backup/backup.json"
SERVER = "10.231.24.11"


@pytest.fixture
def ops():
    return _host("ops1")


@pytest.fixture
def db():
    return _host("db1")


@pytest.fixture
def app():
    return _host("app1")


def _host(name):
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}")


def status(host):
    done = host.run("backup-status")
    return done.rc, json.loads(done.stdout)


def pgbackrest(host, *arguments):
    return host.run("sudo -u postgres pgbackrest --stanza=main --log-level-file=off " + " ".join(arguments))


def rest(host, method, path, login="app1:molecule-only-login-of-app1"):
    """Status code of a request to the repository server, past restic."""
    script = f"""
import base64, ssl, urllib.request, urllib.error
context = ssl.create_default_context(cafile="/etc/stackwright/tls/restic/ca.crt")
data = b"x" if "{method}" == "POST" else None
request = urllib.request.Request("https://ops1:8500{path}", method="{method}", data=data)
request.add_header("Authorization", "Basic " + base64.b64encode(b"{login}").decode())
try:
    print(urllib.request.urlopen(request, context=context, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
    return int(host.check_output("python3 -c %s", script))


def test_full_and_differential_backups_exist(ops):
    info = json.loads(pgbackrest(ops, "--output=json", "info").stdout)[0]
    assert info["status"]["code"] == 0
    assert {each["type"] for each in info["backup"]} >= {"full", "diff"}
    assert info["cipher"] == "aes-256-cbc"
    assert pgbackrest(ops, "check").rc == 0


def test_the_database_host_sees_the_repository_without_its_key(db):
    assert "status: ok" in pgbackrest(db, "info").stdout
    assert "cipher" not in db.file("/etc/pgbackrest/pgbackrest.conf").content_string


def test_wal_arrives(db, ops):
    # Without a record since the last switch there would be nothing to switch.
    written = "SELECT FROM pg_logical_emit_message(false, 'molecule', 'x')"
    switch = "SELECT pg_walfile_name(pg_switch_wal())"
    segment = db.check_output(f'cd / && sudo -u postgres psql -qAt -c "{written}" -c "{switch}"').strip()
    found = ops.run(
        f"for i in $(seq 60); do find /var/lib/pgbackrest/archive -name '{segment}*' | grep . && break; sleep 0.5; done"
    )
    assert found.stdout, db.check_output("cd / && sudo -u postgres psql -c 'TABLE pg_stat_archiver'")


def test_the_repository_is_encrypted_and_compressed(ops):
    found = ops.check_output("find /var/lib/pgbackrest/archive -name '*.zst' | head -n 1")
    assert ops.check_output(f"head -c 8 {found}").startswith("Salted__")


def test_a_wrong_key_reads_nothing(ops):
    ops.check_output(
        "sed 's/^repo1-cipher-pass=.*/repo1-cipher-pass=wrong/' /etc/pgbackrest/pgbackrest.conf > /tmp/wrong.conf"
        " && chown postgres /tmp/wrong.conf"
    )
    # What a wrong key makes of the file is quoted in the message.
    ask = "sudo -u postgres pgbackrest --stanza=main --config=/tmp/wrong.conf info 2>&1 | tr -cd '[:print:]'"
    answer = ops.check_output(f"cd / && {ask}")
    ops.check_output("rm /tmp/wrong.conf")
    assert "status: ok" not in answer
    assert "CryptoError" in answer or "FormatError" in answer


def test_another_host_is_not_let_in(app, db, ops):
    """app1 has a certificate of the same CA, but nobody named it."""
    ping = (
        "openssl s_client -brief -connect {}:8432 -CAfile /etc/stackwright/tls/pgbackrest/ca.crt"
        " -cert /etc/stackwright/tls/pgbackrest/tls.crt -key /etc/stackwright/tls/pgbackrest/tls.key </dev/null"
    )
    # Its exit code says who closed first, which is a race; after these words come bytes that are no text.
    reached = app.run(f"{ping.format('ops1')} 2>&1 | grep -aq 'CONNECTION ESTABLISHED'")
    assert reached.rc == 0, "app1 has to be able to reach the port for this to prove anything"
    app.check_output("apt-get install -qq -y --no-install-recommends pgbackrest")
    app.check_output(
        "systemctl stop pgbackrest; install -d -o postgres /tmp/k && cp -L /etc/stackwright/tls/pgbackrest/* /tmp/k"
    )
    app.check_output("chown postgres /tmp/k/* && chmod 600 /tmp/k/*")
    files = " ".join(
        f"--repo1-host-{key}-file=/tmp/k/{name}"
        for key, name in (("cert", "tls.crt"), ("key", "tls.key"), ("ca", "ca.crt"))
    )
    command = f"--repo1-host=ops1 --repo1-host-type=tls --repo1-host-port=8432 {files} --config=/dev/null info"
    refused = pgbackrest(app, command)
    assert "access denied" in refused.stdout + refused.stderr
    assert "status: ok" not in refused.stdout
    # The same command with a certificate that is named succeeds.
    db.check_output("install -d -o postgres /tmp/k && cp -L /etc/stackwright/tls/pgbackrest/* /tmp/k")
    db.check_output("chown postgres /tmp/k/* && chmod 600 /tmp/k/*")
    assert "status: ok" in pgbackrest(db, command).stdout
    db.check_output("rm -r /tmp/k")


def test_files_came_back(app):
    assert app.check_output("cmp /srv/uploads/scan.bin /root/restored/srv/uploads/scan.bin && echo same") == "same"
    assert app.file("/root/restored/srv/uploads/dump").exists, "the command that runs before did not"
    assert not app.file("/root/restored/srv/uploads/x.part").exists


@pytest.mark.parametrize(
    ("login", "path", "code"),
    [
        ("app1:molecule-only-login-of-app1", "/app1/config", 200),
        ("app1:wrong", "/app1/config", 401),
        ("app1:", "/app1/config", 401),
        ("db1:molecule-only-login-of-db1", "/app1/config", 403),
        ("app1:molecule-only-login-of-app1", "/db1/config", 403),
        ("app1:molecule-only-login-of-app1", "/", 403),
    ],
)
def test_each_host_reads_its_own_repository(app, login, path, code):
    assert rest(app, "GET", path, login) == code


def test_nothing_can_be_removed_or_overwritten(app, ops):
    folder = "/var/lib/restic/app1"
    pack = ops.check_output(f"cd {folder}/data && find . -type f | head -n 1 | xargs basename")
    snapshot = ops.check_output(f"ls {folder}/snapshots | head -n 1")
    before = ops.check_output(f"cd {folder} && find data snapshots keys config -type f | sort | xargs sha256sum")
    for path in (f"/app1/data/{pack}", f"/app1/snapshots/{snapshot}"):
        assert rest(app, "DELETE", path) == 403
        assert rest(app, "POST", path) == 403
    assert rest(app, "POST", "/app1/config") == 403
    assert app.run(f"{TOOL} restic forget {snapshot} --prune").rc != 0
    after = ops.check_output(f"cd {folder} && find data snapshots keys config -type f | sort | xargs sha256sum")
    assert set(before.splitlines()) <= set(after.splitlines())


def test_the_repository_host_prunes(ops):
    ops.check_output("systemctl start backup-prune")
    own = "--no-cache --repo=/var/lib/restic/app1 --password-file=/etc/stackwright/backup/clients/app1"
    assert "no errors were found" in ops.check_output(f"sudo -u restic restic {own} check")


@pytest.mark.parametrize("name", ["ops1", "db1", "app1"])
def test_status_is_good(name):
    code, answer = status(_host(name))
    assert (code, answer["ok"]) == (0, True), answer
    expected = {"ops1": {"postgresql", "client"}, "db1": {"postgresql", "files"}, "app1": {"files"}}
    assert {each["kind"] for each in answer["checks"]} == expected[name]


@pytest.mark.parametrize("name", ["ops1", "db1", "app1"])
def test_status_turns_bad_when_backups_are_old(name):
    host = _host(name)
    host.check_output(f'cp {CONFIG} /root/backup.json && sed -i \'s/"max_age_hours": 30/"max_age_hours": 0/\' {CONFIG}')
    try:
        code, answer = status(host)
        assert (code, answer["ok"]) == (1, False)
        assert host.run("systemctl start backup-status").rc != 0
        assert host.run("systemctl is-failed backup-status").rc == 0
    finally:
        host.check_output(f"cp /root/backup.json {CONFIG} && systemctl start backup-status")


def test_status_turns_bad_when_the_repository_is_away(app, ops):
    ops.check_output("systemctl stop restic-server")
    try:
        code, answer = status(app)
        assert code == 1
        assert answer["checks"][0]["detail"]
    finally:
        ops.check_output("systemctl start restic-server")
    # It is started before it listens.
    deadline = time.monotonic() + 30
    while status(app)[0] != 0:
        assert time.monotonic() < deadline, status(app)
        time.sleep(1)


def test_a_failing_command_before_a_backup_is_a_failed_backup(app):
    app.check_output("mv /srv/uploads /srv/away")
    assert app.run("systemctl start backup-files").rc != 0
    app.check_output("mv /srv/away /srv/uploads && systemctl start backup-files")


def test_no_secret_is_readable_or_shown():
    for name in ("ops1", "db1", "app1"):
        host = _host(name)
        found = host.run(
            "grep -rl molecule-only /etc /var/log /run /var/lib/postgresql /var/cache --exclude-dir=base --exclude-dir=journal 2>/dev/null"
        )
        for path in found.stdout.split():
            file = host.file(path)
            assert file.mode & 0o007 == 0, path
            assert path.startswith(("/etc/stackwright/backup/", "/etc/pgbackrest/")), path
        assert host.run("journalctl | grep -v sudo | grep -c molecule-only-[lkp]").stdout.strip() == "0"
        assert "molecule-only" not in host.check_output("ps -eo args | grep -v grep")
    assert found.stdout, "the search finds nothing at all"


def test_the_scratch_restore_left_nothing(db):
    assert not db.file("/var/lib/postgresql/restore-test").exists
    assert db.check_output("pgrep -c -f '[r]estore-test' || true") == "0"


@pytest.mark.parametrize(
    ("name", "unit", "limit"),
    [
        ("ops1", "pgbackrest", 2.5),
        ("ops1", "restic-server", 2.5),
        ("ops1", "pgbackrest-full", 3.0),
        ("ops1", "backup-prune", 2.5),
        ("db1", "pgbackrest", 2.5),
        ("app1", "backup-files", 4.0),
        ("app1", "backup-status", 4.0),
    ],
)
def test_sandbox(name, unit, limit):
    assert security_score(_host(name), f"{unit}.service") <= limit


def test_timers(ops, db, app):
    wanted = {
        ops: {"pgbackrest-full", "pgbackrest-diff", "backup-prune", "backup-status"},
        db: {"backup-files", "backup-status"},
        app: {"backup-files", "backup-status"},
    }
    for host, names in wanted.items():
        active = host.check_output(
            "systemctl list-timers --all --no-legend | grep -oE '(backup|pgbackrest)-[a-z]+.timer'"
        )
        assert {each.removesuffix(".timer") for each in active.split()} == names
