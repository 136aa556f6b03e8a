#!/usr/bin/env python3
"""Measure what makes the code base hard to read for a newcomer: `scripts/metrics.py` prints one line per measure.

tests/contract/test_metrics.py checks the measures that have a budget.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
#: Names that say nothing about the thing that they name.
FORBIDDEN = frozenset(
    {
        *("each", "found", "said", "own", "told", "given", "wanted", "kept", "asked"),
        *("place", "here", "one", "other", "others", "thing", "things", "stuff", "both"),
        *("former", "rest"),
    }
)
#: Names that say little, but are sometimes the best choice.
EMPTY = frozenset({"result", "item", "data", "value", "info", "obj", "tmp"})
#: Directories whose paths users type.
CROWDED_ON_PURPOSE = frozenset({"playbooks"})
FILES_PER_FOLDER = 15
FUNCTION_LINES = 40
MARKDOWN_COLUMNS = 100
COMMANDS = frozenset(
    {"ansible.builtin.command", "ansible.builtin.shell", "ansible.builtin.raw", "ansible.builtin.script"}
)
_KEYWORDS = frozenset(
    {
        *("name", "when", "loop", "loop_control", "register", "become", "become_user", "changed_when", "failed_when"),
        *("tags", "vars", "delegate_to", "run_once", "check_mode", "no_log", "ignore_errors", "until", "retries"),
        *("delay", "environment", "args", "any_errors_fatal", "throttle", "diff", "async", "poll", "module_defaults"),
        *("ignore_unreachable", "delegate_facts", "block", "rescue", "always"),
    }
)
_PYTHON = ("src", "roles", "scripts", "bench", "molecule")


class _Loader(yaml.SafeLoader):
    """Reads Ansible's own tags as plain values."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def tracked(*patterns: str) -> list[Path]:
    """Return the files of the checkout that git tracks or that are new and not ignored."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def modules(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the Python files below the directories, including programs without a suffix."""
    for path in tracked(*(folders or _PYTHON)):
        if path.suffix == ".py" or path.read_bytes().startswith(b"#!/usr/bin/python3"):
            yield path, ast.parse(path.read_text())


def assigned_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the names of variables and parameters, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id.strip("_"), node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg.strip("_"), node.lineno
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            yield node.name.strip("_"), node.lineno


def names_among(words: frozenset[str], *folders: str) -> list[str]:
    """Return `file:line: name` of each variable and parameter whose name is one of `words`."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, tree in modules(*folders)
        for name, line in assigned_names(tree)
        if name in words
    ]


def long_functions() -> list[str]:
    """Return `file:line: name (lines)` of each function that is longer than a screen, its docstring left out."""
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name} ({lines})"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (lines := _lines(node)) > FUNCTION_LINES
    ]


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    docstring = first if ast.get_docstring(function) is not None else None
    return _height(function) - (_height(docstring) if docstring is not None else 0)


def _height(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def crowded_folders() -> list[str]:
    """Return `folder: files` of each directory with too many files for a quick overview."""
    counts = Counter(
        path.parent.relative_to(ROOT) for path in tracked("src", "roles", "playbooks", "docs", "scripts", "bench")
    )
    return [
        f"{folder}: {count}"
        for folder, count in counts.most_common()
        if count > FILES_PER_FOLDER and str(folder) not in CROWDED_ON_PURPOSE
    ]


def tasks() -> Iterator[dict[str, Any]]:
    """Yield every task of roles and playbooks that calls a module."""

    def walk(entries: Any) -> Iterator[dict[str, Any]]:
        for entry in entries if isinstance(entries, list) else ():
            for part in ("tasks", "pre_tasks", "post_tasks", "block", "rescue", "always"):
                yield from walk(entry.get(part))
            if "hosts" not in entry and "block" not in entry and entry.keys() - _KEYWORDS:
                yield entry

    for path in tracked("roles/*/tasks/*.yml", "playbooks/*.yml"):
        yield from walk(yaml.load(path.read_text(), _Loader))  # noqa: S506 - a safe loader


def module_of(task: dict[str, Any]) -> str:
    """Return the module that a task calls."""
    return sorted(task.keys() - _KEYWORDS)[0]


def wide_markdown() -> list[str]:
    """Return `file:line` of each line of prose that is too wide; tables, code and lines with only a link are exempt."""
    wide = []
    for path in tracked("*.md"):
        fenced = False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            fenced ^= line.startswith("```")
            prose = not fenced and not line.startswith(("|", "    ", "![", "["))
            if prose and len(re.sub(r"\]\([^)]*\)", "]", line)) > MARKDOWN_COLUMNS:
                wide.append(f"{path.relative_to(ROOT)}:{number}")
    return wide


def lines_by_part() -> Counter[str]:
    """Return the number of tracked lines of each part of the project, without lock files and pictures."""
    lines: Counter[str] = Counter()
    for path in tracked("."):
        if path.suffix in (".lock", ".svg", ".png", ".gz") or "package-lock" in path.name:
            continue
        try:
            lines[path.relative_to(ROOT).parts[0]] += len(path.read_text().splitlines())
        except UnicodeDecodeError:
            continue
    return lines


def main() -> int:
    """Print all measures; `--names` also lists the forbidden names."""
    called = [module_of(task) for task in tasks()]
    assigned = sum(1 for _, tree in modules() for _ in assigned_names(tree))
    forbidden = names_among(FORBIDDEN)
    lines = lines_by_part()
    measures = {
        "forbidden names": f"{len(forbidden)} of {assigned} names of variables and parameters",
        "empty names": len(names_among(EMPTY)),
        "tasks with a full module name": f"{sum('.' in name for name in called)} of {len(called)}",
        "tasks that run a command": f"{sum(name in COMMANDS for name in called)} of {len(called)}",
        f"functions over {FUNCTION_LINES} lines": len(long_functions()),
        f"folders of more than {FILES_PER_FOLDER} files": len(crowded_folders()),
        f"lines of Markdown over {MARKDOWN_COLUMNS} columns": len(wide_markdown()),
        "tracked lines": sum(lines.values()),
        "  by part": ", ".join(f"{part} {count}" for part, count in lines.most_common(9)),
    }
    print("\n".join(f"{name:<34} {measure}" for name, measure in measures.items()))
    if "--names" in sys.argv[1:]:
        print("\n".join(forbidden))
    return 0


if __name__ == "__main__":
    sys.exit(main())
