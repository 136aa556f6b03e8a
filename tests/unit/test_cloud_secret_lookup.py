"""`lookup('stackwright_cloud_secret', ARN)`: what it asks for, and that no word of a secret is in what it complains about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.errors import AnsibleLookupError

from stackwright.ansible.lookup import stackwright_cloud_secret as plugin

ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds!db-0f5c-AbCdEf"
LOGIN = {"username": "dbadmin", "password": "told-to-nobody"}


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, for a program `aws`."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(plugin, "_known", {})
    return tmp_path


def answer(folder: Path, text: str, *, code: int = 0, error: str = "") -> None:
    """A program that notes how it was called."""
    (folder / "text").write_text(text)
    (folder / "error").write_text(error)
    program = folder / "aws"
    program.write_text(
        f'#!/bin/sh\nwhile read -r line; do echo "$line"; done < {folder}/text\n'
        f'while read -r line; do echo "$line" >&2; done < {folder}/error\n'
        f'echo "$@" >> {folder}/calls\nexit {code}\n'
    )
    program.chmod(0o755)


def look_up(*terms: object) -> list[dict[str, str]]:
    return plugin.LookupModule().run(list(terms))


def complaint(*terms: object) -> str:
    with pytest.raises(AnsibleLookupError) as caught:
        look_up(*terms)
    found: BaseException | None = caught.value
    chain = []
    while found is not None:
        chain.append(str(found))
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "\n".join(chain)


def test_a_login_is_asked_for_where_it_is_and_once(aws: Path) -> None:
    answer(aws, json.dumps({**LOGIN, "engine": "postgres"}) + "\n")
    assert look_up(ARN, ARN) == [LOGIN, LOGIN]
    assert look_up(ARN) == [LOGIN]
    assert (aws / "calls").read_text().splitlines() == [
        f"secretsmanager get-secret-value --secret-id {ARN} --region eu-central-1 --query SecretString --output text"
    ]


@pytest.mark.parametrize("term", [None, "", "rds!db-0f5c", f"{ARN}; rm -rf /", "--help"])
def test_what_is_no_arn_is_refused_before_anything_is_asked(aws: Path, term: object) -> None:
    answer(aws, json.dumps(LOGIN) + "\n")
    said = complaint(term)
    assert "which is no ARN of a secret. stack.database.master_secret has it once `stackwright up`" in said
    # It may be the secret itself.
    assert not term or str(term) not in said
    assert not (aws / "calls").exists()


def test_a_missing_cli_is_named(aws: Path) -> None:
    assert not (aws / "aws").exists()
    found = complaint(ARN)
    assert f"{ARN} cannot be read: the AWS CLI is not on PATH" in found


def test_missing_credentials_and_rights_are_named(aws: Path) -> None:
    answer(
        aws, "", code=253, error='Unable to locate credentials. You can configure credentials by running "aws login".\n'
    )
    found = complaint(ARN)
    assert "`aws secretsmanager get-secret-value` failed: Unable to locate credentials" in found
    assert "needs the AWS CLI, logged in" in found
    assert "secretsmanager:GetSecretValue" in found


@pytest.mark.parametrize(
    "text",
    [
        "told-to-nobody",
        json.dumps({"password": "told-to-nobody"}),
        json.dumps({"username": "dbadmin", "password": ""}),
        json.dumps({"username": "dbadmin", "password": ["told-to-nobody"]}),
        json.dumps(["told-to-nobody"]),
        "",
        "None",
    ],
)
def test_another_content_is_refused_and_not_shown(aws: Path, text: str) -> None:
    answer(aws, f"{text}\n")
    found = complaint(ARN)
    assert 'has to hold JSON with a text each: {"username": ..., "password": ...}' in found
    assert "told-to-nobody" not in found
