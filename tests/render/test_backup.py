"""What the role backup writes for pgBackRest and for the copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stackwright.testing.render import Role

ROLE = Path(__file__).parents[2] / "roles/backup"
HOST = {"data_directory": "/var/lib/postgresql/17/main", "socket_directory": "/run/postgresql", "port": 5432}
S3 = {
    "type": "s3",
    "endpoint": "https://s3.example.org",
    "bucket": "clinic-backups",
    "region": "eu-central-1",
    "prefix": "clinic",
    "access_key": "login",
    "secret_key": "secret",
}
SFTP = {
    "type": "sftp",
    "host": "vault.example.org",
    "port": 2222,
    "user": "clinic",
    "path": "/backups",
    "host_key": "ssh-ed25519 AAAA",
    "private_key": "key",
}


def role(host: str = "ops1", **inputs: Any) -> Role:
    usual = {
        "backup_host": host,
        "backup_repository_host": "ops1",
        "backup_listen_address": "10.0.0.1",
        "backup_repository": host == "ops1",
        "backup_postgresql": host != "ops1",
        "backup_postgresql_hosts": [HOST | {"name": "db1"}, HOST | {"name": "db2"}],
        "ansible_check_mode": False,
    }
    return Role(ROLE, usual | inputs)


@pytest.mark.parametrize(("disk_mib", "queue"), [(102_400, 20_480), (8_192, 1_638), (100, 64)])
def test_wal_that_waits_is_bounded_by_a_fifth_of_the_disk(disk_mib: int, queue: int) -> None:
    disk = {"stdout_lines": ["1M-blocks", f" {disk_mib}"]}
    text = role("db1", __backup_disk=disk).template("etc/pgbackrest/pgbackrest.conf.j2")
    assert f"\narchive-push-queue-max={queue}MiB\n" in text


def test_archiving_does_not_wait_long_and_restoring_is_left_alone() -> None:
    text = role("db1").template("etc/pgbackrest/pgbackrest.conf.j2")
    section = text.split("[global:archive-push]")[1].split("[main]")[0]
    assert section.split() == ["archive-timeout=10", "io-timeout=10"]
    assert "timeout" not in text.split("[global:archive-push]")[0]


def test_a_database_host_has_no_key() -> None:
    text = role("db1", backup_postgresql_passphrase="never").template("etc/pgbackrest/pgbackrest.conf.j2")
    assert "cipher" not in text
    assert "never" not in text


def test_the_copies_of_a_repository_host() -> None:
    copies = role(backup_copy_to=S3).value("__backup_copies")
    assert [copy["name"] for copy in copies] == ["protected", "external"]
    assert copies[0]["paths"] == ["/var/lib/pgbackrest"]
    assert copies[1]["paths"] == ["/var/lib/pgbackrest", "/var/lib/restic"]
    assert copies[1]["keep"] == {"within_days": 2, "days": 35, "weeks": 0, "months": 12}


def test_without_a_login_the_role_of_the_instance_logs_in() -> None:
    keyless = {key: value for key, value in S3.items() if not key.endswith("_key")}
    assert role(backup_copy_to=keyless).value("__backup_external")["environment"] == {
        "AWS_DEFAULT_REGION": "eu-central-1"
    }
    keys = {"AWS_ACCESS_KEY_ID": "login", "AWS_SECRET_ACCESS_KEY": "secret"}
    environment = role(backup_copy_to=S3).value("__backup_external")["environment"]
    assert environment == {"AWS_DEFAULT_REGION": "eu-central-1"} | keys


def test_a_database_host_has_no_copies() -> None:
    assert role("db1", backup_copy_to=S3).value("__backup_copies") == []


def test_without_a_cluster_only_files_are_copied() -> None:
    copies = role(backup_postgresql_hosts=[], backup_copy_to=SFTP).value("__backup_copies")
    assert [(copy["name"], copy["paths"]) for copy in copies] == [("external", ["/var/lib/restic"])]


def test_a_bucket() -> None:
    copy = role(backup_copy_to=S3).value("__backup_external")
    assert copy["repository"] == "s3:https://s3.example.org/clinic-backups/clinic"
    assert copy["environment"] == {
        "AWS_ACCESS_KEY_ID": "login",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    assert copy["options"] == ["s3.region=eu-central-1"]


def test_a_server_by_sftp() -> None:
    copy = role(backup_copy_to=SFTP).value("__backup_external")
    assert copy["repository"] == "sftp:clinic@vault.example.org:/backups"
    assert copy["environment"] == {}
    (command,) = copy["options"]
    assert command.startswith("sftp.command=ssh -F none ")
    assert "StrictHostKeyChecking=yes" in command
    assert command.endswith("-p 2222 clinic@vault.example.org -s sftp")
    assert "\n" not in command


def test_no_secret_of_a_store_is_in_a_file_for_all() -> None:
    text = role(backup_copy_to=S3).template("etc/stackwright/backup/backup.json.j2")
    assert "secret" not in text
