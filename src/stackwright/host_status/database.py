"""Evaluate the PostgreSQL cluster by Patroni's answers: members, lag, pauses."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from stackwright.host_status.answers import HostAnswers, UnreadableError, finding
from stackwright.model.status_report import Finding, State

#: The limit without `maximum_lag_on_failover`, and the least: Patroni's own default, 1 MiB, is below one WAL segment.
LAG_MB = 16
_FOLLOWS = ("streaming", "running")
_LEADERS = ("Leader", "Standby Leader")


def lag_limit(hosts: Sequence[HostAnswers]) -> int:
    """Return the lag in MB from which Patroni would not promote a replica, but at least one WAL segment."""
    for host in hosts:
        if "cluster" in host.answers:
            with contextlib.suppress(UnreadableError):
                return max(int(_settings(host.answers["cluster"].output)["maximum_lag_on_failover"]) // 2**20, LAG_MB)
    return LAG_MB


def _settings(output: str) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(output)
    except yaml.YAMLError:
        settings = None
    if not isinstance(settings, dict):
        raise UnreadableError("Patroni's configuration cannot be read")
    return {"maximum_lag_on_failover": 0, **settings}


def replicas(_: HostAnswers, output: str, stack: Mapping[str, Any], lag_mb: int) -> Iterator[Finding]:
    rows = json.loads(output)
    for row in rows:
        yield _replica(row, lag_mb)
    absent = [name for name in stack["database"]["hosts"] if name not in {row["Member"] for row in rows}]
    for name in absent:
        yield finding("replica", name, name, "critical", "is no member of the cluster")
    if not any(row["Role"] in _LEADERS for row in rows):
        yield finding("replica", None, "leader", "critical", "there is no leader: nothing can be written")


def _replica(row: Mapping[str, Any], lag_mb: int) -> Finding:
    # Patroni before 4.1 has "Lag in MB".
    lag = row.get("Lag in MB", row.get("Replay Lag", ""))
    leads = row["Role"] in _LEADERS
    message = f"{row['Role']}, {row['State']}" + ("" if leads or lag == "" else f", lag {lag} MB")
    state: State = "ok"
    if row["State"] not in _FOLLOWS:
        state = "warning" if row["State"] in ("starting", "creating replica", "in archive recovery") else "critical"
    elif not leads and (not isinstance(lag, int) or lag > lag_mb):
        state = "warning"
        message += f"; at most {lag_mb} MB to be promoted" if isinstance(lag, int) else ", lag unknown"
    elif row.get("Pending restart"):
        state = "warning"
        message += ", waits for a restart"
    values = {"role": row["Role"], "state": row["State"], "lag_mb": lag if isinstance(lag, int) else None}
    return finding("replica", row["Member"], row["Member"], state, message, **values)


def pause(_: HostAnswers, output: str) -> Iterator[Finding]:
    settings = _settings(output)
    pause = settings.get("pause")
    if not pause:
        yield finding("pause", None, "patroni", "ok", "fails over by itself", paused=False)
        return
    message = "is paused by an operator: no failover until `patronictl resume`"
    if isinstance(pause, str):
        marker = settings.get("stackwright_pause") or {}
        message = f"is paused by {marker.get('by', 'a converge')}: {marker.get('reason', 'unknown')}"
    yield finding("pause", None, "patroni", "warning", message, paused=True)
