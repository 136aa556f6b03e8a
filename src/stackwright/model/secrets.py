"""The names of an environment's secrets, without values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stackwright.model import reserved, topology

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stackwright.model.environment import Environment
    from stackwright.model.system import System

#: Secrets of programs that do not run if a cloud manages the database.
_OWN_DATABASE = ("etcd/", "patroni/", "pgbackrest/", "pgbouncer/", "postgresql/replication", "postgresql/rewind")
#: Login of the master user of a managed database, once it is taken over: only in the cloud's own store, and therefore
#: not part of `secret_names`.
MASTER = "postgresql/master"
#: User of a cache instance in addition to the applications.
CACHE_OPERATOR = "operator"


@dataclass(frozen=True, kw_only=True)
class SecretSpec:
    """A secret: its name and how it is generated."""

    name: str
    kind: Literal["password", "certificate_authority_key", "certificate_authority_certificate"] = "password"


def secret_names(environment: Environment) -> tuple[SecretSpec, ...]:
    """Return every secret that the environment needs, by name."""
    hosts = (
        SecretSpec(name=f"restic/{host.name}/{part}") for host in environment.hosts for part in ("http", "password")
    )
    copies = (SecretSpec(name=name) for name in ("backup/copies", *_copy_logins(environment)))
    return tuple(sorted((*system_secrets(environment.system), *hosts, *copies), key=lambda spec: spec.name))


def _copy_logins(environment: Environment) -> tuple[str, ...]:
    """Return the credentials of the store that backups are copied to: the user sets them, none is generated."""
    copy_to = environment.stack.backups.copy_to
    if topology.copies_to_own_bucket(environment.stack):
        return ()
    return reserved.PROVIDED_SECRETS.get(copy_to.type, ()) if copy_to is not None else ()


def cloud_names(environment: Environment) -> tuple[str, ...]:
    """Return the environment's secrets that are in use when a cloud manages some of its services."""
    managed = topology.managed(environment.stack)
    left_out: tuple[str, ...] = _OWN_DATABASE if "database" in managed else ()
    backup_hosts = topology.playbook_groups(environment.stack, environment.hosts, environment.system)["backup"]
    left_out += tuple(f"restic/{host.name}/" for host in environment.hosts if host.name not in backup_hosts)
    left_out += () if backup_hosts else ("backup/",)
    # The cloud's cache has no operator login: the cloud operates it.
    operators = f"/{CACHE_OPERATOR}" if "cache" in managed else "\0"
    every = (spec.name for spec in secret_names(environment))
    return tuple(name for name in every if not name.startswith(left_out) and not name.endswith(operators))


def application_names(environment: Environment) -> tuple[str, ...]:
    """Return the secrets that an application's server reads: those of applications, and of the CA no key."""
    system = environment.system
    names = {secret for app in system.apps.values() for secret in app.secrets.values()}
    names |= {f"redis/{purpose}/{name}" for name, app in system.apps.items() for purpose in app.cache}
    names |= {f"postgresql/role/{app.database.role}" for app in system.apps.values() if app.database}
    names |= {"pgbouncer/auth"} if system.database else set()
    return tuple(name for name in cloud_names(environment) if name in names | {"tls/ca_crt"})


def system_secrets(system: System) -> tuple[SecretSpec, ...]:
    """Return every secret that an environment of `system` needs, by name."""
    specs = {spec.name: spec for spec in _specs(system)}
    return tuple(specs[name] for name in sorted(specs))


def _specs(system: System) -> Iterator[SecretSpec]:
    yield SecretSpec(name="tls/ca_key", kind="certificate_authority_key")
    yield SecretSpec(name="tls/ca_crt", kind="certificate_authority_certificate")
    if system.database is not None:
        yield from (SecretSpec(name=f"postgresql/role/{role.name}") for role in system.database.roles)
        yield from (SecretSpec(name=f"postgresql/{name}") for name in ("replication", "rewind"))
        for name in ("etcd/root", "etcd/patroni", "patroni/restapi", "pgbouncer/auth"):
            yield SecretSpec(name=name)
        yield SecretSpec(name="pgbackrest/cipher")
    for instance in system.cache:
        yield SecretSpec(name=f"redis/{instance}/{CACHE_OPERATOR}")
    for name, app in system.apps.items():
        prefix = f"app/{name}/"
        yield from (SecretSpec(name=secret) for secret in app.secrets.values() if secret.startswith(prefix))
        for purpose in app.cache:
            yield SecretSpec(name=f"redis/{purpose}/{name}")
