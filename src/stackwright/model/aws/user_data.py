"""User data of a server on AWS: only what makes it reachable, or able to configure itself.

All users on the host can read user data, and so can everyone who may describe it in the account: it holds names, ARNs
and public keys, and values that look like a secret are rejected.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from stackwright.model.aws.images import Image
from stackwright.model.aws.user_data_windows import WindowsSettings, script

#: Bytes before base64, after compression ("Run commands when you launch an EC2 instance with user data input", EC2 guide).
LIMIT_BYTES = 16_384
#: Amazon Time Sync Service: responds on every instance, independent of subnet and security groups.
_TIME = "169.254.169.123"
_FOLDER = "/usr/local/lib/stackwright"
_SETTINGS = "/etc/stackwright"
#: An Ed25519 key as SubjectPublicKeyInfo begins with these bytes (RFC 8410).
_ED25519 = bytes.fromhex("302a300506032b6570032100")
_SECRET_NAME = re.compile(r"passw(or)?d|secret|token|credential|private_?key|api_?key", re.IGNORECASE)
_REFERENCE = re.compile(r"arn:aws[a-z-]*:\S+|/[A-Za-z0-9_./-]+")
_SECRET_VALUES: Mapping[str, re.Pattern[str]] = {
    "a private key": re.compile(r"BEGIN [A-Z ]*PRIVATE KEY"),
    "an access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a password in a URL": re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@"),
}
_HOST_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
#: Longer names of Windows hosts are truncated for older protocols.
_NETBIOS_LIMIT = 15


@dataclass(frozen=True, kw_only=True)
class AgentPackage:
    """The SSM agent for images without one."""

    #: A version such as 3.3.2299.0.
    version: str
    #: Checksum of the .deb for the image's architecture.
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Boot:
    """What a server that configures itself has to know; all names are known before anything exists."""

    environment: str
    tier: str
    #: `s3://<bucket>/<key>` of the bundle (`.tar.gz`); its signature is next to it as `<key>.sig`.
    bundle: str
    #: Ed25519 public key in PEM format.
    public_key: str
    #: The Auto Scaling group and its hooks.
    group: str
    launch_hook: str
    terminate_hook: str
    #: URL on the host itself.
    health_url: str
    #: Path in the bundle.
    playbook: str = "playbooks/configure-self.yml"
    inventory: str = "inventory"
    #: Playbook that runs before the host is removed, if the bundle has it.
    drain_playbook: str = "playbooks/drain.yml"
    #: Lowest accepted serial number; an older bundle is rejected.
    minimum_serial: int = 0
    #: Time until the hook times out; after that AWS has decided.
    deadline_seconds: int = 1500
    drain_seconds: int = 120
    health_seconds: int = 300
    attempts: int = 3
    #: Names and ARNs that the playbooks read in `/etc/stackwright/facts.json`.
    facts: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class UserData:
    """One server's user data.

    Raises ValueError with every problem at once.
    """

    image: Image
    region: str
    #: None for servers of a group, which keep the name that AWS gives them.
    hostname: str | None = None
    #: Public keys of the users who log in as the image's user; there is no login with a password.
    authorized_keys: Sequence[str] = ()
    agent: AgentPackage | None = None
    #: Where the host writes its public host key.
    host_key_parameter: str | None = None
    #: Networks that may reach SSH of a Windows host without Systems Manager.
    ssh_from: Sequence[str] = ()
    boot: Boot | None = None

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(f"user data: {problem}" for problem in problems))

    @property
    def domain(self) -> str:
        """Return the domain that names of AWS's services end with."""
        return "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"

    def text(self) -> str:
        """Return the text as cloud-init or EC2Launch reads it."""
        return _windows(self) if self.image.windows else _linux(self)

    def encoded(self) -> str:
        """Return the text in base64, compressed if it would be too long, which Windows does not support.

        Raises ValueError if it is too long even so.
        """
        raw = self.text().encode()
        # Not always compressed: another zlib produces other bytes, and other bytes mean new servers.
        small = raw if len(raw) <= LIMIT_BYTES or self.image.windows else gzip.compress(raw, 9, mtime=0)
        if len(small) > LIMIT_BYTES:
            raise ValueError(
                f"user data: has {len(small)} bytes ({len(raw)} before compression), accepted: at most {LIMIT_BYTES}"
            )
        return base64.b64encode(small).decode()


def _problems(data: UserData) -> Iterator[str]:
    windows, accepted = data.image.windows, "lower-case letters, digits and hyphens"
    limit = _NETBIOS_LIMIT if windows else 63
    if data.hostname is not None and not (_HOST_NAME.fullmatch(data.hostname) and len(data.hostname) <= limit):
        yield f"hostname is {data.hostname!r}, accepted: {accepted}, at most {limit}"
    for key in data.authorized_keys:
        if not re.fullmatch(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/=]+( [^\n]*)?", key):
            yield f"authorized_keys has {key[:20]!r}..., accepted: lines such as `ssh-ed25519 AAAA... comment`"
    if data.image.has_agent and data.agent is not None:
        yield f"agent is set, and {data.image.system} has one, accepted: None"
    if not data.image.has_agent and data.agent is None:
        yield f"agent is missing, and {data.image.system} has none, accepted: a version and its checksum"
    if data.agent is not None:
        yield from _agent_problems(data.agent)
    if windows and data.boot is not None:
        yield "boot is for Linux, as Ansible runs on no Windows, accepted: None"
    if not windows and data.ssh_from:
        yield f"ssh_from is for Windows, and {data.image.system} has the role `firewall`, accepted: none"
    if data.boot is not None:
        yield from _boot_problems(data.boot)


def _agent_problems(agent: AgentPackage) -> Iterator[str]:
    if not re.fullmatch(r"\d+(\.\d+){3}", agent.version):
        yield f"agent.version is {agent.version!r}, accepted: four numbers such as 3.3.2299.0, never `latest`"
    if not re.fullmatch(r"[0-9a-f]{64}", agent.sha256):
        yield f"agent.sha256 is {agent.sha256!r}, accepted: 64 hexadecimal digits"


def _boot_problems(boot: Boot) -> Iterator[str]:
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[A-Za-z0-9/_.-]+\.tar\.gz", boot.bundle):
        yield f"boot.bundle is {boot.bundle!r}, accepted: s3://<bucket>/<key>.tar.gz"
    if not _is_ed25519(boot.public_key):
        yield "boot.public_key is no Ed25519 key, accepted: PEM as of `openssl pkey -pubout`"
    if not re.fullmatch(r"https?://(127\.0\.0\.1|localhost)(:\d{1,5})?/\S*", boot.health_url):
        yield f"boot.health_url is {boot.health_url!r}, accepted: a URL of the host itself, such as http://127.0.0.1/health"
    for name in ("playbook", "inventory", "drain_playbook"):
        value = getattr(boot, name)
        if not re.fullmatch(r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]*", value):
            yield f"boot.{name} is {value!r}, accepted: a path inside the bundle"
    for name in ("deadline_seconds", "drain_seconds", "health_seconds", "attempts"):
        if getattr(boot, name) < 1:
            yield f"boot.{name} is {getattr(boot, name)}, accepted: 1 or more"
    for key, value in (boot.facts or {}).items():
        if _SECRET_NAME.search(key) and not _REFERENCE.fullmatch(value):
            yield f"boot.facts[{key}] looks like a secret, accepted: the ARN or the name of one, never its value"
    # The values are not repeated, as the message ends up in a log.
    text = json.dumps(dict(boot.facts or {}))
    for what, pattern in _SECRET_VALUES.items():
        if pattern.search(text) or pattern.search(boot.public_key):
            yield f"boot holds {what}, accepted: names, ARNs and public keys"


def _is_ed25519(pem: str) -> bool:
    match = re.fullmatch(r"-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)-----END PUBLIC KEY-----\n?", pem)
    try:
        key = base64.b64decode(match.group(1)) if match else b""
    except binascii.Error:
        return False
    return len(key) == len(_ED25519) + 32 and key.startswith(_ED25519)


def _linux(data: UserData) -> str:
    config: dict[str, Any] = {}
    if data.hostname is not None:
        config |= {"hostname": data.hostname, "preserve_hostname": False}
    config |= {
        # Only the image's user, whose password is locked.
        "users": ["default"],
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_genkeytypes": ["ed25519"],
        "ssh_authorized_keys": list(data.authorized_keys),
        "growpart": {"mode": "auto", "devices": ["/"]},
        "resize_rootfs": True,
        "ntp": {"enabled": True, "servers": [_TIME], "pools": []},
        # Ansible installs packages, and a subnet without Internet access would wait for mirrors. Python is in every
        # image, as cloud-init is written in it.
        "package_update": False,
        "package_upgrade": False,
        "write_files": [_file(path, content) for path, content in _files(data).items()],
        "runcmd": [*_commands(data)],
    }
    return "#cloud-config\n" + yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=1000)


def _file(path: str, content: str) -> dict[str, str]:
    return {"path": path, "owner": "root:root", "permissions": "0644", "content": content}


def _files(data: UserData) -> dict[str, str]:
    names = ["__init__.py", "calls.py"]
    contents: dict[str, str] = {}
    if data.agent is not None:
        names.append("ssm_agent.py")
        url = _agent_url(data.region, data.domain, data.image.architecture, data.agent.version)
        contents[f"{_SETTINGS}/ssm-agent.json"] = _json({"url": url, "sha256": data.agent.sha256})
    if data.host_key_parameter is not None:
        names.append("host_key.py")
        file = "/etc/ssh/ssh_host_ed25519_key.pub"
        settings = {"region": data.region, "domain": data.domain, "parameter": data.host_key_parameter}
        contents[f"{_SETTINGS}/host-key.json"] = _json(settings | {"host_key_file": file})
    if data.boot is not None:
        names += ["bundle.py", "program.py"]
        contents |= _boot_files(data, data.boot)
    if not contents:
        return {}
    return {f"{_FOLDER}/boot/{name}": _source(name) for name in names} | contents


def _boot_files(data: UserData, boot: Boot) -> dict[str, str]:
    left_out = ("public_key", "facts")
    settings = {name: getattr(boot, name) for name in Boot.__dataclass_fields__ if name not in left_out}
    settings |= {"region": data.region, "domain": data.domain, "public_key_file": f"{_SETTINGS}/bundle.pem"}
    units = ("stackwright-boot.service", "stackwright-drain.service")
    return {
        f"{_SETTINGS}/boot.json": _json(settings),
        f"{_SETTINGS}/bundle.pem": boot.public_key,
        f"{_SETTINGS}/facts.json": _json(dict(boot.facts or {})),
        **{f"/etc/systemd/system/{unit}": _source(unit) for unit in units},
    }


def _commands(data: UserData) -> Iterator[list[str]]:
    if data.agent is not None:
        yield _once("stackwright-ssm-agent", "boot.ssm_agent")
    if data.host_key_parameter is not None:
        yield _once("stackwright-host-key", "boot.host_key")
    if data.boot is not None:
        yield ["systemctl", "daemon-reload"]
        units = ["stackwright-boot.service", "stackwright-drain.service"]
        yield ["systemctl", "enable", *units]
        # The start of these units waits for cloud-init, which waits for this command.
        yield ["systemctl", "start", "--no-block", *units]


def _once(unit: str, module: str) -> list[str]:
    options = ["Restart=on-failure", "RestartSec=60", f"WorkingDirectory={_FOLDER}"]
    command = ["systemd-run", "--no-block", f"--unit={unit}", *(f"--property={option}" for option in options)]
    return [*command, "/usr/bin/python3", "-m", module]


def _agent_url(region: str, domain: str, architecture: str, version: str) -> str:
    """Return the URL in the region's bucket behind the VPC's S3 endpoint ("Install SSM Agent on Debian", SSM guide)."""
    machine = {"x86_64": "amd64", "arm64": "arm64"}[architecture]
    return f"https://s3.{region}.{domain}/amazon-ssm-{region}/{version}/debian_{machine}/amazon-ssm-agent.deb"


def _windows(data: UserData) -> str:
    settings = WindowsSettings(
        region=data.region,
        time_server=_TIME,
        hostname=data.hostname,
        authorized_keys=data.authorized_keys,
        host_key_parameter=data.host_key_parameter,
        ssh_from=data.ssh_from,
    )
    return script(settings)


def _source(name: str) -> str:
    return resources.files("stackwright.model.aws.boot").joinpath(name).read_text(encoding="utf-8")


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1) + "\n"


class _Dumper(yaml.SafeDumper):
    """Dumps files as literal blocks, not as one long line with escapes."""


def _represent(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent)
