"""A system without a database, a cache or uploads on AWS: nothing is made for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from environments import ROOT, run

SYSTEM = """name: taaleem
title: Small
apps:
  web:
    runtime: {name: nodejs, version: "24"}
    artifact: dist/web.json
    process: {name: web, command: [server.js], first_port: 3000, memory_mb: 256}
    health: {path: /healthz, ready_path: /readyz}
sites:
  web: {app: web}
"""


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("taaleem-staging", "{size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}", "{size: B}"),
        ("taaleem-windows-aws", "{size: C, app: 2, ops: 1}\ntier_os: {app: windows-2025}", "{size: C, app: 2}"),
    ],
)
def test_nothing_is_made_that_the_system_does_not_need(project: Path, name: str, old: str, new: str) -> None:
    (project / "systems/taaleem.yml").write_text(SYSTEM)
    text = (ROOT / "inventories" / name / "stack.yml").read_text()
    assert old in text
    recording = run(project, name, stack=text.replace(old, new))
    made = {resource.type for resource in recording.resources}
    assert "aws:ec2/instance:Instance" in made
    for word in ("rds", "elasticache"):
        assert [kind for kind in made if word in kind] == []
    servers = {r.inputs["tags"]["Name"] for r in recording.resources if r.type == "aws:ec2/instance:Instance"}
    assert not [server for server in servers if any(tier in server for tier in ("db", "cache", "ops"))]
