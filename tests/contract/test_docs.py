"""Links of the documentation lead to files and headings that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "roles").glob("*/README.md"),
        ROOT / "examples/taaleem/README.md",
    ]
)


def prose(path: Path) -> str:
    """The text without code, in which brackets are no links."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path: Path) -> set[str]:
    """What can follow `#`, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path: Path) -> list[str]:
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert not broken(path)


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n[here](page.md#a-page) [no](none.md) [no](#nowhere) [web](https://example.org) `[code](x.md)`\n"
    )
    assert broken(page) == ["none.md", "#nowhere"]


def test_the_readme_leads_to_every_kind_of_document() -> None:
    links = {link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", prose(ROOT / "README.md"))}
    assert {"docs/architecture.md", "docs/adr", "docs/how-to", "docs/proofs.md", "docs/roadmap.md"} <= links


FEATURES = ROOT / "docs/aws-features.md"


def missing_tests(text: str) -> list[str]:
    """Tests that a page names as `tests/...::test_name` and that no file has."""
    found = []
    for named in re.findall(r"\btests/[\w./-]*::\w*", text):
        name, _, test = named.partition("::")
        file = ROOT / name
        tree = ast.parse(file.read_text()) if file.is_file() else ast.Module(body=[], type_ignores=[])
        functions = {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}
        if not test.startswith("test_") or test not in functions:
            found.append(named)
    return found


def unproven(text: str) -> list[str]:
    """Rows of the table of features that say more than "not built" and name no test."""
    found = []
    for line in text.partition("| feature |")[2].splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        stackwright, proof = cells[6:8] if len(cells) == 10 else ("", "")
        claimed = re.match(r"yes|partly|not built|not proven|no\b", stackwright)
        if claimed is None or (claimed[0] in ("yes", "partly") and "::test_" not in proof):
            found.append(cells[0])
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_tests_that_are_named_are_there(path: Path) -> None:
    assert not missing_tests(path.read_text())


def test_every_feature_names_its_proof() -> None:
    text = FEATURES.read_text()
    assert text.count("::test_") > 40
    assert not unproven(text)


def test_a_proof_that_is_none_is_found() -> None:
    here = "tests/contract/test_docs.py::"
    page = f"`{here}test_a_proof_that_is_none_is_found` `{here}test_none` `{here}broken` `tests/none.py::test_none`"
    assert missing_tests(page) == [f"{here}test_none", f"{here}broken", "tests/none.py::test_none"]
    rows = ["| a | - | - | - | - | - | yes | none | no | no |", "| b | - | - | - | - | - | not built | | no | no |"]
    assert unproven("\n".join(["| feature |", "|---|", *rows])) == ["a"]
