"""The Pulumi resource `stackwright:baremetal:Machine`: a server that exists, adopted after a look at it.

Nothing is ever changed on the server here: creating is looking, deleting is forgetting.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from stackwright.infra import checks
from stackwright.infra.bare_metal import ssh
from stackwright.infra.provider.backend import Computed, Failure, Found, Input, Kind, Properties, ProviderError

#: Certificates, TOTP and etcd's leases go wrong from about here on; time sync comes only with the roles.
DEFAULT_CLOCK_SKEW_SECONDS = 30
#: The kernel and firmware keep some: a 4 GB machine shows about 3.8 GB.
_MEMORY_TOLERANCE = 0.9

_INPUTS = (
    Input(name="name", kind=Kind.STRING, description="Host name within the environment.", accepts=checks.name),
    Input(name="address", kind=Kind.STRING, description="Address that SSH reaches it by.", replaces=True),
    Input(
        name="port",
        kind=Kind.INTEGER,
        description="SSH port.",
        default=22,
        accepts=checks.between(1, 65535),
    ),
    Input(name="user", kind=Kind.STRING, description="Who logs in: root, or a user with sudo.", default="root"),
    Input(
        name="hostKey",
        kind=Kind.STRING,
        description="The server's SSH public key, read on its console; nothing else is trusted.",
        accepts=checks.public_key,
    ),
    Input(
        name="privateKeyFile",
        kind=Kind.STRING,
        description="Private key on this machine; without one, the SSH agent's.",
        optional=True,
    ),
    Input(
        name="os",
        kind=Kind.STRINGS,
        description="Distributions that will do, for example debian-13.",
        default=["debian-12", "debian-13", "ubuntu-24.04"],
    ),
    Input(name="cpus", kind=Kind.NUMBER, description="CPUs that it must have at least.", default=1),
    Input(name="memoryMb", kind=Kind.INTEGER, description="Memory that it must have at least, in MiB.", default=512),
    Input(name="diskGb", kind=Kind.INTEGER, description="Free space on / that it must have, in GiB.", default=2),
    Input(
        name="clockSkewSeconds",
        kind=Kind.INTEGER,
        description="How far its clock may be from this machine's.",
        default=DEFAULT_CLOCK_SKEW_SECONDS,
        accepts=checks.between(1, 3600),
    ),
)

_FACTS = """
. /etc/os-release
echo "os=$ID-$VERSION_ID"
echo "cpus=$(nproc)"
echo "memory_kb=$(awk '/^MemTotal:/ {print $2}' /proc/meminfo)"
echo "disk_kb=$(df -Pk / | awk 'NR == 2 {print $4}')"
echo "clock=$(date -u +%s)"
echo "machine=$(uname -m)"
echo "become=$([ "$(id -u)" = 0 ] && echo yes || { sudo -n true 2>/dev/null && echo yes; } || echo no)"
"""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a server is."""

    os: str
    machine: str
    cpus: int
    memory_mb: int
    disk_gb: int
    #: Positive where the server's clock is ahead.
    clock_skew_seconds: float
    become: bool


class MachineBackend:
    """Servers that exist. One that is out of reach is an error, never taken for gone."""

    token = "stackwright:baremetal:Machine"
    description = "A server that exists: checked over SSH and adopted; deleting the resource does not touch it."
    inputs = _INPUTS
    computed = (
        Computed(name="foundOs", kind=Kind.STRING, description="Its distribution."),
        Computed(name="foundMachine", kind=Kind.STRING, description="Its architecture, for example x86_64."),
        Computed(name="foundCpus", kind=Kind.INTEGER, description="Its CPUs."),
        Computed(name="foundMemoryMb", kind=Kind.INTEGER, description="Its memory in MiB."),
    )

    def __init__(self, run: Callable[[ssh.Target, str], str] = ssh.run, now: Callable[[], float] = time.time) -> None:
        self._run = run
        self._now = now

    def check(self, old: Properties | None, new: Properties) -> list[Failure]:
        return []

    def preview(self, inputs: Properties) -> Properties:
        """A look changes nothing, so that a preview already says what is wrong."""
        return self._adopt(inputs)

    def create(self, inputs: Properties) -> Found:
        return Found(id=_identity(inputs), inputs=inputs, properties=inputs | self._adopt(inputs))

    def read(self, resource_id: str, state: Properties) -> Found | None:
        if "hostKey" not in state:
            return self._import(resource_id)
        inputs = {each.name: state[each.name] for each in self.inputs if each.name in state}
        return Found(id=resource_id, inputs=inputs, properties=inputs | _shown(self._facts(_target(state))))

    def needs_repair(self, state: Properties) -> list[str]:
        return []

    def update(self, resource_id: str, state: Properties, inputs: Properties) -> Properties:
        return inputs | self._adopt(inputs)

    def delete(self, resource_id: str, state: Properties) -> None:
        """The server is not ours: it is only forgotten."""

    def _adopt(self, inputs: Properties) -> Properties:
        facts = self._facts(_target(inputs))
        wrong = mismatches(facts, inputs)
        if wrong:
            listed = "".join(f"\n  - {each.property}: {each.reason}" for each in wrong)
            raise ProviderError(f"{_target(inputs)} is not the server that the environment describes:{listed}")
        return _shown(facts)

    def _import(self, resource_id: str) -> Found:
        given = re.fullmatch(r"(?P<user>[^@]+)@(?P<address>[^@]+?)(:(?P<port>\d+))?", resource_id)
        if given is None:
            raise ProviderError(f"{resource_id!r} cannot be imported: the id is USER@ADDRESS or USER@ADDRESS:PORT")
        target = ssh.Target(address=given["address"], user=given["user"], port=int(given["port"] or 22))
        facts = self._facts(target)
        try:
            host_key = ssh.recorded_key(target)
        except ssh.SshError as error:
            raise ProviderError(str(error)) from error
        inputs: Properties = {
            "name": re.sub(r"[^a-z0-9-]", "-", target.address.lower()),
            "address": target.address,
            "port": target.port,
            "user": target.user,
            "hostKey": host_key,
            "os": [facts.os],
            "cpus": facts.cpus,
            "memoryMb": facts.memory_mb,
            "diskGb": facts.disk_gb,
            "clockSkewSeconds": DEFAULT_CLOCK_SKEW_SECONDS,
        }
        return Found(id=_identity(inputs), inputs=inputs, properties=inputs | _shown(facts))

    def _facts(self, target: ssh.Target) -> Facts:
        began = self._now()
        try:
            lines = self._run(target, _FACTS).splitlines()
        except ssh.SshError as error:
            raise ProviderError(str(error)) from error
        # The server read its clock somewhere within the session; half of it is the best guess.
        now = (began + self._now()) / 2
        found = dict(line.split("=", 1) for line in lines if "=" in line)
        return Facts(
            os=found["os"],
            machine=found["machine"],
            cpus=int(found["cpus"]),
            memory_mb=int(found["memory_kb"]) // 1024,
            disk_gb=int(found["disk_kb"]) // 2**20,
            clock_skew_seconds=int(found["clock"]) + 0.5 - now,
            become=found["become"] == "yes",
        )


def mismatches(facts: Facts, wanted: Properties) -> list[Failure]:
    """Everything in which the server is less than what the environment says."""
    wrong = []
    if facts.os not in wanted["os"]:
        wrong.append(Failure(property="os", reason=f"it runs {facts.os}; accepted: {', '.join(wanted['os'])}"))
    if facts.cpus < wanted["cpus"]:
        wrong.append(Failure(property="cpus", reason=f"it has {facts.cpus}, {wanted['cpus']:g} are needed"))
    if facts.memory_mb < wanted["memoryMb"] * _MEMORY_TOLERANCE:
        wrong.append(
            Failure(property="memoryMb", reason=f"it has {facts.memory_mb} MiB, {wanted['memoryMb']} are needed")
        )
    if facts.disk_gb < wanted["diskGb"]:
        wrong.append(
            Failure(property="diskGb", reason=f"{facts.disk_gb} GiB are free on /, {wanted['diskGb']} are needed")
        )
    if abs(facts.clock_skew_seconds) > wanted["clockSkewSeconds"]:
        direction = "ahead" if facts.clock_skew_seconds > 0 else "behind"
        wrong.append(
            Failure(
                property="clockSkewSeconds",
                reason=f"its clock is {abs(facts.clock_skew_seconds):.0f} s {direction},"
                f" {wanted['clockSkewSeconds']} s are accepted: set it, or start time synchronisation",
            )
        )
    if not facts.become:
        wrong.append(Failure(property="user", reason=f"{wanted['user']} is not root and cannot use sudo unasked"))
    return wrong


def _target(inputs: Properties) -> ssh.Target:
    return ssh.Target(
        address=inputs["address"],
        user=inputs["user"],
        port=inputs["port"],
        host_key=inputs["hostKey"],
        private_key_file=inputs.get("privateKeyFile"),
    )


def _identity(inputs: Properties) -> str:
    return f"{inputs['user']}@{inputs['address']}:{inputs['port']}"


def _shown(facts: Facts) -> Properties:
    """The facts worth keeping: those that change from minute to minute would make every refresh a change."""
    return {
        "foundOs": facts.os,
        "foundMachine": facts.machine,
        "foundCpus": facts.cpus,
        "foundMemoryMb": facts.memory_mb,
    }
