#!/usr/bin/python3
"""Send metrics to CloudWatch that AWS cannot measure from outside a host. Managed by stackwright.

Names, dimensions and namespace are those of the CloudWatch agent where it has the metric. A value that cannot be read
is not sent: its alarms treat missing data as a failure.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True

import calls  # noqa: E402

NAMESPACE = "CWAgent"
MEMORY = Path("/proc/meminfo")
BACKUP_STATUS = Path("/var/lib/stackwright-backup/problems.json")
#: The largest age of the status of the backups, which is checked every ten minutes.
BACKUP_STATUS_SECONDS = 1800
#: The states of a member that follows or leads.
RUNNING = ("running", "streaming", "in archive recovery")
#: A unit that fails repeatedly is waiting for its next start most of the time, and never `failed`.
FAILED = "--state=failed,auto-restart,auto-restart-queued"

Values = list[tuple[str, str, float, dict[str, str]]]


def memory(_: dict[str, Any]) -> Values:
    lines = (line.split() for line in MEMORY.read_text().splitlines())
    kilobytes = {words[0].rstrip(":"): int(words[1]) for words in lines}
    used = kilobytes["MemTotal"] - kilobytes["MemAvailable"]
    return [("mem_used_percent", "Percent", 100 * used / kilobytes["MemTotal"], {})]


def disks(settings: dict[str, Any]) -> Values:
    """Return the used share of each file system: bytes or inodes, whichever is higher, of those available to users."""
    values = []
    for path in settings["paths"]:
        file_system = os.statvfs(path)
        bytes_used, inodes_used = file_system.f_blocks - file_system.f_bfree, file_system.f_files - file_system.f_ffree
        shares = ((bytes_used, bytes_used + file_system.f_bavail), (inodes_used, inodes_used + file_system.f_favail))
        percent = max(100 * used / whole for used, whole in shares if whole)
        values.append(("disk_used_percent", "Percent", percent, {"path": path}))
    return values


def units(_: dict[str, Any]) -> Values:
    command = ["systemctl", "list-units", "--type=service", FAILED, "--no-legend", "--plain"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [("failed_units", "Count", len(done.stdout.splitlines()), {})]


def backups(settings: dict[str, Any]) -> Values:
    """Return the number of problems that the last check of the backups found; raise if the checks have stopped."""
    if not settings["backups"]:
        return []
    age = time.time() - BACKUP_STATUS.stat().st_mtime
    if age > BACKUP_STATUS_SECONDS:
        raise ValueError(f"the status of the backups is {round(age)} s old")
    return [("backup_problems", "Count", json.loads(BACKUP_STATUS.read_text())["problems"], {})]


def replication(settings: dict[str, Any]) -> Values:
    """Return how far this member is behind the leader; raise if it does not run or there is no leader."""
    patroni = settings["patroni"]
    if patroni is None:
        return []
    context = ssl.create_default_context(cafile=patroni["ca_file"])
    cluster = json.loads(calls.read(calls.send("GET", patroni["url"], context=context)))
    member = next(entry for entry in cluster["members"] if entry["name"] == patroni["name"])
    if member["state"] not in RUNNING:
        raise ValueError(f"{member['name']} is {member['state']}")
    lag = 0 if member["role"] in ("leader", "standby_leader") else int(member["lag"])
    return [("replication_lag_mb", "Megabytes", lag / 2**20, {})]


def collect(settings: dict[str, Any]) -> Values:
    """Return the values of all collectors; one that fails does not affect the others."""
    values: Values = []
    for collector in (memory, disks, units, backups, replication):
        try:
            values += collector(settings)
        except Exception as error:  # noqa: BLE001
            print(f"no value of {collector.__name__}: {type(error).__name__}: {error}", flush=True)
    return values


def body(values: Values, sender: dict[str, str]) -> bytes:
    """Return the PutMetricData request in CloudWatch's query protocol; `sender` holds the dimensions of all values."""
    request = {"Action": "PutMetricData", "Version": "2010-08-01", "Namespace": NAMESPACE}
    for number, (name, unit, value, dimensions) in enumerate(values, 1):
        datum = f"MetricData.member.{number}"
        request |= {f"{datum}.MetricName": name, f"{datum}.Unit": unit, f"{datum}.Value": f"{value:.3f}"}
        for position, (key, text) in enumerate((sender | dimensions).items(), 1):
            request[f"{datum}.Dimensions.member.{position}.Name"] = key
            request[f"{datum}.Dimensions.member.{position}.Value"] = text
    return urllib.parse.urlencode(request).encode()


def main(path: str = "/etc/stackwright/host-metrics.json") -> int:
    settings = json.loads(Path(path).read_text())
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    metadata = calls.Metadata()
    try:
        values = collect(settings)
        group = settings["group"]
        sender = {"AutoScalingGroupName": group} if group else {"InstanceId": metadata.instance_id()}
        request = body(values, sender)
        calls.post("monitoring", settings["region"], "amazonaws.com", metadata, headers, request)
    except (calls.UnreachableError, calls.RefusedError) as problem:
        print(f"the metrics are not sent: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
