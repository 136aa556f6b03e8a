"""PostgreSQL settings as RDS expects them: other units, 0 and 1 for booleans, and some that RDS reserves.

Pure functions. Which settings are static, and which ones RDS does not allow to be set, follows the user guide of RDS
("Working with parameters on your RDS for PostgreSQL DB instance") and PostgreSQL's `pg_settings.context`, as remembered
in 2026-11, unverified against an account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from stackwright.model.aws.rds import ALWAYS, NOT_SETTABLE

#: PostgreSQL's units in bytes and in seconds; `kB` is 1024 bytes there.
_BYTES: Mapping[str, int] = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_SECONDS: Mapping[str, Decimal] = {
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86_400),
}
#: Settings with a unit -> the unit of RDS, which is `pg_settings.unit`.
_IN_BYTES: Mapping[str, int] = {
    **dict.fromkeys(("effective_cache_size", "shared_buffers", "temp_buffers", "wal_buffers"), 8192),
    **dict.fromkeys(("autovacuum_work_mem", "logical_decoding_work_mem", "maintenance_work_mem", "work_mem"), 1024),
    **dict.fromkeys(("log_temp_files", "temp_file_limit", "max_stack_depth"), 1024),
    **dict.fromkeys(("max_slot_wal_keep_size", "max_wal_size", "min_wal_size", "wal_keep_size"), 1024**2),
    "track_activity_query_size": 1,
}
_MILLISECOND, _SECOND = Decimal("0.001"), Decimal(1)
_IN_SECONDS: Mapping[str, Decimal] = {
    **dict.fromkeys(("archive_timeout", "autovacuum_naptime", "checkpoint_timeout", "checkpoint_warning"), _SECOND),
    **dict.fromkeys(("tcp_keepalives_idle", "tcp_keepalives_interval"), _SECOND),
    **dict.fromkeys(("deadlock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"), _MILLISECOND),
    **dict.fromkeys(("lock_timeout", "statement_timeout", "transaction_timeout"), _MILLISECOND),
    **dict.fromkeys(("log_autovacuum_min_duration", "log_min_duration_statement"), _MILLISECOND),
    **dict.fromkeys(("max_standby_archive_delay", "max_standby_streaming_delay", "wal_receiver_timeout"), _MILLISECOND),
    **dict.fromkeys(("autovacuum_vacuum_cost_delay", "wal_sender_timeout"), _MILLISECOND),
}
_BOOLEANS = {"on": "1", "true": "1", "yes": "1", "off": "0", "false": "0", "no": "0"}
#: Settings for which `on` and `off` are two of several values.
_WORDS = frozenset({"huge_pages", "synchronous_commit", "wal_compression", "constraint_exclusion"})
#: PostgreSQL reads these only at its start, and RDS refuses to apply them immediately.
STATIC = frozenset(
    {
        *("autovacuum_freeze_max_age", "autovacuum_max_workers", "autovacuum_multixact_freeze_max_age"),
        *("huge_pages", "max_connections", "max_files_per_process", "max_locks_per_transaction"),
        *("max_logical_replication_workers", "max_pred_locks_per_transaction", "max_prepared_transactions"),
        *("max_replication_slots", "max_wal_senders", "max_worker_processes", "pg_stat_statements.max"),
        *("rds.logical_replication", "rds.rds_superuser_reserved_connections", "rds.restrict_password_commands"),
        *("shared_buffers", "shared_preload_libraries", "track_activity_query_size", "track_commit_timestamp"),
        *("wal_buffers",),
    }
)
#: Logging defaults: connections, changes to tables, and statements that are slow or wait.
LOGGED: Mapping[str, str] = {
    "log_autovacuum_min_duration": "10000",
    "log_checkpoints": "1",
    "log_connections": "1",
    "log_disconnections": "1",
    "log_lock_waits": "1",
    "log_min_duration_statement": "1000",
    # Not `mod` or `all`: those write users' data into the log.
    "log_statement": "ddl",
    "log_temp_files": "10240",
    # Without it RDS does not log autovacuum at all.
    "rds.force_autovacuum_logging_level": "warning",
}
#: Default values in RDS's families `postgres15` to `postgres17` of the parameters that are set here. The first is from
#: terraform-provider-aws#39252; the others are from memory (2026-11), not compared with `aws rds
#: describe-engine-default-parameters`. A wrong entry does no harm: the value applies from the first start of the
#: instance, as the group is created before it.
FAMILY_DEFAULTS: Mapping[str, str] = {
    "rds.force_ssl": "1",
    "checkpoint_completion_target": "0.9",
    "log_autovacuum_min_duration": "10000",
    "password_encryption": "scram-sha-256",
    "rds.force_autovacuum_logging_level": "warning",
}
_QUANTITY = re.compile(r"(-?\d+(?:\.\d+)?)\s*([A-Za-z]+)")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a parameter group, as RDS expects it."""

    name: str
    value: str

    @property
    def static(self) -> bool:
        """Return whether a change needs a restart."""
        return self.name in STATIC

    @property
    def apply_method(self) -> str:
        """Return the apply method as RDS names it.

        RDS stores `pending-reboot` for a value that is the family's default, whichever method was sent: with
        `immediate` each refresh would show a change (terraform-provider-aws#39252, "Problematic Plan Changes" of the
        provider).
        """
        settled = self.static or FAMILY_DEFAULTS.get(self.name) == self.value
        return "pending-reboot" if settled else "immediate"


def rds_values(settings: Mapping[str, str | int | float], *, max_connections: int | None = None) -> dict[str, str]:
    """Convert settings in PostgreSQL's form (`model.postgresql_settings`) to RDS's, without those that RDS decides.

    Raises ValueError for a value with a unit that the setting does not have.
    """
    rds_settings = {name: _value(name, value) for name, value in settings.items() if name not in NOT_SETTABLE}
    return rds_settings | ({} if max_connections is None else {"max_connections": str(max_connections)})


def parameters(settings: Mapping[str, str], *, logical_replication: bool = False) -> tuple[Parameter, ...]:
    """Return all parameters of a group, by name; `settings`, as RDS writes them, override `LOGGED` but not `ALWAYS`."""
    values = {**LOGGED, **settings, **ALWAYS}
    if logical_replication:
        values["rds.logical_replication"] = "1"
    return tuple(Parameter(name=name, value=values[name]) for name in sorted(values))


def _value(name: str, value: str | float) -> str:
    if isinstance(value, bool):
        return str(int(value))
    text = str(value)
    quantity = _QUANTITY.fullmatch(text)
    if quantity and (name in _IN_BYTES or name in _IN_SECONDS):
        return _counted(name, Decimal(quantity[1]), quantity[2])
    if quantity and quantity[2] in {*_BYTES, *_SECONDS}:
        raise ValueError(f"{name}: {text!r} has a unit, and it is not known here what RDS counts {name} in")
    return text if name in _WORDS else _BOOLEANS.get(text.lower(), text)


def _counted(name: str, number: Decimal, unit: str) -> str:
    """Convert a value to RDS's unit, rounded down so that a limit of memory or time is not exceeded."""
    sizes: Mapping[str, int | Decimal] = _BYTES if name in _IN_BYTES else _SECONDS
    if unit not in sizes:
        raise ValueError(f"{name}: {number}{unit} has another unit than {', '.join(sizes)}")
    rds_unit = _IN_BYTES[name] if name in _IN_BYTES else _IN_SECONDS[name]
    return str(int(number * sizes[unit] // rds_unit))
