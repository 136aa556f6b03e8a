"""The secret store: what it writes, who may read it, and what it says when it cannot."""

from __future__ import annotations

import multiprocessing
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from stackwright.secret_store import SecretError, SecretStore


@pytest.fixture
def store(tmp_path: Path) -> SecretStore:
    made = SecretStore("test", tmp_path / "state")
    made.create()
    return made


def replaced(store: SecretStore, **values: str | None) -> SecretStore:
    """The store with values changed, or taken out (None), as by a person with `ansible-vault edit`."""
    values = {name.replace("__", "/"): value for name, value in values.items()}
    new = {name: value for name, value in {**store.all(), **values}.items() if value is not None}
    store.file.unlink()
    store.update(new)
    return SecretStore("test", store.folder)


def test_a_secret_is_made_once_and_stays(store: SecretStore) -> None:
    first = store.get("redis/cache/emr")
    assert len(first) == 43
    assert SecretStore("test", store.folder).get("redis/cache/emr") == first
    assert store.get("redis/cache/other") != first


def test_nothing_is_made_where_the_vault_is_missing(tmp_path: Path) -> None:
    """A second machine with the same password, or a lost file: new secrets would lock the hosts out."""
    for command in (None, "printf from-a-vault"):
        with pytest.raises(SecretError, match=r"secrets.vault.yml is missing: the secrets of test are created once"):
            SecretStore("test", tmp_path, password_command=command).get("etcd/root")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_in_a_vault_that_was_restored_empty(store: SecretStore) -> None:
    before = store.file.read_bytes()
    emptied = replaced(store, tls__ca_crt=None, tls__ca_key=None)
    with pytest.raises(SecretError, match=r"secrets.vault.yml has no CA"):
        emptied.get("etcd/root")
    assert before != store.file.read_bytes()
    assert emptied.all() == {}


@pytest.mark.parametrize("name", ["tls/ca_key", "tls/ca_crt"])
def test_half_a_ca_is_an_error_and_stays_half(store: SecretStore, name: str) -> None:
    halved = replaced(store, **{name.replace("/", "__"): None})
    kept = dict(halved.all())
    for act in (halved.create, lambda: halved.get("tls/ca_crt"), lambda: halved.get("other")):
        with pytest.raises(SecretError, match=f"{name} is missing; a new CA would be trusted by no host"):
            act()
    assert halved.all() == kept


def test_the_ca_is_replaced_in_steps_of_which_each_is_trusted_before_it_signs(store: SecretStore) -> None:
    def names() -> list[int]:
        pem = store.get("tls/ca_crt").encode()
        return [certificate.serial_number for certificate in x509.load_pem_x509_certificates(pem)]

    def signs() -> bool:
        key = load_pem_private_key(store.get("tls/ca_key").encode(), None)
        first = x509.load_pem_x509_certificates(store.get("tls/ca_crt").encode())[0]
        return key.public_key() == first.public_key()

    old = names()
    assert not store.rotating_ca
    store.advance_ca()
    (kept, new) = names()
    assert (store.rotating_ca, signs(), [kept]) == (True, True, old)
    store.advance_ca()
    assert (store.rotating_ca, signs(), names()) == (True, True, [new, kept])
    store.advance_ca()
    assert (store.rotating_ca, signs(), names()) == (False, True, [new])
    assert "tls/next_ca_key" not in store.all()


def test_creating_again_changes_nothing(store: SecretStore) -> None:
    kept = store.file.read_bytes()
    SecretStore("test", store.folder).create()
    assert store.file.read_bytes() == kept


def test_own_values_may_be_there_before_the_environment_is_created(tmp_path: Path) -> None:
    store = SecretStore("test", tmp_path)
    store.set("app/emr/api", "given")
    assert not store.created
    store.create()
    assert store.get("app/emr/api") == "given"


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
    made.create()
    value = made.get("a")
    assert not made.password_file.exists()
    assert SecretStore("test", tmp_path, password_command="printf from-a-vault").get("a") == value


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="`false` .* gave no password") as caught:
        SecretStore("test", tmp_path, password_command="false canary").create()
    assert "canary" not in str(caught.value)


def test_the_ca_is_a_ca_whose_key_fits(store: SecretStore) -> None:
    certificate = x509.load_pem_x509_certificate(store.get("tls/ca_crt").encode())
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    key = load_pem_private_key(store.get("tls/ca_key").encode(), None)
    assert key.public_key() == certificate.public_key()


def test_a_value_from_elsewhere_can_be_stored(store: SecretStore) -> None:
    store.set("app/emr/api", "given")
    assert store.get("app/emr/api") == "given"


def _get(folder: Path) -> str:
    return SecretStore("test", folder).get("shared")


def test_processes_that_ask_at_once_get_one_value(tmp_path: Path) -> None:
    SecretStore("test", tmp_path).create()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(_get, [tmp_path] * 8))) == 1
