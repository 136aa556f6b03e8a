"""Checks of an environment's own `group_vars` and `host_vars`: a variable that is never read would have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stackwright.model import topology
from stackwright.model.errors import Problem, nearest

if TYPE_CHECKING:
    from stackwright.model.environment import Environment

#: File extensions that Ansible reads in these directories.
_EXTENSIONS = ("", ".yml", ".yaml", ".json")
#: Set by the inventory from the two files of the environment.
_FACTS = ("stack", "stack_host")


def problems(environment: Environment) -> Iterator[Problem]:
    """Yield the names that are no group and no input of a role.

    `host_vars` may belong to a host that has left the file: its removal still connects to it.
    """
    folder = environment.root / "inventories" / environment.name
    groups = {"all", *environment.groups, *topology.playbook_groups(environment.stack, environment.hosts)}
    files = [*_files(folder / "group_vars"), *_files(folder / "host_vars")]
    inputs = _inputs(environment.root / "roles") if files else {}
    for file in files:
        shown = file.relative_to(environment.root)
        kind, name = (part.split(".")[0] for part in file.relative_to(folder).parts[:2])
        if kind == "group_vars" and name not in groups:
            yield Problem(
                file=shown,
                line=1,
                message="is not a group of this environment",
                value=name,
                accepted=", ".join(sorted(groups)),
                suggestion=nearest(name, groups),
            )
        yield from _file_problems(file, shown, inputs)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") or part.endswith("~") for part in path.relative_to(folder).parts)
        if path.is_file() and path.suffix in _EXTENSIONS and not hidden:
            yield path


def _inputs(roles: Path) -> Mapping[str, frozenset[str]]:
    """Return role -> its inputs, from its argument specs."""
    inputs: dict[str, frozenset[str]] = {}
    for file in sorted(roles.glob("*/meta/argument_specs.yml")):
        specs: Mapping[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["argument_specs"]
        inputs[file.parents[1].name] = frozenset(name for spec in specs.values() for name in spec.get("options", {}))
    return inputs


def _file_problems(file: Path, shown: Path, inputs: Mapping[str, frozenset[str]]) -> Iterator[Problem]:
    text = file.read_text(encoding="utf-8")
    # A file that is encrypted as a whole can only be read by Ansible.
    if text.startswith("$ANSIBLE_VAULT"):
        return
    try:
        # Composed only: tags of Ansible such as !vault remain as they are.
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or error)
        yield Problem(file=shown, line=mark.line + 1 if mark else 1, message=f"is not valid YAML: {reason}")
        return
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        yield Problem(file=shown, line=node.start_mark.line + 1, message="has no variables", accepted="a mapping")
        return
    for key, _ in node.value:
        variable, line = str(key.value), key.start_mark.line + 1
        if variable in _FACTS or variable.startswith("__"):
            message = "is set by stackwright, and is not an input of a role"
            accepted = "inputs of roles, as their READMEs list them, and variables of your own"
            yield Problem(file=shown, line=line, path=(variable,), message=message, accepted=accepted)
        role = max((role for role in inputs if variable.startswith(f"{role}_")), key=len, default=None)
        if role is not None and variable not in inputs[role]:
            yield Problem(
                file=shown,
                line=line,
                path=(variable,),
                message=f"is not an input of the role {role}",
                accepted=f"what roles/{role}/README.md lists",
                suggestion=nearest(variable, inputs[role]),
            )
