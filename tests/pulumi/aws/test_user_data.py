"""User data: what a server is told, that it fits, and that nothing in it is a secret."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from stackwright.model import topology
from stackwright.model.aws import images, sizes, user_data
from stackwright.model.aws.user_data import AgentPackage, Boot, UserData

SHA256 = "ab" * 32
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUGbl6ztn+p9K2dLxgYqkA9i0Sg4JcvV1WjEwT9xQzr ops"
AGENT = AgentPackage(version="3.3.2299.0", sha256=SHA256)


def pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


PUBLIC_KEY = pem(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
BOOT = Boot(
    environment="test",
    tier="app",
    bundle="s3://test-artifacts-111122223333/bundles/app.tar.gz",
    public_key=PUBLIC_KEY,
    group="test-app",
    launch_hook="test-app-launch",
    terminate_hook="test-app-terminate",
    health_url="http://127.0.0.1/health",
)
DEBIAN = images.image("debian-13", "x86_64")
UBUNTU = images.image("ubuntu-24.04", "arm64")
WINDOWS = images.image("windows-2022", "x86_64")


def host(**more: Any) -> UserData:
    given_args = {
        "image": DEBIAN,
        "region": "eu-central-1",
        "hostname": "app1",
        "authorized_keys": [KEY],
        "agent": AGENT,
        "host_key_parameter": "/stackwright/test/host-keys/app1",
    }
    return UserData(**(given_args | more))


def config(data: UserData) -> dict[str, Any]:
    text = data.text()
    assert text.startswith("#cloud-config\n")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def files(data: UserData) -> dict[str, str]:
    return {each["path"]: each["content"] for each in config(data)["write_files"]}


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "architecture", "image_id"),
    [
        ("debian-12", "arm64", "resolve:ssm:/aws/service/debian/release/12/latest/arm64"),
        ("debian-13", "x86_64", "resolve:ssm:/aws/service/debian/release/13/latest/amd64"),
        (
            "ubuntu-24.04",
            "x86_64",
            "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
        ),
        (
            "windows-2022",
            "x86_64",
            "resolve:ssm:/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base",
        ),
        (
            "windows-2025",
            "x86_64",
            "resolve:ssm:/aws/service/ami-windows-latest/Windows_Server-2025-English-Full-Base",
        ),
    ],
)
def test_an_image_is_the_newest_of_its_system(system: str, architecture: str, image_id: str) -> None:
    found = images.image(system, architecture)
    assert found.image_id == image_id
    assert not found.verified


def test_the_first_user_is_the_models() -> None:
    users = {system: images.image(system, "x86_64").user for system in images.SYSTEMS}
    assert {system: users[system] for system in topology.USERS if system in users} == {
        system: user for system, user in topology.USERS.items() if system in users
    }


def test_every_architecture_of_a_type_has_an_image() -> None:
    assert {each.architecture for each in sizes.SERVERS.values()} == set(images.ARCHITECTURES)


@pytest.mark.parametrize(
    ("system", "architecture", "message"),
    [
        ("centos-7", "x86_64", "'centos-7' is no operating system that is known here, accepted: debian-12, debian-13,"),
        ("windows-2022", "arm64", "windows-2022 has no image for 'arm64', accepted: x86_64"),
    ],
)
def test_an_image_that_there_is_not_is_refused(system: str, architecture: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        images.image(system, architecture)


# --- Linux ------------------------------------------------------------------------------------------------------------


def test_a_host_is_told_its_name_and_who_may_log_in() -> None:
    found = config(host())
    assert {name: found[name] for name in found if name not in ("write_files", "runcmd")} == {
        "hostname": "app1",
        "preserve_hostname": False,
        "users": ["default"],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_genkeytypes": ["ed25519"],
        "ssh_authorized_keys": [KEY],
        "growpart": {"mode": "auto", "devices": ["/"]},
        "resize_rootfs": True,
        "ntp": {"enabled": True, "servers": ["169.254.169.123"], "pools": []},
        "package_update": False,
        "package_upgrade": False,
    }


def test_the_agent_is_one_version_of_the_regions_own_bucket() -> None:
    settings = json.loads(files(host())["/etc/stackwright/ssm-agent.json"])
    assert settings == {
        "url": "https://s3.eu-central-1.amazonaws.com/amazon-ssm-eu-central-1/3.3.2299.0/debian_amd64/amazon-ssm-agent.deb",
        "sha256": SHA256,
    }
    china = json.loads(files(host(region="cn-north-1"))["/etc/stackwright/ssm-agent.json"])
    assert china["url"].startswith("https://s3.cn-north-1.amazonaws.com.cn/")


def test_an_image_with_the_agent_carries_none() -> None:
    data = host(image=UBUNTU, agent=None, host_key_parameter=None)
    assert files(data) == {}
    assert config(data)["runcmd"] == []


def test_the_host_key_goes_where_the_host_alone_may_write() -> None:
    found = files(host())
    assert json.loads(found["/etc/stackwright/host-key.json"]) == {
        "region": "eu-central-1",
        "domain": "amazonaws.com",
        "parameter": "/stackwright/test/host-keys/app1",
        "host_key_file": "/etc/ssh/ssh_host_ed25519_key.pub",
    }
    started = [command for command in config(host())["runcmd"] if command[0] == "systemd-run"]
    assert [command[-1] for command in started] == ["boot.ssm_agent", "boot.host_key"]


def test_files_are_roots_and_nobody_else_may_write_them() -> None:
    for each in config(host(boot=BOOT))["write_files"]:
        assert (each["owner"], each["permissions"]) == ("root:root", "0644")


def test_a_server_that_configures_itself_has_the_program_and_its_settings() -> None:
    data = host(
        hostname=None, boot=replace(BOOT, minimum_serial=7, facts={"database_secret": "arn:aws:x:y:z:secret:a"})
    )
    found = files(data)
    assert "hostname" not in config(data)
    assert found["/etc/stackwright/bundle.pem"] == PUBLIC_KEY
    assert json.loads(found["/etc/stackwright/facts.json"]) == {"database_secret": "arn:aws:x:y:z:secret:a"}
    settings = json.loads(found["/etc/stackwright/boot.json"])
    assert (settings["minimum_serial"], settings["bundle"], settings["group"]) == (7, BOOT.bundle, "test-app")
    assert (settings["region"], settings["domain"]) == ("eu-central-1", "amazonaws.com")
    assert "public_key" not in settings
    names = {path.rpartition("/")[2] for path in found if path.startswith("/usr/local/lib/stackwright/boot/")}
    assert names == {"__init__.py", "calls.py", "ssm_agent.py", "host_key.py", "bundle.py", "program.py"}
    for path, content in found.items():
        if path.endswith(".py"):
            compile(content, path, "exec")
    assert ["systemctl", "enable", "stackwright-boot.service", "stackwright-drain.service"] in config(data)["runcmd"]


# --- size -------------------------------------------------------------------------------------------------------------


def test_a_named_host_is_not_compressed() -> None:
    raw = base64.b64decode(host().encoded())
    assert raw.decode() == host().text()
    assert len(raw) <= user_data.LIMIT_BYTES


def test_with_the_boot_program_it_is_compressed_and_fits() -> None:
    data = host(boot=BOOT)
    assert len(data.text()) > user_data.LIMIT_BYTES
    packed = base64.b64decode(data.encoded())
    assert gzip.decompress(packed).decode() == data.text()
    # Room for longer names and more facts.
    assert len(packed) < user_data.LIMIT_BYTES * 3 // 4
    assert data.encoded() == host(boot=BOOT).encoded()


@settings(max_examples=50)
@given(st.integers(min_value=0, max_value=30_000), st.randoms(use_true_random=False))
def test_what_is_returned_always_fits(size: int, random: Any) -> None:
    value = base64.b64encode(random.randbytes(size)).decode()
    data = host(boot=replace(BOOT, facts={"noise": value}))
    raw = data.text().encode()
    if len(raw) > user_data.LIMIT_BYTES and len(gzip.compress(raw, 9, mtime=0)) > user_data.LIMIT_BYTES:
        with pytest.raises(ValueError, match=rf"\({len(raw)} before compression\), accepted: at most 16384"):
            data.encoded()
    else:
        assert len(base64.b64decode(data.encoded())) <= 16_384


def test_windows_knows_no_compression() -> None:
    data = UserData(image=WINDOWS, region="eu-central-1", hostname="win1")
    assert base64.b64decode(data.encoded()).decode() == data.text()


# --- Windows ----------------------------------------------------------------------------------------------------------


def test_a_windows_host_is_told_in_its_own_language() -> None:
    keys = ("ssh-ed25519 AAAA who@where",)
    text = UserData(image=WINDOWS, region="eu-central-1", hostname="win1", authorized_keys=keys).text()
    assert text.startswith("<powershell>\n$ComputerName = 'win1'\n$Region = 'eu-central-1'\n")
    assert "$AuthorizedKeys = @('ssh-ed25519 AAAA')" in text
    assert text.endswith("</powershell>\n<persist>true</persist>\n")


# --- secrets and mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"db_password": "hunter2"}, r"facts\[db_password\] looks like a secret, accepted: the ARN or the name of one"),
        ({"API_KEY": "hunter2"}, r"facts\[API_KEY\] looks like a secret"),
        ({"session-token": "hunter2 arn:aws:x"}, r"facts\[session-token\] looks like a secret"),
        ({"key": "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2"}, "holds a private key"),
        ({"who": "AKIAABCDEFGHIJKLMNOP"}, "holds an access key"),
        ({"url": "postgresql://app:hunter2@db/app"}, "holds a password in a URL"),
    ],
)
def test_a_secret_is_refused_and_not_repeated(facts: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        host(boot=replace(BOOT, facts=facts))
    assert "hunter2" not in str(error.value)
    assert "AKIA" not in str(error.value)


@pytest.mark.parametrize("value", ["arn:aws:secretsmanager:eu-central-1:1:secret:a", "/stackwright/test/app/password"])
def test_the_name_of_a_secret_is_none(value: str) -> None:
    assert value in host(boot=replace(BOOT, facts={"database_password": value})).text()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"hostname": "App 1"}, "user data: hostname is 'App 1', accepted: lower-case letters, digits and hyphens"),
        ({"authorized_keys": ["-----BEGIN RSA"]}, "authorized_keys has '-----BEGIN RSA'"),
        ({"agent": None}, "agent is missing, and debian-13 has none, accepted: a version and its checksum"),
        ({"image": UBUNTU}, "agent is set, and ubuntu-24.04 has one, accepted: None"),
        ({"agent": AgentPackage(version="latest", sha256=SHA256)}, "agent.version is 'latest', accepted: four numbers"),
        ({"agent": AgentPackage(version="3.3.1.0", sha256="")}, "agent.sha256 is '', accepted: 64 hexadecimal digits"),
        ({"image": WINDOWS, "agent": None, "boot": BOOT}, "boot is for Linux, as Ansible runs on no Windows"),
        ({"ssh_from": ["10.0.0.0/8"]}, "ssh_from is for Windows, and debian-13 has the role `firewall`"),
        ({"image": WINDOWS, "agent": None, "hostname": "a-name-too-long-1"}, "at most 15"),
        ({"boot": replace(BOOT, bundle="https://x/y.tar.gz")}, "boot.bundle is 'https://x/y.tar.gz', accepted: s3://"),
        ({"boot": replace(BOOT, public_key="x")}, "boot.public_key is no Ed25519 key"),
        ({"boot": replace(BOOT, public_key=pem(ec.generate_private_key(ec.SECP256R1())))}, "is no Ed25519 key"),
        ({"boot": replace(BOOT, health_url="http://10.0.0.1/")}, "accepted: a URL of the host itself"),
        ({"boot": replace(BOOT, playbook="../site.yml")}, "boot.playbook is '../site.yml', accepted: a path inside"),
        ({"boot": replace(BOOT, attempts=0)}, "boot.attempts is 0, accepted: 1 or more"),
    ],
)
def test_a_mistake_is_told_before_there_is_a_server(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="accepted") as error:
        host(**more)
    assert message in str(error.value)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="accepted") as error:
        host(hostname="A", agent=None, boot=replace(BOOT, attempts=0, health_seconds=0))
    assert len(str(error.value).splitlines()) == 4
