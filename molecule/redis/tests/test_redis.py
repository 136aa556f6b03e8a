"""Applications reach what is theirs by TLS and nothing else; operators can work; a reload loses nobody."""

import json
import os
import time
from pathlib import Path

import pytest
import redis
import testinfra

from stackwright.testing.testinfra import security_score

ADDRESS = "10.231.22.11"
PORTS = {"sessions": 6379, "cache": 6380, "limits": 6381}
TOOL = "/usr/local/lib/stackwright/redis_instance.py"


@pytest.fixture(scope="session")
def ca(tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.crt"
    path.write_text(
        json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "ca.json").read_text())["certificate"]
    )
    return path


@pytest.fixture
def connect(ca):
    def connect(instance, user="taaleem", password=None, **options):
        settings = {"ssl": True, "ssl_ca_certs": str(ca), "socket_timeout": 5, **options}
        password = password or f"molecule-only-{user}-{instance}"
        return redis.Redis(
            ADDRESS, PORTS[instance], username=user, password=password, decode_responses=True, **settings
        )

    return connect


@pytest.fixture(scope="module")
def host(request):
    """The host with the instances; the other has had one for a while."""
    return host_named(request, "redis1")


def host_named(request, name):
    inventory = request.config.getoption("--ansible-inventory")
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}", sudo=True)


def test_an_instance_moves_to_another_host_and_port_without_losing_a_write(connect):
    report = json.loads((Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "writer.json").read_text())
    assert report["written"] > 300, report
    stored = connect("sessions").exists(*(f"sess:moved:{number}" for number in range(report["written"])))
    assert stored == report["written"], report
    # Coming back to a place that clients still use makes them wait for the copy; nothing is acknowledged meanwhile.
    assert report["longest"] < 30, report


def test_an_instance_that_moved_away_leaves_nothing(request):
    previous = host_named(request, "redis2")
    assert "redis" not in previous.check_output("ss -Hltnp")
    assert not previous.check_output("ls /etc/redis/instances /var/lib/redis | grep -v : || true").strip()
    assert not previous.check_output("ls /etc/systemd/system | grep redis-forward || true")
    assert previous.run("systemctl is-enabled redis@sessions").rc != 0


def pid(host, instance):
    return host.check_output(f"systemctl show --property=MainPID --value redis@{instance}")


@pytest.mark.parametrize(("instance", "key"), [("sessions", "sess:1"), ("cache", "cache:1"), ("limits", "rl:1")])
def test_each_application_uses_its_own_keys(connect, instance, key):
    client = connect(instance)
    assert client.set(key, "x", ex=60)
    assert client.get(key) == "x"
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.set("other:1", "x")


@pytest.mark.parametrize(
    "command",
    [
        "KEYS *",
        "FLUSHALL",
        "FLUSHDB",
        "CONFIG GET *",
        "DEBUG JMAP",
        "SHUTDOWN",
        "ACL LIST",
        "CLIENT LIST",
        "SAVE",
        "MONITOR",
    ],
)
def test_dangerous_commands_are_refused(connect, command):
    with pytest.raises(redis.exceptions.ResponseError, match=r"no permissions|DEBUG command not allowed"):
        connect("sessions").execute_command(*command.split())


def test_reader_can_not_write_but_sees_info(connect):
    reader = connect("sessions", "reader")
    assert reader.info("server")["redis_version"]
    with pytest.raises(redis.exceptions.NoPermissionError):
        reader.set("sess:2", "x")


@pytest.mark.parametrize(
    "login",
    [("taaleem", "wrong"), ("default", "anything"), ("default", ""), ("taaleem", "molecule-only-taaleem-cache")],
)
def test_wrong_logins_are_refused(connect, login):
    user, password = login
    with pytest.raises((redis.exceptions.AuthenticationError, redis.exceptions.NoPermissionError)):
        connect("sessions", user, password or " ").get("sess:1")


def test_both_passwords_of_a_rotation_are_accepted(connect):
    assert connect("sessions", password="molecule-only-taaleem-earlier").ping()


def test_nothing_answers_without_tls(connect):
    with pytest.raises(redis.exceptions.ConnectionError):
        connect("sessions", ssl=False, ssl_ca_certs=None).ping()


def test_old_tls_is_refused(host):
    assert host.run(f"openssl s_client -connect {ADDRESS}:6379 -tls1_1 </dev/null").rc != 0
    assert host.run(f"openssl s_client -connect {ADDRESS}:6379 -tls1_2 </dev/null").rc == 0


def test_only_the_declared_ports_are_open(host):
    listening = {line.split()[3] for line in host.check_output("ss -Hltn").splitlines()}
    of_ssh = {address for address in listening if address.endswith(":22")}
    assert listening - of_ssh == {f"{ADDRESS}:{port}" for port in PORTS.values()}


def test_no_password_is_readable(host):
    files = host.check_output(
        "find /etc/redis /var/log/redis /var/lib/redis /run/redis-* -type f ! -name admin.password -print"
    ).split()
    assert len(files) > 6
    search = host.run("grep -l molecule-only " + " ".join(files))
    assert search.rc == 1, search.stdout
    for path in host.check_output("find /etc/redis /run/redis-sessions -name admin.password").split():
        assert (host.file(path).mode, host.file(path).user) == (0o600, "root")
    assert host.file("/etc/redis/instances/sessions/users.acl").mode == 0o640
    assert host.run("sudo -u nobody cat /etc/redis/instances/sessions/users.acl").rc != 0


def test_operators_need_no_password(host):
    assert host.check_output("redis-admin sessions PING") == "PONG"
    assert host.run("sudo -u nobody redis-admin sessions PING").rc != 0


def test_eviction_of_the_cache(connect, host):
    cache = connect("cache")
    for number in range(3000):
        cache.set(f"cache:{number}", "x" * 4096)
    assert (
        int(
            dict(
                line.split(":")
                for line in host.check_output("redis-admin cache INFO stats").split()
                if line.count(":") == 1
            )["evicted_keys"]
        )
        > 0
    )


def test_full_sessions_refuse_rather_than_forget(connect):
    sessions = connect("sessions")
    pipeline = sessions.pipeline(transaction=False)
    for number in range(400):
        pipeline.set(f"sess:fill{number}", "x" * 131072)
    answers = pipeline.execute(raise_on_error=False)
    assert answers[0] is True
    assert isinstance(answers[-1], redis.exceptions.OutOfMemoryError)
    assert sessions.get("sess:fill0")
    sessions.delete(*(f"sess:fill{number}" for number in range(400)))


def test_sessions_survive_a_kill(connect, host):
    connect("sessions").set("sess:kept", "yes")
    time.sleep(1.5)
    old = pid(host, "sessions")
    host.check_output(f"kill -9 {old}")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            assert connect("sessions").get("sess:kept") == "yes"
            break
        except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
            time.sleep(0.2)
    assert pid(host, "sessions") not in (old, "0")


def test_a_renewed_certificate_is_served_without_restart(connect, host):
    def serial():
        return host.check_output(
            f"openssl s_client -connect {ADDRESS}:6380 </dev/null 2>/dev/null | openssl x509 -noout -serial"
        )

    tls = "/etc/stackwright/tls/redis"
    old_serial, old_pid, client = serial(), pid(host, "cache"), connect("cache")
    client.set("cache:connected", "1")
    host.check_output(f"cp -rL {tls} /root/tls-before")
    try:
        host.check_output(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=renewed -days 1"
            f" -keyout /root/new.key -out /root/new.crt && cat /root/new.key > {tls}/tls.key"
            f" && cat /root/new.crt > {tls}/tls.crt"
        )
        assert host.check_output(f"{TOOL} pending cache").startswith("cache reload")
        host.check_output("systemctl reload redis@cache")
        assert serial() != old_serial
        assert client.get("cache:connected") == "1"
    finally:
        host.check_output(
            f"for each in tls.key tls.crt; do cat /root/tls-before/$each > {tls}/$each; done; rm -r /root/tls-before"
        )
        host.check_output("systemctl reload redis@cache redis@sessions redis@limits")
    assert serial() == old_serial
    assert pid(host, "cache") == old_pid
    assert host.check_output(f"{TOOL} pending cache") == "cache none"


@pytest.mark.parametrize(
    ("old", "new"),
    [("maxmemory-policy", "maxmemory-polcy"), ("tls.key", "missing.key"), ("appendfsync everysec", "appendfsync now")],
)
def test_a_bad_configuration_is_refused_before_it_is_live(host, old, new):
    host.check_output(f"sed 's/{old}/{new}/' /etc/redis/instances/sessions/redis.conf > /root/bad.conf")
    assert host.run(f"{TOOL} test /etc/redis/instances/sessions/redis.conf").rc == 0
    assert host.run(f"{TOOL} test /root/bad.conf").rc != 0


def test_bad_users_are_refused_before_they_are_live(host):
    assert host.run(f"{TOOL} test-acl /etc/redis/instances/sessions/users.acl").rc == 0
    host.check_output("echo 'user broken on +@nonsense' > /root/bad.acl")
    assert host.run(f"{TOOL} test-acl /root/bad.acl").rc != 0


@pytest.mark.parametrize(
    "change",
    ["SETUSER reader +set", "SETUSER intruder on nopass ~* +@all", "SETUSER default on nopass", "DELUSER reader"],
)
def test_a_user_changed_in_the_running_instance_is_put_back(connect, host, change):
    client, before = connect("sessions"), host.check_output(f"{TOOL} cli sessions ACL LIST")
    host.check_output(f"{TOOL} cli sessions ACL {change}")
    assert host.check_output(f"{TOOL} pending sessions") == "sessions reload: users"
    host.check_output("systemctl reload redis@sessions")
    assert host.check_output(f"{TOOL} pending sessions") == "sessions none"
    assert host.check_output(f"{TOOL} cli sessions ACL LIST") == before
    assert client.ping()


def test_snapshot_for_the_backup(connect, host):
    connect("sessions").set("sess:saved", "now")
    began = int(host.check_output("date +%s"))
    host.check_output(f"{TOOL} snapshot")
    for instance in ("sessions", "limits"):
        dump = f"/var/lib/redis/{instance}/dump.rdb"
        assert int(host.check_output(f"stat -c %Y {dump}")) >= began
        assert "RDB looks OK" in host.check_output(f"redis-check-rdb {dump}")
    assert not host.file("/var/lib/redis/cache/dump.rdb").exists


def test_a_removed_instance_is_gone(host):
    assert not host.file("/etc/redis/instances/extra").exists
    assert not host.file("/var/lib/redis/extra").exists
    assert host.run("systemctl is-enabled redis@extra").rc != 0
    assert host.run("systemctl is-active redis@extra").rc != 0


def test_the_package_has_no_instance_of_its_own(host):
    assert host.run("systemctl is-active redis-server").stdout.strip() == "inactive"


def test_log_is_opened_anew_after_rotation(host):
    host.check_output(
        "mv /var/log/redis/limits.log /var/log/redis/limits.log.moved && redis-admin limits BGSAVE && sleep 1"
    )
    assert host.file("/var/log/redis/limits.log").contains("saving")


@pytest.mark.parametrize("instance", PORTS)
def test_sandbox(host, instance):
    assert security_score(host, f"redis@{instance}.service") <= 2.5
