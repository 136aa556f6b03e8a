"""A server that configures itself, from its user data to its hook, against small services on loopback.

The program runs as it does on a host: the files are those of the user data, in another folder; Python, openssl, pip and the
archive are the real ones. Only AWS and `ansible-playbook` are stand-ins.
"""

from __future__ import annotations

import datetime
import ensurepip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.parse
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from instance_services import CREDENTIALS, Cloud

from stackwright.artifact import tarball
from stackwright.model.aws import images
from stackwright.model.aws.boot import calls, program
from stackwright.model.aws.boot.bundle import signed_message
from stackwright.model.aws.user_data import AgentPackage, Boot, UserData

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC_KEY = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
BUNDLE = "bundles/app.tar.gz"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    found = Cloud(folder=tmp_path)
    found.start()
    yield found
    found.stop()


# --- the host ---------------------------------------------------------------------------------------------------------

_PLAYBOOK = """#!{python}
import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
with (folder / "playbooks.jsonl").open("a") as file:
    seen = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "environment": dict(os.environ), "by": {by!r}}}
    file.write(json.dumps(seen) + "\\n")
print("TASK [app | Install the release]")
sys.exit(int((folder / "playbook-result").read_text()) if (folder / "playbook-result").exists() else 0)
"""


@dataclass
class Host:
    """A folder that has what the user data of a host has."""

    folder: Path
    cloud: Cloud

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state/status.json").read_text())
        return found

    def details(self, state: str) -> list[str]:
        return [each["detail"] for each in self.status["history"] if each["state"] == state]

    def install(self, **more: Any) -> None:
        boot = Boot(
            environment="test",
            tier="app",
            bundle=f"s3://artifacts/{BUNDLE}",
            public_key=PUBLIC_KEY,
            group="test-app",
            launch_hook="test-app-launch",
            terminate_hook="test-app-terminate",
            health_url=f"{self.cloud.url}/health",
            deadline_seconds=60,
            health_seconds=1,
            attempts=2,
            facts={"database_secret": "arn:aws:secretsmanager:eu-central-1:1:secret:a"},
        )
        data = UserData(
            image=images.image("debian-13", "x86_64"),
            region="eu-central-1",
            agent=AgentPackage(version="3.3.2299.0", sha256="ab" * 32),
            host_key_parameter="/stackwright/test/host-keys/app1",
            boot=replace(boot, **more),
        )
        for each in yaml.safe_load(data.text())["write_files"]:
            path = self.folder / each["path"].lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(each["content"].replace("/etc/", f"{self.folder}/etc/"))
        self.program("ansible-playbook", _PLAYBOOK)

    def program(self, name: str, text: str, by: str = "PATH") -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(python=sys.executable, folder=str(self.folder), by=by))
        path.chmod(0o755)

    def run(self, module: str = "program", *arguments: str, check: int | None = None) -> str:
        process = self.start(module, *arguments)
        output = process.communicate(timeout=90)[0]
        if check is not None:
            assert process.returncode == check, output
        # Whatever happens, nobody finds in a journal or a file what opens the account.
        written = [path.read_text() for path in (self.folder / "state").rglob("*.json")] if check is not None else []
        assert "canary" not in output + "".join(written)
        return output

    def start(self, module: str, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(self.folder),
            "STACKWRIGHT_METADATA_URL": self.cloud.url,
            "STACKWRIGHT_S3_URL": f"{self.cloud.url}/s3",
            "STACKWRIGHT_AUTOSCALING_URL": f"{self.cloud.url}/autoscaling",
            "STACKWRIGHT_SSM_URL": f"{self.cloud.url}/ssm",
            "STACKWRIGHT_BOOT_ROOT": str(self.folder / "state"),
            "STACKWRIGHT_WAIT_FACTOR": "0.02",
        }
        given_arguments = arguments or ("run", str(self.folder / "etc/stackwright"))
        return subprocess.Popen(
            [sys.executable, "-m", f"boot.{module}", *given_arguments],
            cwd=self.folder / "usr/local/lib/stackwright",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def host(tmp_path: Path, cloud: Cloud) -> Host:
    found = Host(folder=tmp_path, cloud=cloud)
    found.install()
    return found


def tree(serial: int, **more: Any) -> tarball.Tree:
    manifest = {"format": 1, "serial": serial, "environment": "test", "tier": "app"} | more
    return {
        "manifest.json": tarball.Entry(content=json.dumps(manifest).encode()),
        "ansible.cfg": tarball.Entry(content=b"[defaults]\n"),
        "playbooks/configure-self.yml": tarball.Entry(content=b"- hosts: all\n"),
        "playbooks/drain.yml": tarball.Entry(content=b"- hosts: all\n"),
        "inventory/hosts.yml": tarball.Entry(content=b"all: {hosts: {self: {}}}\n"),
        "inventory/group_vars": tarball.Entry(link="../group_vars"),
        "group_vars/all.yml": tarball.Entry(content=b"{}\n"),
    }


def upload(cloud: Cloud, archive: bytes, key: ed25519.Ed25519PrivateKey = KEY) -> None:
    cloud.objects[BUNDLE] = archive
    cloud.objects[f"{BUNDLE}.sig"] = key.sign(signed_message(hashlib.sha256(archive).hexdigest()))


def release(cloud: Cloud, serial: int = 5, **more: Any) -> None:
    upload(cloud, tarball.pack(tree(serial, **more), "bundle"))


def refused(host: Host, message: str) -> None:
    """The host is given up after its tries, without having run anything, and AWS knows."""
    before = len(host.cloud.playbooks)
    host.run(check=program.GIVEN_UP)
    assert len(host.cloud.playbooks) == before
    assert [each["LifecycleActionResult"] for each in host.cloud.actions[-1:]] == ["ABANDON"]
    assert host.status["state"] == "abandoned"
    failures = host.details("failed")
    assert len(failures) == 2
    assert all(message in each for each in failures), failures


# --- the way that things should go ------------------------------------------------------------------------------------


def test_a_host_configures_itself_and_asks_to_serve(host: Host, cloud: Cloud) -> None:
    release(cloud)
    # Nothing answers before the playbook has run.
    cloud.health = lambda: 200 if cloud.playbooks else 503
    output = host.run(check=program.SERVING)
    assert cloud.actions == [
        {
            "Action": "CompleteLifecycleAction",
            "Version": "2011-01-01",
            "AutoScalingGroupName": "test-app",
            "LifecycleHookName": "test-app-launch",
            "LifecycleActionResult": "CONTINUE",
            "InstanceId": "i-0123456789abcdef0",
        }
    ]
    (run,) = cloud.playbooks
    assert run["arguments"] == ["--connection", "local", "--inventory", "inventory", "playbooks/configure-self.yml"]
    folder = Path(run["cwd"])
    assert folder == (host.folder / "state/current").resolve()
    assert run["environment"]["ANSIBLE_CONFIG"] == str(folder / "ansible.cfg")
    facts = json.loads(Path(run["environment"]["STACKWRIGHT_FACTS"]).read_text())
    assert facts == {"database_secret": "arn:aws:secretsmanager:eu-central-1:1:secret:a"}
    assert (folder / "inventory/group_vars/all.yml").read_text() == "{}\n"
    steps = [each["step"] for each in host.status["history"]]
    assert steps == ["bundle", "environment", "playbook", "health", "lifecycle", "done"]
    assert host.status["state"] == "serving"
    assert "running: playbook (playbooks/configure-self.yml)" in output
    assert "TASK [app | Install the release]" in output


def test_the_credentials_stay_with_the_signature(host: Host, cloud: Cloud) -> None:
    release(cloud)
    host.run(check=program.SERVING)
    assert "canary-secret-key" not in str(cloud.requests)
    assert all(CREDENTIALS[2] not in str(seen["environment"]) for seen in cloud.playbooks)
    (first,) = (headers for _, path, headers in cloud.requests if path == f"/s3/artifacts/{BUNDLE}")
    lower = {name.lower(): value for name, value in first.items()}
    assert lower["x-amz-security-token"] == CREDENTIALS[2]
    assert re.match(r"AWS4-HMAC-SHA256 Credential=ASIAEXAMPLEEXAMPLE12/\d{8}/eu-central-1/s3/", lower["authorization"])


def wheel(name: str, files: dict[str, str]) -> bytes:
    """A wheel by hand (PEP 427)."""
    info = f"{name}-1.0.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nansible-playbook = fake_ansible:main\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(path, text)
    return packed.getvalue()


def pip_wheel() -> Path:
    """Python's own, from which virtual environments are made; Debian keeps it in a folder of the system's."""
    places = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))
    return next(found for place in places for found in sorted(place.glob("pip-*.whl")))


def test_ansible_comes_with_the_bundle_and_no_registry_is_asked(host: Host, cloud: Cloud) -> None:
    (host.folder / "bin/ansible-playbook").unlink()
    script = _PLAYBOOK.format(python="", folder=str(host.folder), by="wheel").partition("\n")[2]
    body = "def main():\n" + "".join(f"    {line}\n" for line in script.splitlines())
    pip = pip_wheel()
    more = {
        f"wheels/{pip.name}": tarball.Entry(content=pip.read_bytes()),
        "wheels/fake_ansible-1.0-py3-none-any.whl": tarball.Entry(
            content=wheel("fake_ansible", {"fake_ansible.py": body})
        ),
        "requirements.txt": tarball.Entry(content=b"fake_ansible==1.0\n"),
    }
    upload(cloud, tarball.pack(tree(5) | more, "bundle"))
    host.run(check=program.SERVING)
    (run,) = cloud.playbooks
    assert run["by"] == "wheel"
    # A second boot finds it there.
    ready = host.folder / "state/current/.venv/.ready"
    made = ready.stat().st_mtime_ns
    host.run(check=program.SERVING)
    assert ready.stat().st_mtime_ns == made


def test_a_restart_of_a_server_that_serves_is_no_failure(host: Host, cloud: Cloud) -> None:
    release(cloud)
    cloud.hook_waits = False
    host.run(check=program.SERVING)
    assert "no hook took CONTINUE" in str(host.details("running"))


def test_a_newer_bundle_takes_over_and_the_one_before_stays(host: Host, cloud: Cloud) -> None:
    for serial in (5, 6, 7):
        release(cloud, serial)
        host.run(check=program.SERVING)
    kept = sorted(path.name.partition("-")[0] for path in (host.folder / "state/releases").iterdir())
    assert kept == ["6", "7"]
    assert (host.folder / "state/current").resolve().name.startswith("7-")
    assert not list((host.folder / "state").glob("incoming*"))


# --- what is not ours, or not for us ----------------------------------------------------------------------------------


def test_a_tampered_bundle_is_refused(host: Host, cloud: Cloud) -> None:
    release(cloud)
    changed = bytearray(cloud.objects[BUNDLE])
    changed[len(changed) // 2] ^= 1
    cloud.objects[BUNDLE] = bytes(changed)
    refused(host, "the signature of the bundle is not ours")
    assert not (host.folder / "state/releases").exists()


def test_a_bundle_that_somebody_else_signed_is_refused(host: Host, cloud: Cloud) -> None:
    upload(cloud, tarball.pack(tree(5), "bundle"), OTHER_KEY)
    refused(host, "the signature of the bundle is not ours")


@pytest.mark.parametrize("signature", [b"", b"x" * 64, b"x" * 63])
def test_what_is_no_signature_is_refused(host: Host, cloud: Cloud, signature: bytes) -> None:
    release(cloud)
    cloud.objects[f"{BUNDLE}.sig"] = signature
    refused(host, "the signature of the bundle is not ours")


def test_an_older_bundle_is_refused_though_it_is_ours(host: Host, cloud: Cloud) -> None:
    release(cloud, 5)
    host.run(check=program.SERVING)
    release(cloud, 4)
    refused(host, "the bundle is an old one: 4, and 5 was accepted before")
    assert (host.folder / "state/current").resolve().name.startswith("5-")


def test_a_fresh_host_knows_what_is_old_from_its_user_data(host: Host, cloud: Cloud) -> None:
    host.install(minimum_serial=6)
    release(cloud, 5)
    refused(host, "the bundle is an old one: 5, and 6 was accepted before")


def test_a_serial_is_used_once(host: Host, cloud: Cloud) -> None:
    release(cloud, 5)
    host.run(check=program.SERVING)
    upload(cloud, tarball.pack(tree(5) | {"extra": tarball.Entry(content=b"x")}, "bundle"))
    refused(host, "the bundle 5 is another than the 5 that was accepted before")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"environment": "other"}, "the bundle is for the environment other, and this is test"),
        ({"tier": "ops"}, "the bundle is for the tier ops, and this is app"),
        ({"format": 2}, "the bundle has the format 2, and 1 is known here"),
        ({"serial": "five"}, "the bundle cannot be read: ValueError"),
    ],
)
def test_a_bundle_for_somebody_else_is_refused(host: Host, cloud: Cloud, more: dict[str, Any], message: str) -> None:
    upload(cloud, tarball.pack(tree(more.pop("serial", 5), **more), "bundle"))
    refused(host, message)


def archive_with(name: str, **more: Any) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, entry in tree(5).items():
            if entry.link is None:
                member = tarfile.TarInfo(f"bundle/{path}")
                member.size = len(entry.content)
                archive.addfile(member, io.BytesIO(entry.content))
        bad = tarfile.TarInfo(name)
        for key, value in more.items():
            setattr(bad, key, value)
        archive.addfile(bad)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("../outside", {}),
        ("/tmp/outside", {}),
        ("bundle/../../outside", {}),
        ("bundle/link", {"type": tarfile.SYMTYPE, "linkname": "../../../etc/passwd"}),
        ("bundle/link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("bundle/hard", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}),
        ("bundle/device", {"type": tarfile.CHRTYPE}),
    ],
)
def test_nothing_leaves_the_folder(host: Host, cloud: Cloud, name: str, more: dict[str, Any]) -> None:
    upload(cloud, archive_with(name, **more))
    refused(host, "leaves its folder or is no file")
    assert not list((host.folder / "state/releases").glob("5-*[!t]"))


def test_a_bundle_that_is_no_archive_is_refused(host: Host, cloud: Cloud) -> None:
    upload(cloud, b"not an archive")
    refused(host, "the bundle cannot be read: ReadError")


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_host_that_does_not_become_healthy_is_given_up(host: Host, cloud: Cloud) -> None:
    release(cloud)
    cloud.health = lambda: 503
    host.run(check=program.GIVEN_UP)
    assert [each["LifecycleActionResult"] for each in cloud.actions] == ["ABANDON"]
    assert len(cloud.playbooks) == 2
    assert all("the host does not become healthy" in each for each in host.details("failed"))


def test_a_host_whose_playbook_fails_is_given_up(host: Host, cloud: Cloud) -> None:
    release(cloud)
    (host.folder / "playbook-result").write_text("2")
    host.run(check=program.GIVEN_UP)
    assert [each["LifecycleActionResult"] for each in cloud.actions] == ["ABANDON"]
    assert host.details("failed") == ["playbooks/configure-self.yml ended with 2"] * 2


def test_a_playbook_that_hangs_ends_at_the_deadline(host: Host, cloud: Cloud) -> None:
    host.install(deadline_seconds=2)
    release(cloud)
    host.program("ansible-playbook", "#!/bin/sh\nexec sleep 60\n")
    began = time.monotonic()
    host.run(check=program.GIVEN_UP)
    assert time.monotonic() - began < 15
    assert "took longer than" in host.details("failed")[0]
    assert cloud.actions[-1]["LifecycleActionResult"] == "ABANDON"


def test_a_boot_without_network_waits_says_so_and_goes_on(host: Host, cloud: Cloud) -> None:
    release(cloud)
    cloud.stop()
    process = host.start("program")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        time.sleep(0.1)
        status = host.folder / "state/status.json"
        if status.is_file() and json.loads(status.read_text())["state"] == "waiting":
            break
    assert host.status["step"] == "network"
    assert "Connection refused" in host.status["detail"]
    cloud.start()
    output = process.communicate(timeout=60)[0]
    assert process.returncode == program.SERVING, output
    # Waiting for the network is no try.
    assert host.status["attempt"] == 1
    assert cloud.actions[-1]["LifecycleActionResult"] == "CONTINUE"


def test_a_boot_without_network_ends_at_the_deadline(host: Host, cloud: Cloud) -> None:
    host.install(deadline_seconds=1)
    release(cloud)
    cloud.stop()
    process = host.start("program")
    while not (host.folder / "state/status.json").is_file() or host.status["step"] != "lifecycle":
        time.sleep(0.1)
        assert process.poll() is None
    # It still wants to say that it gives up.
    cloud.start()
    process.communicate(timeout=60)
    assert process.returncode == program.GIVEN_UP
    assert cloud.actions[-1]["LifecycleActionResult"] == "ABANDON"
    assert cloud.playbooks == []


@pytest.mark.parametrize("mishaps", [[503], [500, 429], [7]])
def test_a_service_that_stumbles_is_asked_again(host: Host, cloud: Cloud, mishaps: list[int]) -> None:
    release(cloud)
    cloud.mishaps = list(mishaps)
    host.run(check=program.SERVING)
    assert len(host.details("waiting")) == len(mishaps)
    assert host.details("failed") == []


def test_a_bundle_that_is_half_uploaded_is_read_again(host: Host, cloud: Cloud) -> None:
    release(cloud, 5)
    old = cloud.objects[f"{BUNDLE}.sig"]
    release(cloud, 6)
    new, cloud.objects[f"{BUNDLE}.sig"] = cloud.objects[f"{BUNDLE}.sig"], old
    host.install(attempts=100)
    process = host.start("program")
    while not (host.folder / "state/status.json").is_file() or not host.details("failed"):
        time.sleep(0.05)
    cloud.objects[f"{BUNDLE}.sig"] = new
    process.communicate(timeout=60)
    assert process.returncode == program.SERVING


def test_a_redirect_is_not_followed(host: Host, cloud: Cloud) -> None:
    release(cloud)
    cloud.mishaps = [307, 307]
    refused(host, ": 307")
    assert not [path for _, path, _ in cloud.requests if "elsewhere" in path]


# --- on the way out ---------------------------------------------------------------------------------------------------


def test_a_host_that_is_to_go_finishes_its_work_first(host: Host, cloud: Cloud) -> None:
    release(cloud)
    host.run(check=program.SERVING)
    process = host.start("program", "drain", str(host.folder / "etc/stackwright"))
    time.sleep(0.5)
    assert process.poll() is None
    assert len(cloud.playbooks) == 1
    cloud.state = "Terminated"
    output = process.communicate(timeout=30)[0]
    assert process.returncode == 0, output
    assert cloud.playbooks[-1]["arguments"][-1] == "playbooks/drain.yml"
    assert (cloud.actions[-1]["LifecycleHookName"], cloud.actions[-1]["LifecycleActionResult"]) == (
        "test-app-terminate",
        "CONTINUE",
    )


def test_a_host_goes_though_its_work_cannot_be_finished(host: Host, cloud: Cloud) -> None:
    release(cloud)
    host.run(check=program.SERVING)
    (host.folder / "playbook-result").write_text("1")
    cloud.state = "Terminated"
    host.run("program", "drain", str(host.folder / "etc/stackwright"), check=0)
    assert cloud.actions[-1]["LifecycleHookName"] == "test-app-terminate"


# --- the host key and the agent ---------------------------------------------------------------------------------------


def test_a_host_publishes_its_key_with_its_own_name(host: Host, cloud: Cloud) -> None:
    key = host.folder / "etc/ssh/ssh_host_ed25519_key.pub"
    key.parent.mkdir(parents=True)
    key.write_text("ssh-ed25519 AAAAC3Nz root@ip-10-20-0-41\n")
    output = host.run("host_key", str(host.folder / "etc/stackwright/host-key.json"), check=0)
    (written,) = cloud.parameters
    headers = {name.lower(): value for name, value in written.pop("headers").items()}
    assert headers["x-amz-target"] == "AmazonSSM.PutParameter"
    assert json.loads(written.pop("Value")) == {
        "instance_id": "i-0123456789abcdef0",
        "host_key": "ssh-ed25519 AAAAC3Nz",
    }
    assert written == {"Name": "/stackwright/test/host-keys/app1", "Type": "String", "Overwrite": True}
    assert "is published in /stackwright/test/host-keys/app1" in output


def test_the_agent_is_installed_when_it_is_the_right_one(host: Host, cloud: Cloud) -> None:
    package = b"a package"
    log = "#!/bin/sh\necho $0 $* >> {folder}/commands\n"
    for name in ("dpkg", "systemctl"):
        host.program(name, log)
    settings_file = host.folder / "agent.json"
    url = f"{cloud.url}/health"
    cloud.objects["agent.deb"] = package
    settings_file.write_text(json.dumps({"url": url, "sha256": hashlib.sha256(b"").hexdigest()}))
    host.run("ssm_agent", str(settings_file), check=0)
    commands = (host.folder / "commands").read_text().splitlines()
    assert re.search(r"/dpkg --install \S+/amazon-ssm-agent\.deb$", commands[0])
    assert commands[1].endswith("/systemctl enable --now amazon-ssm-agent")


def test_another_agent_is_not_installed(host: Host, cloud: Cloud) -> None:
    host.program("dpkg", "#!/bin/sh\ntouch {folder}/installed\n")
    settings_file = host.folder / "agent.json"
    settings_file.write_text(json.dumps({"url": f"{cloud.url}/health", "sha256": "0" * 64}))
    process = host.start("ssm_agent", str(settings_file))
    assert process.stdout is not None
    line = process.stdout.readline()
    process.kill()
    process.wait(timeout=10)
    assert "has the checksum e3b0c442" in line
    assert not (host.folder / "installed").exists()


# --- signatures, against the reference --------------------------------------------------------------------------------

NOW = datetime.datetime(2026, 11, 23, 7, 30, 0, tzinfo=datetime.UTC)
texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)


def reference(service: str, method: str, url: str, headers: dict[str, str], body: bytes) -> str:
    """What botocore would send as Authorization."""
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(*CREDENTIALS), service, "eu-central-1")
    stamp = NOW.strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    # `add_auth` takes the time from the clock; these are its steps.
    signer._modify_request_before_signing(request)
    del request.headers["X-Amz-Date"]
    request.headers["X-Amz-Date"] = stamp
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    return str(request.headers["Authorization"])


@given(st.lists(texts, min_size=1, max_size=4))
def test_objects_are_asked_for_as_botocore_does(parts: list[str]) -> None:
    path = "/".join(urllib.parse.quote(part, safe="-_.~") for part in parts if part not in (".", "..")) or "x"
    url = f"https://artifacts.s3.eu-central-1.amazonaws.com/{path}"
    own = calls.sign("GET", url, "eu-central-1", "s3", CREDENTIALS, now=NOW)
    # botocore signs this header, too, with the hash of nothing.
    assert own["x-amz-content-sha256"] == hashlib.sha256(b"").hexdigest()
    assert own["authorization"] == reference("s3", "GET", url, {}, b"")


@given(st.dictionaries(texts, texts, max_size=5), st.sampled_from(["autoscaling", "ssm"]))
def test_services_are_called_as_botocore_does(fields: dict[str, str], service: str) -> None:
    url, body = f"https://{service}.eu-central-1.amazonaws.com/", urllib.parse.urlencode(fields).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "X-Amz-Target": "Some.Thing"}
    own = calls.sign("POST", url, "eu-central-1", service, CREDENTIALS, headers, body, now=NOW)
    assert own["authorization"] == reference(service, "POST", url, headers, body)


def test_a_query_is_signed_in_order() -> None:
    url = "https://artifacts.s3.eu-central-1.amazonaws.com/?prefix=b%20c&list-type=2&empty="
    own = calls.sign("GET", url, "eu-central-1", "s3", CREDENTIALS, now=NOW)
    assert own["authorization"] == reference("s3", "GET", url, {}, b"")


# --- the units --------------------------------------------------------------------------------------------------------


def test_a_host_that_was_given_up_does_not_try_for_ever() -> None:
    unit = Path(program.__file__).with_name("stackwright-boot.service").read_text()
    assert f"RestartPreventExitStatus={program.GIVEN_UP}\n" in unit
    assert "Restart=on-failure\n" in unit
    assert "StartLimitBurst=" in unit
    # On Debian cloud-final is after multi-user.target: waiting for it would be a circle.
    assert "cloud-final" not in "".join(line for line in unit.splitlines() if not line.startswith("#"))


def test_nothing_but_the_standard_library_is_imported() -> None:
    for path in Path(program.__file__).parent.glob("*.py"):
        for name in re.findall(r"^(?:from|import) ([a-z_]+)", path.read_text(), re.MULTILINE):
            assert name in sys.stdlib_module_names, f"{path.name} imports {name}"
