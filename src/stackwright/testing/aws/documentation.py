"""Extracts what only the SDK's documentation text says: which changes replace a resource, and how its id is formed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: The wordings of 7.51.1, counted over the whole package: "forces a new resource" 482 times, "forces replacement if
#: changed" 126, "forces recreation of the ..." 21, "will re-create the resource" 38, and the others rarely.
_FORCES = re.compile(
    r"forces? (?:a |the )?(?:creation of )?(?:a )?(?:new|replacement|recreation|re-creation|resource recreation)\b"
    r"|(?:creates?|requires?) (?:a )?(?:new resource|replacement)"
    r"|triggers? (?:a )?replace|causes? (?:a )?replace|forces this to be"
    r"|will (?:be )?(?:replaced?|recreated?|re-created?) (?:the|this) resource|no Update API|cannot be changed",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"(?:not|n't|without) (?:\w+ )?(?:force|trigger|cause|require|re-?creat)", re.IGNORECASE)
#: "For Memcached, changing this value will re-create the resource" is true for some resources only, hence not a rule.
_CONDITIONAL = re.compile(
    r"^\W*(?:if|when|for|unless|once)\b|\b(?:if|when) (?!changed|modified|updated)", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?)])\s+(?=[A-Z(`*>])|\n\s*\n")
_IMPORT = re.compile(r"^\s*\$ pulumi import (?P<type>aws:\S+) \S+ (?P<id>\S+)\s*$", re.MULTILINE)
_USING = re.compile(r"(?:using|by)\b[^.\n]*?`(?P<name>\w+)`")


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """A statement of the documentation about changing a property."""

    #: The sentence of the documentation, or the other source that it is from.
    sentence: str
    #: Whether it depends on a condition, which cannot be evaluated here: the change then counts as an update.
    conditional: bool


@dataclass(frozen=True, kw_only=True)
class ImportHint:
    """How the documentation of `pulumi import` shows an id."""

    #: An example of an id; empty if there is none.
    example: str = ""
    #: The property whose value is the id, by its name on the wire; empty if none is named.
    property: str = ""


def replacement(text: str) -> Replacement | None:
    """Return what the documentation of one property says about replacement."""
    sentences = [
        sentence for sentence in _SENTENCE.split(text) if _FORCES.search(sentence) and not _NEGATED.search(sentence)
    ]
    candidates = [
        Replacement(sentence=sentence.strip(), conditional=bool(_CONDITIONAL.search(sentence)))
        for sentence in sentences
    ]
    return next(
        (candidate for candidate in candidates if not candidate.conditional), candidates[0] if candidates else None
    )


def replaced_by_the_text(source: str, names: Mapping[str, str]) -> dict[str, Replacement]:
    """Return the arguments that a class docstring names in a sentence about replacement; `names`: Python -> wire."""
    prose = source.partition('"""')[2].partition("## Import")[0].partition(":param ")[0]
    replacements: dict[str, Replacement] = {}
    for paragraph in re.split(r"\n\s*\n", prose):
        for sentence in _SENTENCE.split(" ".join(paragraph.split())):
            if not _FORCES.search(sentence) or _NEGATED.search(sentence):
                continue
            statement = Replacement(sentence=sentence, conditional=bool(_CONDITIONAL.search(sentence)))
            replacements |= {
                names[argument]: statement for argument in re.findall(r"`(\w+)`", sentence) if argument in names
            }
    return replacements


def import_hint(source: str, names: Mapping[str, str]) -> ImportHint:
    """Return the id example of `pulumi import`; `names`: Python -> wire."""
    example = _IMPORT.search(source)
    if example is None:
        return ImportHint()
    before = source[: example.start()].rpartition("Using ")[2].partition("For example")[0]
    named = [names[argument] for argument in _USING.findall("using " + before) if argument in names]
    # More than one: the id is composed, and only prose explains how.
    single = named[0] if len(set(named)) == 1 and "separated" not in before else ""
    return ImportHint(example=example["id"].strip("\"'"), property=single)
