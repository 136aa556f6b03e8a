"""Compiled templates: what one process of a run has compiled no other compiles again, and nothing renders differently."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible._internal._datatag._tags import TrustedAsTemplate
from ansible._internal._templating._engine import TemplateEngine, TemplateOptions
from ansible._internal._templating._jinja_bits import AnsibleEnvironment, TemplateOverrides
from ansible.errors import AnsibleError

from stackwright.ansible import compiled_templates

VARIABLES = {"word": "x", "names": ["a", "b"], "nested": "{{ names | join(word) }}"}
#: (kind, text, options): pairs of equal texts whose results differ, errors, and what nests.
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("template", "{{ word }}", {}),
    ("template", "{{ word }}", {"overrides": TemplateOverrides(variable_start_string="[[", variable_end_string="]]")}),
    ("template", "[[ word ]]{{ word }}", {}),
    (
        "template",
        "[[ word ]]{{ word }}",
        {"overrides": TemplateOverrides(variable_start_string="[[", variable_end_string="]]")},
    ),
    ("template", "{% if true %}\n{{ word }}{% endif %}", {}),
    ("template", "{% if true %}\n{{ word }}{% endif %}", {"overrides": TemplateOverrides(trim_blocks=False)}),
    ("template", r"{{ 'a\tb' }}", {}),
    ("template", r"{{ 'a\tb' }}", {"escape_backslashes": False}),
    ("template", "word", {}),
    ("expression", "word", {}),
    ("expression", r"'a\tb'", {}),
    ("expression", r"'a\tb'", {"escape_backslashes": False}),
    ("template", "{{ nested }}-{{ names | length }}", {}),
    ("expression", "nested == 'axb'", {}),
    ("expression", "missing.key", {}),
    ("template", "{{ missing }}", {}),
    ("template", "{{ word | no_such_filter }}", {}),
    ("template", "{{ word", {}),
    ("expression", "word ==", {}),
]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> compiled_templates.Store:
    for name in ("compile", "compile_expression"):
        monkeypatch.setattr(AnsibleEnvironment, name, getattr(AnsibleEnvironment, name))
    return compiled_templates.install()


def render(kind: str, text: str, options: dict[str, Any]) -> Any:
    """The result, or the error's words."""
    trusted = {
        name: TrustedAsTemplate().tag(value) if isinstance(value, str) else value for name, value in VARIABLES.items()
    }
    engine = TemplateEngine(variables=trusted)
    source = TrustedAsTemplate().tag(text)
    try:
        if kind == "expression":
            return engine.evaluate_expression(source, **options)
        return engine.template(source, options=TemplateOptions(**options))
    except AnsibleError as error:
        return f"{type(error).__name__}: {error}"


def in_a_worker(store: compiled_templates.Store, *cases: tuple[str, str, dict[str, Any]]) -> None:
    worker = os.fork()
    if not worker:
        for case in cases:
            render(*case)
        os._exit(0)
    assert os.waitpid(worker, 0)[1] == 0
    store.load()


def test_everything_renders_as_without(store: compiled_templates.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_worker(store, *CASES)
    shared = [render(*case) for case in CASES]
    monkeypatch.setattr(AnsibleEnvironment, "compile", compiled_templates._compile)
    monkeypatch.setattr(AnsibleEnvironment, "compile_expression", compiled_templates._compile_expression)
    assert shared == [render(*case) for case in CASES]
    assert len(set(map(str, shared))) > len(CASES) / 2


def test_a_text_that_a_worker_compiled_is_compiled_nowhere_else(
    store: compiled_templates.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("template", "{{ nested }}!", {}),
        ("expression", "nested == 'axb'", {}),
    ]
    in_a_worker(store, *cases)
    monkeypatch.setattr(compiled_templates, "_compile", lambda *_: pytest.fail("compiled again"))
    assert [render(*case) for case in cases] == ["axb!", True]


def test_a_record_that_is_not_whole_waits_for_its_end(store: compiled_templates.Store) -> None:
    in_a_worker(store, ("template", "{{ word }}1", {}))
    record = os.pread(store._file.fileno(), store._read, 0)
    count = len(store.codes)
    store.codes.clear()
    os.write(store._file.fileno(), record[:-1])
    store.load()
    assert not store.codes
    os.write(store._file.fileno(), record[-1:])
    store.load()
    assert len(store.codes) == count
