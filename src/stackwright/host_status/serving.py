"""Evaluate what serves requests: units, members of the edge, instances of applications."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stackwright.host_status.answers import HostAnswers, count, finding, seconds
from stackwright.model.status_report import Finding, State
from stackwright.model.wiring import instance_names

#: For this long, an instance that restarted by itself counts as a problem.
RESTARTED_MINUTES = 15
#: The supervisor of PM2 writes its status every few seconds; an older status means that it hangs.
INSTANCES_MINUTES = 5
#: Checks on a timer, whose programs run again for the status: a failure some minutes ago says less.
CHECK_UNITS = {"backup-status.service"}


def services(host: HostAnswers, output: str) -> Iterator[Finding]:
    for block in output.strip().split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines())
        shown = unit["ActiveState"] if unit["LoadState"] == "loaded" else unit["LoadState"]
        states: dict[str, State] = {"active": "ok", "activating": "warning", "reloading": "warning"}
        yield finding("service", host.name, unit["Id"], states.get(shown, "critical"), f"is {shown}")


def failed(host: HostAnswers, output: str) -> Iterator[Finding]:
    for line in output.splitlines():
        unit = next(iter(line.split()), None)
        if unit is not None and unit not in CHECK_UNITS:
            yield finding("unit", host.name, unit, "warning", "has failed; its journal says why")


def members(host: HostAnswers, output: str, stack: Mapping[str, Any]) -> Iterator[Finding]:
    names = {entry["address"]: name for name, entry in stack["hosts"].items()}
    for upstream, members in json.loads(output)["upstreams"].items():
        for member in members:
            address, _, port = str(member["member"]).rpartition(":")
            name = f"{upstream} {names.get(address, address)}:{port}"
            values = {key: member[key] for key in ("serving", "drained")} | {"ready": member["unready"] is None}
            if member["drained"]:
                message = f"is drained: nginx-drain {upstream} {member['member']} off puts it back"
                yield finding("member", host.name, name, "warning", message, **values)
            elif member["unready"]:
                unready = member["unready"]
                message = f"is not ready since {unready['since']}: {unready['reason']}"
                if member["serving"]:
                    message += "; it gets requests since no other member is left"
                yield finding("member", host.name, name, "critical", message, **values)
            else:
                yield finding("member", host.name, name, "ok", "gets requests", **values)
        if members and not any(member["serving"] for member in members):
            yield finding("member", host.name, upstream, "critical", "has no member that gets requests")


def instances(host: HostAnswers, output: str, stack: Mapping[str, Any]) -> Iterator[Finding]:
    statuses = json.loads(output)
    for app in stack["apps"]:
        status = statuses.get(app, {"instances": [], "unexpected": []})
        running = {instance["name"]: instance for instance in status["instances"]}
        late = "updated_at" in status and host.time - seconds(status["updated_at"]) > INSTANCES_MINUTES * 60
        for name in (instance["name"] for instance in instance_names(stack, app, host.name)):
            if late:
                message = f"its supervisor has said nothing since {status['updated_at']}"
                yield finding("instance", host.name, name, "critical", message, application=app)
            elif name in running:
                yield _instance(host, app, running[name])
            else:
                yield finding("instance", host.name, name, "critical", "is not running", application=app)
        for name in status["unexpected"]:
            yield finding("instance", host.name, name, "warning", "runs, and is in no file", application=app)


def _instance(host: HostAnswers, app: str, instance: Mapping[str, Any]) -> Finding:
    processes = instance["processes"]
    restarts = sum(process["restarts"] for process in processes)
    starts = [seconds(process["started_at"]) for process in processes]
    # If PM2 runs a cluster, a release counts as a restart.
    recent = restarts > 0 and instance["mode"] != "cluster" and host.time - max(starts) < RESTARTED_MINUTES * 60
    message = f"{instance['status']}, release {instance['release'] or 'unknown'}, {count(restarts, 'restart')}"
    state: State = "ok"
    if instance["status"] != "online":
        state = "critical"
    elif recent:
        state = "warning"
        message += f", the last {count(round((host.time - max(starts)) / 60), 'minute')} ago"
    elif instance["stale"]:
        state = "warning"
        message += ", runs with other files than are installed"
    values = {"application": app, "status": instance["status"], "release": instance["release"], "restarts": restarts}
    memory = sum(process["memory_mb"] for process in processes)
    return finding("instance", host.name, instance["name"], state, message, **values, memory_mb=memory)


def applications(findings: Sequence[Finding], stack: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding per application with instances on hosts: how many are online, whether they run one release."""
    for app, plan in stack["apps"].items():
        planned = sum(len(instance_names(stack, app, host)) for host in plan["instances_by_host"])
        app_findings = [
            finding for finding in findings if finding.kind == "instance" and finding.values["application"] == app
        ]
        online = [finding for finding in app_findings if finding.values.get("status") == "online"]
        releases = sorted({str(finding.values["release"]) for finding in online})
        message = f"{len(online)} of {count(planned, 'instance')} online, release {', '.join(releases) or 'unknown'}"
        state: State = "ok" if len(online) >= planned and len(releases) < 2 else "warning"
        if planned:
            state = state if online else "critical"
            values = {"online": len(online), "planned": planned, "releases": ", ".join(releases)}
            yield finding("application", None, app, state, message, **values)
