"""Whatever `validate` accepts is what roles take: any values, through inventory, wiring, filters and assertions."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_project import Project, provisioned
from test_every_key import STACKS, SYSTEM, Effects, leaves

from stackwright.model import graph
from stackwright.model.errors import KeyPath, ModelError
from stackwright.model.inventory import build
from stackwright.testing.role_inputs import ROOT, HostInputs

TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", " ", "all", "a b", "a%i", "${x}", "{{ x }}", "ü", "a\nb", "x" * 300, "..", "/", "-", "on", "5MB", "mail", "0"]
)
NUMBERS = st.integers(-2, 70_000) | st.sampled_from([0, 1, 2**31, 2**53, 10**18]) | st.floats(allow_nan=False)
VALUES = TEXTS | NUMBERS | st.booleans() | st.none() | st.lists(TEXTS, max_size=2)
DOCUMENTS: Mapping[str, Any] = {
    "system": yaml.safe_load(SYSTEM),
    **{name: yaml.safe_load(text) for name, text in STACKS.items()},
}
PATHS = {name: [path for path, _ in leaves(document)] for name, document in DOCUMENTS.items()}


@st.composite
def edited(draw: st.DrawFn) -> tuple[Any, Any]:
    """Both files with some values replaced, mostly near what was there."""
    base = draw(st.sampled_from(sorted(STACKS)))
    files = {"system": copy.deepcopy(DOCUMENTS["system"]), base: copy.deepcopy(DOCUMENTS[base])}
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(sorted(files)))
        replace(draw, files[name], draw(st.sampled_from(PATHS[name])))
    return files[base], files["system"]


def replace(draw: st.DrawFn, document: Any, path: KeyPath) -> None:
    holder = document
    for part in path[:-1]:
        holder = holder[part]
    value = holder[path[-1]]
    near = st.integers(value // 2, value * 2 + 1) if type(value) is int else VALUES
    near = st.booleans() if isinstance(value, bool) else near
    holder[path[-1]] = draw(near | VALUES)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Effects(tmp_path_factory.mktemp("accepted")).root


def check(root: Path, stack: Any, system: Any) -> None:
    texts = (yaml.safe_dump(stack), yaml.safe_dump(system))
    project = Project(root=root, stack=texts[0], system=texts[1])
    try:
        environment = project.load()
    except ModelError:
        return
    assert graph.topology_svg(environment)
    inventory = build(environment, json.loads(json.dumps(provisioned(environment))))
    name = next(iter(inventory.hosts))
    host = HostInputs(inventory, name, root)
    assert json.dumps(host.inputs(), default=str)
    for role in (role for role in host.roles if role != "static_files"):
        assert host.refusals(role) == [], role


def run(root: Path, monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(ROOT))

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(files=edited())
    def accepted_is_taken(files: tuple[Any, Any]) -> None:
        check(root, *files)

    accepted_is_taken()


def test_what_is_accepted_is_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(root, monkeypatch, 30)


@pytest.mark.long
def test_what_is_accepted_is_taken_over_and_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(root, monkeypatch, 1500)
