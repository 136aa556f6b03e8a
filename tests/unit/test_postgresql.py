"""Settings and access of PostgreSQL, without a server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackwright.model.postgresql_access import hba_lines, role_flags, scram_verifier
from stackwright.model.postgresql_settings import postgresql_settings


def _mb(value: object) -> int:
    match = re.fullmatch(r"(\d+)MB", str(value))
    assert match is not None
    return int(match[1])


def test_settings_of_a_small_host() -> None:
    assert postgresql_settings(memory_mb=2048, cpus=2, max_connections=100) == {
        "shared_buffers": "512MB",
        "effective_cache_size": "1536MB",
        "work_mem": "10MB",
        "maintenance_work_mem": "128MB",
        "max_wal_size": "2048MB",
        "min_wal_size": "512MB",
        "checkpoint_timeout": "15min",
        "checkpoint_completion_target": 0.9,
        "max_parallel_workers": 2,
        "max_parallel_workers_per_gather": 1,
        "max_parallel_maintenance_workers": 1,
        "random_page_cost": 1.1,
        "effective_io_concurrency": 200,
        "jit": "off",
    }


@given(memory=st.integers(256, 2_000_000), cpus=st.integers(1, 256), connections=st.integers(1, 5000))
def test_settings_never_promise_more_than_there_is(memory: int, cpus: int, connections: int) -> None:
    if connections > memory // 2:
        with pytest.raises(ValueError, match=rf"max_connections: {connections} .* at most {memory // 2}"):
            postgresql_settings(memory_mb=memory, cpus=cpus, max_connections=connections)
        return
    settings = postgresql_settings(memory_mb=memory, cpus=cpus, max_connections=connections)
    sorts = _mb(settings["work_mem"]) * connections
    assert _mb(settings["shared_buffers"]) + sorts + _mb(settings["maintenance_work_mem"]) <= memory
    assert 80 <= _mb(settings["min_wal_size"]) <= _mb(settings["max_wal_size"]) <= 8192
    assert 1 <= int(settings["max_parallel_workers_per_gather"]) <= max(1, int(settings["max_parallel_workers"]))


@pytest.mark.parametrize(
    ("memory", "cpus", "connections", "message"),
    [
        (255, 1, 10, "memory_mb: 255 is too little"),
        (1024, 0, 10, "cpus"),
        (1024, 1, 0, "max_connections"),
    ],
)
def test_settings_refused(memory: int, cpus: int, connections: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        postgresql_settings(memory_mb=memory, cpus=cpus, max_connections=connections)


_PASSWORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60)


@given(password=_PASSWORDS, other=_PASSWORDS)
def test_a_verifier_is_kept_for_its_password_alone(password: str, other: str) -> None:
    verifier = scram_verifier(password)
    assert scram_verifier(password, verifier) == verifier
    assert (scram_verifier(other, verifier) == verifier) is (other == password)
    assert password not in verifier or len(password) < 8


def test_verifier_has_the_form_that_postgresql_stores() -> None:
    """RFC 5802, from first principles."""
    scheme, cost, keys = scram_verifier("secret").split("$")
    iterations, salt = cost.split(":")
    stored_key, server_key = keys.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", base64.b64decode(salt), int(iterations))
    client_key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    assert scheme == "SCRAM-SHA-256"
    assert base64.b64decode(stored_key) == hashlib.sha256(client_key).digest()
    assert base64.b64decode(server_key) == hmac.new(salted, b"Server Key", hashlib.sha256).digest()


@pytest.mark.parametrize("stored", [None, "", "md5c4ca4238a0b923820dcc509a6f75849b", "SCRAM-SHA-256$x"])
def test_what_is_no_verifier_is_replaced(stored: str | None) -> None:
    assert scram_verifier("secret", stored).startswith("SCRAM-SHA-256$4096:")


def test_a_password_that_needs_normalising_is_refused() -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        scram_verifier("geheim-ß")


def test_hba() -> None:
    lines = hba_lines(
        members=["10.0.0.1", "10.0.0.2"],
        replication_user="replicator",
        rewind_user="rewind",
        roles=[
            {"name": "app", "databases": ["app"], "networks": ["10.0.1.0/24", "10.0.2.5"]},
            {"name": "owner"},
            {"name": "former", "databases": ["app"], "networks": ["10.0.1.0/24"], "state": "absent"},
        ],
        rules=[{"user": "report", "database": "app", "network": "10.9.0.0/16"}],
    )
    assert lines == [
        "local all postgres peer",
        'hostssl replication "replicator" 10.0.0.1/32 scram-sha-256',
        'hostssl postgres "rewind" 10.0.0.1/32 scram-sha-256',
        'hostssl replication "replicator" 10.0.0.2/32 scram-sha-256',
        'hostssl postgres "rewind" 10.0.0.2/32 scram-sha-256',
        'hostssl "app" "app" 10.0.1.0/24 scram-sha-256',
        'hostssl "app" "app" 10.0.2.5/32 scram-sha-256',
        'hostssl "app" "report" 10.9.0.0/16 scram-sha-256',
        "local all all reject",
        "host all all all reject",
        "host replication all all reject",
    ]


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ({"name": "all", "databases": ["app"], "networks": ["10.0.0.0/8"]}, "'all' is not a plain"),
        ({"name": "+staff", "databases": ["app"], "networks": ["10.0.0.0/8"]}, "'\\+staff' is not a plain"),
        ({"name": "app", "databases": ["replication"], "networks": ["10.0.0.0/8"]}, "'replication' is not a plain"),
        ({"name": "app", "databases": ["app"], "networks": ["10.0.0.1/8"]}, "has host bits set"),
        ({"name": "app", "databases": ["app"], "networks": ["everywhere"]}, "does not appear to be"),
    ],
)
def test_hba_refuses_what_would_open_more_than_it_says(role: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hba_lines(members=[], replication_user="replicator", rewind_user="rewind", roles=[role])


@pytest.mark.parametrize(
    ("role", "flags"),
    [
        ({"password": "x"}, "NOSUPERUSER,NOCREATEDB,NOCREATEROLE,NOREPLICATION,NOBYPASSRLS,LOGIN"),
        ({"attributes": ["CREATEDB"]}, "NOSUPERUSER,CREATEDB,NOCREATEROLE,NOREPLICATION,NOBYPASSRLS,NOLOGIN"),
    ],
)
def test_role_flags_name_every_attribute(role: dict[str, object], flags: str) -> None:
    assert role_flags(role) == flags
