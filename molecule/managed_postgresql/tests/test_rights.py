"""What people and applications rely on, asked from the host that applies: each role can do what it may and nothing else."""

import pytest
from managed_server import connect

testinfra_hosts = ["ops1"]


def test_the_owner_makes_tables_and_the_reader_reads_them_and_no_more(host):
    done = connect(host, "CREATE TABLE IF NOT EXISTS mark (at text); INSERT INTO mark VALUES ('x')")
    assert done.rc == 0, done.stderr
    assert connect(host, "SELECT count(*) > 0 FROM mark", user="reports").stdout == "t\n"
    for statement in ("INSERT INTO mark VALUES ('y')", "DELETE FROM mark", "CREATE TABLE more (at text)"):
        assert "permission denied" in connect(host, statement, user="reports").stderr
    assert "permission denied" in connect(host, "SELECT * FROM mark", user="monitoring").stderr


def test_an_extension_is_there(host):
    assert connect(host, "SELECT length(gen_salt('bf')) > 0").stdout == "t\n"


def test_who_monitors_sees_all_sessions_and_others_do_not(host):
    seen = "SELECT pg_has_role(current_user, 'pg_monitor', 'USAGE')"
    assert {user: connect(host, seen, user=user).stdout for user in ("monitoring", "emr", "reports")} == {
        "monitoring": "t\n",
        "emr": "f\n",
        "reports": "f\n",
    }


@pytest.mark.parametrize("user", ["emr", "reports", "monitoring"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE DATABASE more",
        "CREATE ROLE more",
        "SET ROLE dbadmin",
        "SET ROLE archivist",
        "SELECT * FROM pg_authid",
        "ALTER SYSTEM SET log_statement = none",
    ],
)
def test_no_role_can_do_what_is_not_its_own(host, user, statement):
    assert "permission denied" in connect(host, statement, user=user).stderr


@pytest.mark.parametrize("user", ["emr", "reports", "monitoring"])
@pytest.mark.parametrize("database", ["postgres", "archive"])
def test_databases_are_closed_to_who_is_not_named(host, user, database):
    assert "permission denied for database" in connect(host, "SELECT 1", user=user, database=database).stderr


def test_connections_are_limited(host):
    assert connect(host, "SELECT rolconnlimit FROM pg_roles WHERE rolname = 'reports'").stdout == "2\n"


def test_the_master_user_acts_for_owners_without_being_a_superuser(host):
    done = connect(
        host, "SET ROLE archivist; CREATE TABLE IF NOT EXISTS kept (at text)", user="dbadmin", database="archive"
    )
    assert done.rc == 0, done.stderr
    assert connect(host, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", user="dbadmin").stdout == "f\n"


@pytest.mark.parametrize(
    ("login", "complaint"),
    [
        ({"password": "secret-of-emr-in-molecule"}, "password authentication failed"),
        ({"password": "secret-of-yesterday-in-molecule"}, "password authentication failed"),
        ({"user": "former", "password": "secret-of-former-in-molecule"}, "password authentication failed"),
        ({"user": "unlisted"}, "not permitted to log in"),
        ({"options": "sslmode=disable"}, "no encryption"),
        ({"server": "impostor.rds.molecule"}, "does not match host name"),
    ],
)
def test_who_is_refused(host, login, complaint):
    assert connect(host, "SELECT 1").stdout == "1\n"
    refused = connect(host, "SELECT 1", **login)
    assert refused.rc != 0
    assert complaint in refused.stderr


def test_a_persons_own_role_was_left_alone(host):
    """Made by the master user and listed nowhere, but not by us."""
    comment = (
        "SELECT shobj_description(oid, 'pg_authid') IS NULL AND rolcanlogin FROM pg_roles WHERE rolname = 'persons'"
    )
    assert connect(host, comment).stdout == "t\n"
