"""Filters of the roles `postgresql` and `managed_postgresql`; they are implemented in `stackwright.model`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from stackwright.model import managed_postgresql
from stackwright.model.postgresql_access import hba_lines, role_flags, scram_verifier
from stackwright.model.postgresql_settings import postgresql_settings


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise AnsibleFilterError(str(error)) from error

    return call


def _settings(memory_mb: int, cpus: int, max_connections: int) -> Any:
    return postgresql_settings(memory_mb=int(memory_mb), cpus=int(cpus), max_connections=int(max_connections))


def _hba(roles: Any, **settings: Any) -> Any:
    return hba_lines(roles=roles, **settings)


class FilterModule:
    """Filters named after the role that uses them; `postgresql_scram` is used by both."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "postgresql_settings": _plain(_settings),
            "postgresql_hba": _plain(_hba),
            "postgresql_role_flags": _plain(role_flags),
            "postgresql_scram": _plain(scram_verifier),
            "managed_postgresql_answer": managed_postgresql.answer,
            "managed_postgresql_admitted": managed_postgresql.admitted,
            "managed_postgresql_unclear": managed_postgresql.unclear,
            "managed_postgresql_flags": managed_postgresql.role_flags,
            "managed_postgresql_foreign": managed_postgresql.foreign,
        }
