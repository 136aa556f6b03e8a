"""A project in a temporary folder, whose two files a test changes by replacing text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stackwright.model import topology
from stackwright.model.environment import Environment, load
from stackwright.model.errors import ModelError
from stackwright.model.output import make_output

ROOT = Path(__file__).resolve().parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9ONJZdgVTWb0o8NSWsiYsoAbS2FUPVYPS"

#: Where in a cloud an environment is that it runs a part of.
CLOUD = {"region": "r", "account": "a", "buckets": {"uploads": "the-uploads"}, "secrets_prefix": "p/"}


def provisioned(environment: Environment) -> dict[str, Any]:
    """An output of the environment, with what a cloud would have made."""
    output = make_output(environment, {host.name: KEY for host in environment.hosts})
    managed = topology.managed(environment.stack)
    names = {
        "edge": ["https"],
        "database": ["postgresql", "postgresql_replica"],
        "cache": [f"redis_{purpose}" for purpose in environment.system.cache],
    }
    ports = {"edge": ("https", 443), "database": ("postgresql", 5432), "cache": ("rediss", 6379)}
    for tier in managed:
        scheme, port = ports[tier]
        for name in names[tier]:
            address = f"{name.replace('_', '-')}.cloud.example"
            output["endpoints"][name] = {"scheme": scheme, "addresses": [address], "port": port}
    if managed:
        output["cloud"] = CLOUD
    return output


@dataclass
class Project:
    root: Path
    stack: str = (ROOT / "inventories/taaleem-local/stack.yml").read_text()
    system: str = (ROOT / "systems/taaleem.yml").read_text()
    name: str = "clinic"

    @property
    def file(self) -> Path:
        return self.root / "inventories" / self.name / "stack.yml"

    def bare_metal(self) -> None:
        self.stack = (ROOT / "inventories/taaleem-baremetal/stack.yml").read_text()

    def edit(self, old: str, new: str) -> None:
        assert self.stack.count(old) >= 1, f"{old!r} is not in the stack file"
        self.stack = self.stack.replace(old, new, 1)

    def edit_system(self, old: str, new: str) -> None:
        assert self.system.count(old) >= 1, f"{old!r} is not in the system file"
        self.system = self.system.replace(old, new, 1)

    def write(self, raw: bytes | None = None) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        (self.root / "systems").mkdir(exist_ok=True)
        (self.root / "systems/taaleem.yml").write_text(self.system)
        self.file.write_bytes(self.stack.encode() if raw is None else raw)

    def load(self) -> Environment:
        self.write()
        return load(self.file)

    def errors(self, raw: bytes | None = None) -> list[str]:
        self.write(raw)
        with pytest.raises(ModelError) as caught:
            load(self.file)
        return str(caught.value).splitlines()
