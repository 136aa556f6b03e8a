"""Early check that AWS credentials are configured, because Pulumi's provider would report this late and at length.

It only looks, by name, at the sources that AWS's tools look at first: it makes no request, and reads a value only to
see that it is set. Whether the credentials are valid and belong to the right account is for AWS to decide.
"""

from __future__ import annotations

import configparser
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from stackwright.infra.engine import EngineError
from stackwright.model.environment import Environment

#: All variables of a set must be set ("Standardized credential providers", AWS SDKs and Tools Reference Guide).
_VARIABLES = (
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
)
#: A profile with one of these says where its credentials come from.
_SETTINGS = frozenset(
    {
        "aws_access_key_id",
        "credential_process",
        "login_session",
        "role_arn",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    }
)
#: Set if the recording provider is in use (`stackwright.testing.aws.JOURNAL`), without AWS.
_RECORDING = "STACKWRIGHT_AWS_JOURNAL"
_FIRMWARE = Path("/sys/class/dmi/id")


class CredentialsError(EngineError):
    """No credentials are configured, or a file of them cannot be read; the message names the remedy and no value."""


def require(environment: Environment, variables: Mapping[str, str] = os.environ, firmware: Path = _FIRMWARE) -> None:
    """Raise CredentialsError if the environment is on AWS and no source of credentials is configured."""
    if environment.stack.aws is None or _RECORDING in variables or source(variables, firmware) is not None:
        return
    account = environment.stack.aws.account
    raise CredentialsError(
        f"there are no credentials of AWS for {environment.name} (account {account}): {'; '.join(_missing(variables))}."
        " Remedy: `aws configure sso` or `aws configure`, AWS_PROFILE for another profile than `default`, and"
        " `aws sts get-caller-identity` to see the account; `validate`, `graph` and `cost` need none"
    )


def source(variables: Mapping[str, str], firmware: Path = _FIRMWARE) -> str | None:
    """Return a description of where AWS's tools find credentials first; None if nothing is configured."""
    for names in _VARIABLES:
        if all(variables.get(name) for name in names):
            return " and ".join(names)
    profile = _profile(variables)
    if _SETTINGS & _profiles(variables).get(profile, frozenset()):
        return f"profile {profile}"
    return "the role of this EC2 server" if _on_ec2(variables, firmware) else None


def _missing(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield each source that was checked, and what it lacks."""
    for names in _VARIABLES[:2]:
        absent = [name for name in names if not variables.get(name)]
        yield f"{' with '.join(names)} (not set: {', '.join(absent)})"
    yield "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI (not set)"
    profile, profiles = _profile(variables), _profiles(variables)
    places = " and ".join(str(path) for path in _files(variables))
    if profile in profiles:
        yield f"the profile {profile} of {places} (it says nothing of credentials)"
    else:
        there = ", ".join(sorted(profiles)) or "none"
        yield f"the profile {profile} of {places} (not there; there are: {there})"
    yield "the role of an EC2 server (this is none)"


def _profile(variables: Mapping[str, str]) -> str:
    return variables.get("AWS_PROFILE") or variables.get("AWS_DEFAULT_PROFILE") or "default"


def _files(variables: Mapping[str, str]) -> tuple[Path, Path]:
    """Return the paths of the credentials file and the settings file."""
    folder = Path(variables.get("HOME") or Path.home()) / ".aws"
    named = variables.get("AWS_SHARED_CREDENTIALS_FILE"), variables.get("AWS_CONFIG_FILE")
    credentials, config = (
        Path(os.path.expanduser(name)) if name else folder / usual  # noqa: PTH111 - keeps the `~` of an unknown user
        for name, usual in zip(named, ("credentials", "config"), strict=True)
    )
    return credentials, config


def _profiles(variables: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Return the names of the settings of each profile, from both files together."""
    credentials, config = _files(variables)
    profiles = _sections(credentials)
    for title, settings in _sections(config).items():
        words = _words(title)
        if words == ["default"] or (len(words) == 2 and words[0] == "profile"):
            profiles[words[-1]] = profiles.get(words[-1], frozenset()) | settings
    return profiles


def _words(title: str) -> list[str]:
    try:
        return shlex.split(title)
    except ValueError:
        return []


def _sections(path: Path) -> dict[str, frozenset[str]]:
    # AWS has no section whose settings all others inherit.
    parser = configparser.RawConfigParser(strict=False, default_section="", allow_no_value=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, configparser.Error) as error:
        # The error may quote a line, and the line may contain a key.
        raise CredentialsError(
            f"{path}, where AWS's tools look for credentials, cannot be read ({type(error).__name__}): `aws configure list`"
        ) from None
    return {title: frozenset(name for name, value in parser.items(title) if value) for title in parser.sections()}


def _on_ec2(variables: Mapping[str, str], firmware: Path) -> bool:
    if variables.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return False
    if variables.get("AWS_EC2_METADATA_SERVICE_ENDPOINT"):
        return True
    # User guide, "Determine whether a system is an EC2 instance": the vendor on Nitro, the version on Xen.
    firmware_text = ""
    for name in ("sys_vendor", "bios_version"):
        file = firmware / name
        firmware_text += file.read_text(encoding="utf-8", errors="replace").lower() if file.is_file() else ""
    return "amazon" in firmware_text
