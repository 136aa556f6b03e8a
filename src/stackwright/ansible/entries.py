"""Base for actions whose argument is a list of entries with their own conditions, variables and loops, like tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase


class EntriesAction(ActionBase):  # type: ignore[misc]
    """An action with one list argument, whose entries it evaluates itself: an entry with `loop` once per item."""

    argument: ClassVar[str]
    _supports_check_mode = True

    @classmethod
    def finalize_task_arg(cls, name: str, value: Any, templar: Any, context: Any) -> Any:
        """Leave the entries unevaluated."""
        return value if name == cls.argument else super().finalize_task_arg(name, value, templar, context)

    def entries(self) -> list[Any]:
        """Return the unevaluated entries."""
        entries = self._task.args.get(self.argument)
        if set(self._task.args) != {self.argument} or not isinstance(entries, list):
            raise AnsibleActionFail(f"`{self.argument}`, a list, is the one argument")
        return entries


def as_list(value: Any) -> list[Any]:
    """Return a value that may be a single value or a list as a list."""
    return value if isinstance(value, list) else [value]


def expand(
    templar: Any, variables: Mapping[str, Any], entry: Mapping[str, Any]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield a templar and its variables for each `item` of an entry whose conditions hold; once without `loop`.

    `vars`, `loop` and `when` have the same meaning as in a task.
    """
    outer = {**variables, **entry.get("vars", {})}
    items = [None]
    if "loop" in entry:
        items = templar.copy_with_new_env(available_variables=outer).template(entry["loop"])
        if not isinstance(items, list):
            raise AnsibleActionFail(f"`loop` must be a list, got: {entry['loop']}")
    for item in items:
        scope = outer | ({"item": item} if "loop" in entry else {})
        item_templar = templar.copy_with_new_env(available_variables=scope)
        if all(item_templar.evaluate_conditional(condition) for condition in as_list(entry.get("when", []))):
            yield item_templar, scope
