"""Renders a role's templates without a host, with Ansible's own engine: an undefined variable is an error."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, init_plugin_loader
from ansible.template import Templar, trust_as_template

_FILTERS = Path(__file__).parents[1] / "ansible" / "filter"


@cache
def _load_plugins() -> None:
    init_plugin_loader()
    filter_loader.add_directory(str(_FILTERS))


def _trust(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _trust(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_trust(inner) for inner in value]
    return trust_as_template(value) if isinstance(value, str) else value


class Role:
    """A role's variables (defaults, vars, vars of one operating system, inputs) and its templates."""

    def __init__(self, folder: Path, inputs: dict[str, Any], *, system: str = "") -> None:
        _load_plugins()
        self.folder = folder
        self.variables: dict[str, Any] = {"ansible_managed": "Ansible managed"}
        for name in ("defaults/main.yml", "vars/main.yml", f"vars/{system}.yml"):
            path = folder / name
            if path.exists():
                self.variables |= _trust(yaml.safe_load(path.read_text()) or {})
        self.variables |= inputs

    def value(self, name: str, **extra: Any) -> Any:
        """Return a variable with all references resolved."""
        return self._templar(extra).template(trust_as_template("{{ " + name + " }}"))

    def template(self, path: str, **extra: Any) -> str:
        """Return the text of `templates/<path>`."""
        text = (self.folder / "templates" / path).read_text()
        return str(self._templar(extra).template(trust_as_template(text)))

    def _templar(self, extra: dict[str, Any]) -> Templar:
        return Templar(loader=DataLoader(), variables={**self.variables, **extra})
