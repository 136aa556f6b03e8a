"""The values that a PostgreSQL server accepts as `database.parameters`: its package's catalogue, without reserved ones.

`postgresql_catalogue/<version>.json` is written by `scripts/postgresql_catalogue.py` from a scratch instance.
"""

from __future__ import annotations

import json
import re
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from stackwright.model.aws import rds
from stackwright.model.errors import nearest

Value = str | int | float | bool
Setting = Mapping[str, Any]

_FOLDER = Path(__file__).parent / "postgresql_catalogue"
_BYTES: Mapping[str, int] = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
#: Units in microseconds.
_TIMES: Mapping[str, int] = {
    "us": 1,
    "ms": 1000,
    "s": 10**6,
    "min": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86_400 * 10**6,
}
_QUANTITY = re.compile(r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)\s*([A-Za-z]*)")
_SWITCH = ("on", "off", "true", "false", "yes", "no", "1", "0")

_BACKUPS, _PATRONI, _CONNECTIONS = "the backups", "Patroni", "the connection budget"
_LOG = "stackwright, which rotates the log"
_SOCKETS = "stackwright: sockets, TLS and passwords"
#: What decides each setting that an environment may not change.
_OWNERS: Mapping[str, str] = {
    **dict.fromkeys(("archive_command", "archive_library", "archive_mode", "archive_cleanup_command"), _BACKUPS),
    "archive_timeout": "`backups.archive_timeout_seconds`",
    "max_connections": "`database.max_connections`",
    **dict.fromkeys(("superuser_reserved_connections", "reserved_connections"), _CONNECTIONS),
    "synchronous_standby_names": "`database.synchronous`",
    **dict.fromkeys(
        ("synchronized_standby_slots", "cluster_name", "hot_standby", "listen_addresses", "port"), _PATRONI
    ),
    **dict.fromkeys(("primary_conninfo", "primary_slot_name", "promote_trigger_file", "wal_log_hints"), _PATRONI),
    **dict.fromkeys(("restore_command", "recovery_end_command", "sync_replication_slots"), _PATRONI),
    **dict.fromkeys(("config_file", "data_directory", "external_pid_file", "hba_file", "ident_file"), _PATRONI),
    **dict.fromkeys(("log_destination", "logging_collector", "log_directory", "log_filename", "log_file_mode"), _LOG),
    **dict.fromkeys(("log_rotation_age", "log_rotation_size", "log_truncate_on_rotation", "event_source"), _LOG),
    **dict.fromkeys(("db_user_namespace", "password_encryption", "bonjour", "bonjour_name"), _SOCKETS),
    **dict.fromkeys(("jit_provider", "dynamic_library_path", "local_preload_libraries"), "the package"),
    **dict.fromkeys(("transaction_isolation", "transaction_read_only", "transaction_deferrable"), "each transaction"),
}
_OWNED_PREFIXES: Mapping[str, str] = {
    "recovery_target": _PATRONI,
    "ssl": _SOCKETS,
    "krb_": _SOCKETS,
    "gss_": _SOCKETS,
    "unix_socket_": _SOCKETS,
    "syslog_": _LOG,
}
#: Values that are harmful in every environment.
_HARMFUL: Mapping[str, tuple[tuple[str, ...], str]] = {
    "fsync": (("off",), "loses data when the host loses its power"),
    "full_page_writes": (("off",), "loses data when the host loses its power"),
    "data_sync_retry": (("on",), "loses data when a disk reports an error"),
    "default_transaction_read_only": (("on",), "refuses every write"),
    "session_replication_role": (("replica", "local"), "disables triggers and foreign keys"),
    "huge_pages": (("on",), "keeps the server from starting: the hosts reserve no huge pages"),
}
#: Minimum values, below which Patroni silently uses its own.
_LEAST: Mapping[str, int] = {
    "max_wal_senders": 3,
    "max_replication_slots": 4,
    "max_locks_per_transaction": 32,
    "max_worker_processes": 2,
    # Twice a WAL segment, in megabytes.
    "min_wal_size": 32,
    "max_wal_size": 32,
}
#: The kernel's stack limit, less what PostgreSQL keeps free; in kilobytes.
_MOST: Mapping[str, int] = {"max_stack_depth": 7680}
_LOCALES = ("C", "C.UTF-8", "POSIX")
_WORDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("lc_messages", "lc_monetary", "lc_numeric", "lc_time"), _LOCALES),
    "timezone_abbreviations": ("Default", "Australia", "India"),
    "wal_level": ("replica", "logical"),
    "client_encoding": ("UTF8",),
}
_PATTERNS: Mapping[str, tuple[str, str]] = {
    "datestyle": (r"(ISO|SQL|Postgres|German)(, ?(MDY|DMY|YMD))?", "a style such as `ISO, DMY`"),
}
_UNITS: Mapping[str, str] = {
    "shared_buffers": "8kB",
    "wal_buffers": "8kB",
    "min_dynamic_shared_memory": "MB",
    "track_activity_query_size": "B",
}
_LIBRARY_LISTS = ("shared_preload_libraries", "session_preload_libraries")
_STATISTICS = ("log_parser_stats", "log_planner_stats", "log_executor_stats")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a parameter is rejected."""

    name: str
    message: str
    accepted: str
    suggestion: str | None = None
    #: Whether the value is part of the message.
    value: bool = True


@cache
def catalogue(version: str) -> Mapping[str, Any] | None:
    """Return what a release of PostgreSQL knows; None if there is no catalogue for it."""
    file = _FOLDER / f"{version}.json"
    known: Mapping[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return known


def needs_restart(version: str, name: str) -> bool:
    """Return whether a setting takes effect only when the server starts; True for an unknown setting."""
    known = catalogue(version)
    settings: dict[str, Setting] = {}
    for group in (known, *known["libraries"].values()) if known is not None else ():
        settings |= group["settings"]
    return str(settings.get(name, {}).get("context", "postmaster")) == "postmaster"


def versions() -> tuple[str, ...]:
    """Return the releases that have a catalogue."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.json")))


def extension_refusals(version: str, extensions: Sequence[str]) -> Iterator[Refusal]:
    """Yield a refusal for each extension that the packages of a release do not have."""
    known = catalogue(version)
    for name in extensions if known is not None else ():
        if known is not None and name not in known["extensions"]:
            message = f"is no extension that PostgreSQL {version} has"
            available = [extension for extension in known["extensions"] if extension != "plpgsql"]
            yield Refusal(
                name=name, message=message, accepted=", ".join(available), suggestion=nearest(name, available)
            )


def refusals(
    parameters: Mapping[str, Value], *, version: str, extensions: Sequence[str] = (), cloud: bool = False
) -> Iterator[Refusal]:
    """Yield a refusal for each parameter that a server of this release does not accept, or that must not be set."""
    known = catalogue(version)
    if known is None:
        for name in parameters:
            message = f"cannot be checked: the settings of PostgreSQL {version} are not known"
            yield Refusal(name=name, message=message, accepted=f"version {', '.join(versions())}", value=False)
        return
    loaded = _loaded(parameters, cloud=cloud)
    seen: dict[str, str] = {}
    for name, value in parameters.items():
        if name.lower() in seen:
            message = f"is the setting {seen[name.lower()]} again"
            yield Refusal(name=name, message=message, accepted="each setting once", value=False)
            continue
        seen[name.lower()] = name
        refusal = _refusal(known, version, name, value, cloud=cloud)
        if refusal is None and "." in name:
            refusal = _unloaded(known, name, loaded, extensions)
        if refusal is not None:
            yield refusal
    yield from _together(parameters)


def _loaded(parameters: Mapping[str, Value], *, cloud: bool) -> dict[str, tuple[str, ...]]:
    libraries = {name: _names(parameters.get(name, "")) for name in _LIBRARY_LISTS}
    if cloud:
        libraries["shared_preload_libraries"] = _names(rds.ALWAYS["shared_preload_libraries"])
    return libraries


def _names(value: Value) -> tuple[str, ...]:
    return tuple(name.strip() for name in str(value).split(",") if name.strip())


def _refusal(known: Mapping[str, Any], version: str, name: str, value: Value, *, cloud: bool) -> Refusal | None:
    settings: dict[str, Setting] = dict(known["settings"])
    for library in known["libraries"].values():
        settings |= library["settings"]
    # For names such as TimeZone, which users write in lower case.
    spellings = {setting.lower(): setting for setting in settings} | {setting: setting for setting in settings}
    owner = _owner(name.lower(), cloud=cloud)
    if owner is not None:
        accepted = "the key itself" if owner.startswith("`") else "other settings"
        return Refusal(name=name, message=f"is decided by {owner}", accepted=accepted, value=False)
    if name not in spellings:
        return _unknown(known, version, name, settings)
    setting = settings[spellings[name]]
    if setting["context"] == "internal":
        return Refusal(name=name, message="cannot be set", accepted="other settings", value=False)
    if setting.get("developer"):
        message = "is for developers of PostgreSQL, and may damage data"
        return Refusal(name=name, message=message, accepted="other settings", value=False)
    accepted = _accepted(name.lower(), setting)
    if not _takes(name.lower(), setting, value):
        return Refusal(name=name, message="has no value that PostgreSQL takes", accepted=accepted)
    bad, harm = _HARMFUL.get(name.lower(), ((), ""))
    if _word(value) in bad:
        good = [word for word in setting.get("values", ("on", "off")) if word not in bad]
        return Refusal(name=name, message=harm, accepted=", ".join(good))
    if name in _LIBRARY_LISTS:
        return _libraries(known, version, name, value)
    return None


def _owner(name: str, *, cloud: bool) -> str | None:
    if cloud and (name in rds.NOT_SETTABLE or name in rds.ALWAYS or name.startswith("rds.")):
        return "RDS, or by stackwright"
    prefixed = next((owner for prefix, owner in _OWNED_PREFIXES.items() if name.startswith(prefix)), None)
    return _OWNERS.get(name, prefixed)


def _unknown(known: Mapping[str, Any], version: str, name: str, settings: Mapping[str, Setting]) -> Refusal:
    library, dot, _ = name.partition(".")
    if dot and library not in known["libraries"]:
        having = [name for name, spec in known["libraries"].items() if spec["settings"]]
        message = f"is of a library that PostgreSQL {version} does not have"
        accepted = f"settings of {', '.join(having)}"
        return Refusal(name=name, message=message, accepted=accepted, suggestion=nearest(name, settings), value=False)
    accepted = "a name out of pg_settings, such as work_mem or pg_stat_statements.track"
    return Refusal(
        name=name,
        message=f"is no setting of PostgreSQL {version}",
        accepted=accepted,
        suggestion=nearest(name, settings),
        value=False,
    )


def _unloaded(
    known: Mapping[str, Any], name: str, loaded: Mapping[str, Sequence[str]], extensions: Sequence[str]
) -> Refusal | None:
    """Return a refusal for a setting of a library that is not loaded, as it has no effect."""
    library = next(key for key, spec in known["libraries"].items() if name in spec["settings"])
    if library in loaded["shared_preload_libraries"]:
        return None
    if not known["libraries"][library]["needs_preload"] and (
        library in loaded["session_preload_libraries"] or library in extensions
    ):
        return None
    accepted = f"it with `shared_preload_libraries: {library}`"
    message = f"has no effect: nothing loads the library {library}"
    return Refusal(name=name, message=message, accepted=accepted, value=False)


def _libraries(known: Mapping[str, Any], version: str, name: str, value: Value) -> Refusal | None:
    available = list(known["libraries"])
    for library in _names(value):
        if library not in available:
            message = f"names {library}, which PostgreSQL {version} does not have"
            return Refusal(
                name=name, message=message, accepted=", ".join(available), suggestion=nearest(library, available)
            )
    return None


def _together(parameters: Mapping[str, Value]) -> Iterator[Refusal]:
    on = [name for name in ("log_statement_stats", *_STATISTICS) if _word(parameters.get(name, "off")) == "on"]
    if "log_statement_stats" in on and len(on) > 1:
        message = f"keeps the server from starting beside {', '.join(on[1:])}"
        yield Refusal(name="log_statement_stats", message=message, accepted="one of them")


def _word(value: Value) -> str:
    word = str(value).lower()
    return {"true": "on", "yes": "on", "1": "on", "false": "off", "no": "off", "0": "off"}.get(word, word)


def _takes(name: str, setting: Setting, value: Value) -> bool:
    text = str(value)
    if not text.isprintable():
        return False
    if setting["type"] == "bool":
        return text.lower() in _SWITCH and _word(value) in setting.get("values", ("on", "off"))
    if setting["type"] == "enum":
        return text.lower() in {word.lower() for word in setting["values"]} | _switches(setting) and _listed(name, text)
    if setting["type"] in ("integer", "real"):
        quantity = None if isinstance(value, bool) else amount(setting, value)
        low = max(setting["min"], _LEAST.get(name, setting["min"]))
        return quantity is not None and low <= quantity <= min(setting["max"], _MOST.get(name, setting["max"]))
    if isinstance(value, bool):
        return False
    if name in ("timezone", "log_timezone"):
        return text in zoneinfo.available_timezones()
    if name in _PATTERNS:
        return re.fullmatch(_PATTERNS[name][0], text, re.IGNORECASE) is not None
    return _listed(name, text)


def _listed(name: str, text: str) -> bool:
    return name not in _WORDS or text in _WORDS[name]


def _switches(setting: Setting) -> set[str]:
    """Return the words for on and off, if an enumeration has them."""
    return {word for word in _SWITCH if _word(word) in setting["values"]}


def amount(setting: Setting, value: Value) -> Decimal | None:
    """Return a number in the setting's own unit, rounded for integer settings; None if it is not a number."""
    match = _QUANTITY.fullmatch(str(value).strip())
    if match is None:
        return None
    number, unit = Decimal(match[1]), match[2]
    if unit:
        scale = _scale(setting)
        if unit not in scale:
            return None
        number = number * scale[unit] / _base(setting)
    return number.quantize(Decimal(1)) if setting["type"] == "integer" and abs(number) < 10**20 else number


def shared_memory_mb(parameters: Mapping[str, Value], *, max_connections: int) -> dict[str, int]:
    """Return the approximate shared memory in megabytes that each parameter needs; the parameters have to be valid."""
    sizes = {"shared_buffers": 8192, "wal_buffers": 8192, "min_dynamic_shared_memory": 1024**2}
    # Bytes per unit, for every connection.
    sizes |= {
        "max_locks_per_transaction": 300 * max_connections,
        "max_pred_locks_per_transaction": 300 * max_connections,
    }
    sizes |= {"track_activity_query_size": max_connections, "max_prepared_transactions": 20_000}
    sizes |= dict.fromkeys(("max_worker_processes", "max_wal_senders", "autovacuum_max_workers"), 20_000)
    megabytes = {}
    for name in sizes.keys() & parameters.keys():
        number = amount({"type": "integer", **({"unit": _UNITS[name]} if name in _UNITS else {})}, parameters[name])
        megabytes[name] = int(max(number or 0, Decimal(0)) * sizes[name]) // 2**20
    return megabytes


def _scale(setting: Setting) -> Mapping[str, int]:
    unit = setting.get("unit", "")
    return _TIMES if unit in _TIMES else _BYTES if unit else {}


def _base(setting: Setting) -> int:
    """Return the setting's own unit: `8kB`, `ms`."""
    match = re.fullmatch(r"([0-9]*)([A-Za-z]+)", setting["unit"])
    return int(match[1] or 1) * _scale(setting)[match[2]] if match else 1


def _accepted(name: str, setting: Setting) -> str:
    if name in _WORDS or setting["type"] == "enum":
        return ", ".join(_WORDS.get(name, setting.get("values", ())))
    if setting["type"] == "bool":
        return ", ".join(setting.get("values", ("on", "off")))
    if setting["type"] in ("integer", "real"):
        low = max(setting["min"], _LEAST.get(name, setting["min"]))
        high = min(setting["max"], _MOST.get(name, setting["max"]))
        number = "a whole number" if setting["type"] == "integer" else "a number"
        unit = f", in units of {setting['unit']} or with one of {', '.join(_scale(setting))}" if _scale(setting) else ""
        return f"{number} from {low:.10g} to {high:.10g}{unit}"
    if name in ("timezone", "log_timezone"):
        return "a time zone such as Europe/Berlin"
    return _PATTERNS[name][1] if name in _PATTERNS else "text on one line"
