"""`stackwright doctor`: check this machine for the project's requirements, and an AWS account for an environment's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stackwright.infra.aws import aws_cli, credentials
from stackwright.infra.aws.account_checks import AccountChecks, AccountFinding
from stackwright.infra.local import images
from stackwright.infra.local.podman import Podman, PodmanError, runtime_options
from stackwright.model.environment import Environment


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    name: str
    ok: bool
    detail: str


def examine() -> list[Finding]:
    """Run all checks of this machine; install nothing."""
    return [
        Finding(name="python", ok=sys.version_info >= (3, 11), detail=sys.version.split()[0]),
        *(_program(name, *argv) for name, *argv in _PROGRAMS),
        _try("local hosts", lambda: " ".join(Podman().command) + " " + " ".join(runtime_options())),
        _try("base image", _base_image),
    ]


def examine_account(environment: Environment) -> Iterator[AccountFinding]:
    """Check whether the AWS account allows the environment to be created; yield nothing elsewhere.

    Raise CredentialsError if there are no valid credentials.
    """
    aws, plan = environment.stack.aws, environment.plan.aws
    if aws is None or plan is None:
        return
    credentials.require(environment)
    yield from AccountChecks(environment=environment, aws=aws, plan=plan, ask=aws_cli.ask).findings()


_PROGRAMS = (
    ("pulumi", "version"),
    ("ansible-playbook", "--version"),
    ("molecule", "--version"),
    ("ssh", "-V"),
    ("node", "--version"),
    ("npm", "--version"),
)


def _program(name: str, *argv: str) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name=name, ok=False, detail="not on PATH: run `make setup`")
    done = subprocess.run([path, *argv], capture_output=True, text=True, check=False)
    shown = (done.stdout or done.stderr).strip().splitlines()
    return Finding(name=name, ok=done.returncode == 0, detail=shown[0] if shown else "")


def _try(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, detail=look())
    except (PodmanError, images.ImageError) as problem:
        return Finding(name=name, ok=False, detail=str(problem))


def _base_image() -> str:
    reference = images.reference("debian-13")
    done = subprocess.run([*Podman().command, "image", "exists", reference], check=False)
    if done.returncode != 0:
        raise images.ImageError("not built: run `make setup`")
    return reference
