"""The part of `stackwright_files` that runs on the host: see `DOCUMENTATION`."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_files
short_description: Several files, folders and links in one call
description:
  - Does what M(ansible.builtin.file), M(ansible.builtin.copy) and M(ansible.builtin.template) do, for all entries of a task
    at once and in their order. A task costs the controller a process and the host an answer; with one per file these were
    most of a converge.
  - A file is replaced as a whole or not at all, and is never readable by more users than O(files[].mode) says.
  - Neither results nor the host's journal hold a content; a diff does, unless the task says C(diff) false.
options:
  files:
    description: What the host has to have. The first entry that fails ends the task; those before it stay.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      state:
        description:
          - V(file) needs one of O(files[].content), O(files[].src) and O(files[].template); without any of them only its
            owner, group and mode are seen to. V(absent) removes a folder with all that is in it.
        type: str
        choices: [file, directory, link, absent]
        default: file
      content: {description: The text of the file., type: str}
      src: {description: "A file of the controller, in C(files/) of the role.", type: str}
      template: {description: "A template of the controller, in C(templates/) of the role.", type: str}
      target: {description: Where a link leads., type: str}
      owner: {description: Name of the owner., type: str, default: root}
      group: {description: Name of the group., type: str, default: root}
      mode: {description: "Octal mode; V(0644) for a file and V(0755) for a directory without one.", type: str}
      validate: {description: "Command that must end with 0 before the file is replaced; C(%s) is the new file.", type: str}
      purge: {description: Whether whatever is in a directory and is no path of this task goes., type: bool, default: false}
      force: {description: Whether a file that is there gets the content., type: bool, default: true}
      loop: {description: "The entry applies once per C(item) of this list.", type: list, elements: raw}
      when: {description: Conditions that an entry needs to count., type: list, elements: str}
      vars: {description: Variables of this entry alone., type: dict}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Write the configuration of the instances
  stackwright_files:
    files:
      - {path: /etc/redis, state: directory, group: redis, mode: "0750"}
      - path: "/etc/redis/{{ item.name }}.conf"
        template: etc/redis/redis.conf.j2
        group: redis
        mode: "0640"
        validate: redis-check %s
        loop: "{{ redis_instances }}"
      - {path: /etc/redis/redis.conf, state: absent}
"""
RETURN = r"""
changed_paths: {description: The entries that differed., type: list, elements: str, returned: always}
"""

ENTRY = {
    "path": {"type": "path", "required": True},
    "state": {"type": "str", "choices": ["file", "directory", "link", "absent"], "default": "file"},
    "content": {"type": "str", "no_log": False},
    "target": {"type": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
    "validate": {"type": "str"},
    "force": {"type": "bool", "default": True},
    "purge": {"type": "bool", "default": False},
}
LINKS = [("state", "link", ["target"])]
#: The mode of an entry that names none.
MODES = {"file": "0644", "directory": "0755"}


class Refused(Exception):  # noqa: N818 - not a fault of the program
    """An entry cannot be applied; the message says why."""


class Host:
    """Applies entries on this host, or in check mode only reports what would change."""

    def __init__(
        self, run: Callable[..., tuple[int, str, str]], *, check_mode: bool, named: Collection[str] = ()
    ) -> None:
        self._run, self._check_mode, self._named = run, check_mode, named
        self._removed: set[Path] = set()
        self.diff: list[dict[str, Any]] = []

    def make(self, entry: dict[str, Any]) -> bool:
        """Apply an entry and return whether it differed; in check mode only return whether it differs."""
        path = Path(entry["path"])
        if not path.is_absolute():
            raise Refused("the path has to be absolute")
        return bool(getattr(self, f"_{entry['state']}")(path, entry))

    def _absent(self, path: Path, _: dict[str, Any]) -> bool:
        if not os.path.lexists(path):
            return False
        self._record_change(path, {"state": "present"}, {"state": "absent"})
        # In check mode a later entry for the same path must not find what a run would have removed.
        self._removed.add(path)
        if not self._check_mode:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        return True

    def _link(self, path: Path, entry: dict[str, Any]) -> bool:
        before = str(path.readlink()) if path.is_symlink() else None
        if before == entry["target"]:
            return False
        if path.is_dir() and not path.is_symlink() and path not in self._removed:
            raise Refused("a directory is where the link should be")
        self._record_change(path, {"target": before}, {"target": entry["target"]})
        if not self._check_mode:
            beside = path.with_name(f".{path.name}.stackwright")
            beside.unlink(missing_ok=True)
            beside.symlink_to(entry["target"])
            beside.replace(path)
        return True

    def _directory(self, path: Path, entry: dict[str, Any]) -> bool:
        if path.is_dir() and path not in self._removed:
            purged = [self._absent(child, entry) for child in self._unnamed(path, entry)]
            return self._attributes(path, entry) or bool(purged)
        if os.path.lexists(path) and path not in self._removed:
            raise Refused("something that is no directory is where the directory should be")
        self._record_change(path, {"state": "absent"}, {"state": "directory"})
        if not self._check_mode:
            # Before anything is created: owner and group may not exist.
            _user(entry), _group(entry)
            missing = [path, *(parent for parent in path.parents if not parent.exists())]
            for folder in reversed(missing):
                folder.mkdir(mode=0o700)
                self._set(folder, entry)
        return True

    def _unnamed(self, path: Path, entry: dict[str, Any]) -> list[Path]:
        return sorted(child for child in path.iterdir() if str(child) not in self._named) if entry["purge"] else []

    def _file(self, path: Path, entry: dict[str, Any]) -> bool:
        if path.is_dir() and path not in self._removed:
            raise Refused("a directory is where the file should be")
        content = entry["content"]
        regular = path.is_file() and not path.is_symlink()
        if content is None or (regular and not entry["force"]):
            if not path.exists() and not self._check_mode:
                raise Refused("the file is not there, and no content is given")
            return path.exists() and self._attributes(path, entry)
        after = content.encode()
        before = path.read_bytes() if regular else None
        if before == after:
            return self._attributes(path, entry)
        self.diff.append(
            {
                "before_header": str(path),
                "after_header": str(path),
                "before": (before or b"").decode(errors="replace"),
                "after": content,
            }
        )
        if not self._check_mode:
            self._replace(path, after, entry)
        return True

    def _replace(self, path: Path, content: bytes, entry: dict[str, Any]) -> None:
        if not path.parent.is_dir():
            raise Refused(f"there is no directory {path.parent}")
        # In the same directory, so that the last step is one rename, and with a name that no service reads as its own.
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".stackwright", dir=path.parent)
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._set(beside, entry)
            if entry["validate"]:
                command = [part.replace("%s", name) for part in shlex.split(entry["validate"])]
                status, output, errors = self._run(command)
                if status != 0:
                    reason = (output + errors).replace(name, str(path)).strip()
                    raise Refused(f"{command[0]} refuses the new file: {reason or f'it ended with {status}'}")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _attributes(self, path: Path, entry: dict[str, Any]) -> bool:
        status = path.stat()
        now = {"owner": status.st_uid, "group": status.st_gid, "mode": f"{stat.S_IMODE(status.st_mode):04o}"}
        try:
            intended = {"owner": _user(entry), "group": _group(entry), "mode": f"{_mode(entry):04o}"}
        except Refused:
            # A package that is not installed in check mode may create the user.
            if self._check_mode:
                return True
            raise
        if now == intended:
            return False
        self._record_change(path, now, intended)
        if not self._check_mode:
            self._set(path, entry)
        return True

    @staticmethod
    def _set(path: Path, entry: dict[str, Any]) -> None:
        os.chown(path, _user(entry), _group(entry))
        # After the owner: a change of owner clears the special bits.
        path.chmod(_mode(entry))

    def _record_change(self, path: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
        self.diff.append({"before": {"path": str(path), **before}, "after": {"path": str(path), **after}})


def _user(entry: dict[str, Any]) -> int:
    try:
        return pwd.getpwnam(entry["owner"]).pw_uid
    except KeyError:
        raise Refused(f"there is no user {entry['owner']}") from None


def _group(entry: dict[str, Any]) -> int:
    try:
        return grp.getgrnam(entry["group"]).gr_gid
    except KeyError:
        raise Refused(f"there is no group {entry['group']}") from None


def _mode(entry: dict[str, Any]) -> int:
    return int(entry["mode"] or MODES[entry["state"]], 8)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": ENTRY, "required_if": LINKS}
        },
        supports_check_mode=True,
        # Contents may be secrets: no_log keeps them out of the journal, and `invocation` out of the result.
        no_log=True,
    )
    named = {entry["path"] for entry in module.params["files"]}
    host = Host(module.run_command, check_mode=module.check_mode, named=named)
    result: dict[str, Any] = {"changed_paths": [], "invocation": {}}
    for entry in module.params["files"]:
        try:
            if host.make(entry):
                result["changed_paths"].append(entry["path"])
        except (Refused, OSError, ValueError) as problem:
            module.fail_json(msg=f"{entry['path']}: {problem}", changed=bool(result["changed_paths"]), **result)
    if module._diff:  # noqa: SLF001 - Ansible offers no other way to ask
        result["diff"] = host.diff
    module.exit_json(changed=bool(result["changed_paths"]), **result)


if __name__ == "__main__":
    main()
