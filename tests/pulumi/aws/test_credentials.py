"""Nobody is logged in to AWS: one error before anything begins, and none where any source of credentials is there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from environments import ROOT

from stackwright.infra.aws import credentials
from stackwright.infra.aws.credentials import CredentialsError, require, source
from stackwright.model.environment import load
from stackwright.testing import aws

CANARY = "wJalrXUtnFEMI-canary"
KEYS = f"aws_access_key_id = AKIA\naws_secret_access_key = {CANARY}\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    return tmp_path


def found(home: Path, firmware: Path | None = None, **variables: str) -> str | None:
    return source({"HOME": str(home), **variables}, firmware or home / "no firmware")


def refused(home: Path, **variables: str) -> str:
    with pytest.raises(CredentialsError) as caught:
        require(load(ROOT / "inventories/taaleem-staging"), {"HOME": str(home), **variables}, home / "no firmware")
    return str(caught.value)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": CANARY}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        (
            {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token", "AWS_ROLE_ARN": "arn"},
            "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN",
        ),
        ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"}, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://x"}, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://x"}, "the role of this EC2 server"),
    ],
)
def test_variables(home: Path, variables: dict[str, str], expected: str) -> None:
    assert found(home, **variables) == expected
    for name in variables:
        assert found(home, **(variables | {name: ""})) is None


@pytest.mark.parametrize("variable", [None, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
@pytest.mark.parametrize(
    "settings",
    [
        KEYS,
        "sso_session = work\nsso_account_id = 1\n",
        "sso_start_url = https://x\n",
        "role_arn = arn\nsource_profile = x\n",
        "role_arn = arn\nweb_identity_token_file = /x\n",
        "credential_process = /bin/x\n",
        "login_session = arn\n",
    ],
)
def test_a_profile_of_the_settings(home: Path, settings: str, variable: str | None) -> None:
    title = "default" if variable is None else "profile work"
    (home / ".aws/config").write_text(f"[sso-session work]\nsso_region = x\n[{title}]\nregion = x\n{settings}")
    if variable is None:
        assert found(home) == "profile default"
        assert found(home, AWS_PROFILE="work") is None
    else:
        assert found(home) is None
        assert found(home, **{variable: "work"}) == "profile work"


def test_a_profile_of_the_credentials(home: Path) -> None:
    (home / ".aws/credentials").write_text(f"[default]\n{KEYS}[work]\n{KEYS}")
    assert found(home) == "profile default"
    assert found(home, AWS_PROFILE="work") == "profile work"
    assert found(home, AWS_PROFILE="none") is None


def test_files_elsewhere(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere"
    file.write_text(f"[default]\n{KEYS}")
    assert found(home, AWS_SHARED_CREDENTIALS_FILE=str(file)) == "profile default"
    assert found(home, AWS_CONFIG_FILE=str(file)) == "profile default"
    assert found(home) is None


def test_a_quoted_name_and_nested_settings(home: Path) -> None:
    (home / ".aws/config").write_text(f'[profile "my work"]\ns3 =\n  max_concurrent_requests = 20\n{KEYS}')
    assert found(home, AWS_PROFILE="my work") == "profile my work"


@pytest.mark.parametrize(("file", "text"), [("sys_vendor", "Amazon EC2\n"), ("bios_version", "4.11.amazon\n")])
def test_a_server_of_ec2(home: Path, tmp_path: Path, file: str, text: str) -> None:
    firmware = tmp_path / "firmware"
    firmware.mkdir()
    (firmware / file).write_text("Somebody else\n")
    assert found(home, firmware) is None
    (firmware / file).write_text(text)
    assert found(home, firmware) == "the role of this EC2 server"
    assert found(home, firmware, AWS_EC2_METADATA_DISABLED="true") is None


def test_without_any_all_that_was_looked_for_and_the_remedy_are_named(home: Path) -> None:
    folder = home / ".aws"
    assert refused(home) == (
        "there are no credentials of AWS for taaleem-staging (account 111122223333):"
        " AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY (not set: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY);"
        " AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN (not set: AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN);"
        " AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or AWS_CONTAINER_CREDENTIALS_FULL_URI (not set);"
        f" the profile default of {folder}/credentials and {folder}/config (not there; there are: none);"
        " the role of an EC2 server (this is none)."
        " Remedy: `aws configure sso` or `aws configure`, AWS_PROFILE for another profile than `default`, and"
        " `aws sts get-caller-identity` to see the account; `validate`, `graph` and `cost` need none"
    )


def test_half_of_a_pair_is_told_and_no_value_is_shown(home: Path) -> None:
    message = refused(home, AWS_SECRET_ACCESS_KEY=CANARY)
    assert "(not set: AWS_ACCESS_KEY_ID);" in message
    assert CANARY not in message


def test_the_profiles_that_there_are_are_named(home: Path) -> None:
    (home / ".aws/credentials").write_text(f"[work]\n{KEYS}")
    (home / ".aws/config").write_text("[default]\nregion = x\n[profile home]\nrole_arn = x\n")
    message = refused(home, AWS_PROFILE="wrok")
    assert "the profile wrok of" in message
    assert "(not there; there are: default, home, work)" in message
    assert "(it says nothing of credentials)" in refused(home)


@pytest.mark.parametrize("text", [f"secret {CANARY}\n", f"[default]\n[[[\n{CANARY}", "\x00\udcff"])
def test_a_broken_file_is_named_and_not_shown(home: Path, text: str) -> None:
    file = home / ".aws/credentials"
    file.write_bytes(text.encode(errors="surrogateescape"))
    message = refused(home)
    assert str(file) in message
    assert CANARY not in message


def test_elsewhere_and_for_the_recording_provider_none_are_needed(home: Path) -> None:
    nothing = {"HOME": str(home)}
    require(load(ROOT / "inventories/taaleem-local"), nothing, home)
    require(load(ROOT / "inventories/taaleem-staging"), nothing | {aws.JOURNAL: "journal"}, home)
    assert aws.environment(home, journal=home / "journal").keys() & {credentials._RECORDING}


@pytest.mark.parametrize("verb", ["plan", "up"])
def test_the_verbs_end_with_one_error_before_anything_begins(project: Path, tmp_path: Path, verb: str) -> None:
    shutil.copytree(ROOT / "inventories/taaleem-staging", project / "inventories/taaleem-staging", symlinks=True)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STACKWRIGHT_AWS"))}
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", "from stackwright.cli import main; main()", verb, "taaleem-staging"],
        env={**variables, "HOME": str(tmp_path / "home"), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    # A verb that changes something names the project first.
    project_line = f"taaleem-staging (staging, aws) of {project}\n" if verb == "up" else ""
    assert (done.returncode, done.stdout) == (1, project_line)
    assert done.stderr.startswith("error: there are no credentials of AWS for taaleem-staging (account 111122223333): ")
    assert len(done.stderr.splitlines()) == 1
    assert not (project / ".state").exists()
