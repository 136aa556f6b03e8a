"""Seen from other hosts: what was asked for is open, everything else is closed; nobody is locked out."""

from __future__ import annotations

import time
from typing import Any

import pytest
import testinfra

IPV6 = {"guarded": "fd12::11", "friend": "fd12::12", "stranger": "fd12::13"}
GUARDED = "10.231.12.11"
PORTS = (8001, 8002, 8003, 8004)


@pytest.fixture(scope="module", name="hosts")
def hosts_(request: pytest.FixtureRequest) -> dict[str, Any]:
    """All three hosts, with IPv6 addresses and listeners on the guarded one."""
    inventory = request.config.getoption("--ansible-inventory")
    hosts = {name: testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}", sudo=True) for name in IPV6}
    for name, host in hosts.items():
        host.run(f"sysctl -w net.ipv6.conf.eth0.disable_ipv6=0; ip -6 addr add {IPV6[name]}/64 dev eth0 nodad")
    for port in PORTS:
        hosts["guarded"].run(
            f"systemd-run --unit listen-{port} python3 -m http.server --bind :: {port} --directory /var/empty"
        )
    hosts["guarded"].run("mkdir -p /var/empty")
    time.sleep(2)
    return hosts


def reaches(host: Any, address: str, port: int) -> bool:
    script = f"import socket; socket.create_connection(({address!r}, {port}), 2)"
    return bool(host.run(f'python3 -c "{script}"').rc == 0)


@pytest.mark.parametrize(
    ("source", "port", "open_"),
    [
        ("stranger", 8001, True),
        ("friend", 8001, True),
        ("friend", 22, False),
        ("stranger", 8002, False),
        ("stranger", 8003, True),
        ("stranger", 8004, False),
        ("stranger", 22, False),
    ],
)
def test_ports_from_other_hosts(hosts: dict[str, Any], source: str, port: int, open_: bool) -> None:
    assert reaches(hosts["guarded"], "127.0.0.1", port)
    assert reaches(hosts[source], GUARDED, port) is open_


def test_ipv6_is_filtered_alike(hosts: dict[str, Any]) -> None:
    assert reaches(hosts["stranger"], IPV6["guarded"], 8001)
    assert not reaches(hosts["stranger"], IPV6["guarded"], 8002)
    assert not reaches(hosts["stranger"], IPV6["guarded"], 8004)
    # The friend may go out to 8001 by IPv4 alone.
    assert not reaches(hosts["friend"], IPV6["guarded"], 8001)


def test_a_listed_source_is_admitted_where_others_are_not(hosts: dict[str, Any]) -> None:
    friend = hosts["friend"]
    friend.check_output("nft insert rule inet stackwright output tcp dport 8002 accept")
    assert reaches(friend, GUARDED, 8002)
    assert reaches(friend, IPV6["guarded"], 8002)
    # What somebody added by hand is a difference that the next run takes back.
    assert "running" in friend.check_output("stackwright-firewall plan")
    friend.check_output("nft -f /etc/stackwright/firewall.nft")
    assert "running" not in friend.check_output("stackwright-firewall plan")


def test_a_burst_is_limited_per_source(hosts: dict[str, Any]) -> None:
    script = """
import socket
done = 0
for _ in range(40):
    with socket.socket() as each:
        each.settimeout(0.2)
        done += each.connect_ex(('10.231.12.11', 8003)) == 0
print(done)
"""
    time.sleep(2)
    assert 3 <= int(hosts["stranger"].check_output(f'python3 -c "{script}"')) < 40
    time.sleep(2)
    assert reaches(hosts["stranger"], GUARDED, 8003)


def test_refused_packets_are_logged_at_a_bounded_rate(hosts: dict[str, Any]) -> None:
    rules = hosts["guarded"].check_output("nft list chain inet stackwright input")
    assert 'limit rate 10/minute burst 10 packets log prefix "stackwright-drop-in: "' in rules


def test_tables_of_others_survive_and_a_flushed_table_is_noticed(hosts: dict[str, Any]) -> None:
    host = hosts["stranger"]
    host.check_output("nft add table inet somebody_else")
    host.check_output("nft delete table inet stackwright")
    assert "running" in host.check_output("stackwright-firewall plan")
    host.check_output("systemctl restart stackwright-firewall.service")
    assert "running" not in host.check_output("stackwright-firewall plan")
    host.check_output("nft list table inet somebody_else")
    host.check_output("nft delete table inet somebody_else")


def test_rules_that_would_lock_the_controller_out_are_refused(hosts: dict[str, Any]) -> None:
    guarded = hosts["guarded"]
    refused = guarded.run("stackwright-firewall guard --port 22 192.0.2.0/24 2001:db8::/32")
    assert refused.rc == 1
    assert "10.231.12.1" in refused.stderr
    assert guarded.run("stackwright-firewall guard --port 2222 any").rc == 1
    assert '"10.231.12.1"' in guarded.check_output("stackwright-firewall guard --port 22 10.231.12.0/24")


def test_rules_that_nobody_confirms_are_taken_back(hosts: dict[str, Any]) -> None:
    host = hosts["stranger"]
    before = host.check_output("nft -s list table inet stackwright")
    host.check_output("cp -p /etc/stackwright/firewall.wanted.nft /root/wanted")
    host.check_output("sed -i '/dport 22 /d' /etc/stackwright/firewall.wanted.nft")
    # In one command: on a busy controller the seconds to confirm are over before it asks again.
    running = host.check_output("stackwright-firewall apply --rollback-seconds 4 && nft list table inet stackwright")
    assert "dport 22" not in running
    time.sleep(8)
    assert host.check_output("nft -s list table inet stackwright") == before
    assert "former ones are back" in host.check_output("journalctl -u stackwright-firewall-rollback -n 5 --no-pager")
    host.check_output("cp -p /root/wanted /etc/stackwright/firewall.wanted.nft")
    assert '"changed": []' in host.check_output("stackwright-firewall plan")


def test_the_rules_come_back_at_boot(hosts: dict[str, Any]) -> None:
    for host in hosts.values():
        assert host.service("stackwright-firewall.service").is_enabled
        host.check_output("nft -c -f /etc/stackwright/firewall.nft")
