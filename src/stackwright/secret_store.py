"""The secrets of an environment: encrypted at rest by ansible-vault, identified by name, never printed.

One `ansible-vault` file per environment; its password is in a file of mode 0600 outside git, or comes from a command
that the user names. `ansible-vault view` with the same password reads the file: nothing is hidden from the user.

`create` creates the CA once, in the first `stackwright up`. A vault with a CA generates new secrets; without a CA the
vault is missing or damaged, and generated secrets would replace those that the hosts use.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import secrets
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from stackwright.model.reserved import PROVIDED_SECRETS

_VAULT_ID = "stackwright"

#: 32 bytes are as hard to guess as the keys of the ciphers that protect the traffic.
_PASSWORD_BYTES = 32
_CA_YEARS = 10
CA_KEY, CA_CERTIFICATE = "tls/ca_key", "tls/ca_crt"
#: The key of a new CA, which hosts must trust before it signs.
_NEXT_CA_KEY = "tls/next_ca_key"
_PROVIDED = frozenset(name for names in PROVIDED_SECRETS.values() for name in names)


class SecretError(RuntimeError):
    """A secret is not available; the message names the file or command and the remedy, never a value."""


class SecretStore:
    """The vault file of one environment.

    `folder` is the environment's state folder. `password_command`, if given, is run instead of reading
    `folder/vault-password`; its standard output is the password.
    """

    def __init__(self, environment: str, folder: Path, *, password_command: str | None = None) -> None:
        self.environment = environment
        self.folder = folder
        self.file = folder / "secrets.vault.yml"
        self.password_file = folder / "vault-password"
        self._password_command = password_command
        self._seen: tuple[int, int] | None = None
        self._values: dict[str, str] = {}

    @property
    def created(self) -> bool:
        """Return whether the environment's CA exists. Raise SecretError if only its key or certificate exists."""
        missing = [name for name in (CA_KEY, CA_CERTIFICATE) if name not in self._load()]
        if len(missing) == 1:
            raise SecretError(
                f"{self.file}: {missing[0]} is missing; a new CA would be trusted by no host.\n"
                f"fix: restore it with `ansible-vault edit {self.file}` from a copy of the file"
            )
        return not missing

    def create(self) -> None:
        """Create the environment's CA, and with it the vault; an existing CA stays."""
        with self._locked():
            if not self.created:
                self._save(self._load() | new_ca(self.environment))

    @property
    def rotating_ca(self) -> bool:
        """Return whether the CA is being replaced: hosts trust two CAs meanwhile."""
        return _NEXT_CA_KEY in self._load() or len(_certificates(self.get(CA_CERTIFICATE))) > 1

    def advance_ca(self) -> str:
        """Perform the next step of replacing the CA, and return it in words; hosts are converged between two steps.

        The steps: add a second CA, which all hosts then trust; sign with the second CA; remove the first.
        """
        self._require_created()
        with self._locked():
            values = self._load()
            certificates = _certificates(values[CA_CERTIFICATE])
            if _NEXT_CA_KEY in values:
                key, *trusted_certificates = values[_NEXT_CA_KEY], certificates[-1], *certificates[:-1]
                values = {name: value for name, value in values.items() if name != _NEXT_CA_KEY}
                self._save(values | {CA_KEY: key, CA_CERTIFICATE: "".join(trusted_certificates)})
                return "the new CA signs; the previous one stays trusted"
            if len(certificates) > 1:
                self._save(values | {CA_CERTIFICATE: certificates[0]})
                return "the previous CA is dropped"
            new = new_ca(self.environment)
            changes = {CA_CERTIFICATE: certificates[0] + new[CA_CERTIFICATE], _NEXT_CA_KEY: new[CA_KEY]}
            self._save(values | changes)
            return "a new CA is trusted; the previous one still signs"

    def get(self, name: str) -> str:
        """Return the secret `name` of a created environment; generate and store it if it does not exist yet."""
        self._require_created()
        if name not in self._load():
            with self._locked():
                self._require_created()
                if name not in self._load():
                    self._refuse_provided(name)
                    self._save(self._load() | {name: new_password()})
        return self._values[name]

    def _refuse_provided(self, name: str) -> None:
        if name in _PROVIDED:
            raise SecretError(
                f"the secret {name} is not set, and cannot be generated: it is the login of a store (backups.copy_to)\n"
                f"fix: ansible-vault edit --vault-password-file {self.password_file} {self.file}"
            )

    def _require_created(self) -> None:
        if not self.created:
            state = "is missing" if not self.file.exists() else "has no CA"
            raise SecretError(
                f"{self.file} {state}: the secrets of {self.environment} are created once, by its first"
                f" `stackwright up {self.environment}`, and shared by everyone who runs it.\n"
                "fix: copy the file from where the environment was created (docs/how-to/share-an-environment.md)"
            )

    def set(self, name: str, value: str) -> None:
        """Store a value from an external source, such as an API key."""
        self.update({name: value})

    def update(self, values: Mapping[str, str]) -> None:
        """Store several values in one step."""
        with self._locked():
            self._save(self._load() | dict(values))

    def all(self) -> Mapping[str, str]:
        """Return every existing secret, by name."""
        return dict(self._load())

    # --- file ---------------------------------------------------------------------------------------------------

    def _load(self) -> dict[str, str]:
        try:
            status = self.file.stat()
        except FileNotFoundError:
            self._values = {}
            return self._values
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            vault = self._vault()
            try:
                text = vault.decrypt(self.file.read_bytes())
            except AnsibleError as error:
                source = self._password_source()
                raise SecretError(f"{self.file} does not open with the password of {source}") from error
            self._values = yaml.safe_load(text) or {}
            self._seen = seen
        return self._values

    def _save(self, values: dict[str, str]) -> None:
        # Always write the whole file under a temporary name first: an interrupted run leaves the old file.
        text = self._vault().encrypt(yaml.safe_dump(values), vault_id=None)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".secrets-", delete=False) as partial:
            partial.write(text)
            partial.flush()
            os.fsync(partial.fileno())
        Path(partial.name).rename(self.file)
        self._load()

    def _vault(self) -> VaultLib:
        return VaultLib([(_VAULT_ID, VaultSecret(self._password()))])

    def _password(self) -> bytes:
        if self._password_command is not None:
            done = subprocess.run(shlex.split(self._password_command), capture_output=True, check=False)
            if done.returncode != 0 or not done.stdout.strip():
                raise SecretError(f"{self._password_source()} gave no password (exit code {done.returncode})")
            return done.stdout.strip()
        if not self.password_file.exists():
            if self.file.exists():
                raise SecretError(f"{self.password_file} is missing, and {self.file} opens with nothing else")
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(_PASSWORD_BYTES) + "\n")
        if self.password_file.stat().st_mode & 0o077:
            raise SecretError(f"{self.password_file} is readable by others: chmod 600 {self.password_file}")
        return self.password_file.read_bytes().strip()

    def _password_source(self) -> str:
        if self._password_command is None:
            return str(self.password_file)
        # Only its program: an argument may be a secret.
        return f"`{self._password_command.split()[0]}` (secrets.password_command)"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "secrets.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def new_password() -> str:
    """Return a new password that needs no escaping in a URL."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def new_ca(environment: str) -> dict[str, str]:
    """Return the key and the certificate of a new CA, by the names of their secrets."""
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{environment} internal CA")])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A host whose clock is slightly behind must accept a certificate issued this minute.
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _CA_YEARS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA384())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        CA_KEY: private.decode(),
        CA_CERTIFICATE: certificate.public_bytes(serialization.Encoding.PEM).decode(),
    }


def _certificates(pem: str) -> list[str]:
    end = "-----END CERTIFICATE-----"
    return [f"{part.strip()}\n{end}\n" for part in pem.split(end) if part.strip()]


@cache
def of_process(environment: str, folder: Path, password_command: str | None) -> SecretStore:
    """Return this process's store of an environment; forked processes inherit the decrypted content.

    The file is read again if it has changed.
    """
    return SecretStore(environment, folder, password_command=password_command)
