"""The state of an environment's hosts: findings from the results of `playbooks/status.yml`. Makes no calls itself.

A role's exports (`status`, `services`) define what is queried; this package defines what an answer means, and when it
is a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from stackwright.host_status import database, reserves, serving
from stackwright.host_status.answers import HostAnswers, UnreadableError, finding, from_results
from stackwright.model.status_report import Finding, HostLine, Kind, worst

__all__ = ["HostAnswers", "from_results", "host_lines", "judge"]
_Judgement = Callable[[HostAnswers, str], Iterator[Finding]]
_Judgements = Mapping[str, _Judgement]


def judge(hosts: Sequence[HostAnswers], stack: Mapping[str, Any]) -> list[Finding]:
    """Return all findings about the hosts, in the order in which a request passes them."""
    serves: _Judgements = {
        "members": partial(serving.members, stack=stack),
        "instances": partial(serving.instances, stack=stack),
    }
    upkeep: _Judgements = {
        "services": serving.services,
        "failed": serving.failed,
        "disks": reserves.disks,
        "certificates": reserves.certificates,
        "backups": reserves.backups,
        "updates": reserves.updates,
        "package_lists": reserves.package_lists,
        "restart": reserves.restart,
    }
    replicas = partial(database.replicas, stack=stack, lag_mb=database.lag_limit(hosts))
    findings = [finding for host in hosts for finding in _reached(host)]
    findings += _each(hosts, serves)
    findings += serving.applications(findings, stack)
    findings += _once(hosts, "replicas", replicas, "replica")
    findings += _once(hosts, "cluster", database.pause, "pause")
    return [*findings, *_each(hosts, upkeep)]


def _each(hosts: Sequence[HostAnswers], judgements: _Judgements) -> Iterator[Finding]:
    for question, function in judgements.items():
        for host in hosts:
            if question in host.answers:
                yield from _read(host, question, function)


def host_lines(hosts: Sequence[HostAnswers], findings: Sequence[Finding], stack: Mapping[str, Any]) -> list[HostLine]:
    """Return a line for each host."""
    return [
        HostLine(
            name=host.name,
            address=stack["hosts"][host.name]["address"],
            groups=list(stack["hosts"][host.name]["groups"]),
            reachable=host.reachable,
            state=worst(finding for finding in findings if finding.host == host.name),
        )
        for host in hosts
    ]


def _read(host: HostAnswers, question: str, function: _Judgement) -> Iterator[Finding]:
    """Yield the findings of one answer; an unreadable answer is a separate finding and hides no other."""
    answer = host.answers[question]
    try:
        if answer.code is None:
            raise UnreadableError(answer.error)
        yield from list(function(host, answer.output))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as problem:
        reason = answer.error or (
            str(problem) if isinstance(problem, UnreadableError) else "no answer that can be read"
        )
        message = f"cannot be told: {reason.splitlines()[-1]}"
        yield finding("host", host.name, question, "unknown", message)


def _once(hosts: Sequence[HostAnswers], question: str, function: _Judgement, kind: Kind) -> list[Finding]:
    """Return the findings of a cluster-wide answer: the first good one counts, and a host without one is named."""
    findings: list[Finding] = []
    answered = False
    for host in (host for host in hosts if question in host.answers):
        judged = list(_read(host, question, function))
        if [finding.kind for finding in judged] == ["host"] or not answered:
            findings += judged
        answered = answered or any(finding.kind == kind for finding in judged)
    return findings


def _reached(host: HostAnswers) -> Iterator[Finding]:
    if not host.problem:
        yield finding("host", host.name, host.name, "ok", "answers")
    elif host.reachable:
        yield finding("host", host.name, host.name, "unknown", f"cannot be asked: {host.problem}")
    else:
        yield finding("host", host.name, host.name, "critical", f"does not answer: {host.problem}")
