"""What only the prose of the SDK says: which changes replace a resource, and what its id is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: The wordings of 7.51.1, counted over the whole package: "forces a new resource" 482 times, "forces replacement if
#: changed" 126, "forces recreation of the ..." 21, "will re-create the resource" 38, and the rest seldom.
_FORCES = re.compile(
    r"forces? (?:a |the )?(?:creation of )?(?:a )?(?:new|replacement|recreation|re-creation|resource recreation)\b"
    r"|(?:creates?|requires?) (?:a )?(?:new resource|replacement)"
    r"|triggers? (?:a )?replace|causes? (?:a )?replace|forces this to be"
    r"|will (?:be )?(?:replaced?|recreated?|re-created?) (?:the|this) resource|no Update API|cannot be changed",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"(?:not|n't|without) (?:\w+ )?(?:force|trigger|cause|require|re-?creat)", re.IGNORECASE)
#: "For Memcached, changing this value will re-create the resource": true of some, hence not taken for a rule.
_CONDITIONAL = re.compile(
    r"^\W*(?:if|when|for|unless|once)\b|\b(?:if|when) (?!changed|modified|updated)", re.IGNORECASE
)
_SENTENCE = re.compile(r"(?<=[.!?)])\s+(?=[A-Z(`*>])|\n\s*\n")
_IMPORT = re.compile(r"^\s*\$ pulumi import (?P<type>aws:\S+) \S+ (?P<id>\S+)\s*$", re.MULTILINE)
_USING = re.compile(r"(?:using|by)\b[^.\n]*?`(?P<name>\w+)`")


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """What is said about a change of a property."""

    #: The documentation's own, or where else it was read.
    sentence: str
    #: It holds only under a condition, which nothing here can judge: the change is then taken for an update.
    conditional: bool


@dataclass(frozen=True, kw_only=True)
class ImportHint:
    """How the documentation shows an id where it explains `pulumi import`."""

    #: An example of an id; "" if there is none.
    example: str = ""
    #: The property, by its name on the wire, whose value the id is; "" if none is named.
    property: str = ""


def replacement(text: str) -> Replacement | None:
    """What the documentation of one property says about its replacement."""
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
    """Arguments that a class's own text names in a sentence about replacement; `names`: in Python -> on the wire."""
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
    """The example of `pulumi import`; `names`: in Python -> on the wire."""
    example = _IMPORT.search(source)
    if example is None:
        return ImportHint()
    before = source[: example.start()].rpartition("Using ")[2].partition("For example")[0]
    named = [names[argument] for argument in _USING.findall("using " + before) if argument in names]
    # More than one: the id is put together, and how is said in prose.
    single = named[0] if len(set(named)) == 1 and "separated" not in before else ""
    return ImportHint(example=example["id"].strip("\"'"), property=single)
