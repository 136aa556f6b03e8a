"""What applications rely on, asked from the one host whose network roles may come from."""

import shlex
import time

import pytest
from postgresql_cluster import CA, MEMBERS, connect, primary_of

testinfra_hosts = ["ops1"]

#: PostgreSQL's protocol up to the server's question (documentation, "Message Formats").
ASKED_OF_A_CLIENT = """
import socket, ssl, struct, sys
plain = socket.create_connection((sys.argv[1], 5432), timeout=10)
plain.sendall(struct.pack("!ii", 8, 80877103))
assert plain.recv(1) == b"S"
encrypted = ssl._create_unverified_context().wrap_socket(plain)
start = b"user\\0app\\0database\\0app\\0\\0"
encrypted.sendall(struct.pack("!ii", len(start) + 8, 196608) + start)
answer = encrypted.recv(1024)
assert answer[:1] == b"R", answer
print(struct.unpack("!i", answer[5:9])[0], answer[9:].split(b"\\0")[0].decode())
"""


def test_what_is_written_here_is_read_there(host):
    mark = str(time.time())
    leads = primary_of(host)
    (follows,) = set(MEMBERS.values()) - {leads}
    done = connect(host, leads, f"CREATE TABLE IF NOT EXISTS mark (at text); INSERT INTO mark VALUES ('{mark}')")
    assert done.rc == 0, done.stderr
    deadline = time.monotonic() + 10
    while connect(host, follows, f"SELECT 1 FROM mark WHERE at = '{mark}'").stdout != "1\n":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    refused = connect(host, follows, "INSERT INTO mark VALUES ('x')")
    assert "read-only transaction" in refused.stderr


def test_a_role_has_what_was_granted_and_no_more(host):
    address = primary_of(host)
    assert connect(host, address, "CREATE TABLE IF NOT EXISTS mark (at text)").rc == 0
    assert connect(host, address, "SELECT count(*) FROM mark", user="reader").rc == 0
    assert "permission denied" in connect(host, address, "DELETE FROM mark", user="reader").stderr
    assert "permission denied" in connect(host, address, "CREATE DATABASE more", user="app").stderr
    assert "permission denied" in connect(host, address, "SELECT * FROM pg_authid", user="app").stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"password": "app-password-of-the-scenario"}, "password authentication failed"),
        ({"password": "wrong"}, "password authentication failed"),
        ({"options": "sslmode=disable"}, "rejects connection"),
        ({"database": "other"}, "rejects connection"),
        ({"database": "postgres"}, "rejects connection"),
        ({"user": "rewind", "database": "postgres"}, "rejects connection"),
        ({"user": "replicator", "options": "replication=true sslmode=require"}, "rejects replication connection"),
    ],
)
def test_who_is_refused(host, arguments, complaint):
    refused = connect(host, MEMBERS["db1"], "SELECT 1", **arguments)
    assert refused.rc != 0
    assert complaint in refused.stderr


def test_a_password_is_proven_and_never_sent(host):
    """What the server asks of a client: 10 is SASL; a client of Debian 12 cannot insist on it (`require_auth`)."""
    assert host.check_output(f"python3 -c {shlex.quote(ASKED_OF_A_CLIENT)} {MEMBERS['db1']}") == "10 SCRAM-SHA-256-PLUS"


def test_the_certificate_carries_the_names_of_the_proxy(host):
    for name in ("database-primary.molecule.internal", "database-replica.molecule.internal"):
        answer = connect(host, name, "SELECT 1", options=f"hostaddr={MEMBERS['db1']} sslmode=verify-full")
        assert answer.stdout == "1\n", answer.stderr


def test_the_lookup_of_verifiers_is_for_pgbouncer_alone(host):
    lookup = "SELECT username, left(password, 14) FROM pgbouncer.get_auth('{}')"
    address = primary_of(host)
    assert connect(host, address, lookup.format("app"), user="pgbouncer").stdout == "app|SCRAM-SHA-256$\n"
    for hidden in ("postgres", "replicator", "nobody"):
        assert connect(host, address, lookup.format(hidden), user="pgbouncer").stdout == ""
    assert "permission denied" in connect(host, address, lookup.format("app"), user="app").stderr


def test_patroni_tells_all_and_obeys_none_without_a_certificate(host):
    def ask(method, path):
        script = (
            "import ssl,urllib.request as r;"
            f"c=ssl.create_default_context(cafile='{CA}');"
            f"q=r.Request('https://{MEMBERS['db1']}:8008{path}',method='{method}');"
            "print(r.urlopen(q,timeout=5,context=c).status)"
        )
        return host.run(f'python3 -c "{script}"')

    assert ask("GET", "/health").stdout == "200\n"
    for method, path in (("POST", "/restart"), ("DELETE", "/restart"), ("POST", "/reload")):
        refused = ask(method, path)
        assert refused.rc != 0
        assert "HTTP Error 403" in refused.stderr
