"""The smallest systems: an application alone, and with one thing more."""

from __future__ import annotations

from pathlib import Path

from model_project import Project

_ALONE = """name: taaleem
title: Small
apps:
  web:
    runtime: {name: nodejs, version: "24"}
    artifact: dist/web.json
    process: {name: web, command: [server.js], first_port: 3000, memory_mb: 256}
    health: {path: /healthz, ready_path: /readyz}
"""
_SITE = "sites:\n  web: {app: web}\n"
_DATABASE = "database: {databases: [web], roles: [{name: web, privileges: owner, databases: [web]}]}\n"
_CACHE = "cache: {cache: {port: 6379, memory_mb: 64, eviction: noeviction}}\n"

#: What it has more -> the system, and the hosts of size B.
SYSTEMS = {
    "nothing": (_ALONE + _SITE, ["edge1", "app1", "app2"]),
    "database": (
        _ALONE + "    database: {name: web, role: web}\n" + _SITE + _DATABASE,
        ["edge1", "app1", "app2", "db1", "db2", "ops1"],
    ),
    "database that no application uses": (
        _ALONE + _SITE + _DATABASE,
        ["edge1", "app1", "app2", "db1", "db2", "ops1"],
    ),
    "cache": (_ALONE + "    cache: [cache]\n" + _SITE + _CACHE, ["edge1", "app1", "app2", "cache1"]),
    "uploads": (_ALONE + "    uploads: [files]\n" + _SITE, ["edge1", "app1", "app2", "ops1"]),
}
SIZE_B = "{size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}"


def project(root: Path, system: str, size: str = "B") -> Project:
    """Return a project of a small system."""
    found = Project(root=root, system=SYSTEMS[system][0])
    found.edit(SIZE_B, f"{{size: {size}}}")
    return found
