"""Rules for exposure to the Internet: public addresses, open ports, public policies and snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.policy import statements
from stackwright.policy.references import cis, fsbp
from stackwright.policy.resources import UNKNOWN, Graph, Resource, as_list
from stackwright.policy.rule import Finding, Rules, Settings

RULES = Rules()
_WORLD = ("0.0.0.0/0", "::/0")
#: Ports that a load balancer may open to the Internet.
_WEB = {80, 443}
#: Tiers of hosts that users reach without a load balancer: an own edge, or the single server of size A.
_EDGE = ("edge", "server")
#: Remote access and data stores: never open, not even in a load balancer's group.
_NEVER = {22: "SSH", 3389: "Remote Desktop", 5432: "PostgreSQL", 6379: "Redis"}
_BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_RULE_KINDS = ("vpc/securityGroupIngressRule", "ec2/securityGroupRule")


@RULES.graph(
    "s3-public-access-block",
    "critical",
    fix="declare a BucketPublicAccessBlock with all four settings on",
    references=(*fsbp("S3.8"), *cis("2.1.4")),
)
def _buckets(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """No policy or ACL can make a bucket public."""
    for bucket in graph.of("s3/bucket"):
        blocks = list(graph.pointing_at(bucket, "s3/bucketPublicAccessBlock", "bucket"))
        if not blocks:
            yield bucket, "it has no BucketPublicAccessBlock"
        for block in blocks:
            off = [setting for setting in _BLOCKS if not block.on(setting)]
            if off:
                yield bucket, f"off: {', '.join(off)}"


@RULES.graph(
    "s3-no-acls",
    "medium",
    fix="declare BucketOwnershipControls with BucketOwnerEnforced",
    references=fsbp("S3.12"),
)
def _ownership(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """Access to a bucket is controlled by its policy alone, never by ACLs."""
    for bucket in graph.of("s3/bucket"):
        rules = [
            controls.get("rule.objectOwnership")
            for controls in graph.pointing_at(bucket, "s3/bucketOwnershipControls", "bucket")
        ]
        if not any(ownership in ("BucketOwnerEnforced", UNKNOWN) for ownership in rules):
            yield bucket, f"objectOwnership is {rules[0]!r}" if rules else "it has no BucketOwnershipControls"


@RULES.resource(
    "rds-not-public",
    "critical",
    "rds/instance",
    "rds/clusterInstance",
    fix="leave publiclyAccessible off and use isolated subnets",
    references=(*fsbp("RDS.2"), *cis("2.3.3")),
)
def _rds(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A database has no public address."""
    if resource.get("publiclyAccessible") in (True, "true"):
        yield "publiclyAccessible is on"


@RULES.resource(
    "instance-not-public",
    "high",
    "ec2/instance",
    "ec2/launchTemplate",
    fix="set associatePublicIpAddress to false; give a host that must be public an Elastic IP",
    references=fsbp("EC2.9", "EC2.25"),
)
def _instances(resource: Resource, _settings: Settings) -> Iterator[str]:
    """No host is assigned a public address at launch."""
    interfaces = [
        interface for interface in as_list(resource.get("networkInterfaces")) if isinstance(interface, Mapping)
    ]
    for properties in (resource.inputs, *interfaces):
        if properties.get("associatePublicIpAddress") in (True, "true"):
            yield "associatePublicIpAddress is on"


@RULES.resource(
    "subnet-no-public-addresses",
    "high",
    "ec2/subnet",
    fix="leave mapPublicIpOnLaunch off",
    references=fsbp("EC2.15"),
)
def _subnets(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A subnet does not assign public addresses to hosts automatically."""
    if resource.get("mapPublicIpOnLaunch") in (True, "true"):
        yield "mapPublicIpOnLaunch is on"


@RULES.resource(
    "snapshot-not-public",
    "critical",
    "ec2/amiLaunchPermission",
    "ec2/snapshotCreateVolumePermission",
    "rds/snapshot",
    "rds/clusterSnapshot",
    fix="share with accounts by their number",
    references=fsbp("EC2.1", "RDS.1"),
)
def _snapshots(resource: Resource, _settings: Settings) -> Iterator[str]:
    """No snapshot or image is shared publicly."""
    if resource.get("group") == "all" or "all" in as_list(resource.get("sharedAccounts")):
        yield "it is shared with everybody"
    if resource.get("accountId") == "all":
        yield "accountId is all"


@RULES.resource(
    "policy-not-public",
    "critical",
    *statements.RESOURCE_BASED,
    fix="name the principals, or add a condition on the account, the organisation or the source",
    references=fsbp("S3.2", "S3.3", "SNS.4", "SQS.3", "KMS.5"),
)
def _policies(resource: Resource, _settings: Settings) -> Iterator[str]:
    """No policy of a resource admits every principal without a condition."""
    for name, document in statements.documents(resource, statements.RESOURCE_BASED):
        for statement in statements.allowed(document):
            if statements.is_everybody(statement.get("Principal")) and not narrows(statement.get("Condition")):
                yield f"{name}: {statement.get('Sid') or 'a statement'} admits everybody"


#: Conditions that restrict the caller; a condition on TLS or on the time still admits everyone.
_NARROWING = (
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "kms:calleraccount",
    "kms:viaservice",
)


def narrows(condition: Any) -> bool:
    """Return whether a condition restricts who is admitted."""
    if not isinstance(condition, Mapping):
        return False
    return any(
        key.lower() in _NARROWING
        and as_list(value) != ["*"]
        and "not" not in operator.lower()
        and operator.lower() != "null"
        for operator, pairs in condition.items()
        if isinstance(pairs, Mapping)
        for key, value in pairs.items()
    )


@RULES.resource(
    "imdsv2",
    "high",
    "ec2/launchTemplate",
    "ec2/instance",
    fix="set metadataOptions.httpTokens to required and httpPutResponseHopLimit to 1",
    references=(*fsbp("EC2.8", "EC2.170"), *cis("5.6")),
)
def _metadata(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A host's credentials are available to its own processes alone: IMDSv2, one hop."""
    if resource.kind == "ec2/instance" and resource.given("launchTemplate") and not resource.given("metadataOptions"):
        return
    if resource.get("metadataOptions.httpEndpoint") == "disabled":
        return
    if resource.get("metadataOptions.httpTokens") not in ("required", UNKNOWN):
        yield f"metadataOptions.httpTokens is {resource.get('metadataOptions.httpTokens')!r}"
    hops = resource.get("metadataOptions.httpPutResponseHopLimit")
    if hops is not UNKNOWN and (not isinstance(hops, (int, float)) or hops > 1):
        yield f"metadataOptions.httpPutResponseHopLimit is {hops!r}"


@RULES.graph(
    "open-to-the-world",
    "critical",
    fix="name a security group, a prefix list or a network as the source",
    references=(*fsbp("EC2.18", "EC2.19"), *cis("5.2", "5.3")),
)
def _open(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """The Internet reaches ports 80 and 443 of load balancers and of edge hosts, and nothing else."""
    balancers = list(graph.of("lb/loadBalancer"))
    edges = [security_group for security_group in graph.of("ec2/securityGroup") if _tier(security_group) in _EDGE]
    for rule in graph.of(*_RULE_KINDS):
        if rule.kind == "ec2/securityGroupRule" and rule.get("type") == "egress":
            continue
        if _from_world(rule.inputs):
            for problem in _port_problems(rule.inputs):
                yield rule, problem
            group = rule.get("securityGroupId")
            of_balancer = any(_has_group(graph, balancer, group) for balancer in balancers)
            if not of_balancer and not any(edge.is_meant_by(group) for edge in edges):
                yield rule, "open to the world, and its security group is not a load balancer's or an edge host's"


def _tier(group: Resource) -> Any:
    tags = group.get("tags")
    return tags.get("stackwright:tier") if isinstance(tags, Mapping) else None


def _from_world(rule: Mapping[str, Any]) -> bool:
    names = ("cidrIpv4", "cidrIpv6", "cidrBlocks", "ipv6CidrBlocks")
    return any(value in _WORLD for name in names for value in as_list(rule.get(name)))


def _port_problems(rule: Mapping[str, Any]) -> Iterator[str]:
    protocol, first, last = rule.get("ipProtocol", rule.get("protocol")), rule.get("fromPort"), rule.get("toPort")
    if protocol is UNKNOWN or first is UNKNOWN or last is UNKNOWN:
        return
    if protocol in ("-1", "all") or first is None or last is None:
        yield "all ports are open to the world"
        return
    for port, what in _NEVER.items():
        if first <= port <= last:
            yield f"{what} ({port}) is open to the world"
    if not (first == last and first in _WEB) and not any(first <= port <= last for port in _NEVER):
        yield f"ports {first:g} to {last:g} are open to the world"


def _has_group(graph: Graph, balancer: Resource, group_id: Any) -> bool:
    groups = [group for group in graph.of("ec2/securityGroup") if group.is_meant_by(group_id)]
    return any(
        value == group_id or group_id is UNKNOWN or any(group.is_meant_by(value) for group in groups)
        for value in as_list(balancer.get("securityGroups"))
    )


@RULES.resource(
    "no-open-inline-rule",
    "critical",
    "ec2/securityGroup",
    "ec2/defaultSecurityGroup",
    fix="declare a SecurityGroupIngressRule with a security group, a prefix list or a network as its source",
    references=(*fsbp("EC2.18", "EC2.19"), *cis("5.2", "5.3")),
)
def _open_inline(resource: Resource, _settings: Settings) -> Iterator[str]:
    """An inline rule of a security group does not admit the Internet."""
    # Not part of the graph rule: there the engine shows outputs, in which a group lists rules of others as its own.
    for inline in as_list(resource.get("ingress")):
        if isinstance(inline, Mapping) and _from_world(inline):
            yield "an inline rule is open to the world"


@RULES.resource(
    "no-inline-rules",
    "medium",
    "ec2/securityGroup",
    fix="declare SecurityGroupIngressRule and SecurityGroupEgressRule",
)
def _inline(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Rules of a security group are separate resources: an inline list conflicts with them and has no descriptions."""
    for name in ("ingress", "egress"):
        if resource.given(name):
            yield f"{name} is inline"


@RULES.resource(
    "rule-has-reason",
    "low",
    "vpc/securityGroupIngressRule",
    "vpc/securityGroupEgressRule",
    "ec2/securityGroupRule",
    fix="set description to the reason, and exactly one source",
)
def _reasons(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Each rule of a security group describes why it exists and for whom."""
    if not resource.given("description"):
        yield "description is missing"
    sources = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId", "cidrBlocks", "ipv6CidrBlocks",
               "prefixListIds", "sourceSecurityGroupId", "self")  # fmt: skip
    if not any(resource.given(source) for source in sources):
        yield "it names no source"


@RULES.resource(
    "no-open-egress",
    "low",
    "vpc/securityGroupEgressRule",
    fix="name the port, or the security group that is called",
    references=fsbp("EC2.19"),
)
def _egress(resource: Resource, _settings: Settings) -> Iterator[str]:
    """No security group allows all traffic to every destination."""
    if _from_world(resource.inputs) and resource.get("ipProtocol") in ("-1", "all"):
        yield "all traffic to the whole world"


@RULES.graph(
    "default-security-group-closed",
    "high",
    fix="declare a DefaultSecurityGroup without rules",
    references=(*fsbp("EC2.2"), *cis("5.4")),
)
def _default_group(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """A VPC's default security group allows no traffic, so resources that have no group are isolated."""
    for vpc in graph.of("ec2/vpc"):
        groups = list(graph.pointing_at(vpc, "ec2/defaultSecurityGroup", "vpcId"))
        if not groups:
            yield vpc, "its default security group is as AWS made it: open inside and to the world"
        for group in groups:
            if group.given("ingress") or group.given("egress"):
                yield group, "it has rules"
