"""Checks of what an account must have before the first `up`, which would otherwise fail halfway.

Every question is one read-only call of the AWS CLI. A call that fails is a finding of its own and hides no other.
"""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.infra.aws.context import TAG_PREFIX
from stackwright.infra.aws.secret_calls import Ask
from stackwright.model import topology
from stackwright.model.aws import images
from stackwright.model.aws.plan import AwsPlan
from stackwright.model.aws.stackfile import Aws
from stackwright.model.environment import Environment

#: Service and code of each quota (console "Service Quotas", from memory, 2026-11).
_VCPUS, _ADDRESSES, _VPCS = ("ec2", "L-1216C47A"), ("ec2", "L-0263D0A3"), ("vpc", "L-F678F1CE")
_DNS_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class AccountFinding:
    """The result of one check; `ok` is None if only an attempt to create the resource would show it."""

    name: str
    ok: bool | None
    detail: str


def name_servers(zone: str) -> list[str]:
    """Return the name servers that public DNS has for a zone. Raises OSError without `dig` or without an answer."""
    try:
        done = subprocess.run(
            ["dig", "+short", "NS", zone], capture_output=True, text=True, check=False, timeout=_DNS_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"`dig +short NS {zone}`: no answer within {_DNS_SECONDS} s") from None
    return done.stdout.split()


@dataclass(frozen=True, kw_only=True)
class AccountChecks:
    """The checks of one environment and the account that it will be created in."""

    environment: Environment
    aws: Aws
    plan: AwsPlan
    ask: Ask
    #: Returns the name servers that public DNS has for a zone.
    name_servers: Callable[[str], list[str]] = name_servers

    def findings(self) -> Iterator[AccountFinding]:
        """Yield all findings, or only that of the account if it is the wrong one."""
        account = list(self._found("account", self._account))
        yield from account
        if not account[0].ok:
            return
        yield from self._found("hosted zone", self._zone)
        yield from self._found("images", self._images)
        yield from self._found("vCPUs", self._vcpus)
        yield from self._found("Elastic IPs", self._addresses)
        yield from self._found("VPCs", self._vpcs)
        if "edge" in topology.managed(self.environment.stack):
            yield from self._found("load balancers", self._load_balancers)
            if self.aws.load_balancer.cdn:
                yield from self._found("CloudFront", self._distributions)

    def _found(self, name: str, look: Callable[[], tuple[bool | None, str]]) -> Iterator[AccountFinding]:
        try:
            ok, detail = look()
        except (AwsCliError, OSError) as error:
            ok, detail = False, f"cannot be asked: {error}"
        yield AccountFinding(name=name, ok=ok, detail=detail)

    def _call(self, service: str, verb: str, *options: str) -> dict[str, Any]:
        argv = ["aws", service, verb, "--region", self.aws.region, "--output", "json", *options]
        answer: dict[str, Any] = json.loads(self.ask(argv))
        return answer

    def _account(self) -> tuple[bool, str]:
        account = self._call("sts", "get-caller-identity")["Account"]
        if account != self.aws.account:
            return False, f"the credentials are of {account}; must be {self.aws.account}: set AWS_PROFILE"
        return True, f"the credentials are of {account}"

    def _zone(self) -> tuple[bool, str]:
        zone = self.aws.hosted_zone
        answer = self._call("route53", "get-hosted-zone", "--id", zone.id)
        if answer["HostedZone"]["Name"].rstrip(".") != zone.name:
            zone_name = answer["HostedZone"]["Name"].rstrip(".")
            return False, f"{zone.id} is {zone_name}; must be {zone.name}: correct aws.hosted_zone"
        assigned_servers = _names(answer.get("DelegationSet", {}).get("NameServers", []))
        known = _names(self.name_servers(zone.name))
        if assigned_servers != known:
            return False, (
                f"{zone.name} is not delegated: the Internet knows {', '.join(known) or 'no name server'}; must be "
                f"{', '.join(assigned_servers)}: enter them where the domain is registered"
            )
        return True, f"{zone.name} is delegated to {', '.join(assigned_servers)}"

    def _images(self) -> tuple[bool, str]:
        servers = [*self.environment.hosts, *self.environment.slots]
        parameters = sorted({self._image(host) for host in servers})
        missing = self._call("ssm", "get-parameters", "--names", *parameters).get("InvalidParameters", [])
        if missing:
            return (
                False,
                f"{self.aws.region} has no {', '.join(missing)}: use another `os`, or correct model/aws/images.py",
            )
        return True, f"{len(parameters)} of {len(parameters)} are in {self.aws.region}"

    def _image(self, host: topology.Host) -> str:
        tiers = set(host.groups)
        tier = "app" if "app" in tiers else "ops"
        return images.image(host.os, topology.architecture(self.aws, tier)).parameter

    def _vcpus(self) -> tuple[bool, str]:
        running = "Name=instance-state-name,Values=pending,running"
        reservations = self._call("ec2", "describe-instances", "--filters", running)["Reservations"]
        foreign_instances = self._others(
            [instance for reservation in reservations for instance in reservation["Instances"]]
        )
        used = sum(
            instance["CpuOptions"]["CoreCount"] * instance["CpuOptions"]["ThreadsPerCore"]
            for instance in foreign_instances
        )
        needed = sum(math.ceil(host.cpus) for host in (*self.environment.hosts, *self.environment.slots))
        return self._quota(_VCPUS, used, needed, "and as many again of the group while its servers are replaced")

    def _addresses(self) -> tuple[bool, str]:
        used = len(self._others(self._call("ec2", "describe-addresses")["Addresses"]))
        managed = "edge" in topology.managed(self.environment.stack)
        edges = 0 if managed else len(self.environment.groups["edge"])
        return self._quota(_ADDRESSES, used, edges + self._gateways())

    def _gateways(self) -> int:
        return {"single": 1, "per_zone": len(self.plan.zones)}.get(self.plan.nat, 0)

    def _vpcs(self) -> tuple[bool, str]:
        return self._quota(_VPCS, len(self._others(self._call("ec2", "describe-vpcs")["Vpcs"])), 1)

    def _others(self, resources: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return the resources that do not belong to this environment."""
        environment_tag = {"Key": f"{TAG_PREFIX}:environment", "Value": self.environment.name}
        return [resource for resource in resources if environment_tag not in resource.get("Tags", [])]

    def _quota(self, quota: tuple[str, str], used: int, needed: int, more: str = "") -> tuple[bool, str]:
        service, code = quota
        options = ("--service-code", service, "--quota-code", code)
        limit = int(self._call("service-quotas", "get-service-quota", *options)["Quota"]["Value"])
        text = (
            f"{needed} for this environment{f', {more}' if more and self.environment.slots else ''}, {used} of others"
        )
        if used + needed > limit:
            command = f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code}"
            return False, f"{text}; the quota is {limit}: {command} --desired-value {used + needed}"
        return True, f"{text}; the quota is {limit}"

    def _load_balancers(self) -> tuple[bool | None, str]:
        made = self._call("elbv2", "describe-load-balancers", "--page-size", "1")["LoadBalancers"]
        refusal = "This AWS account currently does not support creating load balancers"
        return _closed("load balancer", refusal, made=bool(made))

    def _distributions(self) -> tuple[bool | None, str]:
        made = self._call("cloudfront", "list-distributions", "--max-items", "1")["DistributionList"].get("Items")
        refusal = "Your account must be verified before you can add new CloudFront resources"
        return _closed("distribution", refusal, made=bool(made))


def _names(servers: Sequence[str]) -> list[str]:
    return sorted(server.rstrip(".").lower() for server in servers)


def _closed(what: str, refusal: str, *, made: bool) -> tuple[bool | None, str]:
    if made:
        return True, f"the account has a {what}"
    return None, (
        f'the account has no {what} yet, and some new accounts may make none: `up` ends with "{refusal}". '
        "Ask AWS Support before, which takes days"
    )
