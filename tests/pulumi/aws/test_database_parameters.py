"""PostgreSQL's settings in RDS's words mean the same as before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackwright.infra.aws.database_parameters import (
    LOGGED,
    STATIC,
    Parameter,
    parameters,
    rds_values,
)
from stackwright.model.aws.rds import ALWAYS, NOT_SETTABLE
from stackwright.model.postgresql_settings import postgresql_settings

#: What PostgreSQL 17 has as `pg_settings.unit`, in bytes.
BYTES = {
    "shared_buffers": 8192,
    "effective_cache_size": 8192,
    "work_mem": 1024,
    "maintenance_work_mem": 1024,
    "max_wal_size": 1024**2,
    "min_wal_size": 1024**2,
}
UNITS = {"kB": 1024, "MB": 1024**2, "GB": 1024**3}


@given(
    memory_mb=st.integers(min_value=256, max_value=1_000_000),
    cpus=st.integers(min_value=1, max_value=128),
    max_connections=st.integers(min_value=1, max_value=128),
)
def test_what_the_capacity_model_says_arrives_whole(memory_mb: int, cpus: int, max_connections: int) -> None:
    settings = postgresql_settings(memory_mb=memory_mb, cpus=cpus, max_connections=max_connections)
    found = rds_values(settings, max_connections=max_connections)
    assert found.keys() == settings.keys() | {"max_connections"}
    for name, size in BYTES.items():
        assert int(found[name]) * size == int(str(settings[name]).removesuffix("MB")) * 1024**2
    assert found["checkpoint_timeout"] == "900"
    assert found["jit"] == "0"
    assert float(found["random_page_cost"]) == settings["random_page_cost"]
    assert int(found["max_parallel_workers"]) == cpus
    assert int(found["max_connections"]) == max_connections


@given(name=st.sampled_from(sorted(BYTES)), number=st.integers(0, 10**6), unit=st.sampled_from(sorted(UNITS)))
def test_memory_is_never_more_than_asked_for_and_less_by_less_than_a_unit(name: str, number: int, unit: str) -> None:
    asked, got = number * UNITS[unit], int(rds_values({name: f"{number}{unit}"})[name]) * BYTES[name]
    assert asked - BYTES[name] < got <= asked


@given(
    name=st.sampled_from(["statement_timeout", "lock_timeout", "log_min_duration_statement"]),
    milliseconds=st.integers(0, 10**9),
)
def test_milliseconds_stay_and_seconds_become_them(name: str, milliseconds: int) -> None:
    assert rds_values({name: f"{milliseconds}ms"}) == {name: str(milliseconds)}
    assert rds_values({name: f"{milliseconds}s"}) == {name: str(milliseconds * 1000)}


@given(st.integers(-1, 10**9))
def test_numbers_without_a_unit_are_left_alone(number: int) -> None:
    assert rds_values({"work_mem": number, "log_temp_files": str(number)}) == {
        "work_mem": str(number),
        "log_temp_files": str(number),
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("jit", "off", "0"),
        ("jit", True, "1"),
        ("log_lock_waits", "ON", "1"),
        ("synchronous_commit", "on", "on"),
        ("huge_pages", "off", "off"),
        ("deadlock_timeout", "1.5s", "1500"),
        ("checkpoint_timeout", "1h", "3600"),
        ("timezone", "Asia/Tashkent", "Asia/Tashkent"),
        ("log_line_prefix", "%m", "%m"),
        ("wal_buffers", "16MB", "2048"),
        ("track_activity_query_size", "4kB", "4096"),
    ],
)
def test_words_and_units(name: str, value: str | bool, expected: str) -> None:
    assert rds_values({name: value}) == {name: expected}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("work_mem", "4min", "work_mem: 4min has another unit than B, kB, MB, GB, TB"),
        ("statement_timeout", "4MB", "statement_timeout: 4MB has another unit than us, ms, s, min, h, d"),
        ("bgwriter_delay", "10ms", "bgwriter_delay: '10ms' has a unit, and it is not known here what RDS counts"),
    ],
)
def test_a_unit_that_is_not_the_settings_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        rds_values({name: value})


def test_what_rds_decides_is_left_out() -> None:
    assert rds_values({"archive_command": "cp", "fsync": "off", "work_mem": "4MB"}) == {"work_mem": "4096"}


def test_static_parameters_wait_for_a_restart() -> None:
    assert Parameter(name="shared_buffers", value="1").apply_method == "pending-reboot"
    assert Parameter(name="work_mem", value="1").apply_method == "immediate"


def test_tls_and_scram_cannot_be_lowered_and_logging_can() -> None:
    lower = dict.fromkeys(ALWAYS, "0") | {"log_statement": "none"}
    found = {each.name: each.value for each in parameters(lower)}
    assert found == {**LOGGED, "log_statement": "none", **ALWAYS}
    assert found["rds.force_ssl"] == "1"


def test_logical_replication_only_where_it_is_needed() -> None:
    found = {each.name: each for each in parameters({}, logical_replication=True)}
    assert found["rds.logical_replication"] == Parameter(name="rds.logical_replication", value="1")
    assert found["rds.logical_replication"].static
    assert "rds.logical_replication" not in {each.name for each in parameters({})}


def test_nothing_is_both_settable_and_not() -> None:
    assert not NOT_SETTABLE & {*STATIC, *ALWAYS, *LOGGED}
