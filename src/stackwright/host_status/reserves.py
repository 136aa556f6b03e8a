"""Evaluate what runs out or becomes outdated: disks, certificates, backups, packages."""

from __future__ import annotations

import json
from collections.abc import Iterator

from stackwright.host_status.answers import HostAnswers, UnreadableError, count, finding, hours, seconds
from stackwright.model.status_report import Finding, State

#: Percent of the space, or of the inodes, of a file system: at the second value PostgreSQL and Redis are about to stop.
DISK_WARNING, DISK_CRITICAL = 80, 90
#: Fewer days are critical; the warning comes from the role's own share of the life (`tls_expiry_warning_percent`).
CERTIFICATE_CRITICAL_DAYS = 7
#: The distribution updates the package lists daily; with older lists the pending updates are unknown.
LISTS_DAYS = 3
#: Problems of backups that do not mean a lost backup yet.
BACKUP_WARNINGS = ("clock", "space")
#: File systems whose usage is irrelevant, or that belong to the machine that runs a container.
_PSEUDO = ("tmpfs", "devtmpfs", "squashfs", "iso9660", "efivarfs", "ramfs", "fuse.lxcfs")
_BOUND = ("/dev/", "/etc/", "/proc/", "/run/", "/sys/")


def disks(host: HostAnswers, output: str) -> Iterator[Finding]:
    _, *lines = output.splitlines()
    if not lines:
        raise UnreadableError("no file system")
    for line in lines:
        kind, size, available, used, inodes, target = line.split(maxsplit=5)
        # An overlay that is not the root belongs to a container, on a disk that has its own line.
        of_container = kind == "overlay" and target != "/"
        if kind in _PSEUDO or of_container or target.startswith(_BOUND) or size == "0":
            continue
        percent = int(used.rstrip("%"))
        # btrfs has no fixed number of inodes.
        inodes_percent = None if inodes == "-" else int(inodes.rstrip("%"))
        highest = max(percent, inodes_percent or 0)
        state: State = "critical" if highest >= DISK_CRITICAL else "warning" if highest >= DISK_WARNING else "ok"
        message = f"{percent} % used, {int(available) // 2**20} MiB free"
        message += "" if inodes_percent is None else f", {inodes_percent} % of the inodes"
        values = {"used_percent": percent, "free_bytes": int(available), "inodes_used_percent": inodes_percent}
        yield finding("disk", host.name, target, state, message, **values)


def certificates(host: HostAnswers, output: str) -> Iterator[Finding]:
    for certificate in json.loads(output)["certificates"]:
        ends = certificate["ends"]
        days = None if ends is None else int((seconds(ends) - host.time) // 86_400)
        problems = list(certificate["problems"])
        state: State = "warning" if problems else "ok"
        if not certificate["usable"] or (problems and days is not None and days < CERTIFICATE_CRITICAL_DAYS):
            state = "critical"
            problems = problems or ["is not valid now"]
        message = "; ".join([*problems, *([] if days is None else [f"{count(days, 'day')} left"])])
        yield finding("certificate", host.name, certificate["name"], state, message, days_left=days, ends=ends)


def backups(host: HostAnswers, output: str) -> Iterator[Finding]:
    for check in json.loads(output)["checks"]:
        age = check.get("age_seconds")
        state: State = "ok" if check["ok"] else "warning" if check["kind"] in BACKUP_WARNINGS else "critical"
        message = check["detail"] or ("ok" if age is None else f"{hours(age)} old")
        values = {key: check[key] for key in ("age_seconds", "max_age_seconds") if key in check}
        yield finding("backup", host.name, f"{check['kind']} {check['name']}", state, message, **values)


def updates(host: HostAnswers, output: str) -> Iterator[Finding]:
    updates = json.loads(output)
    security = [update for update in updates if update["security"]]
    # unattended-upgrades installs the other updates within a day.
    planned = sorted(update["package"] for update in security if update["excluded"])
    message = f"{count(len(updates), 'update')}, {len(security)} of security"
    if planned:
        message += f"; left to a planned upgrade: {', '.join(planned)}"
    values = {"pending": len(updates), "security": len(security), "planned": ", ".join(planned)}
    yield finding("updates", host.name, "packages", "warning" if planned else "ok", message, **values)


def package_lists(host: HostAnswers, output: str) -> Iterator[Finding]:
    days = int((host.time - max(float(line) for line in output.split())) // 86_400)
    late = days >= LISTS_DAYS
    message = f"last updated {count(days, 'day')} ago" + ("; see the journal of apt-daily.service" if late else "")
    yield finding("updates", host.name, "package lists", "warning" if late else "ok", message, age_days=days)


def restart(host: HostAnswers, output: str) -> Iterator[Finding]:
    needed = bool(output.strip())
    message = "an update waits for a restart of the host" if needed else "is not needed"
    yield finding("restart", host.name, "host", "warning" if needed else "ok", message, needed=needed)
