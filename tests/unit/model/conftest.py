"""The project that a test of the model may change."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)
