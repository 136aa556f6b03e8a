"""The identity of an environment: its CA, secrets and keys, which the first `stackwright up` creates once."""

from __future__ import annotations

from stackwright import state_files
from stackwright.infra import engine, keys, signing
from stackwright.model import topology
from stackwright.model.environment import Environment
from stackwright.model.output import private_key_file
from stackwright.secret_store import SecretError, SecretStore

_HOW_TO = "docs/how-to/share-an-environment.md"


def store(environment: Environment) -> SecretStore:
    """Return the environment's secrets."""
    return SecretStore(
        environment.name, environment.state_folder, password_command=environment.stack.secrets.password_command
    )


def create(environment: Environment) -> None:
    """Create the identity of a new environment; check that of an existing one.

    Raise SecretError if the environment exists and its identity is not complete on this machine.
    """
    secrets = store(environment)
    if not secrets.created:
        require_nothing_lost(environment)
        state_files.create_folder(environment.state_folder)
        engine.variables(environment.name)
        if environment.access.ssh_private_key is None:
            keys.ensure(environment.root / private_key_file(environment))
        if environment.provider == "aws":
            signing.private_key(environment)
        # Last: from here on no part of the identity is created again.
        secrets.create()
    require(environment)


def require(environment: Environment) -> None:
    """Raise SecretError if the environment's secrets or keys are missing; create nothing."""
    store(environment).get("tls/ca_crt")
    files = []
    if environment.access.ssh_private_key is None:
        files.append(environment.root / private_key_file(environment))
    if topology.managed(environment.stack) and environment.slots:
        files.append(signing.key_file(environment))
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise SecretError(
            f"{environment.name}: missing {', '.join(missing)}; a new one would fit nothing that the environment has.\n"
            f"fix: copy it from where the environment was created ({_HOW_TO})"
        )


def require_nothing_lost(environment: Environment) -> None:
    """Refuse to create, or to preview, an identity in place of one that hosts already use."""
    if store(environment).created:
        return
    signs = []
    if engine.read_output(environment) is not None:
        signs.append(f"Pulumi's state in {engine.backend_url(environment.name)} has its hosts")
    if (environment.state_folder / "ca.crt").is_file():
        signs.append(f"{environment.state_folder / 'ca.crt'} is the certificate of its CA")
    if signs:
        raise SecretError(
            f"{environment.name} exists ({'; '.join(signs)}), but {environment.vault_file} is missing or has no CA:"
            " new secrets would lock its hosts and backups.\n"
            f"fix: copy the file from where the environment was created ({_HOW_TO})"
        )
