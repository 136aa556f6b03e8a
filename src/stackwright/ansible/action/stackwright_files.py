"""The part of `stackwright_files` that runs on the controller: renders a task's entries, and calls the host once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.template import trust_as_template

from stackwright.ansible.entries import EntriesAction, expand

#: Keys of an entry in addition to those of the module.
_CONTROLLER = ("loop", "when", "vars", "template", "src")


#: Keys that give the content of a file.
_SOURCES = ("content", "src", "template")


class ActionModule(EntriesAction):
    """Turns entries with templates, files, conditions and loops into plain entries for the module."""

    argument = "files"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        super().run(tmp, task_vars)
        self._variables: dict[str, Any] = {"ansible_managed": "Ansible managed", **(task_vars or {})}
        entries = [plain for entry in self.entries() for plain in self._plain(entry)]
        if not entries:
            return {"changed": False, "changed_paths": []}
        answer: dict[str, Any] = self._execute_module(module_args={"files": entries}, task_vars=task_vars)
        return answer

    def _plain(self, entry: Any) -> Iterator[dict[str, Any]]:
        if not isinstance(entry, dict) or "path" not in entry:
            raise AnsibleActionFail(f"every entry of `files` needs a `path`: {entry!r}")
        if len(sources := entry.keys() & set(_SOURCES)) > 1:
            raise AnsibleActionFail(f"{entry['path']}: only one of these is accepted: {', '.join(sorted(sources))}")
        for templar, variables in expand(self._templar, self._variables, entry):
            yield self._rendered(entry, templar, variables)

    def _rendered(self, entry: dict[str, Any], templar: Any, variables: dict[str, Any]) -> dict[str, Any]:
        plain = {key: templar.template(value) for key, value in entry.items() if key not in _CONTROLLER}
        if "src" in entry:
            plain["content"] = self._loader.get_text_file_contents(
                self._find_needle("files", templar.template(entry["src"]))
            )
        elif "template" in entry:
            plain["content"] = self._template(templar.template(entry["template"]), variables)
        if not isinstance(plain.get("content", ""), str):
            raise AnsibleActionFail(f"{plain['path']}: `content` is no text")
        return plain

    def _template(self, name: str, variables: dict[str, Any]) -> str:
        """Render a template as `ansible.builtin.template` does: with the same search path and whitespace handling."""
        source = self._find_needle("templates", name)
        places = [Path(folder) for folder in (*variables.get("ansible_search_path", []), self._loader.get_basedir())]
        templar = self._templar.copy_with_new_env(
            searchpath=[str(path) for folder in places for path in (folder / "templates", folder)],
            available_variables=variables,
        )
        text = templar.template(
            trust_as_template(self._loader.get_text_file_contents(source)),
            escape_backslashes=False,
            overrides={"trim_blocks": True, "lstrip_blocks": False, "newline_sequence": "\n"},
        )
        return "" if text is None else str(text)
