"""The inputs of roles without a host: inventory, group_vars, lookups and assertions.

They are evaluated by Ansible's own engine; secrets and archives are stubs, everything else is the same as in a
converge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader, lookup_loader
from ansible.template import Templar, trust_as_template

from stackwright.ansible.entries import as_list, expand
from stackwright.ansible.playbooks import roles_of
from stackwright.model.inventory import Inventory

ROOT = Path(__file__).resolve().parents[3]
_PLUGINS = ROOT / "src/stackwright/ansible"
_FACTS: Mapping[str, Any] = {
    "distribution": "Debian",
    "distribution_version": "13",
    "distribution_major_version": "13",
    "distribution_release": "trixie",
    "os_family": "Debian",
    "architecture": "x86_64",
    "virtualization_type": "podman",
    "virtualization_tech_guest": ["container", "podman"],
    "processor_vcpus": 2,
    "memtotal_mb": 4096,
}
_ARTIFACT: Mapping[str, Any] = {
    "release": "1.0.0-abc",
    "version": "24.21.0",
    "path": "/nowhere/archive.tar.gz",
    "sha256": "0" * 64,
    "static_path": "/nowhere/static.tar.gz",
    "static_sha256": "0" * 64,
}


class _Secrets:
    """A secret store with a long value for every name."""

    def get(self, name: str) -> str:
        """Return a value that roles accept as the secret of this name."""
        if name == "tls/ca_crt":
            return "-----BEGIN CERTIFICATE-----"
        return "-----BEGIN PRIVATE KEY-----" if name == "tls/ca_key" else f"secret-{name.replace('/', '-')}-{'x' * 24}"


@cache
def _load_plugins(root: Path) -> None:
    init_plugin_loader()
    filter_loader.add_directory(str(_PLUGINS / "filter"))
    lookup_loader.add_directory(str(_PLUGINS / "lookup"))
    for name in ("stackwright_artifact", "stackwright_secrets", "stackwright_cloud_secret"):
        lookup_loader.get(name)
    _ = root


def _stub(environment: str) -> None:
    """Replace the lookups with stubs; Ansible loads lookups under names of its own."""
    for name, run in (
        ("stackwright_artifact", lambda _, terms, **options: [dict(_version(term, **options)) for term in terms]),
        (
            "stackwright_cloud_secret",
            lambda _, terms, **__: [{"username": "stackwright", "password": "p" * 24}] * len(terms),
        ),
    ):
        type(lookup_loader.get(name)).run = run
    plugin = lookup_loader.get("stackwright_secrets")
    type(plugin).run.__globals__["_stores"][environment] = _Secrets()


def _version(term: str, *, static: Sequence[Mapping[str, Any]] = (), **_: Any) -> Mapping[str, Any]:
    # The lookup refuses an archive that does not match `static`, so another `static` gives another archive.
    entries = sorted((str(entry["url"]), str(entry["folder"])) for entry in static)
    return {
        **_ARTIFACT,
        "static_sha256": hashlib.sha256(repr(entries).encode()).hexdigest(),
        "path": f"/nowhere/{term}.tar.gz",
        "version": "7.0.4" if term == "pm2" else _ARTIFACT["version"],
    }


def trusted(value: Any) -> Any:
    """Return the content of a file with its strings marked as templates."""
    if isinstance(value, dict):
        return {key: trusted(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [trusted(entry) for entry in value]
    return trust_as_template(value) if isinstance(value, str) else value


class _Loader(yaml.SafeLoader):
    """Reads Ansible's own tags as plain values."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


@cache
def _file(path: Path) -> Any:
    # A safe loader except for tags.
    return trusted(yaml.load(path.read_text(encoding="utf-8"), _Loader)) if path.is_file() else None  # noqa: S506


@cache
def group_vars_folder() -> Path:
    """Return the directory of the group_vars that set the inputs of roles."""
    return next(folder for folder in (ROOT / "playbooks/group_vars", ROOT / "group_vars") if folder.is_dir())


@dataclass(frozen=True, kw_only=True)
class Assertion:
    """A check of a role that rejects invalid inputs."""

    role: str
    name: str
    check: Mapping[str, Any]


@cache
def assertions() -> tuple[Assertion, ...]:
    """Return every assertion of every role's `validate` files."""
    return tuple(
        Assertion(role=path.parts[-3], name=str(check["name"]), check=check)
        for path in sorted((ROOT / "roles").glob("*/tasks/validate*.yml"))
        for task in _tasks(_file(path))
        for check in task.get("stackwright_inputs", {}).get("checks", [])
    )


def _tasks(entries: Any) -> Iterator[Mapping[str, Any]]:
    for entry in entries or []:
        yield entry
        yield from _tasks(entry.get("block"))


class HostInputs:
    """The variables of one host of an inventory."""

    def __init__(self, inventory: Inventory, name: str, project: Path) -> None:
        _load_plugins(ROOT)
        _stub(inventory.variables["stack"]["environment"])
        host = inventory.hosts[name]
        self.groups = sorted(group for group, names in inventory.groups.items() if name in names)
        self.name = name
        self._wired: dict[str, Any] = {}
        for group in ("all", *self.groups):
            for path in sorted((group_vars_folder() / group).glob("*.yml")):
                self._wired |= _file(path) or {}
        self.variables: dict[str, Any] = {
            **inventory.variables,
            **host.variables,
            **self._wired,
            "inventory_hostname": name,
            "group_names": self.groups,
            "groups": {group: list(names) for group, names in inventory.groups.items()},
            "playbook_dir": str(project / "playbooks"),
            "ansible_managed": "Ansible managed",
            "ansible_facts": dict(_FACTS),
            "ansible_play_hosts": list(inventory.hosts),
            "ansible_play_hosts_all": list(inventory.hosts),
            "ansible_check_mode": False,
        }

    @property
    def roles(self) -> list[str]:
        """Return the roles that a converge runs on the host."""
        return roles_of({"all", *self.groups}, ROOT / "playbooks")

    def inputs(self) -> dict[str, Any]:
        """Return every input that group_vars set."""
        templar = self._templar({})
        return {name: templar.template(value) for name, value in self._wired.items()}

    def refusals(self, role: str, *, of: tuple[Assertion, ...] = ()) -> list[str]:
        """Return the names of the assertions of a role that do not hold for its inputs."""
        return [
            assertion.name for assertion in of or assertions() if assertion.role == role and not self._holds(assertion)
        ]

    def _holds(self, assertion: Assertion) -> bool:
        variables = {**self.variables, **self._of_role(assertion.role)}
        return all(
            templar.evaluate_conditional(condition)
            for templar, _ in expand(self._templar({}), variables, assertion.check)
            for condition in as_list(assertion.check["that"])
        )

    def _of_role(self, role: str) -> dict[str, Any]:
        folder = ROOT / "roles" / role
        defaults = _file(folder / "defaults/main.yml") or {}
        above = [_file(folder / "vars/main.yml") or {}, _file(folder / "vars/Debian-13.yml") or {}]
        return {**defaults, **self.variables, **above[0], **above[1], "role_path": str(folder)}

    def _templar(self, extra: Mapping[str, Any]) -> Templar:
        return Templar(loader=DataLoader(), variables={**self.variables, **extra})
