"""What users of the consensus store, and its operators, rely on."""

import json
import re

import pytest

from stackwright.testing.testinfra import security_score

MEMBERS = {"db1": "10.231.18.11", "db2": "10.231.18.12", "ops1": "10.231.18.13"}
testinfra_hosts = list(MEMBERS)
PATRONI = "patroni:patroni-password-after-rotation"


def etcdctl(host, arguments, *, name=None, user=None, certificate="etcd"):
    """Run etcdctl against this host's voter; as the operator unless a user is named."""
    address = MEMBERS[name or host.backend.get_hostname()]
    tls = f"/etc/stackwright/tls/{certificate}"
    login = "" if user is None else f"ETCDCTL_PASSWORD= ETCDCTL_USER={user} "
    return host.run(
        f"set -a; . /etc/etcd/etcdctl.env; {login}ETCDCTL_ENDPOINTS=https://{address}:2379 ETCDCTL_CACERT={tls}/ca.crt"
        f" ETCDCTL_CERT={tls}/tls.crt ETCDCTL_KEY={tls}/tls.key etcdctl {arguments}"
    )


def test_all_voters_agree(host):
    health = json.loads(host.check_output("set -a; . /etc/etcd/etcdctl.env; etcdctl endpoint health -w json"))
    assert len(health) == len(MEMBERS)
    assert all(endpoint["health"] for endpoint in health)


def test_members_are_the_declared_ones(host):
    listed = json.loads(etcdctl(host, "member list -w json").stdout)["members"]
    assert {member["name"]: member["peerURLs"] for member in listed} == {
        name: [f"https://{address}:2380"] for name, address in MEMBERS.items()
    }


def test_a_replaced_voter_has_what_was_written_before(host):
    assert etcdctl(host, "get --consistency=s /kept --print-value-only").stdout == "before\n"


@pytest.mark.parametrize(
    ("user", "arguments", "allowed"),
    [
        (PATRONI, "put /service/main/leader x", True),
        (PATRONI, "put /service/other/leader x", False),
        (PATRONI, "get / --prefix", False),
        (PATRONI, "user list", False),
        ("patroni:patroni-password-of-the-scenario", "get /service/main/leader", False),
        ("root:root-password-of-the-scenario", "user list", False),
        ("root:root-password-after-rotation", "user list", True),
    ],
)
def test_rights(host, user, arguments, allowed):
    result = etcdctl(host, arguments, user=user)
    assert (result.rc == 0) is allowed, result.stderr


def test_without_a_login_nothing_is_told(host):
    assert etcdctl(host, "get / --prefix", user="''").rc != 0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_client_certificate_nobody_is_heard(host, scheme):
    address = MEMBERS[host.backend.get_hostname()]
    script = (
        "import ssl,urllib.request;c=ssl.create_default_context(cafile='/etc/stackwright/tls/etcd/ca.crt');"
        f"urllib.request.urlopen('{scheme}://{address}:2379/health',timeout=5,context=c)"
    )
    refused = host.run(f'python3 -c "{script}"')
    assert refused.rc != 0
    # With http the server hangs up; with https it says what is missing, or hangs up, too.
    assert re.search(r"CERTIFICATE_REQUIRED|RemoteDisconnected|ConnectionResetError", refused.stderr), refused.stderr


def test_a_certificate_that_is_no_voters_cannot_be_a_peer(host):
    address = MEMBERS[host.backend.get_hostname()]

    def ask(certificate):
        tls = f"/etc/stackwright/tls/{certificate}"
        script = (
            "import ssl,urllib.request;"
            f"c=ssl.create_default_context(cafile='{tls}/ca.crt');c.load_cert_chain('{tls}/tls.crt','{tls}/tls.key');"
            f"print(urllib.request.urlopen('https://{address}:2380/members',timeout=5,context=c).status)"
        )
        return host.run(f'python3 -c "{script}"')

    assert ask("etcd").stdout == "200\n"
    assert ask("app").rc != 0


def test_data_and_credentials_are_closed(host):
    assert host.file("/var/lib/etcd/data").mode == 0o700
    assert host.file("/var/lib/etcd/data").user == "etcd"
    credentials = host.file("/etc/etcd/etcdctl.env")
    assert (credentials.user, credentials.mode) == ("root", 0o600)


def test_no_password_in_the_journal_or_on_a_command_line(host):
    for secret in ("password-of-the-scenario", "password-after-rotation"):
        # sudo records the commands of these tests.
        assert host.run(f"journalctl --no-pager | grep -v 'sudo\\[' | grep -c {secret}").stdout.strip() == "0"
        assert host.run(f"ps axww -o args | grep -v grep | grep -c {secret}").stdout.strip() == "0"


def test_hardening(host):
    assert security_score(host, "etcd.service") <= 2.0
