"""The reason why a task with `no_log` failed, without the secrets that `no_log` protects.

`no_log` replaces the whole result, including the reason. A secret in it comes from the task's arguments, from the item
of its loop, or from the vault. All of these are removed from the message, and the rest is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

HIDDEN = "***"
#: Arguments in which a role's author writes names, never values (entries of files have their values in the templates).
_WORDS = {"assert": ("fail_msg", "msg", "success_msg", "that"), "fail": ("msg",), "stackwright_files": ("files",)}
_SECRET_KEY = re.compile(r"pass|secret|key|token|cipher|credential|private|hash|url|content|stdin", re.IGNORECASE)
_SHORTEST = 4
_SHORTEST_WORD = 6
_BREAKS = re.compile(r"""[\s'"`=:@/,;&?(){}\[\]<>|]+""")
#: Text that looks like a secret, wherever it comes from: PEM, password hashes, long random words.
_PATTERNS = re.compile(
    r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)"
    r"|SCRAM-SHA-256\$\S+"
    r"|\$(?:[0-9a-z]+)\$[^\s'\"]{16,}"
    r"|(?<![A-Za-z0-9/._-])(?=[A-Za-z0-9+_=-]*[0-9])(?=[A-Za-z0-9+_=-]*[A-Za-z])[A-Za-z0-9+_=-]{32,}",
    re.DOTALL,
)


def of_failure(result: Mapping[str, Any], arguments: Mapping[str, Any], action: str, secrets: Iterable[str]) -> str:
    """Return why a task failed: the messages of its result, without its arguments' values and without `secrets`."""
    name = action.rpartition(".")[2]
    hidden = {secret for secret in secrets if len(secret) >= _SHORTEST}
    failures = [
        outcome for outcome in result.get("results", []) if isinstance(outcome, Mapping) and outcome.get("failed")
    ]
    for part in (result, *failures):
        item = part.get(str(part.get("ansible_loop_var", "item")))
        hidden |= set(_values(item, whole=name not in _WORDS))
        hidden |= set(_values(part.get("invocation"), whole=name not in _WORDS))
    hidden_arguments = {key: value for key, value in arguments.items() if key not in _WORDS.get(name, ())}
    hidden |= set(_values(hidden_arguments, whole=name not in _WORDS))
    text = "\n".join(_messages(failures or [result])) or "the task gives no reason"
    for secret in sorted(_spellings(hidden), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _PATTERNS.sub(HIDDEN, text)


def _messages(parts: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for part in parts:
        for key in ("msg", "stderr", "module_stderr"):
            text = str(part.get(key) or "").strip()
            if text:
                yield text


def _values(value: Any, *, whole: bool, key: str = "") -> Iterator[str]:
    """Yield the strings in a value; unless `whole`, only those under a key whose name denotes a secret."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _values(part, whole=whole, key=f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _values(part, whole=whole, key=key)
    elif isinstance(value, str) and (whole or _SECRET_KEY.search(key)):
        yield value


def _spellings(texts: Iterable[str]) -> set[str]:
    """Return every form in which a message may quote one of the texts: whole, by line, by word, escaped."""
    spellings: set[str] = set()
    for text in texts:
        whole = text.strip()
        lines = [line.strip() for line in whole.splitlines()]
        words = [word for word in _BREAKS.split(whole) if len(word) >= _SHORTEST_WORD]
        for form in (whole, *lines, *words):
            if len(form) >= _SHORTEST:
                spellings |= {form, quote(form, safe=""), json.dumps(form)[1:-1], repr(form)[1:-1]}
    return spellings
