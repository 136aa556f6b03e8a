"""What an application sees of the database through the proxy."""

import time

import pytest

from stackwright.testing.testinfra import security_score

PRIMARY, REPLICA = 5000, 5001

ASK = """python3 -c '
import socket
s = socket.create_connection(("127.0.0.1", %d), timeout=3)
print(s.makefile().readline().strip() or "refused")
'"""


def who(host, port):
    result = host.run(ASK % port)
    return result.stdout.strip() if result.rc == 0 else "refused"


def eventually(host, port, expected, seconds=15):
    deadline = time.monotonic() + seconds
    while (seen := who(host, port)) not in expected:
        assert time.monotonic() < deadline, f"port {port}: {seen}, not {expected}"
        time.sleep(0.3)


def set_roles(host, db1, db2):
    host.check_output(f"echo {db1} > /srv/members/db1.role; echo {db2} > /srv/members/db2.role")


@pytest.fixture(autouse=True)
def settled(host):
    set_roles(host, "primary", "replica")
    eventually(host, PRIMARY, {"db1"})
    eventually(host, REPLICA, {"db2"})


def test_writes_reach_the_leader_and_reads_the_replica(host):
    assert {who(host, PRIMARY) for _ in range(5)} == {"db1"}
    assert {who(host, REPLICA) for _ in range(5)} == {"db2"}


def test_a_change_of_leader_is_followed(host):
    set_roles(host, "replica", "primary")
    eventually(host, PRIMARY, {"db2"})
    eventually(host, REPLICA, {"db1"})


def test_a_session_with_a_former_leader_ends(host):
    script = (
        "import socket,sys;s=socket.create_connection(('127.0.0.1',5000));f=s.makefile();print(f.readline().strip());"
        "open('/srv/members/db1.role','w').write('replica');s.settimeout(15);print(repr(f.readline()))"
    )
    assert host.check_output(f'python3 -c "{script}"').split("\n") == ["db1", "''"]


def test_reads_fall_back_to_the_leader(host):
    set_roles(host, "primary", "starting")
    eventually(host, REPLICA, {"db1"})


def test_without_a_leader_writes_are_refused_and_reads_go_on(host):
    set_roles(host, "replica", "replica")
    eventually(host, PRIMARY, {"refused"})
    eventually(host, REPLICA, {"db1", "db2"})


def test_a_member_that_shows_somebody_elses_certificate_is_not_believed(host):
    host.check_output("echo CERTIFICATE=app > /srv/members/db1.env; systemctl restart member@db1")
    try:
        eventually(host, PRIMARY, {"refused"})
        time.sleep(2)
        assert who(host, PRIMARY) == "refused"
    finally:
        host.check_output("rm /srv/members/db1.env; systemctl restart member@db1")


def test_a_reload_keeps_sessions_and_sends_new_ones_to_the_leader_alone(host):
    # Longer than a new process takes to check its members.
    script = (
        "import socket,subprocess,time;c=lambda:socket.create_connection(('127.0.0.1',5000),timeout=10);"
        "s=c();f=s.makefile('rw');assert f.readline()=='db1\\n';"
        "subprocess.run(['systemctl','reload','haproxy'],check=True);"
        "until=time.monotonic()+4;who=set();\n"
        "while time.monotonic()<until: who.add(c().makefile().readline().strip())\n"
        "print('ping',file=f,flush=True);print(sorted(who),f.readline().strip())"
    )
    workers = set(host.check_output("pgrep -x haproxy").split())
    assert host.check_output(f'python3 -c "{script}"') == "['db1'] ping"
    assert set(host.check_output("pgrep -x haproxy").split()) - workers, "nothing was reloaded"


def test_only_the_host_itself_is_served(host):
    listening = {
        socket.rsplit(":", 1)[0]
        for socket in host.check_output("ss -Hltn '( sport = 5000 or sport = 5001 )' | awk '{print $4}'").split()
    }
    assert listening == {"127.0.0.1"}


def test_the_statistics_socket_is_for_operators(host):
    socket = host.file("/run/haproxy/stats.sock")
    assert (socket.group, socket.mode) == ("adm", 0o660)
    assert not host.file("/run/haproxy/master.sock").mode & 0o007


def test_it_runs_without_root(host):
    assert set(host.check_output("ps -o user= -C haproxy").split()) == {"haproxy"}


def test_hardening(host):
    assert security_score(host, "haproxy.service") <= 2.0
