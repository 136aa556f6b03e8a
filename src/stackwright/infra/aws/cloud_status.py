"""The status of the parts of an environment that AWS manages: the first thing to look at during an incident.

Every question is one read-only call of the AWS CLI. A call that fails is a line of its own and hides no other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stackwright.infra.aws import bundles
from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.infra.aws.secret_calls import Ask
from stackwright.model import topology
from stackwright.model.aws import names
from stackwright.model.environment import Environment

_OVER = ("Successful", "Cancelled")


@dataclass(frozen=True, kw_only=True)
class Line:
    """The status of one resource."""

    #: `server`, `database`, `cache`, `alarm`, ...
    kind: str
    name: str
    #: Where it is or what it belongs to: a zone, a purpose.
    location: str
    state: str
    good: bool
    known: bool = True
    """False if AWS did not answer."""


@dataclass(frozen=True, kw_only=True)
class CloudStatus:
    """The status of one environment on AWS."""

    environment: Environment
    region: str
    ask: Ask

    def lines(self) -> Iterator[Line]:
        """Yield the status of everything, in the order in which a request reaches it; alarms last."""
        managed = topology.managed(self.environment.stack)
        if self.environment.slots:
            yield from self._told("servers", self._group)
        if "database" in managed and self.environment.system.database is not None:
            yield from self._told("database", self._databases)
        if "cache" in managed and self.environment.system.cache:
            yield from self._told("cache", self._caches)
        if self.environment.stack.aws is not None and self.environment.stack.aws.notify:
            yield from self._told("alarms", self._alarms)

    def _told(self, kind: str, part: Callable[[], Iterator[Line]]) -> Iterator[Line]:
        try:
            yield from list(part())
        except AwsCliError as error:
            yield Line(kind=kind, name="", location="", state=f"cannot be asked: {error}", good=False, known=False)

    # --- servers ----------------------------------------------------------------------------------------------------

    def _group(self) -> Iterator[Line]:
        group_name = names.auto_scaling_group(self.environment.name, bundles.TIER)
        answer = self._call("autoscaling", "describe-auto-scaling-groups", "--auto-scaling-group-names", group_name)
        groups = answer["AutoScalingGroups"]
        if not groups:
            yield self._absent("servers", group_name)
            return
        group = groups[0]
        targets = self._targets(group.get("TargetGroupARNs", ()))
        servers = group.get("Instances", [])
        desired, serving = group["DesiredCapacity"], sum(_serves(instance, targets) for instance in servers)
        state = f"{serving} of {desired} serve (between {group['MinSize']} and {group['MaxSize']})"
        yield Line(kind="servers", name=group_name, location="", state=state, good=serving >= desired)
        newest = _version(group)
        for server in sorted(servers, key=lambda instance: (instance["AvailabilityZone"], instance["InstanceId"])):
            yield _server(server, targets, newest)
        yield from self._refresh(group_name)

    def _targets(self, arns: Sequence[str]) -> dict[str, str]:
        """Return server -> its health according to the load balancer."""
        return {
            description["Target"]["Id"]: " ".join(filter(None, (health["State"], health.get("Description"))))
            for arn in arns
            for description in self._call("elbv2", "describe-target-health", "--target-group-arn", arn)[
                "TargetHealthDescriptions"
            ]
            for health in (description["TargetHealth"],)
        }

    def _refresh(self, group: str) -> Iterator[Line]:
        options = ("--auto-scaling-group-name", group, "--max-records", "1")
        for refresh in self._call("autoscaling", "describe-instance-refreshes", *options)["InstanceRefreshes"]:
            if refresh["Status"] not in _OVER:
                reason = f": {refresh['StatusReason']}" if refresh.get("StatusReason") else ""
                state = f"{refresh['Status']}, {refresh.get('PercentageComplete', 0)} %{reason}"
                going = refresh["Status"] in ("Pending", "InProgress", "Baking")
                yield Line(kind="replacement", name=group, location="", state=state, good=going)

    # --- data -------------------------------------------------------------------------------------------------------

    def _databases(self) -> Iterator[Line]:
        plan = self.environment.plan.aws
        replicas = plan.database.replicas if plan is not None and plan.database is not None else 0
        parts = ("database", *(f"replica-{number}" for number in range(1, replicas + 1)))
        instance_names = [names.database_instance(self.environment.name, part) for part in parts]
        filters = f"Name=db-instance-id,Values={','.join(instance_names)}"
        instances = self._call("rds", "describe-db-instances", "--filters", filters)["DBInstances"]
        known = {instance["DBInstanceIdentifier"]: instance for instance in instances}
        for name in instance_names:
            yield _database(known[name]) if name in known else self._absent("database", name)

    def _caches(self) -> Iterator[Line]:
        purposes = {
            names.cache_group(self.environment.name, purpose): purpose for purpose in self.environment.system.cache
        }
        groups = self._call("elasticache", "describe-replication-groups")["ReplicationGroups"]
        known = {group["ReplicationGroupId"]: group for group in groups}
        for name, purpose in purposes.items():
            yield _cache(known[name], purpose) if name in known else self._absent("cache", name)

    # --- alarms -----------------------------------------------------------------------------------------------------

    def _alarms(self) -> Iterator[Line]:
        options = ("--state-value", "ALARM", "--alarm-name-prefix", f"{self.environment.name}-")
        answer = self._call("cloudwatch", "describe-alarms", *options)
        rings = [*answer.get("CompositeAlarms", ()), *answer.get("MetricAlarms", ())]
        for alarm in rings:
            since = alarm.get("StateUpdatedTimestamp", "")
            yield Line(kind="alarm", name=alarm["AlarmName"], location="", state=f"rings since {since}", good=False)
        if not rings:
            yield Line(kind="alarms", name="", location="", state="none rings", good=True)

    def _absent(self, kind: str, name: str) -> Line:
        state = f"is not there: stackwright up {self.environment.name}"
        return Line(kind=kind, name=name, location="", state=state, good=False)

    def _call(self, service: str, verb: str, *options: str) -> dict[str, Any]:
        argv = ["aws", service, verb, "--region", self.region, "--output", "json", *options]
        answer: dict[str, Any] = json.loads(self.ask(argv))
        return answer


def _serves(server: Mapping[str, Any], targets: Mapping[str, str]) -> bool:
    return server["LifecycleState"] == "InService" and targets.get(server["InstanceId"], "healthy") == "healthy"


def _version(of: Mapping[str, Any]) -> str | None:
    """Return the launch template version of a group or a server; None if the template was removed."""
    template = of.get("LaunchTemplate")
    if template is None:
        mixed = of.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        template = mixed.get("LaunchTemplateSpecification", {})
    version: str | None = template.get("Version")
    return version


def _server(server: Mapping[str, Any], targets: Mapping[str, str], newest: str | None) -> Line:
    name, version = server["InstanceId"], _version(server)
    remarks = [server["LifecycleState"], targets.get(name, "not with the load balancer")]
    if server["HealthStatus"].lower() != "healthy":
        remarks.append("to be replaced")
    if version != newest:
        remarks.append(f"version {version} of {newest}")
    warm = server["LifecycleState"].startswith("Warmed")
    return Line(
        kind="server",
        name=name,
        location=server["AvailabilityZone"],
        state=", ".join(remarks),
        good=warm or (_serves(server, targets) and version == newest),
    )


def _database(instance: Mapping[str, Any]) -> Line:
    status = instance["DBInstanceStatus"]
    remarks = [status, "with a standby" if instance["MultiAZ"] else "without a standby"]
    waiting = sorted(instance.get("PendingModifiedValues") or ())
    if waiting:
        remarks.append(f"waits for its hour of maintenance: {', '.join(waiting)}")
    zone = instance.get("AvailabilityZone", "")
    name = instance["DBInstanceIdentifier"]
    return Line(kind="database", name=name, location=zone, state=", ".join(remarks), good=status == "available")


def _cache(group: Mapping[str, Any], purpose: str) -> Line:
    status, nodes = group["Status"], len(group.get("MemberClusters", ()))
    remarks = [
        status,
        f"{nodes} node{'' if nodes == 1 else 's'}",
        f"failover {group.get('AutomaticFailover', 'unknown')}",
    ]
    name = group["ReplicationGroupId"]
    return Line(kind="cache", name=name, location=purpose, state=", ".join(remarks), good=status == "available")
