"""A server of taaleem-production's group boots for real: the user data of its launch template, the bundle that is uploaded for it.

It is a systemd container that nobody logs in to. What it asks is here, too: AWS's services on one port of this machine, S3 for
uploads on another (moto, which checks signatures and admits what the role's policy allows), and a second container with PostgreSQL 17 behind an authority of its own, as RDS has, and Redis.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import gzip
import hashlib
import http.client
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from environments import ROOT, run
from instance_services import Cloud

from stackwright.artifact import application, runtime
from stackwright.infra import program, signing
from stackwright.infra.aws import bundles
from stackwright.infra.local import podman
from stackwright.infra.program import ALLOW_EXAMPLES
from stackwright.model import wiring
from stackwright.model.aws import member
from stackwright.model.environment import Environment, load
from stackwright.model.secrets import application_names
from stackwright.secret_store import SecretStore
from stackwright.testing import certificates
from tests.app.bucket import Bucket, run_bucket
from tests.app.support import free_port

pytestmark = [pytest.mark.cli, pytest.mark.timeout(1500)]

NAME = "self-configuring"
LABEL = "e2e-self-configuring"
CIDR = "10.231.77.0/24"
GATEWAY, SERVICES, SERVER = "10.231.77.1", "10.231.77.10", "10.231.77.20"
NAMES = ("database.rds.test", "replica.rds.test", "cache.cloud.test")
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
BOOT_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A CA that signs for the services."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str) -> Authority:
        key = certificates.new_key()
        return cls(key=key, certificate=certificates.certificate(name, key, ca=True))

    @property
    def pem(self) -> str:
        return certificates.certificate_pem(self.certificate).decode()

    def pair(self, *names: str) -> tuple[str, str]:
        """Key and certificate, PEM."""
        key = certificates.new_key()
        issuer = self.certificate.subject.rfc4514_string().removeprefix("CN=")
        made = certificates.certificate(names[0], key, issuer, self.key, names=names)
        return certificates.key_pem(key).decode(), certificates.certificate_pem(made).decode()


@functools.cache
def _authority() -> Authority:
    return Authority.make("RDS-like authority")


@dataclass(frozen=True, kw_only=True)
class Site:
    """All that there is: the environment, its services, AWS's stand-in."""

    environment: Environment
    client: podman.Podman
    cloud: Cloud
    bucket: Bucket
    user_data: dict[str, Any]
    output: dict[str, Any]
    secrets: dict[str, str]

    def upload(self) -> bytes:
        """What `stackwright` does before the group is made."""
        made = bundles.write(self.environment, self.output)
        key = bundles.KEY.format(tier=bundles.TIER)
        self.cloud.objects |= {key: made.archive.read_bytes(), f"{key}.sig": made.signature.read_bytes()}
        return self.cloud.objects[key]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of the group."""

    site: Site
    container: str

    def run(self, script: str) -> str:
        return self.site.client.execute(self.container, script)

    @property
    def status(self) -> dict[str, Any]:
        text = self.run("cat /var/lib/stackwright/boot/status.json 2>/dev/null || echo '{}'")
        found: dict[str, Any] = json.loads(text)
        return found

    def wait(self, *states: str, seconds: int = BOOT_SECONDS) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (status := self.status).get("state") not in states:
            if time.monotonic() > deadline:
                raise AssertionError(f"{status}\n{self.log()}")
            time.sleep(2)
        return status

    def log(self) -> str:
        return self.run("journalctl --no-pager --unit=stackwright-boot.service --output=cat | tail -n 400")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    client, folder = podman.Podman(), tmp_path_factory.mktemp("project")
    client.remove_environment(LABEL)
    cloud, bucket_port = Cloud(folder=folder, address=GATEWAY, port=free_port()), free_port()
    environment, user_data, policy = _environment(folder, cloud.port, bucket_port)
    client.create_network(podman.Network(name=LABEL, cidr=CIDR, environment=LABEL))
    try:
        program.key_pair(environment)
        signing.private_key(environment)
        store = SecretStore(NAME, environment.state_folder)
        store.create()
        secrets = {each: store.get(each) for each in application_names(environment)}
        cloud.secrets = {f"{NAME}/{name}": value for name, value in secrets.items()}
        # The gateway's address is there once there is somebody on the network.
        services = _create_host(client, "services", SERVICES)
        with run_bucket(policy, GATEWAY, bucket_port) as bucket:
            cloud.credentials = bucket.credentials
            site = Site(
                environment=environment,
                client=client,
                cloud=cloud,
                bucket=bucket,
                user_data=user_data,
                output=_output(environment, bucket.name),
                secrets=secrets,
            )
            _create_services(site, store, services)
            cloud.start()
            yield site
    finally:
        cloud.stop()
        client.remove_environment(LABEL)


def _environment(folder: Path, cloud_port: int, bucket_port: int) -> tuple[Environment, dict[str, Any], dict[str, Any]]:
    """A project of its own with our code, the user data of its launch template, and what the servers' role may do."""
    for each in ("ansible.cfg", "playbooks", "roles", "src", "tools", "uv.lock"):
        (folder / each).symlink_to(ROOT / each)
    for each in ("pulumi", "systems"):
        shutil.copytree(ROOT / each, folder / each, ignore=shutil.ignore_patterns("__pycache__"))
    runtime.build()
    release = application.build()
    archives = {}
    for part in ("path", "static_path"):
        copied = folder / "dist" / Path(getattr(release, part)).name
        copied.parent.mkdir(exist_ok=True)
        archives[part] = str(shutil.copy(getattr(release, part), copied))
    application.select(replace(release, **archives))
    (folder / "rds.pem").write_text(_authority().pem)
    text = (ROOT / "inventories/taaleem-production/stack.yml").read_text()
    assert "storage_gb: 100," in text
    text = text.replace("storage_gb: 100,", "ca_file: rds.pem, storage_gb: 100,")
    # The containers' network is in it, so that this machine is where a load balancer would be.
    assert "10.64.0.0/16" in text
    text = text.replace("10.64.0.0/16", "10.231.64.0/18")
    # Where AWS's SDK in the application finds the stand-ins.
    text += f"""
apps:
  emr:
    environment:
      AWS_ENDPOINT_URL_S3: http://{GATEWAY}:{bucket_port}
      AWS_EC2_METADATA_SERVICE_ENDPOINT: http://{GATEWAY}:{cloud_port}
"""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("STACKWRIGHT_ROOT", str(folder))
        patch.setenv(ALLOW_EXAMPLES, "1")
        recording = run(folder, NAME, stack=text)
        environment = load(folder / "inventories" / NAME)
    (template,) = [each for each in recording.resources if each.type == TEMPLATE]
    raw = base64.b64decode(template.inputs["userData"])
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    assert raw.startswith(b"#cloud-config\n")
    policy = json.loads(recording.named(f"{NAME}-app-servers-policy").inputs["policy"])
    return environment, yaml.safe_load(raw), policy


def _output(environment: Environment, bucket: str) -> dict[str, Any]:
    """Of `pulumi up`: what a server is told of it."""

    def endpoint(scheme: str, name: str, port: int) -> dict[str, Any]:
        return {"scheme": scheme, "addresses": [name], "port": port}

    caches = {
        f"redis_{purpose}": endpoint("rediss", "cache.cloud.test", one.port)
        for purpose, one in environment.system.cache.items()
    }
    return {
        "endpoints": {
            "postgresql": endpoint("postgresql", "database.rds.test", 5432),
            "postgresql_replica": endpoint("postgresql", "replica.rds.test", 5432),
            **caches,
        },
        "cloud": {
            "region": "eu-central-1",
            "secrets_prefix": f"{NAME}/",
            "buckets": {"artifacts": "artifacts", "uploads": bucket},
        },
    }


# --- the services -----------------------------------------------------------------------------------------------------

_POSTGRESQL = """
conf=/etc/postgresql/17/main
cat >> $conf/postgresql.conf <<END
listen_addresses = '*'
ssl = on
ssl_cert_file = '$conf/tls.crt'
ssl_key_file = '$conf/tls.key'
END
# As `rds.force_ssl`: nobody comes in without TLS.
printf 'local all postgres peer\nhostssl all all 0.0.0.0/0 scram-sha-256\n' > $conf/pg_hba.conf
chown postgres: $conf/tls.* && chmod 600 $conf/tls.key
systemctl restart postgresql@17-main
"""
_REDIS = """
systemctl disable --now redis-server 2>/dev/null
chown redis: /etc/redis/tls.* && chmod 600 /etc/redis/tls.key
for port in {ports}; do
  cat > /etc/redis/$port.conf <<END
port 0
tls-port $port
bind 0.0.0.0
protected-mode no
tls-cert-file /etc/redis/tls.crt
tls-key-file /etc/redis/tls.key
tls-auth-clients no
dir /tmp
save ""
aclfile /etc/redis/$port.acl
END
  systemd-run --quiet --unit=redis-$port redis-server /etc/redis/$port.conf
done
"""


def _create_services(site: Site, store: SecretStore, container: str) -> None:
    client, environment, authority = site.client, site.environment, _authority()
    stack = member.inventory(environment, site.output, "ssh-ed25519 AAAA")["all"]["vars"]["stack"]
    client.execute(container, "apt-get update -qq && apt-get install -qq -y postgresql-17 redis-server >/dev/null 2>&1")
    key, certificate = authority.pair("database.rds.test", "replica.rds.test")
    _write(client, container, {"/etc/postgresql/17/main/tls.key": key, "/etc/postgresql/17/main/tls.crt": certificate})
    client.execute(container, _POSTGRESQL)
    client.execute(container, "runuser -u postgres -- psql -qX -v ON_ERROR_STOP=1", stdin=_objects(stack, site.secrets))
    # Every system trusts who signs for ElastiCache; here they trust the environment's own authority.
    own = Authority(
        key=serialization.load_pem_private_key(store.get("tls/ca_key").encode(), None),  # type: ignore[arg-type]
        certificate=x509.load_pem_x509_certificate(store.get("tls/ca_crt").encode()),
    )
    key, certificate = own.pair("cache.cloud.test")
    files = {"/etc/redis/tls.key": key, "/etc/redis/tls.crt": certificate}
    for name, url in wiring.app_secrets(stack, "emr", site.secrets).items():
        parts = urllib.parse.urlsplit(url)
        if parts.scheme == "rediss":
            assert parts.username, name
            users = (
                f"user default off\nuser {parts.username} on >{parts.password} ~taaleem:* &taaleem:* +@all -@admin\n"
            )
            files[f"/etc/redis/{parts.port}.acl"] = users
    _write(client, container, files)
    ports = " ".join(str(one.port) for one in environment.system.cache.values())
    client.execute(container, _REDIS.format(ports=ports))


def _objects(stack: dict[str, Any], secrets: dict[str, str]) -> str:
    """What the role `managed_postgresql` makes, as far as the application needs it."""
    return f"""
CREATE ROLE emr LOGIN PASSWORD '{secrets["postgresql/role/emr"]}';
CREATE DATABASE taaleem OWNER emr TEMPLATE template0 ENCODING UTF8;
\\c taaleem
{"".join(f"CREATE EXTENSION {each};" for each in stack["database"]["extensions"])}
"""


def _create_host(client: podman.Podman, name: str, address: str, memory_mb: int = 2048) -> str:
    private, _ = podman.generate_key()
    host = podman.Host(
        name=name,
        environment=LABEL,
        network=LABEL,
        address=address,
        authorized_keys=(),
        host_key=private,
        cpus=2,
        memory_mb=memory_mb,
    )
    client.create_host(host)
    return host.container


def _write(client: podman.Podman, container: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        client.execute(container, f"install -D -m 644 /dev/stdin {path}", stdin=text)


# --- the server -------------------------------------------------------------------------------------------------------


def _first_boot(site: Site, container: str) -> None:
    """What cloud-init does with the user data: files, then commands."""
    _write(site.client, container, {each["path"]: each["content"] for each in site.user_data["write_files"]})
    services = ("METADATA", "S3", "AUTOSCALING", "SECRETSMANAGER")
    paths = {"METADATA": ""}
    lines = [f"STACKWRIGHT_{each}_URL={site.cloud.url}{paths.get(each, f'/{each.lower()}')}" for each in services]
    variables = "\n".join([*lines, "STACKWRIGHT_WAIT_FACTOR=0.2", ""])
    _write(site.client, container, {"/etc/stackwright/boot.env": variables})
    names = f"echo '{SERVICES} {' '.join(NAMES)}' >> /etc/hosts"
    site.client.execute(container, names)
    for command in site.user_data["runcmd"]:
        # The agent of AWS's Systems Manager comes from AWS.
        if "--unit=stackwright-ssm-agent" not in command:
            site.client.execute(container, shlex.join(command))


@pytest.fixture(scope="module")
def server(site: Site) -> Server:
    """It boots before anybody answers, as a server does whose network comes late."""
    site.upload()
    site.cloud.stop()
    container = _create_host(site.client, "server", SERVER, memory_mb=8192)
    booting = Server(site=site, container=container)
    _first_boot(site, container)
    told = booting.wait("waiting", seconds=120)
    assert told["step"] == "network", told
    assert not site.cloud.actions
    site.cloud.start()
    booting.wait("serving", "abandoned")
    return booting


def test_it_comes_to_serve_by_itself(server: Server) -> None:
    assert server.status["state"] == "serving", server.log()
    (action,) = server.site.cloud.actions
    assert action["LifecycleActionResult"] == "CONTINUE"
    assert "failed=0" in server.log()


def test_nobody_came_in_to_configure_it(server: Server) -> None:
    journal = server.run("journalctl --no-pager --unit=ssh.service --unit=sshd.service --output=cat")
    assert "Accepted" not in journal
    assert "Connection" not in journal


def test_users_are_served_and_known_by_what_the_load_balancer_says(server: Server) -> None:
    host = f"Host: {server.site.environment.domain}"
    answer = _ask("GET /api/ready HTTP/1.1", host, "X-Forwarded-For: 198.51.100.7")
    assert answer.startswith("HTTP/1.1 200 "), answer
    assert '"ok"' in answer

    def requests() -> list[str]:
        lines = map(json.loads, server.run("cat /var/log/nginx/access.log").splitlines())
        return [entry["uri"] for entry in lines if entry["client"] == "198.51.100.7"]

    _until(lambda: requests() == ["/api/ready"], 30)


def test_an_upload_is_in_the_environments_bucket_and_on_no_servers_disk(server: Server) -> None:
    bucket, content = server.site.bucket, os.urandom(11 * 1024 * 1024)
    session = _log_in(server)
    status, body, _ = _request(server, "POST", "/api/uploads", content, session)
    assert status == 201, body
    found = json.loads(body)
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert (bucket.names(), bucket.unfinished()) == ([found["id"]], [])
    assert bucket.read(found["id"]) == content
    assert server.run(f"find / -xdev -type f -size {len(content)}c").split() == []
    assert server.run("test -e /var/lib/emr && echo there || echo none").strip() == "none"


def test_what_the_role_may_not_do_is_an_error_without_a_secret(server: Server) -> None:
    bucket, session = server.site.bucket, _log_in(server)
    before = bucket.names()
    with bucket.refusing("s3:PutObject"):
        status, body, _ = _request(server, "POST", "/api/uploads", os.urandom(1000), session)
    assert (status, json.loads(body)["error"]) == (500, "internal")
    assert bucket.names() == before
    logs = server.run("cat /var/log/emr/*.log")
    assert "AccessDenied" in logs
    for place in (logs, body.decode(), server.run("journalctl --no-pager --output=cat")):
        assert not [value for value in bucket.credentials if value in place]


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [(SERVER, "/api/health", "200"), (f"{SERVER}:443", "/api/health", "200"), (SERVER, "/", ""), ("x.test", "/x", "")],
)
def test_the_load_balancer_may_ask_for_its_health_without_a_name_and_for_nothing_else(
    server: Server, host: str, path: str, status: str
) -> None:
    assert server.status["state"] == "serving"
    answer = _ask(f"GET {path} HTTP/1.1", f"Host: {host}")
    assert answer.partition(" ")[2][:3] == status, answer


def test_the_database_is_asked_over_tls_that_was_verified(server: Server) -> None:
    query = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'emr'"
    shown = server.site.client.execute(f"{LABEL}-services", f'runuser -u postgres -- psql -qXAt -c "{query}"').strip()
    encrypted, every = (int(each) for each in shown.split("|"))
    assert encrypted == every > 0
    settings = server.run("cat /etc/pgbouncer/pgbouncer.ini")
    assert "server_tls_sslmode = verify-full" in settings
    assert "server_tls_ca_file = /etc/stackwright/ca/database.crt" in settings
    assert server.run("cat /etc/stackwright/ca/database.crt") == (server.site.environment.root / "rds.pem").read_text()


def test_no_secret_is_in_the_bundle_or_a_log(server: Server) -> None:
    unpacked = server.run("cat /var/lib/stackwright/boot/current/inventory/hosts.yml")
    journal = server.run("journalctl --no-pager --output=cat")
    values = [value for name, value in server.site.secrets.items() if name != "tls/ca_crt"]
    assert len(values) > 5
    for where in (unpacked, journal):
        assert not [value for value in values if value in where]
    asked = {name.removeprefix(f"{NAME}/") for kind, name, _ in server.site.cloud.requests if kind == "SECRET"}
    assert asked <= set(server.site.secrets)


def test_it_runs_the_same_bundle_again_without_a_change(server: Server) -> None:
    before = len(server.site.cloud.actions)
    server.run("systemctl restart --no-block stackwright-boot.service")
    _until(lambda: len(server.site.cloud.actions) > before)
    server.wait("serving", "abandoned")
    recaps = re.findall(r"^app1\s+: ok=\d+\s+changed=(\d+)", server.log(), re.MULTILINE)
    assert recaps[-1:] == ["0"], server.log()


def test_a_bundle_that_somebody_changed_is_refused(server: Server) -> None:
    cloud, key = server.site.cloud, bundles.KEY.format(tier=bundles.TIER)
    whole, before = cloud.objects[key], len(cloud.actions)
    cloud.objects[key] = whole[:-200] + bytes(200)
    try:
        server.run("systemctl restart --no-block stackwright-boot.service")
        _until(lambda: len(cloud.actions) > before)
    finally:
        cloud.objects[key] = whole
    told = server.wait("abandoned", seconds=60)
    assert cloud.actions[-1]["LifecycleActionResult"] == "ABANDON"
    failures = [each["detail"] for each in told["history"] if each["state"] == "failed"]
    assert failures
    assert all("signature" in each for each in failures[-2:]), failures


def test_it_finishes_what_it_does_before_it_goes(server: Server) -> None:
    cloud, before = server.site.cloud, len(server.site.cloud.actions)
    cloud.state = "Terminated"
    _until(lambda: len(cloud.actions) > before)
    assert cloud.actions[-1]["LifecycleHookName"].endswith("terminate")
    assert server.run("systemctl is-active nginx.service pm2-emr.service || true").split() == ["inactive", "inactive"]


def _log_in(server: Server) -> str:
    """The cookie of a session of the administrator."""
    assert server.status["state"] == "serving"
    login = {"username": "admin", "password": server.site.secrets["app/emr/admin"]}
    status, body, headers = _request(server, "POST", "/api/login", json.dumps(login).encode())
    assert status == 200, body
    return headers["Set-Cookie"].split(";")[0]


def _request(
    server: Server, method: str, path: str, body: bytes, cookie: str = ""
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Through the edge, as from the load balancer."""
    headers = {"Host": server.site.environment.domain, "Content-Type": "application/json", "Cookie": cookie}
    connection = http.client.HTTPSConnection(SERVER, timeout=60, context=_unverified())
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _ask(*lines: str) -> str:
    """What the server answers a load balancer, which verifies nobody and names no site in its handshake."""
    with _unverified().wrap_socket(socket.create_connection((SERVER, 443), timeout=10)) as secure:
        secure.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        return b"".join(iter(lambda: secure.recv(65536), b"")).decode()


def _until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(1)
