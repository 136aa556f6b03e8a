"""The secret store: what it writes, who may read it, and what it says when it cannot."""

from __future__ import annotations

import multiprocessing
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from stackwright.secret_store import SecretError, SecretStore


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    return SecretStore("test", tmp_path / "state")


def test_a_secret_is_made_once_and_stays(store: SecretStore) -> None:
    first = store.get("redis/cache/emr")
    assert len(first) == 43
    assert SecretStore("test", store.folder).get("redis/cache/emr") == first
    assert store.get("redis/cache/other") != first


def test_the_file_is_encrypted_and_opens_with_ansible_vault(store: SecretStore) -> None:
    value = store.get("postgresql/superuser")
    assert value not in store.file.read_text()
    shown = subprocess.run(
        ["ansible-vault", "view", "--vault-password-file", str(store.password_file), str(store.file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"postgresql/superuser: {value}" in shown.stdout


def test_only_the_owner_may_read(store: SecretStore) -> None:
    store.get("a")
    assert store.file.stat().st_mode & 0o077 == 0
    assert store.password_file.stat().st_mode & 0o077 == 0


def test_a_password_file_that_others_may_read_is_refused(store: SecretStore) -> None:
    store.get("a")
    store.password_file.chmod(0o644)
    with pytest.raises(SecretError, match="is readable by others: chmod 600"):
        SecretStore("test", store.folder).get("a")


def test_a_lost_password_is_named_instead_of_replaced(store: SecretStore) -> None:
    store.get("a")
    store.password_file.unlink()
    with pytest.raises(SecretError, match="vault-password is missing, and .* opens with nothing else"):
        SecretStore("test", store.folder).get("b")


def test_a_wrong_password_is_named(store: SecretStore) -> None:
    store.get("a")
    store.password_file.write_text("another\n")
    with pytest.raises(SecretError, match="does not open with the password of"):
        SecretStore("test", store.folder).get("a")


def test_the_password_may_come_from_a_command(tmp_path: Path) -> None:
    made = SecretStore("test", tmp_path, password_command="printf from-a-vault")
    value = made.get("a")
    assert not made.password_file.exists()
    assert SecretStore("test", tmp_path, password_command="printf from-a-vault").get("a") == value


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="`false` gave no password"):
        SecretStore("test", tmp_path, password_command="false").get("a")


def test_the_ca_is_a_ca_whose_key_fits(store: SecretStore) -> None:
    certificate = x509.load_pem_x509_certificate(store.get("tls/ca_crt").encode())
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(store.get("tls/ca_key").encode(), None)
    assert key.public_key() == certificate.public_key()


def test_a_value_from_elsewhere_can_be_stored(store: SecretStore) -> None:
    store.set("app/emr/api", "given")
    assert store.get("app/emr/api") == "given"


def _get(folder: Path) -> str:
    return SecretStore("test", folder).get("shared")


def test_processes_that_ask_at_once_get_one_value(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_get, [tmp_path] * 8))) == 1
