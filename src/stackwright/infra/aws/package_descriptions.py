"""Descriptions of inputs and outputs in schemas: the `#:` comments before the attributes in the code.

Self-explanatory names have no comment in Python. A schema is read without the code, so their descriptions are here.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pulumi.provider.experimental.util import camel_case

#: Attribute, or `Class.attribute` where it has another meaning in that class.
PLAIN = {
    "Context.account": "Twelve digits; ARNs are made with it.",
    "Context.environment": "Begins every name, and is a tag of everything.",
    "Context.region": "Where everything is that has no other region.",
    "Context.system": "What runs there; a tag of everything.",
    "Database.address": "Host name of the instance that takes writes.",
    "Database.master_secret_arn": "Of the secret with the master's user name and password.",
    "Database.port": "Of PostgreSQL.",
    "Cache.ports": "Purpose -> port.",
    "Cdn.hosted_zone_id": "That an alias to the distribution needs: CloudFront's own.",
    "CacheUserArgs.name": "By which it logs in, and part of the user's name at AWS.",
    "DatabaseArgs.storage_gb": "Of the disk at first; it grows by itself.",
    "DatabaseRegionArgs.region": "Another one than the environment's.",
    "Dns.internal_domain": "Of the private zone.",
    "Dns.private_names": "Name in the inputs -> the same name, known once the network resolves it.",
    "DnsArgs.hosted_zone_name": "Of the public zone.",
    "DnsArgs.private": "Full name -> what it means inside the network.",
    "DnsArgs.public": "Full name -> what it means on the Internet.",
    "DnsRecordArgs.kind": "`alias`, `CNAME` or `A`.",
    "EncryptionKey.key_id": "Of the key, without the rest of its ARN.",
    "GroupAlarmsArgs.name": "Of the scaling group.",
    "HostArgs.name": "Of the host; it stays.",
    "HostsArgs.kms_key_arn": "Encrypts the disks.",
    "NetworkArgs.cidr": "IPv4 addresses of the network.",
    "Network.cidr": "IPv4 addresses of the network.",
    "Network.isolated_subnet_ids": "In the order of the zones; without a way out.",
    "Network.private_subnet_ids": "In the order of the zones.",
    "Network.s3_prefix_list_id": "Addresses of S3, for rules; none without the endpoint `s3`.",
    "ObjectStore.arns": "Purpose -> ARN of the bucket.",
    "RateLimitArgs.name": "Of the limit, each once.",
    "RateLimitArgs.requests": "How many, in the time `per`.",
    "RuleArgs.cidr": "IPv4 addresses.",
    "RuleArgs.cidr_ipv6": "IPv6 addresses.",
    "RuleArgs.port": "The first of several ports, or the only one.",
    "BetweenArgs.port": "The first of several ports, or the only one.",
    "RuleArgs.security_group_id": "The group of those who are meant.",
    "ScalingGroupArgs.kms_key_arn": "Encrypts the disks.",
    "ScalingGroupArgs.max": "Most servers.",
    "ScalingGroupArgs.min": "Fewest servers.",
    "ScheduledSizeArgs.max": "Most servers from then on.",
    "ScheduledSizeArgs.min": "Fewest servers from then on.",
    "ScheduledSizeArgs.name": "Of the size, each once.",
    "AgentArgs.version": "Such as 3.3.987.0.",
    "alarm_names": "Of every alarm.",
    "arn": "Amazon Resource Name.",
    "arn_suffix": "The end of its ARN, by which metrics name it.",
    "cpu_credits": "`standard` or `unlimited` for types with rationed CPUs; otherwise unlimited outside development.",
    "dashboard_name": "None without a dashboard.",
    "detailed_monitoring": "Metrics each minute instead of each five; otherwise outside development.",
    "disk_gb": "Of the disk.",
    "distribution_id": "Of CloudFront.",
    "dns_name": "What AWS calls it in DNS.",
    "flow_log_group_name": "Log group of the network's traffic.",
    "from_tier": "Whose hosts connect.",
    "group_arn": "Of the scaling group.",
    "group_id": "Of the replication group.",
    "group_name": "Of the scaling group.",
    "identifier": "Of the instance.",
    "instance_id": "Of the server.",
    "instance_type": "Of EC2, such as `t3.medium`.",
    "launch_template_id": "Of the servers' template.",
    "log_group_name": "Where requests are logged.",
    "max_connections": "That it admits.",
    "max_size": "Most servers of the group.",
    "memory_mb": "Of the instance.",
    "metric_name": "By which metrics name it.",
    "min_size": "Fewest servers of the group.",
    "monthly_usd": "US dollars a month.",
    "node_type": "Of ElastiCache, such as `cache.t4g.small`.",
    "permissions_boundary": "ARN of a policy that no role can exceed.",
    "prefix_list_id": "A list of networks that AWS or you keep.",
    "role_name": "Of the role.",
    "security_group_id": "That it is in; rules of others can name it.",
    "storage_gb": "Of the disk.",
    "subnet_id": "Where it is.",
    "target_group_arn": "Of the hosts behind it.",
    "target_group_arns": "Target groups that get every server.",
    "target_group_suffix": "The end of the target group's ARN.",
    "to_port": "The last of several ports.",
    "to_tier": "Whose hosts are connected to.",
    "topic_arn": "Where all alarms are told.",
    "vpc_id": "The network.",
}
_NAME = re.compile(r"\b[a-z0-9]+(?:_[a-z0-9]+)+\b")


class Descriptions:
    """Descriptions of components, of their args, and of all classes that these contain."""

    def __init__(self, roots: Iterable[type]) -> None:
        self.classes = {kind.__name__: kind for root in roots for kind in _reached(root)}
        self._found = {
            (name, camel_case(attribute)): text
            for name, kind in self.classes.items()
            for attribute, text in _comments(kind)
        }
        #: Python names, which are camelCase in other languages.
        self._names = {attribute for kind in self.classes.values() for attribute in _attributes(kind)}

    def of_class(self, kind: type) -> str:
        """Return the docstring without the parts that apply to Python only."""
        text = inspect.cleandoc(kind.__doc__ or "").replace("\n\nRaises ValueError with every problem at once.", "")
        return self._in_quotes(text)

    def of(self, kind: type, name: str) -> str:
        """Return the description of `name`, as in Pulumi's protocol, in that class; "" if there is none."""
        return self._in_quotes(self._found.get((kind.__name__, name), ""))

    def translated(self, text: str) -> str:
        """Return the text with the names of inputs as other languages write them."""
        return _NAME.sub(lambda match: camel_case(match[0]) if match[0] in self._names else match[0], text)

    def _in_quotes(self, text: str) -> str:
        return re.sub("`[^`]+`", lambda match: self.translated(match[0]), text)


def _reached(kind: type) -> Iterator[type]:
    yield kind
    for annotation in _attributes(kind).values():
        inner = _inner(annotation)
        if inner is not None:
            yield from _reached(inner)


def _inner(annotation: Any) -> type | None:
    """Return the class of which an attribute holds one or several instances."""
    if dataclasses.is_dataclass(annotation):
        return annotation if isinstance(annotation, type) else None
    return next((inner for inner in map(_inner, get_args(annotation)) if inner is not None), None)


def _attributes(kind: type) -> dict[str, Any]:
    return {name: annotation for name, annotation in inspect.get_annotations(kind).items() if not name.startswith("_")}


def _comments(kind: type) -> Iterator[tuple[str, str]]:
    """Yield each attribute with its comment, else its text in `PLAIN`, else the summary of the class that it holds."""
    block: list[str] = []
    written: dict[str, str] = {}
    for line in map(str.strip, inspect.getsource(kind).splitlines()):
        if line.startswith("#:"):
            block.append(line[2:].strip())
            continue
        named = re.match(r"(\w+):", line)
        if named and block:
            written.setdefault(named[1], " ".join(block))
        block = []
    for name, annotation in _attributes(kind).items():
        text = written.get(name) or PLAIN.get(f"{kind.__name__}.{name}") or PLAIN.get(name)
        inner = _inner(annotation)
        if not text and inner is not None:
            text = inspect.cleandoc(inner.__doc__ or "").split("\n\n", 1)[0].replace("\n", " ")
        if text:
            yield name, text
