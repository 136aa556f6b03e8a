"""CloudWatch gets each value once a run; what cannot be read is not sent."""

from __future__ import annotations

import urllib.parse
from typing import Any

from stackwright.testing.testinfra import security_score

STATUS = "/var/lib/stackwright-backup/problems.json"


def send(host: Any) -> dict[str, float]:
    """Run the program as its timer does; return the values of its request."""
    with host.sudo():
        host.check_output("systemctl start host-metrics.service")
        line = host.check_output("tail -n1 /var/log/aws-stub.log")
    request = dict(urllib.parse.parse_qsl(line))
    assert request["MetricData.member.1.Dimensions.member.1.Value"] == "i-0123456789abcdef0"
    names = [key for key in request if key.endswith(".MetricName")]
    return {request[key]: float(request[key.replace("MetricName", "Value")]) for key in names}


def test_memory_disk_and_units_are_sent(host: Any) -> None:
    values = send(host)
    assert 0 < values["mem_used_percent"] < 100
    assert 0 < values["disk_used_percent"] <= 100
    assert values["failed_units"] >= 0


def test_a_unit_that_fails_is_counted(host: Any) -> None:
    before = send(host)["failed_units"]
    with host.sudo():
        host.run("systemd-run --unit=broken --service-type=oneshot false")
        try:
            assert send(host)["failed_units"] == before + 1
        finally:
            host.check_output("systemctl reset-failed broken.service")


def test_problems_of_backups_are_sent_while_their_check_runs(host: Any) -> None:
    with host.sudo():
        host.check_output(f"""echo '{{"problems": 2}}' > {STATUS}""")
        assert send(host)["backup_problems"] == 2
        host.check_output(f"touch --date='2 hours ago' {STATUS}")
        assert "backup_problems" not in send(host)


def test_the_timer_runs_and_the_service_is_confined(host: Any) -> None:
    with host.sudo():
        assert host.service("host-metrics.timer").is_enabled
        assert host.service("host-metrics.timer").is_running
        assert security_score(host, "host-metrics.service") <= 2
