"""The role's templates over a matrix of inputs, read by the real nginx and by gixy."""

from __future__ import annotations

import copy
import itertools
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stackwright.model import edge_nginx
from stackwright.testing import certificates as test_certificates
from stackwright.testing import edge_contract, nginx
from stackwright.testing.render import Role

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles/nginx"
CONTRACT = edge_contract.load(ROOT / "tests/contract/edge.yml")
PARTS = ("main.conf", "http.conf", "tls.conf", "proxy.conf", "upstreams.conf", "default.conf")
SYSTEMS = ("Debian-13", "Debian-12", "Ubuntu-24.04")


@pytest.fixture(scope="session")
def local() -> str:
    """The operating system whose nginx this machine has."""
    version = tuple(map(int, nginx.unpacked().parent.name.split("-")[0].split(".")[:2]))
    return "Debian-13" if version >= (1, 26) else "Ubuntu-24.04" if version >= (1, 24) else "Debian-12"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """An ECDSA and an RSA certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    result = []
    for kind, key in (
        ("ecdsa", test_certificates.new_key()),
        ("rsa", rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ):
        paths = {"certificate_file": folder / f"{kind}.crt", "key_file": folder / f"{kind}.key"}
        made = test_certificates.certificate("shop.test", key)
        paths["certificate_file"].write_bytes(test_certificates.certificate_pem(made))
        paths["key_file"].write_bytes(test_certificates.key_pem(key))
        result.append({name: str(path) for name, path in paths.items()})
    return result


def site(**given: Any) -> dict[str, Any]:
    """The least that a site needs."""
    return {
        "name": "shop",
        "server_names": ["shop.test"],
        "upstreams": [{"name": "shop", "members": [{"address": "127.0.0.1", "port": 5005}]}],
        "locations": [{"path": "/", "upstream": "shop"}],
        **given,
    }


def matrix() -> dict[str, dict[str, Any]]:
    """Inputs by name; a site's `tls` is a number of certificates, put in later."""
    second = {"name": "second", "server_names": ["second.test", "*.second.test"], "upstreams": []}
    cases = {
        "nothing": {"nginx_sites": []},
        "least": {"nginx_sites": [site()]},
        "contract": {"nginx_sites": neutral()},
        "two sites": {"nginx_sites": [site(tls=1), site(**second, tls=2)]},
        "two certificates": {"nginx_sites": [site(tls=2)]},
        "no IPv6": {"nginx_sites": [site(tls=1)], "nginx_ipv6": False},
        "no HTTP/2, TLS 1.3": {"nginx_sites": [site(tls=1)], "nginx_http2": False, "nginx_tls_min_version": "1.3"},
        "behind a load balancer": {
            "nginx_sites": [site(tls=1)],
            "nginx_trusted_proxies": ["10.0.0.0/8"],
            "nginx_balancer": {"health_path": "/api/health", "upstream": "shop"},
        },
        "behind a balancer that speaks the PROXY protocol": {
            "nginx_sites": [site(tls=1)],
            "nginx_trusted_proxies": ["10.0.0.0/8"],
            "nginx_proxy_protocol": True,
        },
        "behind a proxy": {"nginx_sites": [site()], "nginx_trusted_proxies": ["10.0.0.0/8", "2001:db8::/32"]},
        "308": {"nginx_sites": [site(tls=1, redirect_http_status=308)]},
        "HTTP and HTTPS": {"nginx_sites": [site(tls=1, redirect_http=False)]},
        "workers": {"nginx_sites": [site()], "nginx_worker_processes": "3", "nginx_worker_connections": 512},
        "hsts": {"nginx_sites": [site(tls=1, hsts={"max_age_seconds": 60})]},
        "odd header": {"nginx_sites": [site(headers={"X-Odd": 'a "quoted" \\ value; {}#'})]},
        "no compression": {"nginx_sites": [site(compression={"gzip": False, "brotli": False})]},
        "html named": {"nginx_sites": [site(compression={"types": ["text/html", "text/css"]})]},
    }
    for method, backup, version in itertools.product(edge_nginx_methods(), (False, True), (4, 6)):
        if method == "ip_hash" and backup:
            continue
        address = "127.0.0.1" if version == 4 else "::1"
        members = [{"address": address, "port": port} for port in (5005, 5006)]
        members[1] |= {"backup": backup, "max_fails": 3, "fail_timeout_seconds": 5}
        members[0] |= {"weight": 3} if method != "round_robin" else {}
        upstreams = [{"name": "shop", "method": method, "members": members}]
        cases[f"{method} v{version}{' backup' * backup}"] = {"nginx_sites": [site(upstreams=upstreams)]}
    limits = [
        {"zone": "a-b", "rate": "10r/s", "burst": 20},
        {"zone": "posts", "rate": "5r/m", "methods": ["POST", "PUT"]},
        {"zone": "all", "rate": "100r/s", "key": "site"},
    ]
    for kind, options in {
        "websocket": {"websocket": True},
        "stream": {"buffering": False, "read_seconds": 3600},
        "silent": {"access_log": False, "match": "exact"},
        "limited": {"limits": ["a-b", "posts", "all"]},
        "large": {"body_limit_mb": 500},
        "static": {
            "path": "/s/",
            "type": "static",
            "directory": "/srv/s",
            "upstream": "",
            "cache": {"max_age_seconds": 1},
        },
        "static or instance": {"path": "/s/", "type": "static", "directory": "/srv/s/", "limits": ["a-b"]},
    }.items():
        location = {"path": "/x", "upstream": "shop", **options}
        cases[f"location {kind}"] = {"nginx_sites": [site(limits=limits, locations=[location])]}
    return cases


def edge_nginx_methods() -> tuple[str, ...]:
    return ("least_conn", "round_robin", "ip_hash", "weighted")


def neutral() -> list[dict[str, Any]]:
    sites = edge_nginx.nginx_sites(CONTRACT.sites, certificate_folder="/tls", static_root=CONTRACT.static_root)
    return [{**each, "tls": 1} for each in sites]


MATRIX = matrix()


def render(inputs: dict[str, Any], system: str, certificates: list[dict[str, str]]) -> dict[str, str]:
    inputs = copy.deepcopy(inputs)
    for each in inputs["nginx_sites"]:
        if "tls" in each:
            each["tls"] = {"certificates": certificates[: each["tls"]]}
    if "nginx_balancer" in inputs:
        inputs["nginx_balancer"] |= certificates[0]
    role = Role(ROLE, inputs, system=system)
    files = {part: role.template(f"etc/nginx/live/{part}.j2") for part in PARTS}
    for each in role.value("__nginx_sites"):
        files[f"sites/{each['name']}.conf"] = role.template("etc/nginx/live/sites/site.conf.j2", item=each)
    return files


def write(files: dict[str, str], folder: Path) -> Path:
    """Lay the files out as nginx-config does, with this machine's paths for what the distribution brings."""
    root = nginx.unpacked()
    modules = "".join(f"load_module {path};\n" for path in sorted(root.glob("usr/lib/nginx/modules/*brotli*.so")))
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "live/sites").mkdir(parents=True)
    for name, text in files.items():
        local = text.replace("include /etc/nginx/modules-enabled/*.conf;\n", modules)
        local = local.replace("/etc/nginx/mime.types", str(root / "etc/nginx/mime.types"))
        local = local.replace("/var/log/nginx", str(folder))
        (folder / "live" / name).write_text(local)
    (folder / "live/generation.conf").write_text(f'{temporary}map $server_port $edge_generation {{ default "x"; }}\n')
    main = folder / "nginx.conf"
    main.write_text(f"pid {folder}/nginx.pid;\ninclude live/main.conf;\n")
    return main


@pytest.mark.parametrize("name", MATRIX)
def test_nginx_accepts_it_without_a_warning(
    name: str, local: str, certificates: list[dict[str, str]], tmp_path: Path
) -> None:
    said = nginx.test(write(render(MATRIX[name], local, certificates), tmp_path), tmp_path)
    assert "[warn]" not in said, said


def test_nginx_refuses_a_mistake(local: str, certificates: list[dict[str, str]], tmp_path: Path) -> None:
    files = render(MATRIX["least"], local, certificates)
    files["sites/shop.conf"] += "no_such_directive on;\n"
    with pytest.raises(AssertionError, match="no_such_directive"):
        nginx.test(write(files, tmp_path), tmp_path)


def _domain(length: int, serial: int = 0) -> str:
    """A host name of that many characters."""
    labels = f"{serial}." + ".".join("a" * 60 for _ in range(5))
    return labels[:length].rstrip(".-").ljust(length, "b")


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(length=253, aliases=1, sites=1, name=30, header=10)
@example(length=47, aliases=0, sites=1, name=30, header=10)
@example(length=64, aliases=100, sites=8, name=30, header=80)
@given(
    length=st.integers(20, 253),
    aliases=st.integers(0, 30),
    sites=st.integers(1, 4),
    name=st.integers(1, 30),
    header=st.integers(1, 80),
)
def test_tables_are_as_large_as_the_names_need(
    length: int, aliases: int, sites: int, name: int, header: int, local: str, certificates: list[dict[str, str]]
) -> None:
    inputs = []
    for number in range(sites):
        own = f"{'s' * max(1, name - 2)}{number}"
        limits = [{"zone": f"{'z' * max(1, name - 2)}{zone}", "rate": "1r/s", "methods": ["POST"]} for zone in range(4)]
        inputs.append(
            site(
                name=own,
                server_names=[_domain(length, 1000 * number + alias) for alias in range(aliases + 1)],
                headers={f"X-{'h' * header}-{index}": "x" for index in range(20)},
                limits=limits,
                upstreams=[{"name": own, "members": [{"address": "127.0.0.1", "port": 1024 + i} for i in range(300)]}],
                locations=[{"path": "/", "upstream": own, "limits": [limit["zone"] for limit in limits]}],
            )
        )
    with tempfile.TemporaryDirectory() as folder:
        said = nginx.test(write(render({"nginx_sites": inputs}, local, certificates), Path(folder)), Path(folder))
    assert "[warn]" not in said, said


def test_the_longest_media_type_is_taken(local: str, certificates: list[dict[str, str]], tmp_path: Path) -> None:
    longest = f"application/{'x' * (edge_nginx.LONGEST_TYPE - len('application/'))}"
    inputs = {"nginx_sites": [site(compression={"types": [longest]})]}
    assert "[warn]" not in nginx.test(write(render(inputs, local, certificates), tmp_path), tmp_path)


@pytest.mark.parametrize("name", MATRIX)
def test_gixy_finds_nothing_high_or_medium(
    name: str, local: str, certificates: list[dict[str, str]], tmp_path: Path
) -> None:
    main = write(render(MATRIX[name], local, certificates), tmp_path)
    run = subprocess.run(["gixy", "--format", "json", str(main)], capture_output=True, text=True, check=False)
    found = {each["plugin"] for each in json.loads(run.stdout) if each["severity"] in ("HIGH", "MEDIUM")}
    # Sites of the matrix that ask for none have none.
    asked = any("tls" in each and not each.get("hsts") for each in MATRIX[name]["nginx_sites"])
    assert found == ({"hsts_header"} if asked else set())


def test_gixy_sees_the_included_files(local: str, certificates: list[dict[str, str]], tmp_path: Path) -> None:
    files = render(MATRIX["least"], local, certificates)
    files["sites/shop.conf"] += "server { location / { return 302 http://x$uri; } }\n"
    run = subprocess.run(
        ["gixy", "--format", "json", str(write(files, tmp_path))], capture_output=True, text=True, check=False
    )
    assert "HIGH" in {each["severity"] for each in json.loads(run.stdout)}


@pytest.mark.parametrize(("name", "system"), list(itertools.product(MATRIX, SYSTEMS)))
def test_no_location_drops_a_header(name: str, system: str, certificates: list[dict[str, str]]) -> None:
    """One header directive in a location, and all inherited ones are gone."""
    for path, text in render(MATRIX[name], system, certificates).items():
        for location in re.findall(r"^    location .*?^    \}", text, re.MULTILINE | re.DOTALL):
            assert not re.search(r"add_header|proxy_set_header|proxy_hide_header", location), f"{path}: {location}"


@pytest.mark.parametrize(
    ("system", "directive", "word", "tickets", "hybrid"),
    [
        ("Debian-13", True, False, "on", True),
        ("Debian-12", False, True, "off", False),
        ("Ubuntu-24.04", False, True, "on", False),
    ],
)
def test_versions_differ_by_data(
    system: str, directive: bool, word: bool, tickets: str, hybrid: bool, certificates: list[dict[str, str]]
) -> None:
    files = render(MATRIX["two certificates"], system, certificates)
    assert ("http2 on;" in files["tls.conf"]) is directive
    assert ("listen 443 ssl http2;" in files["sites/shop.conf"]) is word
    assert ("listen 443 ssl http2 default_server;" in files["default.conf"]) is word
    assert f"ssl_session_tickets {tickets};" in files["tls.conf"]
    assert ("X25519MLKEM768" in files["tls.conf"]) is hybrid
