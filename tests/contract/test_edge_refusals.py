"""What the role nginx refuses about its inputs alone, `validate` refuses first: with file, line and key.

Each case is an edit of a system or an environment with which the role's own check fails; the sentence is the role's.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/unit/model"))

from model_project import Project  # noqa: E402

SYSTEM, STACK = "systems/taaleem.yml", "inventories/clinic/stack.yml"
HEADERS = "      X-Frame-Options: SAMEORIGIN\n"
COMPRESSION = "compression: {gzip: true, brotli: true, min_bytes: 1024}"
STREAMS = "unbuffered: [/api/events]"
STATIC = "      - {url: /public, folder: public, max_age_days: 30}\n"
LONG = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def types(name: str) -> str:
    return COMPRESSION.replace("}", f", types: [text/css, '{name}']}}")


#: text of the system, what it becomes, key, sentence
SYSTEM_CASES = [
    (HEADERS, f"{HEADERS}      Strict-Transport-Security: max-age=1\n", "headers.Strict-Transport-Security", "own"),
    (HEADERS, f"{HEADERS}      x-request-id: a\n", "headers.x-request-id", "the edge's own"),
    (HEADERS, f"{HEADERS}      X-Odd: a$host\n", "headers.X-Odd", "'$' cannot be sent"),
    (HEADERS, f"{HEADERS}      Content-Length: '5'\n", "headers.Content-Length", "says something of one answer"),
    (HEADERS, f"{HEADERS}      Cache-Control: no-store\n", "headers.Cache-Control", "says something of one answer"),
    (HEADERS, f"{HEADERS}      x-frame-options: DENY\n", "headers.x-frame-options", "is there twice"),
    (COMPRESSION, types("*"), "compression.types[1]", "is no media type"),
    (COMPRESSION, types("Text/CSS"), "compression.types[1]", "is no media type"),
    (COMPRESSION, types("text/event-stream"), "compression.types[1]", "would hold up"),
    (COMPRESSION, types(LONG), "compression.types[1]", "nginx takes at most 46"),
    (STREAMS, "unbuffered: [/public]", "unbuffered[0]", "is there twice"),
    (STATIC, STATIC + STATIC.replace("folder: public", "folder: other"), "static[2].url", "is there twice"),
    (STATIC, STATIC.replace("url: /public", "url: /"), "static[1].url", "is there twice"),
]


@pytest.mark.parametrize(("old", "new", "key", "sentence"), SYSTEM_CASES, ids=[case[2] for case in SYSTEM_CASES])
def test_a_refusal_of_the_role_comes_from_validate(old: str, new: str, key: str, sentence: str, tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    project.edit_system(old, new)
    errors = project.errors()
    path = f"{'apps' if key.startswith('static') else 'sites'}.emr.{key}: "
    found = [match for error in errors if (match := re.match(rf"{SYSTEM}:(\d+): {re.escape(path)}(.*)", error))]
    assert found, errors
    line = project.system.splitlines()[int(found[0][1]) - 1]
    assert re.split(r"[.\[]", key)[0] in line or re.split(r"[.\[]", key)[1] in line or "url:" in line, line
    assert any(sentence in match[2] for match in found), errors


def test_names_that_meet_are_refused(tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    site = project.system[project.system.index("  emr:\n    app: emr\n") : project.system.index("\ndatabase:\n")]
    second = site.replace("  emr:\n", "  portal:\n", 1).replace(
        "    app: emr\n", "    app: emr\n    subdomain: www\n", 1
    )
    project.edit_system(site, site + second)
    errors = project.errors()
    assert any(re.match(r"\S+:\d+: ", error) and "www.taaleem.test" in error for error in errors), errors


def test_a_limit_of_the_environment_is_named_in_its_own_file(tmp_path: Path) -> None:
    limit = "{name: all, path: /x, requests: 5, per: second}"
    project = Project(root=tmp_path)
    project.stack += f"\nsites:\n  emr:\n    rate_limits:\n      - {limit}\n      - {limit}\n"
    errors = project.errors()
    assert any(error.startswith(f"{STACK}:") and "sites.emr.rate_limits[0]" in error for error in errors), errors


@pytest.mark.parametrize("path", ["/public", "/public/images", "/_next/static/chunks"])
def test_static_files_may_be_limited(path: str, tmp_path: Path) -> None:
    """The limit is one of the files, and does not send their addresses to the application."""
    project = Project(root=tmp_path)
    project.edit_system(
        "    rate_limits:\n", f"    rate_limits:\n      - {{name: files, path: {path}, requests: 5, per: second}}\n"
    )
    from dataclasses import asdict

    from stackwright.model import edge, edge_nginx

    sites = [asdict(site) for site in edge.sites(project.load())]
    (site,) = edge_nginx.normalise(edge_nginx.nginx_sites(sites, certificate_folder="/tls", static_root="/srv"))
    (location,) = [location for location in site["locations"] if location["path"] == f"{path}/"]
    assert location["type"] == "static"
    assert location["directory"] == f"/srv/emr/current{path}/"
    assert any(limit["zone"].startswith("emr_files_") for limit in location["limits"])


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        ("{proxy_protocol: true}", "edge.proxy_protocol: needs `trusted_proxies`"),
        ("{trusted_proxies: [0.0.0.0/0]}", "edge.trusted_proxies[0]: is nearly everybody"),
        ("{trusted_proxies: ['::/0']}", "edge.trusted_proxies[0]: is nearly everybody"),
        ("{trusted_proxies: [10.0.0.1/8]}", "edge.trusted_proxies[0]: is not a network"),
        ("{trusted_proxies: [cdn.example.org]}", "edge.trusted_proxies[0]: is not a network"),
        ("{proxies: []}", "edge.proxies: is not a known key; accepted: trusted_proxies, proxy_protocol"),
    ],
)
def test_what_is_in_front_is_checked(edge: str, message: str, tmp_path: Path) -> None:
    project = Project(root=tmp_path)
    project.stack += f"\nedge: {edge}\n"
    errors = project.errors()
    assert any(error.startswith(f"{STACK}:") and message in error for error in errors), errors


def test_what_is_in_front_reaches_the_role(tmp_path: Path) -> None:
    from stackwright.model import inventory

    project = Project(root=tmp_path)
    project.stack += "\nedge: {trusted_proxies: [203.0.113.0/24, '2001:db8::/32'], proxy_protocol: true}\n"
    environment = project.load()
    facts = inventory.stack(environment, environment.hosts)["edge"]
    assert facts["trusted_proxies"] == ["203.0.113.0/24", "2001:db8::/32"]
    assert facts["proxy_protocol"] is True
