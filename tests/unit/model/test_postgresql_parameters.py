"""What `database.parameters` takes: by the catalogue of the release that the hosts install."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from model_project import Project

from stackwright.model import postgresql_parameters
from stackwright.model.postgresql_parameters import Refusal, refusals, versions
from stackwright.model.postgresql_settings import postgresql_settings

#: Name, value, and a part of the refusal.
REFUSED = [
    ("shared_preload_libraries", "pg_cron", "names pg_cron, which PostgreSQL 17 does not have"),
    ("shared_preload_libraries", "pg_stat_statements, timescaledb", "names timescaledb"),
    ("session_preload_libraries", "nothing", "names nothing"),
    ("wrok_mem", "4MB", "is no setting of PostgreSQL 17"),
    ("old_snapshot_threshold", 1, "is no setting of PostgreSQL 17"),
    ("WORK_MEM", "4MB", "is no setting of PostgreSQL 17"),
    ("work_mem", "4XB", "has no value that PostgreSQL takes"),
    ("work_mem", "4mb", "has no value that PostgreSQL takes"),
    ("work_mem", "4s", "has no value that PostgreSQL takes"),
    ("work_mem", "1kB", "has no value that PostgreSQL takes"),
    ("work_mem", True, "has no value that PostgreSQL takes"),
    ("work_mem", "", "has no value that PostgreSQL takes"),
    ("work_mem", "9" * 400, "has no value that PostgreSQL takes"),
    ("max_worker_processes", 300_000, "has no value that PostgreSQL takes"),
    ("max_worker_processes", "4MB", "has no value that PostgreSQL takes"),
    ("checkpoint_completion_target", 1.5, "has no value that PostgreSQL takes"),
    ("checkpoint_completion_target", "nan", "has no value that PostgreSQL takes"),
    ("checkpoint_timeout", "10", "has no value that PostgreSQL takes"),
    ("autovacuum", "maybe", "has no value that PostgreSQL takes"),
    ("synchronous_commit", "sometimes", "has no value that PostgreSQL takes"),
    ("min_wal_size", "16MB", "has no value that PostgreSQL takes"),
    ("max_stack_depth", "8MB", "has no value that PostgreSQL takes"),
    ("wal_level", "minimal", "has no value that PostgreSQL takes"),
    ("timezone", "Mars/Olympus", "has no value that PostgreSQL takes"),
    ("lc_messages", "de_DE.UTF-8", "has no value that PostgreSQL takes"),
    ("search_path", "a\nport = 1", "has no value that PostgreSQL takes"),
    ("max_wal_senders", 0, "has no value that PostgreSQL takes"),
    ("fsync", "off", "loses data"),
    ("fsync", False, "loses data"),
    ("full_page_writes", "no", "loses data"),
    ("huge_pages", "on", "keeps the server from starting"),
    ("default_transaction_read_only", True, "refuses every write"),
    ("block_size", 8192, "cannot be set"),
    ("zero_damaged_pages", True, "is for developers of PostgreSQL"),
    ("max_connections", 50, "is decided by `database.max_connections`"),
    ("archive_command", "/bin/true", "is decided by the backups"),
    ("archive_timeout", 5, "is decided by `backups.archive_timeout_seconds`"),
    ("listen_addresses", "*", "is decided by Patroni"),
    ("recovery_target_time", "now", "is decided by Patroni"),
    ("ssl", False, "is decided by stackwright"),
    ("unix_socket_directories", "/tmp", "is decided by stackwright"),
    ("log_filename", "x", "is decided by stackwright"),
    ("transaction_read_only", True, "is decided by each transaction"),
    ("pg_cron.max", 5, "is of a library that PostgreSQL 17 does not have"),
    ("pg_stat_statements.trakc", "all", "is no setting of PostgreSQL 17"),
    ("pg_stat_statements.track", "all", "has no effect: nothing loads the library pg_stat_statements"),
]
TAKEN = [
    {"checkpoint_completion_target": 0.9},
    {"checkpoint_completion_target": 1},
    {"work_mem": "1.5MB", "maintenance_work_mem": 65536, "temp_buffers": "8 MB"},
    {"autovacuum": "on", "jit": False, "enable_seqscan": "yes", "wal_compression": "on"},
    {"statement_timeout": "30s", "idle_in_transaction_session_timeout": "1.5min", "lock_timeout": 500},
    {"random_page_cost": 1.1, "autovacuum_vacuum_scale_factor": "0.05", "seq_page_cost": "1e0"},
    {"timezone": "Asia/Dubai", "DateStyle": "ISO, DMY", "lc_messages": "C.UTF-8"},
    {"huge_pages": "try", "synchronous_commit": "remote_write", "wal_level": "logical"},
    {"log_min_duration_statement": -1, "temp_file_limit": "-1"},
    {"shared_preload_libraries": "pg_stat_statements, auto_explain", "pg_stat_statements.track": "all",
     "pg_stat_statements.max": 10_000, "auto_explain.log_min_duration": "1s", "auto_explain.sample_rate": 0.5},
    {"session_preload_libraries": "auto_explain", "auto_explain.log_analyze": True},
]  # fmt: skip


def found(**parameters: postgresql_parameters.Value) -> list[Refusal]:
    return list(refusals(parameters, version="17"))


@pytest.mark.parametrize(
    ("name", "value", "message"), REFUSED, ids=[f"{name}={value!s:.20}" for name, value, _ in REFUSED]
)
def test_what_the_server_would_not_start_or_live_with_is_refused(
    name: str, value: postgresql_parameters.Value, message: str
) -> None:
    (refusal,) = found(**{name: value})
    assert message in refusal.message
    assert refusal.accepted


@pytest.mark.parametrize("parameters", TAKEN, ids="+".join)
def test_what_the_server_takes_is_taken(parameters: dict[str, postgresql_parameters.Value]) -> None:
    assert found(**parameters) == []


@pytest.mark.parametrize("version", postgresql_parameters.versions())
def test_every_derived_setting_is_one_that_an_environment_could_ask_for(version: str) -> None:
    settings = postgresql_settings(memory_mb=2048, cpus=2, max_connections=100)
    assert list(refusals(settings, version=version)) == []


@pytest.mark.parametrize("version", ["15", "16", "17"])
def test_there_is_a_catalogue_for_each_release_that_a_distribution_packages(version: str) -> None:
    known = postgresql_parameters.catalogue(version)
    assert known is not None
    assert known["version"].startswith(f"{version}.")
    assert len(known["settings"]) > 300
    assert "pg_stat_statements.track" in known["libraries"]["pg_stat_statements"]["settings"]
    assert "pg_trgm" in known["extensions"]


def test_a_setting_of_an_extension_counts_where_the_system_has_the_extension() -> None:
    parameters = {"pg_trgm.similarity_threshold": 0.4}
    assert [refusal.message for refusal in refusals(parameters, version="17")] == [
        "has no effect: nothing loads the library pg_trgm"
    ]
    assert list(refusals(parameters, version="17", extensions=["pg_trgm"])) == []


def test_rds_loads_its_own_libraries_and_decides_more() -> None:
    assert list(refusals({"pg_stat_statements.track": "all"}, version="17", cloud=True)) == []
    for name, value in {"shared_preload_libraries": "auto_explain", "wal_level": "logical"}.items():
        (refusal,) = refusals({name: value}, version="17", cloud=True)
        assert refusal.message == "is decided by RDS, or by stackwright"


def test_statistics_of_statements_exclude_those_of_their_parts() -> None:
    (refusal,) = found(log_statement_stats=True, log_parser_stats="on")
    assert refusal.message == "keeps the server from starting beside log_parser_stats"


def test_the_message_names_the_line_and_what_is_accepted(tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    project.edit("topology:", "database:\n  parameters:\n    wrok_mem: 4MB\n    jit: perhaps\ntopology:")
    assert project.errors() == [
        (
            "inventories/clinic/stack.yml:13: database.parameters.wrok_mem: is no setting of PostgreSQL 17;"
            " accepted: a name out of pg_settings, such as work_mem or pg_stat_statements.track; did you mean `work_mem`?"
        ),
        (
            "inventories/clinic/stack.yml:14: database.parameters.jit: has no value that PostgreSQL takes, got 'perhaps';"
            " accepted: on, off"
        ),
    ]


@pytest.mark.parametrize(
    "parameter", ["shared_buffers: 2GB", "max_locks_per_transaction: 1000000", "max_prepared_transactions: 200000"]
)
def test_shared_memory_has_to_fit_the_host(tmp_path: Path, parameter: str) -> None:
    project = Project(root=tmp_path)
    project.edit("topology:", f"database:\n  parameters:\n    {parameter}\ntopology:")
    (message,) = project.errors()
    name = parameter.partition(":")[0]
    assert message.startswith(f"inventories/clinic/stack.yml:13: database.parameters.{name}: needs ")
    assert " MB of shared memory, of 1536 MB for the database" in message


def test_an_extension_has_to_be_one_of_the_packages(tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    project.edit_system("databases: [taaleem]\n", "databases: [taaleem]\n  extensions: [uuid-ossp, postgis]\n")
    (message,) = project.errors()
    assert (
        "database.extensions[1]: is no extension that PostgreSQL 17 has, got 'postgis'; accepted: amcheck, " in message
    )


def installed() -> list[tuple[str, Path]]:
    programs = [(version, Path(f"/usr/lib/postgresql/{version}/bin/postgres")) for version in versions()]
    return [(version, program) for version, program in programs if program.exists()]


@pytest.mark.parametrize(("version", "program"), installed(), ids=str)
def test_the_catalogue_is_that_of_the_installed_server(version: str, program: Path) -> None:
    known = postgresql_parameters.catalogue(version)
    assert known is not None
    described = subprocess.run([program, "--describe-config"], capture_output=True, text=True, check=True, cwd="/")
    ranges = {}
    for line in described.stdout.splitlines():
        name, _, _, kind, _, low, high, *_ = line.split("\t")
        # The server lists some that pg_settings hides.
        if kind in ("INTEGER", "REAL") and name in known["settings"]:
            ranges[name] = (float(low), float(high))
    assert len(ranges) > 120
    assert ranges == {name: (known["settings"][name]["min"], known["settings"][name]["max"]) for name in ranges}
