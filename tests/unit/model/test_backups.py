"""`backups` of an environment: the schedule, the copy outside it, and what systemd makes of it."""

from __future__ import annotations

import subprocess
from dataclasses import fields
from pathlib import Path
from typing import get_args

import jinja2
import pytest
import yaml
from model_project import KEY, ROOT, Project, provisioned

from stackwright.model import inventory, reserved, secrets, wiring
from stackwright.model.environment import load
from stackwright.model.stackfile import Backups, CopyTo
from stackwright.model.system import BackupSchedule, EvenHours, Weekday
from stackwright.secret_store import SecretError, SecretStore

STACK = "inventories/clinic/stack.yml"
S3 = "{type: s3, endpoint: 'https://s3.example.org', bucket: clinic-backups, region: eu-central-1}"
SFTP = f"{{type: sftp, host: vault.example.org, user: clinic, path: /backups/clinic, host_key: '{KEY}'}}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def test_production_requires_a_copy_outside(project: Project) -> None:
    project.edit("class: development", "class: production")
    (message,) = project.errors()
    assert message == (
        f"{STACK}:4: backups.copy_to: is required in production: backups inside the environment are lost with it;"
        " accepted: {type: s3, ...}, {type: sftp, ...} or {type: none}"
    )


@pytest.mark.parametrize("copy_to", [S3, SFTP, "{type: none}"])
def test_production_with_a_copy_or_without_by_its_own_words(project: Project, copy_to: str) -> None:
    project.edit("class: development", f"class: production\nbackups: {{copy_to: {copy_to}}}")
    assert project.load().stack.backups.copy_to is not None


def staging(project: Project, copy_to: str = "{type: s3}") -> Project:
    """An environment of size B on AWS."""
    text = (ROOT / "inventories/taaleem-staging/stack.yml").read_text()
    project.stack = text.replace("copy_to: {type: s3}", f"copy_to: {copy_to}")
    project.name = "taaleem-staging"
    return project


def test_production_in_size_b_on_aws_requires_a_copy(project: Project) -> None:
    staging(project).edit("class: staging", "class: production")
    project.edit("backups: {copy_to: {type: s3}}", "")
    (message,) = (message for message in project.errors() if "copy_to" in message)
    assert message.endswith("accepted: {type: s3}, {type: sftp, ...} or {type: none}")


def test_a_bucket_of_the_programs_needs_no_name_and_no_login(project: Project) -> None:
    environment = staging(project).load()
    names = {spec.name for spec in secrets.secret_names(environment)}
    assert not names & set(reserved.PROVIDED_SECRETS["s3"])
    copy_to = inventory.stack(environment, environment.hosts)["backups"]["copy_to"]
    assert copy_to["endpoint"] == "https://s3.eu-central-1.amazonaws.com"
    assert copy_to["bucket"] == "taaleem-staging-backups-111122223333"
    given = wiring.backup_copy_to(inventory.stack(environment, environment.hosts), {})
    assert given == {
        "type": "s3",
        "endpoint": copy_to["endpoint"],
        "bucket": copy_to["bucket"],
        "region": "eu-central-1",
        "prefix": "taaleem-staging",
    }


@pytest.mark.parametrize(
    ("copy_to", "words"),
    [
        ("{type: s3, bucket: clinic}", "endpoint: is required for `type: s3`; accepted: a value, or neither"),
        ("{type: s3, region: eu-central-1}", "region: is not another region of AWS, got 'eu-central-1'"),
        (
            "{type: s3, region: mars-1}",
            "region: is not another region of AWS, got 'mars-1'; accepted: another region than",
        ),
        ("{type: s3, user: lena}", "user: belongs to `type: sftp`"),
    ],
)
def test_a_bucket_of_the_programs_that_cannot_be(project: Project, copy_to: str, words: str) -> None:
    assert any(words in message for message in staging(project, copy_to).errors())


def test_a_bucket_without_a_name_is_for_aws_alone(project: Project) -> None:
    project.edit("class: development", "class: development\nbackups: {copy_to: {type: s3}}")
    assert [message.split(": ", 1)[1] for message in project.errors()] == [
        "backups.copy_to.endpoint: is required for `type: s3`; accepted: a value",
        "backups.copy_to.bucket: is required for `type: s3`; accepted: a value",
    ]


def test_production_on_aws_requires_a_copy_in_another_region(project: Project) -> None:
    project.stack = (ROOT / "inventories/taaleem-production/stack.yml").read_text()
    project.name = "taaleem-production"
    project.edit(", copy_region: eu-west-1", "")
    messages = [message for message in project.errors() if "copy_region" in message]
    assert len(messages) == 1
    assert "backups in one region are lost with it" in messages[0]


def test_a_store_is_refused_where_aws_runs_the_database(project: Project) -> None:
    project.stack = (ROOT / "inventories/taaleem-production/stack.yml").read_text() + f"\nbackups: {{copy_to: {S3}}}\n"
    project.name = "taaleem-production"
    (message,) = (message for message in project.errors() if "copy_to" in message)
    assert "backups.copy_to.type: is not supported where AWS runs the database, got 's3'" in message
    assert "accepted: `aws.database.copy_region`, or {type: none}" in message


@pytest.mark.parametrize(
    ("copy_to", "words"),
    [
        ("{type: s3, bucket: clinic}", "endpoint: is required for `type: s3`"),
        ("{type: s3, endpoint: 'https://s3.example.org'}", "bucket: is required for `type: s3`"),
        ("{type: sftp, host: a.example.org, user: a, path: /a}", "host_key: is required for `type: sftp`"),
        ("{type: none, bucket: clinic}", "bucket: belongs to `type: s3`"),
        (S3.replace("}", ", user: lena}"), "user: belongs to `type: sftp`"),
        (S3.replace("https", "http"), "endpoint: "),
        (S3.replace("clinic-backups", "Clinic"), "bucket: "),
        (SFTP.replace("/backups/clinic", "backups"), "path: "),
        (SFTP.replace("host: vault.example.org", "host: '-oProxyCommand=x'"), "host: "),
        ("{type: ftp}", "type: "),
        ("none", "backups.copy_to"),
    ],
)
def test_a_copy_that_cannot_be_made(project: Project, copy_to: str, words: str) -> None:
    project.edit("class: development", f"class: production\nbackups: {{copy_to: {copy_to}}}")
    assert any(words in message and message.startswith(f"{STACK}:7: ") for message in project.errors())


def test_an_environment_changes_what_it_names_of_its_systems_schedule(project: Project) -> None:
    project.edit_system("keep_full: 2", "keep_full: 5")
    project.edit("class: development", "class: development\nbackups: {files_every_hours: 12}")
    schedule = project.load().backups
    assert (schedule.keep_full, schedule.files_every_hours, schedule.time) == (5, 12, "02:30")


def test_every_key_of_the_schedule_can_be_changed_by_an_environment() -> None:
    assert {field.name for field in fields(Backups)} == {field.name for field in fields(BackupSchedule)} | {"copy_to"}


# --- systemd --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [0, 5, 7, 9, 10, 20, 23, 25])
def test_hours_that_make_uneven_gaps_are_refused(project: Project, hours: int) -> None:
    project.edit("class: development", f"class: development\nbackups: {{files_every_hours: {hours}}}")
    (message,) = project.errors()
    assert message.startswith(f"{STACK}:7: backups.files_every_hours: ")
    assert "1, 2, 3, 4, 6, 8, 12, 24" in message


def calendars(stack: dict[str, object]) -> dict[str, str]:
    """Return each calendar that the wiring makes for the role, rendered as Ansible does."""
    text = yaml.safe_load((ROOT / "playbooks/group_vars/backup/backup.yml").read_text())
    engine = jinja2.Environment(undefined=jinja2.StrictUndefined)
    engine.filters |= wiring.FILTERS
    return {
        key: engine.from_string(value).render(stack=stack) for key, value in text.items() if key.endswith("_calendar")
    }


def analyse(calendar: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "calendar", "--iterations=30", "--", calendar]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_accepts_every_schedule_that_validate_accepts() -> None:
    environment = load(ROOT / "inventories/taaleem-local")
    stack = inventory.build(environment, provisioned(environment)).variables["stack"]
    seen = set()
    for day in get_args(Weekday):
        for time in ("00:00", "02:30", "23:59"):
            for hours in get_args(EvenHours):
                stack["backups"] |= {"full_day": day, "time": time, "files_every_hours": hours}
                seen |= set(calendars(stack).values())
    assert len(seen) == len(get_args(Weekday)) * 3 * 2 + len(get_args(EvenHours))
    for calendar in sorted(seen):
        done = analyse(calendar)
        assert done.returncode == 0, f"{calendar}: {done.stderr}"


def test_systemd_accepts_the_roles_own_calendars() -> None:
    defaults = yaml.safe_load((ROOT / "roles/backup/defaults/main.yml").read_text())
    own = {key: value for key, value in defaults.items() if key.endswith("_calendar") and value}
    assert len(own) >= 8
    for key, calendar in own.items():
        assert analyse(calendar).returncode == 0, key


# --- secrets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["s3", "sftp"])
def test_the_login_of_a_store_is_a_secret_that_is_set_not_generated(
    project: Project, tmp_path: Path, kind: str
) -> None:
    project.edit("class: development", f"class: production\nbackups: {{copy_to: {S3 if kind == 's3' else SFTP}}}")
    names = {spec.name for spec in secrets.secret_names(project.load())}
    assert names >= {*reserved.PROVIDED_SECRETS[kind], "backup/copies"}
    store = SecretStore("clinic", tmp_path / "state")
    store.create()
    for name in reserved.PROVIDED_SECRETS[kind]:
        with pytest.raises(SecretError, match=f"the secret {name} is not set"):
            store.get(name)
        store.set(name, "value")
        assert store.get(name) == "value"


def test_without_a_copy_there_is_no_login_of_one(project: Project) -> None:
    names = {spec.name for spec in secrets.secret_names(project.load())}
    assert not names & {name for kind in reserved.PROVIDED_SECRETS.values() for name in kind}


@pytest.mark.parametrize("kind", ["s3", "sftp", "none"])
def test_the_role_gets_what_the_environment_says(project: Project, kind: str) -> None:
    copy_to = {"s3": S3, "sftp": SFTP, "none": "{type: none}"}[kind]
    project.edit("class: development", f"class: production\nbackups: {{copy_to: {copy_to}}}")
    environment = project.load()
    stack = inventory.build(environment, provisioned(environment)).variables["stack"]
    values = {name: f"<{name}>" for names in reserved.PROVIDED_SECRETS.values() for name in names}
    given = wiring.backup_copy_to(stack, values)
    options = yaml.safe_load((ROOT / "roles/backup/meta/argument_specs.yml").read_text())
    known = options["argument_specs"]["main"]["options"]["backup_copy_to"]["options"]
    assert given["type"] == kind
    assert set(given) <= set(known)
    assert {field.name for field in fields(CopyTo)} - {"keep_days", "keep_months"} <= set(known)
