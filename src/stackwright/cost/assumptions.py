"""Assumptions about use that no declaration contains: traffic, requests, storage. Each is named and can be changed.

The defaults are those of a small system with some hundred users; replace them with your own values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """Use per month. `_gb` are gigabytes a month or, for storage, the gigabytes stored on average."""

    #: Out to the Internet, for the whole environment; without traffic that goes through a CDN.
    internet_gb: float = 100
    #: Between zones, for the whole environment; each gigabyte is charged on both sides.
    zone_gb: float = 50
    #: Through each NAT gateway.
    nat_gb: float = 30
    #: Through each interface endpoint.
    endpoint_gb: float = 5
    #: Capacity units of each load balancer, averaged over the hours.
    load_balancer_units: float = 1
    #: Into each log group, and by each flow log.
    log_gb: float = 1
    flow_log_gb: float = 3
    #: Stored in each bucket, all in its standard class, and requests to it.
    bucket_gb: float = 20
    bucket_writes_thousand: float = 50
    bucket_reads_thousand: float = 500
    #: Backups of each database beyond its own size, which is free of charge; a day's snapshot of each cache.
    database_backup_gb: float = 0
    cache_backup_gb: float = 1
    #: Copies of each database's backups in another region.
    database_copy_gb: float = 40
    #: Stored in each vault of AWS Backup.
    vault_gb: float = 20
    #: Out of each distribution, and requests to it.
    cdn_gb: float = 100
    cdn_requests_million: float = 2
    #: Inspected by each web ACL.
    firewall_requests_million: float = 2
    dns_queries_million: float = 1
    kms_requests_thousand: float = 200
    secret_calls_thousand: float = 10
    mails_thousand: float = 0.1
    #: How far an Auto Scaling group is above its minimum size on average: 0 = min, 1 = max.
    scaling_share: float = 0.25
    #: Price of a spot server as a share of its on-demand price.
    spot_share: float = 0.4
    #: CPU hours beyond the earned credits, for each burstable server in `unlimited` mode.
    surplus_cpu_hours: float = 0

    def __post_init__(self) -> None:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        problems = [f"{name} is {value}, accepted: 0 or more" for name, value in values.items() if not value >= 0]
        problems += [
            f"{name} is {values[name]}, accepted: 0 to 1"
            for name in ("scaling_share", "spot_share")
            if values[name] > 1
        ]
        if problems:
            raise ValueError("\n".join(f"assumption {problem}" for problem in problems))


def changed(settings: Iterable[str], assumptions: Assumptions | None = None) -> Assumptions:
    """Return assumptions with the given changes, such as `nat_gb=100`. Raises ValueError for an invalid one."""
    known = {field.name for field in fields(Assumptions)}
    problems, changes = list[str](), dict[str, float]()
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in known:
            problems.append(f"{name!r} is no assumption, accepted: {', '.join(sorted(known))}")
            continue
        try:
            changes[name] = float(value)
        except ValueError:
            problems.append(f"assumption {name} is {value!r}, accepted: a number")
    if problems:
        raise ValueError("\n".join(problems))
    return replace(assumptions or Assumptions(), **changes)
