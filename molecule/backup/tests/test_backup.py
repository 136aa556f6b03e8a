"""What was backed up can be read back by its owner and by nobody else, and old backups are noticed."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import testinfra

from stackwright.testing.render import Role
from stackwright.testing.testinfra import security_score

ROLE = Path(__file__).parents[3] / "roles/backup"

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
    assert {backup["type"] for backup in info["backup"]} >= {"full", "diff"}
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
    search = ops.run(
        f"for i in $(seq 60); do find /var/lib/pgbackrest/archive -name '{segment}*' | grep . && break; sleep 0.5; done"
    )
    assert search.stdout, db.check_output("cd / && sudo -u postgres psql -c 'TABLE pg_stat_archiver'")


def test_the_repository_is_encrypted_and_compressed(ops):
    segment = ops.check_output("find /var/lib/pgbackrest/archive -name '*.zst' | head -n 1")
    assert ops.check_output(f"head -c 8 {segment}").startswith("Salted__")


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
    options = "--no-cache --repo=/var/lib/restic/app1 --password-file=/etc/stackwright/backup/clients/app1"
    assert "no errors were found" in ops.check_output(f"sudo -u restic restic {options} check")


@pytest.mark.parametrize("name", ["ops1", "db1", "app1"])
def test_status_is_good(name):
    code, answer = status(_host(name))
    assert (code, answer["ok"]) == (0, True), answer
    expected = {
        "ops1": {"postgresql", "wal", "client", "copy", "service", "space", "verify"},
        "db1": {"postgresql", "archiver", "files", "clock", "service", "space"},
        "app1": {"files", "clock"},
    }
    assert {check["kind"] for check in answer["checks"]} == expected[name]
    assert answer["problems"] == []


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
        search = host.run(
            "grep -rl molecule-only /etc /var/log /run /var/lib/postgresql /var/cache --exclude-dir=base --exclude-dir=journal 2>/dev/null"
        )
        for path in search.stdout.split():
            file = host.file(path)
            assert file.mode & 0o007 == 0, path
            assert path.startswith(("/etc/stackwright/backup/", "/etc/pgbackrest/")), path
        assert host.run("journalctl | grep -v sudo | grep -c molecule-only-[lkp]").stdout.strip() == "0"
        assert "molecule-only" not in host.check_output("ps -eo args | grep -v grep")
    assert search.stdout, "the search finds nothing at all"


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
        ("ops1", "backup-verify", 4.0),
        ("ops1", "backup-copy-protected", 3.0),
        ("ops1", "backup-copy-external", 4.0),
        ("db1", "pgbackrest", 2.5),
        ("app1", "backup-files", 4.0),
        ("app1", "backup-status", 4.0),
    ],
)
def test_sandbox(name, unit, limit):
    assert security_score(_host(name), f"{unit}.service") <= limit


def test_timers(ops, db, app):
    timers = {
        ops: {
            "pgbackrest-full",
            "pgbackrest-diff",
            "backup-prune",
            "backup-verify",
            "backup-copy-protected",
            "backup-copy-external",
            "backup-status",
        },
        db: {"backup-files", "backup-status"},
        app: {"backup-files", "backup-status"},
    }
    for host, names in timers.items():
        active = host.check_output(
            "systemctl list-timers --all --no-legend | grep -oE '(backup|pgbackrest)-[a-z-]+.timer'"
        )
        assert {unit.removesuffix(".timer") for unit in active.split()} == names
    # At a host's start a missed backup is made up for; a check would ask services that are only starting.
    shown = "systemctl show --value --property=Persistent backup-files.timer backup-status.timer"
    assert db.check_output(shown).split() == ["yes", "no"]


# --- faults, and who names them -------------------------------------------------------------------------------------


def problems(host, command="backup-status"):
    done = host.run(command)
    document = json.loads(done.stdout)
    assert done.rc == (0 if document["ok"] else 1), done.stderr
    return document["problems"]


def flip(host, path):
    host.check_output(
        f'python3 -c \'f = open("{path}", "r+b"); f.seek(1000); b = f.read(1)[0]; f.seek(1000); f.write(bytes([b ^ 1]))\''
    )


FILES = {
    "data of a backup": "ls -d /var/lib/pgbackrest/backup/main/*F/bundle/1 | head -n 1",
    "list of a backup": "ls -d /var/lib/pgbackrest/backup/main/*F/backup.manifest | head -n 1",
    "list of backups": "ls /var/lib/pgbackrest/backup/main/backup.info",
    "file of a host": "find /var/lib/restic/app1/data -type f -size +100k | head -n 1",
    "copy": "find /var/lib/stackwright-backup-copy/data -type f -size +100k | head -n 1",
}


@pytest.mark.parametrize("kind", [key for key in FILES if key in {"data of a backup", "file of a host"}])
def test_a_flipped_byte_is_named_with_its_file(ops, kind):
    _flipped(ops, kind)


@pytest.mark.long
@pytest.mark.parametrize("kind", [key for key in FILES if key not in {"data of a backup", "file of a host"}])
def test_a_flipped_byte_in_a_list_or_copy_is_named(ops, kind):
    _flipped(ops, kind)


def _flipped(ops, kind):
    path = ops.check_output(FILES[kind])
    flip(ops, path)
    try:
        reported = problems(ops, "backup-verify")
        name = path.rsplit("/", 1)[1]
        # Debian 12's pgBackRest names the file of the cluster, later ones the bundle that holds it: of that backup either way.
        named = path.split("/main/")[-1].removesuffix("bundle/1") if "pgbackrest" in path else name[:8]
        assert [problem for problem in reported if named in problem], reported
        assert [problem for problem in problems(ops) if problem.startswith("verify ")]
    finally:
        flip(ops, path)
    assert problems(ops, "backup-verify") == []
    assert problems(ops) == []


def test_a_missing_segment_is_named(ops):
    segments = ops.check_output("find /var/lib/pgbackrest/archive -name '*.zst' | sort").split()
    lost = segments[-2]
    ops.check_output(f"mv {lost} /root/segment")
    try:
        name = lost.rsplit("/", 1)[1][:24]
        assert [problem for problem in problems(ops) if problem.startswith("wal ") and name in problem]
        ops.check_output(f"echo {name} > /etc/stackwright/backup/accepted-gaps")
        assert problems(ops) == []
    finally:
        ops.check_output(f"mv /root/segment {lost}; rm -f /etc/stackwright/backup/accepted-gaps")
    assert problems(ops) == []


def test_forged_dates_displace_nothing_and_are_named(app, ops):
    folder = "/var/lib/restic/app1/snapshots"
    before = set(ops.check_output(f"ls {folder}").split())
    app.check_output("echo junk > /tmp/junk")
    for day in ("2031-01-01", "2033-01-01", "2020-01-01"):
        app.check_output(f"{TOOL} restic backup --tag=uploads --host=app1 --time='{day} 00:00:00' /tmp/junk")
    try:
        named = [problem for problem in problems(ops) if problem.startswith("client app1/uploads: 3 snapshots bear")]
        assert named, problems(ops)
        ops.check_output("systemctl start backup-prune")
        assert before <= set(ops.check_output(f"ls {folder}").split())
    finally:
        ops.check_output(f"cd {folder} && ls | grep -vxE '{'|'.join(before)}' | xargs rm")
    assert problems(ops) == []


def test_a_clock_that_is_ahead_is_named(app):
    app.check_output("apt-get install -qq -y --no-install-recommends faketime")
    reported = problems(app, "faketime '+10 minutes' backup-status")
    assert [problem for problem in reported if problem.startswith("clock app1: ") and "ahead" in problem], reported


def test_a_wrong_passphrase_is_a_problem_in_json(ops):
    file = "/etc/pgbackrest/pgbackrest.conf"
    ops.check_output(
        f"cp -p {file} /root/saved.conf && sed -i 's/^repo1-cipher-pass=.*/repo1-cipher-pass=wrong/' {file}"
    )
    try:
        assert [problem for problem in problems(ops) if problem.startswith("postgresql main: pgbackrest")]
    finally:
        ops.check_output(f"cat /root/saved.conf > {file}")


def test_a_key_of_files_is_replaced_and_the_old_one_opens_until_the_next_pruning(ops):
    requested, used = "/etc/stackwright/backup/requested/app1", "/etc/stackwright/backup/clients/app1"
    old = ops.check_output(f"cat {used}")
    ops.check_output(
        f"cp -p {used} /root/old-key && chown restic /root/old-key && mv /root/old-key /var/lib/restic/old-key"
    )
    opens = "sudo -u restic restic --no-cache --repo=/var/lib/restic/app1 --password-file={} cat config"
    try:
        ops.check_output(f"echo molecule-only-other-key-of-app1 > {requested}")
        assert "changed app1" in ops.check_output(f"{TOOL} rekey")
        assert "changed" not in ops.check_output(f"{TOOL} rekey")
        assert ops.run(opens.format(used)).rc == 0
        assert ops.run(opens.format("/var/lib/restic/old-key")).rc == 0
        ops.check_output("systemctl start backup-prune")
        assert ops.run(opens.format("/var/lib/restic/old-key")).rc != 0
    finally:
        ops.check_output(f"echo {old} > {requested} && {TOOL} rekey && rm -f /var/lib/restic/old-key")
    assert problems(ops) == []


def test_no_user_but_root_reaches_the_protected_copy(ops):
    for user in ("postgres", "restic"):
        assert ops.run(f"sudo -u {user} ls /var/lib/stackwright-backup-copy").rc != 0
        assert ops.run(f"sudo -u {user} cat /etc/stackwright/backup/copies/password").rc != 0


def test_the_external_copy_has_every_repository(ops, app):
    ops.check_output("rm -rf /root/external && mkdir /root/external")
    for path in ("/var/lib/pgbackrest", "/var/lib/restic"):
        ops.check_output(f"{TOOL} restore-copy external latest /root/external {path}")
    keep = "backup/main/backup.info", "archive/main/archive.info"
    for file in keep:
        assert ops.run(f"test -s /root/external/var/lib/pgbackrest/{file}").rc == 0
    config = "/var/lib/restic/app1/config"
    assert ops.run(f"cmp {config} /root/external{config}").rc == 0
    # What the store sees is encrypted.
    assert app.run("grep -rl 'PG_VERSION' /home/keeper/backups").stdout == ""


@pytest.mark.long
def test_a_bucket_takes_a_copy_and_gives_it_back(ops):
    """With the settings that the role makes, against a service of S3 on this machine."""
    gateway, port = ops.check_output("ip route show default").split()[2], 5599
    store = {"type": "s3", "endpoint": f"http://{gateway}:{port}", "bucket": "backups", "region": "us-east-1"}
    store |= {"prefix": "clinic", "access_key": "molecule-only-login", "secret_key": "molecule-only-secret"}
    inputs = {"backup_host": "ops1", "backup_repository": True, "backup_postgresql_hosts": [{"name": "db1"}]}
    copy = Role(ROLE, inputs | {"backup_copy_to": store}).value("__backup_external")
    settings = "/etc/stackwright/backup/copies/copies.json"
    copies = json.loads(ops.file(settings).content_string)
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", gateway, "-p", str(port)])
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                request = urllib.request.Request(f"{store['endpoint']}/backups", method="PUT")
                urllib.request.urlopen(request, timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(1)
        changed = json.dumps(copies | {"bucket": json.loads(json.dumps(copy, default=str))})
        ops.check_output(f"cp -p {settings} /root/copies.json && echo '{changed}' > {settings}")
        ops.check_output(f"{TOOL} copy bucket && {TOOL} copy bucket")
        assert problems(ops) == []
        ops.check_output(f"mkdir /root/bucket && {TOOL} restore-copy bucket latest /root/bucket /var/lib/pgbackrest")
        file = "/var/lib/pgbackrest/backup/main/backup.info"
        assert ops.run(f"cmp {file} /root/bucket{file}").rc == 0
    finally:
        ops.run(f"mv /root/copies.json {settings}; rm -rf /root/bucket /var/lib/stackwright-backup/copy-bucket.*")
        server.terminate()
        server.wait()


@pytest.mark.long
def test_a_copy_that_vanished_is_not_begun_again(ops, app):
    app.check_output("mv /home/keeper/backups /home/keeper/away")
    try:
        assert ops.run("systemctl start backup-copy-external").rc != 0
        assert [problem for problem in problems(ops) if problem.startswith("copy external")]
        assert app.run("test -e /home/keeper/backups/config").rc != 0
    finally:
        app.check_output("rm -rf /home/keeper/backups; mv /home/keeper/away /home/keeper/backups")


@pytest.mark.long
def test_a_repository_that_is_away_is_named_and_bounds_what_waits(db, ops):
    """The last test of the archive: it makes a gap."""
    psql = "cd / && sudo -u postgres psql -qAt "
    ops.check_output("systemctl stop pgbackrest")
    try:
        assert [problem for problem in problems(ops) if problem.startswith("service pgbackrest.service")]
        write = "SELECT FROM pg_logical_emit_message(false, 'molecule', 'x'); SELECT pg_switch_wal()"
        start = time.monotonic()
        db.check_output(f'{psql} -c "{write}"')
        while not [problem for problem in problems(db) if problem.startswith("archiver main: WAL")]:
            assert time.monotonic() - start < 240, problems(db)
        for _ in range(8):
            db.check_output(f'{psql} -c "{write}"')
        waiting = "SELECT count(*) * 16 FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'"
        while int(db.check_output(f'{psql} -c "{waiting}"')) > 64:
            assert time.monotonic() - start < 360
            time.sleep(1)
    finally:
        ops.check_output("systemctl start pgbackrest")
    deadline = time.monotonic() + 120
    db.check_output(f'{psql} -c "{write}"')
    while not [problem for problem in problems(ops) if problem.startswith("wal main")]:
        assert time.monotonic() < deadline, problems(ops)
        time.sleep(2)
    # What the documentation says to do.
    ops.check_output("systemctl start pgbackrest-full")
    gaps = [problem for problem in problems(ops) if problem.startswith("wal main")]
    first, last = gaps[0].split("archive: ")[1].split(";")[0].split(" to ")
    ops.check_output(f"echo {first} {last} > /etc/stackwright/backup/accepted-gaps")
    assert problems(ops) == []


# --- transitions: each converges once more --------------------------------------------------------------------------


def play(playbook, **variables):
    root = ROLE.parents[1]
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(root / "molecule" / playbook)]
    command += ["--extra-vars", json.dumps(variables)]
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_INVENTORY_ENABLED": "yaml,ini",
        "MOLECULE_SCENARIO_NAME": "backup",
    }
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def wait_for_full_backup(ops):
    deadline = time.monotonic() + 120
    while ops.run("systemctl is-active pgbackrest-full").stdout.strip() in {"active", "activating"}:
        assert time.monotonic() < deadline
        time.sleep(1)
    info = json.loads(pgbackrest(ops, "--output=json", "info").stdout)[0]
    assert info["status"]["code"] == 0, info
    return info


@pytest.mark.long
def test_a_changed_passphrase_is_refused_and_another_repository_takes_over(ops):
    new_passphrase = {"backup_postgresql_passphrase": "molecule-only-other-passphrase-of-the-cluster"}
    before = ops.check_output("sha256sum /etc/pgbackrest/pgbackrest.conf")
    code, output = play("shared/converge.yml", **new_passphrase)
    assert code != 0
    assert "cannot be re-keyed" in output
    assert ops.check_output("sha256sum /etc/pgbackrest/pgbackrest.conf") == before
    assert play("backup/replace.yml")[0] == 0
    code, output = play("shared/converge.yml", **new_passphrase)
    assert code == 0, output
    assert len(wait_for_full_backup(ops)["backup"]) == 1
    previous = pgbackrest(ops, "--config=/var/lib/pgbackrest-previous/pgbackrest.conf", "info")
    assert "status: ok" in previous.stdout


@pytest.mark.long
def test_another_cluster_over_old_backups_is_refused_until_it_is_meant(ops, db):
    version = db.check_output("ls /usr/lib/postgresql")
    conf = f"/etc/postgresql/{version}/main/conf.d/molecule.conf"
    db.check_output(f"cp -p {conf} /root/molecule.conf && pg_dropcluster --stop {version} main")
    db.check_output(f"pg_createcluster {version} main && cp -p /root/molecule.conf {conf}")
    db.check_output(f"systemctl start postgresql@{version}-main")
    key = {"backup_postgresql_passphrase": "molecule-only-other-passphrase-of-the-cluster"}
    code, output = play("shared/converge.yml", **key)
    assert code != 0
    assert "The repository has backups of another cluster" in output
    assert [problem for problem in problems(db) if "belongs to another cluster" in problem]
    code, output = play("shared/converge.yml", **key, backup_postgresql_accept_new_cluster=True)
    assert code == 0, output
    info = wait_for_full_backup(ops)
    assert {entry["id"] for entry in info["db"]} == {1, 2}
    assert not [problem for problem in problems(db) if problem.startswith("archiver")]
