"""The dashboard for troubleshooting: all alarms, and their metrics with the thresholds.

Its format is that of the CloudWatch API reference, "Dashboard body structure and syntax".
"""

# No postponed annotations, as in the modules of the args.
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stackwright.infra.aws.alarm_sets import Alarm, Metric
from stackwright.infra.aws.context import Context

_GRID, _COLUMNS = 24, 3
_CHART_HEIGHT, _ALARMS_HEIGHT = 6, 4
#: Maximum of one widget.
_MOST_ALARMS, _MOST_METRICS = 100, 500

Widget = dict[str, Any]


def body(context: Context, alarms: Sequence[Alarm]) -> dict[str, Any]:
    """Return the body of the dashboard, with Pulumi inputs for values that only AWS knows."""
    return {"start": "-PT12H", "periodOverride": "inherit", "widgets": list(_widgets(context, alarms))}


def _widgets(context: Context, alarms: Sequence[Alarm]) -> Iterator[Widget]:
    top = 0
    for start in range(0, len(alarms), _MOST_ALARMS):
        arns = [_arn(context, listed_alarm) for listed_alarm in alarms[start : start + _MOST_ALARMS]]
        properties = {"title": f"{context.system}, {context.environment}: alarms", "alarms": arns}
        yield _widget("alarm", 0, top, _GRID, _ALARMS_HEIGHT, properties)
        top += _ALARMS_HEIGHT
    width = _GRID // _COLUMNS
    charts: dict[str, list[Alarm]] = {}
    for alarm in alarms:
        charts.setdefault(alarm.chart, []).append(alarm)
    for number, (title, drawn) in enumerate(charts.items()):
        row, column = divmod(number, _COLUMNS)
        properties = _chart(context, title, drawn)
        yield _widget("metric", column * width, top + row * _CHART_HEIGHT, width, _CHART_HEIGHT, properties)


def _widget(kind: str, x: int, y: int, width: int, height: int, properties: Mapping[str, Any]) -> Widget:
    return {"type": kind, "x": x, "y": y, "width": width, "height": height, "properties": dict(properties)}


def _arn(context: Context, alarm: Alarm) -> str:
    name = context.name("alarm", *alarm.name)
    return context.arn("cloudwatch", f"alarm:{name}", region=alarm.region)


def _chart(context: Context, title: str, alarms: Sequence[Alarm]) -> dict[str, Any]:
    metrics = [line for number, alarm in enumerate(alarms) for line in _lines(number, alarm)]
    thresholds = sorted({alarm.threshold for alarm in alarms})
    return {
        "title": title,
        "view": "timeSeries",
        "stacked": False,
        "region": alarms[0].region or context.region,
        "period": alarms[0].period_seconds,
        "metrics": metrics[:_MOST_METRICS],
        "annotations": {"horizontal": [{"label": "alarm", "value": value} for value in thresholds]},
    }


def _lines(number: int, alarm: Alarm) -> Iterator[list[Any]]:
    label = " ".join(alarm.name[:-1])
    # Ids must be unique within the widget.
    ids = {identity: f"{identity}{number}" for identity in alarm.metrics}
    if alarm.expression:
        expression = re.sub(r"\b[a-z]\w*\b", lambda match: ids.get(match[0], match[0]), alarm.expression)
        yield [{"id": f"result{number}", "expression": expression, "label": f"{label} {alarm.name[-1]}"}]
    for identity, metric in alarm.metrics.items():
        hidden = {"visible": False} if alarm.expression else {"label": label}
        options = {"id": ids[identity], "stat": metric.statistic, "period": alarm.period_seconds, **hidden}
        yield [metric.namespace, metric.name, *_flat(metric), options]


def _flat(metric: Metric) -> list[Any]:
    return [part for pair in metric.dimensions.items() for part in pair]
