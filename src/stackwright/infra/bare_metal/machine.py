"""The Pulumi resource `stackwright:baremetal:Machine`: an existing server, adopted after a check.

Nothing is ever changed on the server here: create only checks it, and delete only removes it from the state.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from stackwright.infra import checks
from stackwright.infra.bare_metal import ssh
from stackwright.infra.provider.backend import Computed, Failure, Found, Input, Kind, Properties, ProviderError
from stackwright.model.output import ADMIN_USER

#: Certificates, TOTP and etcd's leases fail from about this value on; time synchronisation comes only with the roles.
DEFAULT_CLOCK_SKEW_SECONDS = 30
#: The kernel and the firmware reserve some memory: a 4 GB machine shows about 3.8 GB.
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
    Input(
        name="user",
        kind=Kind.STRING,
        description="Who logs in at the first contact: root, or a user with sudo.",
        default="root",
    ),
    Input(
        name="adminUser",
        kind=Kind.STRING,
        description="Who logs in once the server is adopted; the first user may be closed then.",
        default=ADMIN_USER,
    ),
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
    Input(
        name="diskGb",
        kind=Kind.INTEGER,
        description="Space on / that it must have, in GiB; free at the first contact.",
        default=2,
    ),
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
df -Pk / | awk 'NR == 2 {print "disk_kb=" $2; print "free_kb=" $4}'
echo "clock=$(date -u +%s)"
echo "machine=$(uname -m)"
[ "$(id -u)" = 0 ] && become= || become="sudo -n"
echo "adopted=$($become test -e /etc/sudoers.d/stackwright-admins 2>/dev/null && echo yes || echo no)"
echo "become=$([ "$(id -u)" = 0 ] && echo yes || { sudo -n true 2>/dev/null && echo yes; } || echo no)"
"""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The properties that were read from a server."""

    os: str
    machine: str
    cpus: int
    memory_mb: int
    disk_gb: int
    free_gb: int
    user: str
    #: Positive if the server's clock is ahead.
    clock_skew_seconds: float
    become: bool
    #: The server has had its first contact: the contents of its disk belong to the environment.
    adopted: bool


class MachineBackend:
    """Existing servers. An unreachable server is an error and is never treated as deleted."""

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
        """Check the server, which changes nothing, so that even a preview without changes reports every problem."""
        self._adopt(new, known=old is not None)
        return []

    def preview(self, inputs: Properties) -> Properties:
        return {}

    def create(self, inputs: Properties) -> Found:
        return Found(id=_identity(inputs), inputs=inputs, properties=inputs | self._adopt(inputs, known=False))

    def read(self, resource_id: str, state: Properties) -> Found | None:
        if "hostKey" not in state:
            return self._import(resource_id)
        inputs = {prop.name: state[prop.name] for prop in self.inputs if prop.name in state}
        try:
            shown = _shown(self._look(inputs, known=True)[1])
        except ProviderError:
            # The environment may have another port, key or host key by now, or no longer include this server: `check`
            # uses its current values, and reports problems. A server that does not answer is not treated as deleted.
            shown = {prop.name: state[prop.name] for prop in self.computed if prop.name in state}
        return Found(id=resource_id, inputs=inputs, properties=inputs | shown)

    def needs_repair(self, state: Properties) -> list[str]:
        return []

    def update(self, resource_id: str, state: Properties, inputs: Properties) -> Properties:
        return inputs | self._adopt(inputs, known=True)

    def delete(self, resource_id: str, state: Properties) -> None:
        """Do nothing: the server is not ours, it is only removed from the state."""

    def _adopt(self, inputs: Properties, *, known: bool) -> Properties:
        target, facts = self._look(inputs, known=known)
        wrong = mismatches(facts, inputs)
        if wrong:
            listed = "".join(f"\n  - {mismatch.property}: {mismatch.reason}" for mismatch in wrong)
            raise ProviderError(f"{target} is not the server that the environment describes:{listed}")
        return _shown(facts)

    def _look(self, inputs: Properties, *, known: bool) -> tuple[ssh.Target, Facts]:
        """Return the server's facts by the first login that works: the admin's first if it is `known`, else `user`'s.

        Both are tried in either case: a known server may have been reinstalled, and one that is missing from the state
        may still be adopted. The likelier login comes first, since servers count refused logins.
        """
        users = [inputs["adminUser"], inputs["user"]] if known else [inputs["user"], inputs["adminUser"]]
        powerless, refusals = None, []
        for user in dict.fromkeys(users):
            target = _target(inputs, user)
            try:
                facts = self._facts(target)
            except ssh.LoginRefusedError as error:
                refusals.append(str(error))
                continue
            except ssh.SshError as error:
                raise ProviderError(str(error)) from error
            if facts.become:
                return target, facts
            powerless = powerless or (target, facts)
        if powerless is not None:
            return powerless
        raise ProviderError("\n".join(refusals))

    def _import(self, resource_id: str) -> Found:
        match = re.fullmatch(r"(?P<user>[^@]+)@(?P<address>[^@]+?)(:(?P<port>\d+))?", resource_id)
        if match is None:
            raise ProviderError(f"{resource_id!r} cannot be imported: the id is USER@ADDRESS or USER@ADDRESS:PORT")
        target = ssh.Target(address=match["address"], user=match["user"], port=int(match["port"] or 22))
        try:
            facts = self._facts(target)
            host_key = ssh.recorded_key(target)
        except ssh.SshError as error:
            raise ProviderError(str(error)) from error
        inputs: Properties = {
            "name": re.sub(r"[^a-z0-9-]", "-", target.address.lower()),
            "address": target.address,
            "port": target.port,
            "user": target.user,
            "adminUser": ADMIN_USER,
            "hostKey": host_key,
            "os": [facts.os],
            "cpus": facts.cpus,
            "memoryMb": facts.memory_mb,
            "diskGb": facts.free_gb,
            "clockSkewSeconds": DEFAULT_CLOCK_SKEW_SECONDS,
        }
        return Found(id=_identity(inputs), inputs=inputs, properties=inputs | _shown(facts))

    def _facts(self, target: ssh.Target) -> Facts:
        began = self._now()
        lines = self._run(target, _FACTS).splitlines()
        # The server read its clock at some point in the session; the middle is the best estimate.
        now = (began + self._now()) / 2
        answers = dict(line.split("=", 1) for line in lines if "=" in line)
        if "become" not in answers:
            # Cloud images accept root's key only to print the user to log in as.
            raise ssh.LoginRefusedError(
                f"{target}: the login ends in no shell, but in: {' '.join(lines[:1]) or 'nothing'}"
            )
        return Facts(
            os=answers["os"],
            machine=answers["machine"],
            cpus=int(answers["cpus"]),
            memory_mb=int(answers["memory_kb"]) // 1024,
            disk_gb=int(answers["disk_kb"]) // 2**20,
            free_gb=int(answers["free_kb"]) // 2**20,
            user=target.user,
            clock_skew_seconds=int(answers["clock"]) + 0.5 - now,
            become=answers["become"] == "yes",
            adopted=answers.get("adopted") == "yes",
        )


def mismatches(facts: Facts, inputs: Properties) -> list[Failure]:
    """Return all requirements of the environment that the server does not meet."""
    wrong = []
    if facts.os not in inputs["os"]:
        wrong.append(Failure(property="os", reason=f"it runs {facts.os}; accepted: {', '.join(inputs['os'])}"))
    if facts.cpus < inputs["cpus"]:
        wrong.append(Failure(property="cpus", reason=f"it has {facts.cpus}, {inputs['cpus']:g} are needed"))
    if facts.memory_mb < inputs["memoryMb"] * _MEMORY_TOLERANCE:
        wrong.append(
            Failure(property="memoryMb", reason=f"it has {facts.memory_mb} MiB, {inputs['memoryMb']} are needed")
        )
    if facts.adopted and facts.disk_gb < inputs["diskGb"]:
        wrong.append(Failure(property="diskGb", reason=f"/ has {facts.disk_gb} GiB, {inputs['diskGb']} are needed"))
    if not facts.adopted and facts.free_gb < inputs["diskGb"]:
        wrong.append(
            Failure(property="diskGb", reason=f"{facts.free_gb} GiB are free on /, {inputs['diskGb']} are needed")
        )
    if abs(facts.clock_skew_seconds) > inputs["clockSkewSeconds"]:
        direction = "ahead" if facts.clock_skew_seconds > 0 else "behind"
        wrong.append(
            Failure(
                property="clockSkewSeconds",
                reason=f"its clock is {abs(facts.clock_skew_seconds):.0f} s {direction},"
                f" {inputs['clockSkewSeconds']} s are accepted: set it, or start time synchronisation",
            )
        )
    if not facts.become:
        wrong.append(Failure(property="user", reason=f"{facts.user} is not root and cannot use sudo unasked"))
    return wrong


def _target(inputs: Properties, user: str) -> ssh.Target:
    return ssh.Target(
        address=inputs["address"],
        user=user,
        port=inputs["port"],
        host_key=inputs["hostKey"],
        private_key_file=inputs.get("privateKeyFile"),
    )


def _identity(inputs: Properties) -> str:
    return f"{inputs['user']}@{inputs['address']}:{inputs['port']}"


def _shown(facts: Facts) -> Properties:
    """Return the facts to store; facts that change from minute to minute would make every refresh a change."""
    return {
        "foundOs": facts.os,
        "foundMachine": facts.machine,
        "foundCpus": facts.cpus,
        "foundMemoryMb": facts.memory_mb,
    }
