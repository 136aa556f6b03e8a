"""What an application relies on where its pool knows the passwords itself."""

import time

import pytest
from managed_server import CA, PASSWORDS, pooled

testinfra_hosts = ["app1"]
TOOL = "/usr/local/lib/stackwright/pgbouncer_service.py"


def test_the_application_connects_over_tls(host):
    """The server says of the pool's own session that it is encrypted; which certificate it accepts is asked below."""
    answer = pooled(host, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    assert answer.stdout.startswith("t|TLSv1."), answer.stderr


@pytest.mark.parametrize(
    "login",
    [
        {"password": "secret-of-emr-in-molecule"},
        {"password": ""},
        {"user": "reports"},
        {"user": "dbadmin"},
        {"user": "nobody", "password": "x"},
        {"database": "pgbouncer"},
    ],
)
def test_other_logins_are_refused(host, login):
    """Among them roles that the server knows, with their right passwords: this pool is not theirs."""
    assert pooled(host, "SELECT 1", **login).rc == 2


def test_a_server_of_another_name_is_refused(host):
    assert pooled(host, "SELECT 1", database="impostor").rc != 0
    assert host.run("journalctl -u pgbouncer | grep -i 'not present in server certificate'").rc == 0


def test_a_server_of_another_authority_is_refused(host):
    internal_ca = "/etc/stackwright/tls/pgbouncer/ca.crt"
    host.check_output(f"cp -p {CA} /root/authority.crt")
    try:
        # Into the same file, as its mode and owner are to stay.
        host.check_output(f"cat {internal_ca} > {CA} && systemctl reload pgbouncer && pgbouncer-admin -c RECONNECT")
        assert pooled(host, "SELECT 1").rc != 0
        assert host.run("journalctl -u pgbouncer | grep -i 'certificate verify failed'").rc == 0
    finally:
        host.check_output(f"cat /root/authority.crt > {CA} && systemctl reload pgbouncer")
    deadline = time.monotonic() + 30
    while pooled(host, "SELECT 1").stdout != "1\n":
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_nobody_is_looked_up(host):
    assert "auth_" not in host.check_output("grep -v '^auth_type\\|^auth_file' /etc/pgbouncer/pgbouncer.ini")
    configuration = host.check_output("pgbouncer-admin -At -c 'SHOW CONFIG'").splitlines()
    (user,) = [line for line in configuration if line.startswith("auth_user|")]
    assert user.split("|")[1] == ""


def test_the_passwords_are_for_the_pool_alone(host):
    userlist = host.file("/etc/pgbouncer/userlist.txt")
    assert (userlist.user, userlist.group, userlist.mode) == ("root", "pgbouncer", 0o640)
    assert userlist.content_string.count("secret-of-") == 1
    assert host.run("sudo -u nobody cat /etc/pgbouncer/userlist.txt").rc != 0
    assert "secret-of-" not in host.check_output("ps -eo args | grep -v 'grep\\|psql'")
    assert host.run("journalctl | grep -v sudo | grep -c secret-of-").stdout.strip() == "0"
    assert host.check_output(f"{TOOL} pending") == "none"
    assert PASSWORDS["emr"] in userlist.content_string
