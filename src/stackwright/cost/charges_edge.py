"""Charges of the edge and of monitoring: CDN, web firewall, DNS, logs, alarms; and of traffic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stackwright.cost.lines import Charge, Line, Subject, UnclearError
from stackwright.cost.prices import GLOBAL
from stackwright.model.aws.names import AGENT_NAMESPACE

#: Share of a group's logs that remains once they are stored (pricing page of CloudWatch: compressed to 15 %).
_COMPRESSED = 0.15
_DAYS = 30.4
#: A metric with a shorter period costs three times as much.
_MINUTE_SECONDS = 60


def distribution(subject: Subject) -> Iterator[Line]:
    use = subject.assumptions
    note = "at the price of Europe and North America; other places cost up to twice as much"
    yield subject.charge("cloudfront/gb", "out to people", use.cdn_gb, assumed=True, note=note, region=GLOBAL)
    yield subject.charge(
        "cloudfront/requests", "requests by HTTPS", use.cdn_requests_million, assumed=True, note=note, region=GLOBAL
    )


def firewall(subject: Subject) -> Iterator[Line]:
    yield subject.charge("waf/acl", "web ACL", 1)
    rules = subject.get("rules")
    if rules is not None and not isinstance(rules, list):
        yield subject.unknown("rules", "rules are not known yet")
        return
    number = len(rules or ())
    yield subject.charge("waf/rule", f"{number} rules", number, note=_paid_groups(rules or []))
    yield subject.charge("waf/requests", "requests", subject.assumptions.firewall_requests_million, assumed=True)


def _paid_groups(rules: list[Any]) -> str:
    rules_text = str(rules)
    dear = [name for name in ("BotControl", "ATPRuleSet", "ACFPRuleSet") if name in rules_text]
    return f"{', '.join(dear)} costs more than a rule: not counted" if dear else ""


def zone(subject: Subject) -> Iterator[Line]:
    yield subject.charge("route53/zone", "zone", 1, region=GLOBAL)
    queries = subject.assumptions.dns_queries_million
    yield subject.charge("route53/queries", "queries", queries, assumed=True, region=GLOBAL)


def health_check(subject: Subject) -> Iterator[Line]:
    yield subject.charge("route53/health-check", "health check", 1, region=GLOBAL, note="of an address at AWS")


def log_group(subject: Subject) -> Iterator[Line]:
    if subject.text("logGroupClass", default="STANDARD") != "STANDARD":
        raise UnclearError(f"a log group of class {subject.get('logGroupClass')}")
    written = subject.assumptions.log_gb
    yield subject.charge("cloudwatch/log-gb", "log lines", written, assumed=True)
    days = subject.number("retentionInDays", default=0)
    # Without a retention, the amount that accumulates in a year.
    months = (days or 365) / _DAYS
    note = "" if days else "kept for ever: counted as after a year"
    stored = written * months * _COMPRESSED
    yield subject.charge("cloudwatch/log-stored-gb", "kept log lines", stored, assumed=True, note=note)


def alarm(subject: Subject) -> Iterator[Line]:
    """Yield the charge of an alarm, which is billed by the metrics that it reads."""
    queries = subject.get("metricQueries")
    if queries is not None and not isinstance(queries, list):
        raise UnclearError("metricQueries is not known yet")
    metrics = sum(1 for query in queries or () if query.get("metric")) or 1
    short = subject.number("period", default=_MINUTE_SECONDS) < _MINUTE_SECONDS
    what = f"alarm on {metrics} metric{'s' if metrics > 1 else ''}"
    yield subject.charge("cloudwatch/alarm", what, metrics * (3 if short else 1))
    if subject.get("namespace") == AGENT_NAMESPACE:
        # A metric that AWS does not send itself; each has one alarm.
        yield subject.charge("cloudwatch/metric", "metric that the host sends", 1)


def composite_alarm(subject: Subject) -> Iterator[Line]:
    yield subject.charge("cloudwatch/composite-alarm", "composite alarm", 1)


def dashboard(subject: Subject) -> Iterator[Line]:
    note = "an account's first three are free of charge"
    yield subject.charge("cloudwatch/dashboard", "dashboard", 1, note=note, region=GLOBAL)


def topic(subject: Subject) -> Iterator[Line]:
    yield subject.charge("sns/mails", "e-mails", subject.assumptions.mails_thousand, assumed=True)


def traffic(subject: Subject) -> Iterator[Line]:
    """Yield the charges of the environment's traffic as a whole, which no resource declares."""
    use = subject.assumptions
    note = "an account's first 100 GB are free of charge"
    yield subject.charge("traffic/internet-gb", "out to the internet", use.internet_gb, assumed=True, note=note)
    yield subject.charge("traffic/zone-gb", "between zones, on both sides", 2 * use.zone_gb, assumed=True)


CHARGES: dict[str, Charge] = {
    "aws:cloudfront/distribution:Distribution": distribution,
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": composite_alarm,
    "aws:cloudwatch/dashboard:Dashboard": dashboard,
    "aws:cloudwatch/logGroup:LogGroup": log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": alarm,
    "aws:route53/healthCheck:HealthCheck": health_check,
    "aws:route53/zone:Zone": zone,
    "aws:sns/topic:Topic": topic,
    "aws:wafv2/webAcl:WebAcl": firewall,
}
