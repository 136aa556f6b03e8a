"""The risks of an environment: losing a zone, and deleting data. Read from the same declarations as its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stackwright.cost.lines import TIER_TAG, Resource

_INSTANCE = "aws:ec2/instance:Instance"
_NAT = "aws:ec2/natGateway:NatGateway"
_SUBNET = "aws:ec2/subnet:Subnet"
#: Fewer hosts, or subnets, are a single point of failure.
_TWO = 2


@dataclass(frozen=True, kw_only=True)
class SingleZone:
    """Something that is lost when one zone is lost."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The effect of a deletion on a data store."""

    resource: str
    what: str
    #: What happens to the data when the resource is deleted.
    outcome: str
    #: Whether the data is permanently lost.
    destroyed: bool
    #: What refuses the deletion at first: `Pulumi`, `AWS`; empty if nothing does.
    protected_by: tuple[str, ...]


def single_zones(resources: Sequence[Resource]) -> Iterator[SingleZone]:
    """Yield everything that is in a single zone."""
    yield from _hosts(resources)
    zones = {subnet.inputs.get("availabilityZone") for subnet in resources if subnet.type == _SUBNET}
    gateways = [gateway for gateway in resources if gateway.type == _NAT]
    if len(gateways) == 1 and len(zones) > 1:
        yield SingleZone(
            what=gateways[0].name, why=f"one NAT gateway for {len(zones)} zones: the others lose the way out"
        )
    for resource in resources:
        why = _alone(resource)
        if why:
            yield SingleZone(what=resource.name, why=why)


def _alone(resource: Resource) -> str:
    inputs = resource.inputs
    if resource.type == "aws:rds/instance:Instance" and inputs.get("multiAz") is not True:
        return "a replica, in one zone" if inputs.get("replicateSourceDb") is not None else "a database in one zone"
    if (
        resource.type == "aws:elasticache/replicationGroup:ReplicationGroup"
        and inputs.get("multiAzEnabled") is not True
    ):
        return "a cache in one zone"
    for kind, key, what in (
        ("aws:autoscaling/group:Group", "vpcZoneIdentifiers", "a scaling group"),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", "subnetIds", "an interface endpoint"),
        ("aws:lb/loadBalancer:LoadBalancer", "subnets", "a load balancer"),
    ):
        if resource.type == kind and isinstance(inputs.get(key), list) and len(inputs[key]) == 1:
            return f"{what} in one zone"
    return ""


def _hosts(resources: Sequence[Resource]) -> Iterator[SingleZone]:
    tiers: dict[str, list[Resource]] = {}
    for resource in resources:
        tags = resource.inputs.get("tags")
        if resource.type == _INSTANCE and isinstance(tags, Mapping):
            tiers.setdefault(str(tags.get(TIER_TAG, "untagged")), []).append(resource)
    for tier, hosts in sorted(tiers.items()):
        subnets = {str(host.inputs.get("subnetId")) for host in hosts}
        if len(hosts) < _TWO:
            yield SingleZone(what=f"tier {tier}", why=f"one host, {hosts[0].name}")
        elif len(subnets) < _TWO:
            yield SingleZone(what=f"tier {tier}", why=f"{len(hosts)} hosts in one subnet")


def losses(resources: Sequence[Resource]) -> Iterator[Loss]:
    """Yield the effect of a deletion on each data store, the destructive ones first."""
    all_losses = [
        loss for resource in resources if resource.type in _STORES for loss in _STORES[resource.type](resource)
    ]
    yield from sorted(all_losses, key=lambda loss: (not loss.destroyed, bool(loss.protected_by), loss.resource))


def _loss(resource: Resource, what: str, outcome: str, *, destroyed: bool, by_aws: Any = False) -> Loss:
    guards = [*(["Pulumi"] if resource.protect else []), *(["AWS"] if by_aws is True else [])]
    return Loss(resource=resource.name, what=what, outcome=outcome, destroyed=destroyed, protected_by=tuple(guards))


def _database(resource: Resource) -> Iterator[Loss]:
    inputs = resource.inputs
    replica = inputs.get("replicateSourceDb") is not None
    snapshot = inputs.get("skipFinalSnapshot") is not True and inputs.get("finalSnapshotIdentifier") is not None
    if replica:
        outcome = "a copy; its source keeps the data"
    elif snapshot:
        outcome = "a final snapshot is left"
    else:
        outcome = "no final snapshot; backups go, too, unless they are retained"
    survives = replica or snapshot or inputs.get("deleteAutomatedBackups") is False
    yield _loss(resource, "database", outcome, destroyed=not survives, by_aws=inputs.get("deletionProtection"))


def _cache(resource: Resource) -> Iterator[Loss]:
    has_snapshot = resource.inputs.get("finalSnapshotIdentifier") is not None
    yield _loss(
        resource,
        "cache",
        "a final snapshot is left" if has_snapshot else "no final snapshot",
        destroyed=not has_snapshot,
    )


def _bucket(resource: Resource) -> Iterator[Loss]:
    forced = resource.inputs.get("forceDestroy") is True
    outcome = "every object and version is deleted" if forced else "AWS refuses while it holds anything"
    yield _loss(resource, "bucket", outcome, destroyed=forced, by_aws=not forced)


def _instance(resource: Resource) -> Iterator[Loss]:
    disk = resource.inputs.get("rootBlockDevice")
    # AWS deletes it by default.
    disk_stays = isinstance(disk, Mapping) and disk.get("deleteOnTermination") is False
    outcome = "the disk stays behind, and is paid for" if disk_stays else "the disk goes with the server"
    yield _loss(
        resource, "server", outcome, destroyed=not disk_stays, by_aws=resource.inputs.get("disableApiTermination")
    )


def _volume(resource: Resource) -> Iterator[Loss]:
    has_snapshot = resource.inputs.get("finalSnapshot") is True
    yield _loss(
        resource,
        "disk",
        "a final snapshot is left" if has_snapshot else "no final snapshot",
        destroyed=not has_snapshot,
    )


def _logs(resource: Resource) -> Iterator[Loss]:
    logs_stay = resource.inputs.get("skipDestroy") is True
    outcome = "left at AWS" if logs_stay else "all that is logged goes"
    yield _loss(
        resource, "logs", outcome, destroyed=not logs_stay, by_aws=resource.inputs.get("deletionProtectionEnabled")
    )


def _key(resource: Resource) -> Iterator[Loss]:
    days = resource.inputs.get("deletionWindowInDays")
    outcome = f"all that it encrypts is unreadable, and lost {days if days is not None else 30:g} days later"
    yield _loss(resource, "key", outcome, destroyed=True)


def _secret(resource: Resource) -> Iterator[Loss]:
    days = resource.inputs.get("recoveryWindowInDays")
    days = 30 if days is None else days
    outcome = f"can be restored for {days:g} days, then it is gone" if days else "gone at once"
    yield _loss(resource, "secret", outcome, destroyed=not days)


_STORES: Mapping[str, Callable[[Resource], Iterator[Loss]]] = {
    _INSTANCE: _instance,
    "aws:cloudwatch/logGroup:LogGroup": _logs,
    "aws:ebs/volume:Volume": _volume,
    "aws:elasticache/replicationGroup:ReplicationGroup": _cache,
    "aws:kms/key:Key": _key,
    "aws:rds/instance:Instance": _database,
    "aws:s3/bucket:Bucket": _bucket,
    "aws:secretsmanager/secret:Secret": _secret,
}
