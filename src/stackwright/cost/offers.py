"""The rules that map rows of AWS's public price list to our kinds of prices.

The list is a CSV file for each service and region (guide of AWS Billing, "Bulk API"): five lines about the file, then a
header, then a row for each price. Names of usage begin with the region's letters (`EUC1-NatGateway-Hours`), except in
us-east-1, where some do and some do not; those of KMS begin with the region's name. The rules are written from that
guide and from usage types that others publish, and are not tested against the list itself: a rule that finds nothing,
two prices or another unit changes nothing.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TextIO

from stackwright.cost.prices import GLOBAL

HOST = "https://pricing.us-east-1.amazonaws.com"
_PREFIX = r"(?:[A-Z]{3}\d-|EU-|[a-z]{2}(?:-[a-z]+)+-\d-)?"
_ABOUT_LINES = 5
#: Throughput of disks is listed by the GiB/s.
_MIB = 1024
#: The list's names for our units; its names for other units differ from service to service.
_UNITS = {"hour": r".*(hrs?|hours?)", "gb": r"gb|gigabytes?", "gb-month": r"gb-mo(nths?)?"}
THOUSAND, MILLION = 1000, 1_000_000

Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Selects the rows of one file that hold the price of one kind, or of one kind for each size."""

    offer: str
    #: With the row's columns in braces: `ec2/{instancetype}`.
    kind: str
    #: What `usageType` has to match after the region's letters, as a regular expression.
    usage: str
    #: Other columns, as regular expressions.
    where: Mapping[str, str] = field(default_factory=dict)
    #: How many of the list's units make one of ours.
    factor: float = 1

    def matches(self, row: Row) -> bool:
        if not re.fullmatch(_PREFIX + self.usage, row.get("usagetype", "")):
            return False
        return all(re.fullmatch(pattern, row.get(column, "")) for column, pattern in self.where.items())


def _instances(kind: str, system: str) -> Rule:
    where = {
        "operatingsystem": system,
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "preinstalledsw": "NA",
        "licensemodel": "No License required",
    }
    return Rule(offer="AmazonEC2", kind=kind + "/{instancetype}", usage="BoxUsage:.+", where=where)


def _databases(zones: str, deployment: str, prefix: str) -> list[Rule]:
    """Return the rules for RDS for PostgreSQL; storage is listed for all engines together, or for each engine."""
    engine = {"databaseengine": "PostgreSQL|Any", "deploymentoption": deployment}
    usage = {
        "gp3-gb": "GP3-Storage",
        "gp3-iops": "GP3-PIOPS",
        "gp3-mbps": "GP3-Throughput",
        "io2-gb": "PIOPS-Storage-IO2",
        "io2-iops": "IO2-PIOPS",
    }
    storage_rules = [
        Rule(offer="AmazonRDS", kind=f"rds/{kind}/{zones}", usage=f"RDS:{prefix}{name}", where=engine)
        for kind, name in usage.items()
    ]
    where = {**engine, "productfamily": "Database Instance", "licensemodel": "No license required"}
    kind = f"rds-postgresql/{{instancetype}}/{zones}"
    return [*storage_rules, Rule(offer="AmazonRDS", kind=kind, usage=r"(InstanceUsage|Multi-AZUsage):.+", where=where)]


def _caches(engine: str) -> Rule:
    where = {"cacheengine": engine, "productfamily": "Cache Instance"}
    return Rule(
        offer="AmazonElastiCache", kind=f"cache-{engine.lower()}/{{instancetype}}", usage="NodeUsage:.+", where=where
    )


def _balancers(kind: str, operation: str) -> list[Rule]:
    where = {"operation": f"LoadBalancing:{operation}"}
    return [
        Rule(offer="AWSELB", kind=f"lb/{kind}-hour", usage="LoadBalancerUsage", where=where),
        Rule(offer="AWSELB", kind=f"lb/{kind}-unit", usage="LCUUsage", where=where),
    ]


#: (Offer, kind, usage, how many of the list's units make one of ours).
_PLAIN: tuple[tuple[str, str, str, float], ...] = (
    ("AmazonEC2", "ebs/gp3-gb", r"EBS:VolumeUsage\.gp3", 1),
    ("AmazonEC2", "ebs/gp3-iops", r"EBS:VolumeP-IOPS\.gp3", 1),
    ("AmazonEC2", "ebs/gp3-mbps", r"EBS:VolumeP-Throughput\.gp3", 1),
    ("AmazonEC2", "ebs/snapshot-gb", "EBS:SnapshotUsage", 1),
    ("AmazonEC2", "ec2/surplus-t3", "CPUCredits:t3", 1),
    ("AmazonEC2", "ec2/surplus-t4g", "CPUCredits:t4g", 1),
    ("AmazonEC2", "nat/hour", "NatGateway-Hours", 1),
    ("AmazonEC2", "nat/gb", "NatGateway-Bytes", 1),
    ("AmazonVPC", "ipv4/hour", "PublicIPv4:InUseAddress", 1),
    ("AmazonVPC", "endpoint/hour", "VpcEndpoint-Hours", 1),
    ("AmazonVPC", "endpoint/gb", "VpcEndpoint-Bytes", 1),
    ("AmazonRDS", "rds/proxy-vcpu", "RDS:ProxyUsage", 1),
    ("AmazonElastiCache", "cache/backup-gb", "BackupUsage", 1),
    ("AmazonS3", "s3/standard-gb", "TimedStorage-ByteHrs", 1),
    ("AmazonS3", "s3/infrequent-gb", "TimedStorage-SIA-ByteHrs", 1),
    ("AmazonS3", "s3/archive-gb", "TimedStorage-GIR-ByteHrs", 1),
    ("AmazonS3", "s3/writes", "Requests-Tier1", THOUSAND),
    ("AmazonS3", "s3/reads", "Requests-Tier2", THOUSAND),
    ("AWSDataTransfer", "traffic/internet-gb", "DataTransfer-Out-Bytes", 1),
    ("AWSDataTransfer", "traffic/zone-gb", "DataTransfer-Regional-Bytes", 1),
    ("awswaf", "waf/acl", "WebACLV2", 1),
    ("awswaf", "waf/rule", "RuleV2", 1),
    ("awswaf", "waf/requests", "RequestV2-Tier1", MILLION),
    ("awskms", "kms/key", "KMS-Keys", 1),
    ("awskms", "kms/requests", "KMS-Requests", THOUSAND),
    ("AWSSecretsManager", "secrets/secret", "AWSSecretsManager-Secrets", 1),
    ("AWSSecretsManager", "secrets/calls", "AWSSecretsManager-?APIRequests?", THOUSAND),
    ("AmazonCloudWatch", "cloudwatch/alarm", "CW:AlarmMonitorUsage", 1),
    ("AmazonCloudWatch", "cloudwatch/composite-alarm", "CW:CompositeAlarmMonitorUsage", 1),
    ("AmazonCloudWatch", "cloudwatch/metric", "CW:MetricMonitorUsage", 1),
    ("AmazonCloudWatch", "cloudwatch/vended-log-gb", "VendedLog-Bytes", 1),
    ("AmazonCloudWatch", "cloudwatch/log-stored-gb", "TimedStorage-ByteHrs", 1),
    ("AmazonSNS", "sns/mails", "DeliveryAttempts-SMTP", THOUSAND),
)
RULES: tuple[Rule, ...] = (
    *(Rule(offer=offer, kind=kind, usage=usage, factor=factor) for offer, kind, usage, factor in _PLAIN),
    _instances("ec2", "Linux"),
    _instances("ec2-windows", "Windows"),
    *_databases("single", "Single-AZ", ""),
    *_databases("multi", "Multi-AZ", "Multi-AZ-"),
    _caches("Redis"),
    _caches("Valkey"),
    *_balancers("application", "Application"),
    *_balancers("network", "Network"),
    Rule(
        offer="AmazonCloudWatch",
        kind="cloudwatch/log-gb",
        usage="DataProcessing-Bytes",
        # Other operations belong to log groups that cost less.
        where={"operation": "PutLogEvents"},
    ),
    Rule(
        offer="AmazonRDS",
        kind="rds/backup-gb",
        usage="RDS:ChargedBackupUsage",
        where={"databaseengine": "PostgreSQL|Any"},
    ),
)
#: Rules of services without a region, whose usage begins with the location of the users, or with nothing.
GLOBAL_RULES: tuple[Rule, ...] = (
    Rule(offer="AmazonCloudFront", kind="cloudfront/gb", usage="DataTransfer-Out-Bytes", where={"usagetype": "EU-.*"}),
    Rule(
        offer="AmazonCloudFront",
        kind="cloudfront/requests",
        usage="Requests-Tier2-HTTPS",
        where={"usagetype": "EU-.*"},
        factor=MILLION,
    ),
    # Dashboards with up to 50 metrics are listed separately, at the same price.
    Rule(offer="AmazonCloudWatch", kind="cloudwatch/dashboard", usage="DashboardsUsageHour"),
    Rule(offer="AmazonRoute53", kind="route53/zone", usage="HostedZone"),
    Rule(offer="AmazonRoute53", kind="route53/queries", usage="DNS-Queries", factor=MILLION),
    Rule(offer="AmazonRoute53", kind="route53/health-check", usage="Health-Check-AWS"),
)


def rules(region: str) -> tuple[Rule, ...]:
    return GLOBAL_RULES if region == GLOBAL else RULES


def index_address(offer: str) -> str:
    """Return the address of a service's index, which names the newest file of each region."""
    return f"{HOST}/offers/v1.0/aws/{offer}/current/region_index.json"


def address(offer: str, region: str, version: str = "current") -> str:
    """Return the address of a service's list in a region; that of a version never changes."""
    where = "" if region == GLOBAL else f"/{region}"
    return f"{HOST}/offers/v1.0/aws/{offer}/{version}{where}/index.csv"


def newest(index: str, offer: str, region: str) -> str:
    """Return the address of a region's newest list, from the text of the service's index. Raises ValueError."""
    try:
        regions = json.loads(index)["regions"]
        known = {code: str(listing["currentVersionUrl"]) for code, listing in regions.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"no index of regions ({error!r}), accepted: the region_index.json of AWS's Bulk API, with"
            " regions.<region>.currentVersionUrl"
        ) from error
    if region not in known:
        raise ValueError(f"{offer} has no prices of {region!r}, it has those of: {', '.join(sorted(known))}")
    path = known[region]
    # The index names the JSON file; next to it is the same list as CSV, which can be read row by row.
    if not re.fullmatch(rf"/offers/v1\.0/aws/{offer}/[^/]+/{region}/index\.json", path):
        raise ValueError(
            f"regions.{region}.currentVersionUrl is {path!r}, accepted: /offers/v1.0/aws/{offer}/.../index.json"
        )
    return HOST + path.removesuffix(".json") + ".csv"


@dataclass(frozen=True, kw_only=True)
class Found:
    """The prices that the list has for a kind, in the list's own unit: a single one, unless a rule is too wide."""

    usd: frozenset[float]
    units: frozenset[str]

    def problem(self, unit: str) -> str:
        """Return why this cannot be the price of a kind that is counted in `unit`; empty if it can."""
        if len(self.usd) != 1:
            return f"the list has {len(self.usd)} prices"
        pattern = _UNITS.get(unit)
        other_units = sorted(
            listed_unit for listed_unit in self.units if pattern and not re.fullmatch(pattern, listed_unit.lower())
        )
        return f"the list counts in {', '.join(other_units)}, not in {unit}" if other_units else ""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """The content of one file: its date, its version, and the prices of each kind."""

    date: str
    version: str
    prices: Mapping[str, Found]


def read(stream: TextIO, rules: Iterable[Rule]) -> Offer:
    """Read a file's prices row by row, as the list of EC2 is too large to keep in memory.

    Raises ValueError for a file that is no price list, is cut short, or has a price that is no number; the message
    names the line.
    """
    rows = csv.reader(stream)
    about = dict(row[:2] for row in islice(rows, _ABOUT_LINES) if len(row) > 1)
    header = [_column(name) for name in next(rows, [])]
    date, version = about.get("Publication Date", "")[:10], about.get("Version", "")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) or not {"sku", "usagetype", "priceperunit"} <= {*header}:
        raise ValueError("no price list, accepted: the CSV file of AWS's Bulk API, with its five lines about the file")
    if not re.fullmatch(r"\d{14}", version):
        raise ValueError(f"the list's version is {version!r}, accepted: a time of 14 digits")
    steps: dict[str, dict[str, tuple[float, float]]] = {}
    units: dict[str, set[str]] = {}
    known, number = tuple(rules), 0
    for values in rows:
        number += 1
        if len(values) != len(header):
            raise ValueError(
                f"line {rows.line_num} has {len(values)} columns, accepted: the {len(header)} of the header"
                " (was the download cut short?)"
            )
        row = dict(zip(header, values, strict=True))
        try:
            prices = list(_prices(row, known))
        except ValueError as error:
            raise ValueError(f"line {rows.line_num}: {error}") from error
        for kind, start, usd in prices:
            # The first tier that is not free: free allowances belong to an account, not to an environment.
            of_kind = steps.setdefault(kind, {})
            of_kind[row["sku"]] = min(of_kind.get(row["sku"], (start, usd)), (start, usd))
            units.setdefault(kind, set()).add(row.get("unit", ""))
    if not number:
        raise ValueError("the list has no row (was the download cut short?)")
    prices_by_kind = {
        kind: Found(usd=frozenset(usd for _, usd in skus.values()), units=frozenset(units[kind]))
        for kind, skus in steps.items()
    }
    return Offer(date=date, version=version, prices=prices_by_kind)


def _prices(row: Row, rules: Iterable[Rule]) -> Iterator[tuple[str, float, float]]:
    """Yield (kind, start of the tier, USD) of a row."""
    if row.get("termtype") != "OnDemand" or row.get("currency") != "USD":
        return
    for rule in rules:
        if rule.matches(row):
            factor = rule.factor / (_MIB if row.get("unit", "").lower().startswith("gibps") else 1)
            usd = float(f"{_number(row, 'priceperunit') * factor:.10g}")
            if usd > 0:
                yield rule.kind.format_map(row), _number(row, "startingrange"), usd


def _number(row: Row, column: str) -> float:
    text = row.get(column) or "0"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{column} of {row['usagetype']} is {text!r}, accepted: a number, 0 or more")
    return value


def _column(name: str) -> str:
    # `usageType`, `Usage Type` and `Pre Installed S/W` are spelled differently from file to file.
    return re.sub(r"[^a-z0-9]", "", name.lower())
