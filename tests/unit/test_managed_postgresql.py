"""What a server's answer to a login means, and what a master user can settle."""

from __future__ import annotations

import pytest

from stackwright.model import managed_postgresql as managed

_WHERE = 'connection to server at "db" (10.0.0.1), port 5432 failed: '


def ping(message: str) -> dict[str, object]:
    return {"is_available": False, "conn_err_msg": _WHERE + message}


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ('FATAL:  password authentication failed for user "emr"', "refused"),
        ('FATAL:  permission denied for database "postgres"', "admitted"),
        ('FATAL:  database "later" does not exist', "admitted"),
        ('FATAL:  role "emr" is not permitted to log in', "admitted"),
        ('FATAL:  too many connections for role "emr"', "admitted"),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "admitted"),
        ("SSL error: certificate verify failed", "untrusted"),
        ('server certificate for "a" does not match host name "b"', "untrusted"),
        ("server does not support SSL, but SSL was required", "untrusted"),
        ('root certificate file "/nowhere" does not exist', "untrusted"),
        ("FATAL:  sorry, too many clients already", "silent"),
        ("FATAL:  the database system is starting up", "silent"),
        ('FATAL:  PAM authentication failed for user "emr"', "silent"),
        ('FATAL:  no pg_hba.conf entry for host "x", user "emr", database "y", SSL encryption', "silent"),
        ("Connection refused", "silent"),
    ],
)
def test_what_an_answer_means(message: str, wanted: str) -> None:
    assert managed.answer(ping(message)) == wanted


def test_who_is_let_in_is_admitted() -> None:
    assert managed.answer({"is_available": True, "conn_err_msg": ""}) == "admitted"


def test_of_several_logins_each_is_told_apart() -> None:
    tried = [
        {"item": {"name": "emr"}, "is_available": True},
        {"item": {"name": "reports"}} | ping('FATAL:  password authentication failed for user "reports"'),
        {"item": {"name": "monitoring"}} | ping("Connection refused\n"),
    ]
    assert managed.admitted(tried) == ["emr"]
    assert managed.unclear(tried) == [f"monitoring: {_WHERE}Connection refused"]


@pytest.mark.parametrize(
    ("role", "flags"),
    [
        ({"name": "emr", "password": "x"}, "NOCREATEDB,NOCREATEROLE,LOGIN"),
        ({"name": "emr"}, "NOCREATEDB,NOCREATEROLE,NOLOGIN"),
        ({"name": "emr", "password": "x", "attributes": ["CREATEDB"]}, "CREATEDB,NOCREATEROLE,LOGIN"),
    ],
)
def test_only_what_a_master_user_can_change_is_said(role: dict[str, object], flags: str) -> None:
    assert managed.role_flags(role) == flags


def test_what_others_made_is_named() -> None:
    ours, theirs = {"admin": True, "beyond": False}, {"admin": False, "beyond": False}
    roles = {"emr": ours, "clouds": theirs, "replicator": {"admin": True, "beyond": True}}
    databases = {
        "taaleem": {"owner": "emr", "usable": False},
        "clouds": {"owner": "somebody", "usable": False},
        "mine": {"owner": "dbadmin", "usable": True},
    }
    wanted = [{"name": name} for name in ("taaleem", "clouds", "mine", "new")]
    found = managed.foreign(["emr", "clouds", "replicator", "new"], wanted, roles, databases)
    assert found == ["role clouds", "role replicator", "database clouds of somebody"]
    assert managed.foreign(["emr", "new"], wanted[:1], roles, databases) == []
