"""A project of its own for each test."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stackwright.infra import program

ROOT = Path(__file__).resolve().parents[2]

STACK = """
system: taaleem
provider: local
class: development
domain: pulumi.test
network: {{cidr: {cidr}}}
topology: {{size: {size}}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project's own files, with no environment in it."""
    for folder in ("pulumi", "systems"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    for folder in ("playbooks", "src"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "inventories").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(tmp_path))
    # Every provider of these tests records, or is a stub.
    monkeypatch.setenv(program.ALLOW_EXAMPLES, "1")
    for name in ("PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


WriteStack = Callable[..., Path]


@pytest.fixture
def write_stack(project: Path) -> WriteStack:
    """Writes an environment's stack.yml and returns its path."""

    def write(environment: str, text: str = STACK, *, cidr: str = "10.231.90.0/24", size: str = "A") -> Path:
        path = project / "inventories" / environment / "stack.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(cidr=cidr, size=size) if text is STACK else text)
        return path

    return write
