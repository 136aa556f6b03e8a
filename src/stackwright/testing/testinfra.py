"""pytest plugin for testinfra suites: shares one connection per host, and shows the journal's end for a failed test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from typing import Any

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Let all commands to a host share a connection: a suite runs some hundred commands, and logins took half its time.

    The sockets are in a directory of this run, as another run's hosts have the same addresses.
    """
    folder = tempfile.mkdtemp(prefix="stackwright-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    shared = f"-o ControlMaster=auto -o ControlPersist=20 -o ControlPath={folder}/%C -o ServerAliveInterval=5"
    os.environ["ANSIBLE_SSH_EXTRA_ARGS"] = shared


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add the journal to the report of a failed test that has a `host`."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.when == "call" and report.failed and host is not None:
        # check_output on a dead host would hide the failure that stopped it.
        journal = host.run("journalctl --no-pager --lines=60 --priority=info --output=short-iso")
        report.sections.append((f"journal of {host.backend.hostname}", journal.stdout))
    return report


def security_score(host: Any, unit: str) -> float:
    """Return the exposure that `systemd-analyze security` reports for a unit: 0.0 (closed) to 10.0 (open)."""
    overall = host.check_output(f"systemd-analyze security --no-pager {unit} | tail -n 1")
    return float(overall.split(":", 1)[1].split()[0])
