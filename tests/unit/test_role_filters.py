"""Filters of the roles `baseline`, `firewall` and `tls` that stand for loops in templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.ansible.filter import baseline, firewall, tls


def test_only_settings_that_differ_are_written() -> None:
    running = ["net.core.somaxconn = 4096", "net.ipv4.tcp_rmem = 4096\t131072  6291456", "vm.swappiness = 60"]
    settings = {"net.core.somaxconn": 4096, "net.ipv4.tcp_rmem": "4096 131072 6291456", "vm.swappiness": 10, "a.b": 1}
    assert baseline.sysctls_to_write(running, settings) == ["vm.swappiness=10"]


def test_limits_are_those_of_systemd() -> None:
    limits = baseline.default_limits({"nofile": 65536, "memlock": 64})
    assert limits == ["DefaultLimitNOFILE=65536", "DefaultLimitMEMLOCK=65536"]


def test_contents_of_servers_are_named_unless_they_may_be_replaced() -> None:
    contents = {"stdout_lines": ["nginx runs", "/srv has files"]}
    hostvars = {
        "app1": {"ansible_host": "192.0.2.1", "stack_host": {"takeover": False}, "baseline_contents": contents},
        "db1": {"ansible_host": "192.0.2.2", "stack_host": {"takeover": True}, "baseline_contents": contents},
        "db2": {"ansible_host": "192.0.2.3", "stack_host": {"takeover": False}},
    }
    lines = baseline.contents_of_servers(["app1", "db1", "db2"], hostvars)
    assert lines == ["app1 (192.0.2.1): nginx runs", "app1 (192.0.2.1): /srv has files"]


def test_peers_of_both_directions_have_one_key() -> None:
    rule = {"name": "web", "port": 443, "protocol": "tcp"}
    expected = [{"name": "web", "port": 443, "peers": ["192.0.2.1"]}]
    assert firewall.firewall_peers([{**rule, "sources": ["192.0.2.1"]}]) == expected
    assert firewall.firewall_peers([{**rule, "destinations": ["192.0.2.1"]}], "destinations") == expected


def test_an_order_has_all_keys() -> None:
    complete = {"name": "web", "issuer": "acme", "dns": ["x.test"], "files": "not an order's"}
    assert tls.tls_orders([{"name": "db"}, complete], "internal") == [
        {"name": "db", "issuer": "internal", "dns": [], "ip": [], "common_name": "", "reload": []},
        {"name": "web", "issuer": "acme", "dns": ["x.test"], "ip": [], "common_name": "", "reload": []},
    ]


@pytest.mark.parametrize(("ca", "text"), [({"ca_file": "ca.crt"}, "CA"), ({}, "")])
def test_a_delivery_has_what_was_signed_and_what_is_in_files(tmp_path: Path, ca: dict[str, str], text: str) -> None:
    for name, content in {"tls.crt": "CERTIFICATE\n", "tls.key": "KEY\n", "ca.crt": "CA\n"}.items():
        (tmp_path / name).write_text(content)
    signed = [{"item": {"name": "db"}, "certificate": "SIGNED"}, {"item": {"name": "web"}, "skipped": True}]
    files = {"certificate_file": "tls.crt", "key_file": "tls.key", **ca}
    entry = {"name": "web", **{key: str(tmp_path / name) for key, name in files.items()}}
    assert tls.tls_delivery(signed, [entry]) == {
        "db": {"certificate": "SIGNED"},
        "web": {"certificate": "CERTIFICATE", "key": "KEY", "ca": text},
    }
