"""The module calls of a converge that changed nothing on a host, which `stackwright drift` repeats.

The record of a host is stored on that host, since arguments contain its secrets; the controller keeps a checksum
(docs/adr/0018-drift.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from stackwright import project, state_files
from stackwright.ansible import run_inputs

PATH = "/var/lib/stackwright/recorded-calls.json"

#: Modules that report in check mode what a run would change, and change nothing.
CHECK_MODE = frozenset(
    {
        *("authorized_key", "blockinfile", "copy", "etcd_auth", "etcd_member", "etcd_remove", "etcd_restart"),
        *("file", "group", "hostname", "lineinfile", "patroni_config", "patroni_restart", "postgresql_db"),
        *("postgresql_ext", "postgresql_membership", "postgresql_privs", "postgresql_schema"),
        *("postgresql_user", "stackwright_archive", "stackwright_files", "stackwright_packages"),
        *("stackwright_reload", "stackwright_restart", "stackwright_units", "systemd_service", "user"),
    }
)
#: Read-only modules whose answers decide what a role does.
READ_ONLY = frozenset(
    {
        *("command", "effective_settings", "etcd_status", "find", "getent", "patroni_ready", "postgresql_ping"),
        *("postgresql_query", "slurp", "stackwright_program", "stackwright_release_state", "stat", "uri"),
    }
)

#: Modules that serve the run and not the state of the host: its lock, its record, its facts.
_OF_THE_RUN = frozenset({"setup", "stackwright_converge_record", "stackwright_lock"})
#: Used instead of a role's name for a task of a playbook.
PLAYBOOK = "playbook"

#: Time limit of a command that `drift` runs. A command that is ended exits with 124.
COMMAND_SECONDS = 30
#: Keys of an answer that change from call to call, or repeat another key.
_VOLATILE = frozenset(
    {
        *("cmd", "date", "delta", "deprecations", "diff", "elapsed", "end", "exception", "execution_time"),
        *("execution_time_ms", "invocation", "start", "stderr_lines", "stdout_lines", "warnings"),
    }
)
_VOLATILE_STAT = frozenset(
    {
        *("atime", "attr_flags", "attributes", "block_size", "blocks", "charset", "ctime", "dev"),
        *("device_type", "inode", "mimetype", "version"),
    }
)
#: Keys of a directory that a change of a file in it changes.
_VOLATILE_FOLDER = _VOLATILE_STAT | {"mtime", "nlink", "size"}


@dataclass(frozen=True)
class Call:
    """A module call, its answer, and whether its task keeps both out of logs."""

    role: str
    task: str
    user: str
    module: str
    arguments: dict[str, Any]
    answer: dict[str, Any]
    secret: bool

    @property
    def kind(self) -> str:
        """Return the module's name without its collection."""
        return self.module.rpartition(".")[2]

    @property
    def in_check_mode(self) -> bool:
        """Return whether to repeat it in check mode, where modules do not wait; two read-only ones do nothing there."""
        return self.kind not in ("command", "uri")

    def safe_arguments(self) -> dict[str, Any]:
        """Return the arguments for the repeated call; a command gets a time limit: it could wait for a lost service."""
        if self.kind == "stackwright_program":
            return {**self.arguments, "timeout_seconds": COMMAND_SECONDS}
        limit = ["timeout", "--kill-after=5", str(COMMAND_SECONDS)]
        if self.kind != "command":
            return dict(self.arguments)
        if self.arguments.get("argv"):
            return {**self.arguments, "argv": [*limit, *self.arguments["argv"]]}
        return {**self.arguments, "_raw_params": f"{shlex.join(limit)} {self.arguments['_raw_params']}"}

    @property
    def what(self) -> str:
        """Return the subject of the call, for the user."""
        if self.secret:
            return "kept from logs"
        arguments = self.arguments
        if "argv" in arguments:
            return shlex.join(map(str, arguments["argv"]))
        for key in ("_raw_params", "path", "dest", "name", "unit", "url", "query", "key", "paths", "units", "files"):
            if arguments.get(key):
                return _text(arguments[key])
        return ""

    def compare(self, answer: Mapping[str, Any]) -> dict[str, str | None] | None:
        """Return the `expected` and the `actual` answer (both null if secret); None if nothing differs."""
        before, after = (_plain(_relevant(self.kind, result)) for result in (self.answer, answer))
        if before == after:
            return None
        if self.secret:
            return {"expected": None, "actual": None}
        checked = self.kind in CHECK_MODE
        if checked or after.get("failed"):
            return {"expected": "unchanged" if checked else "an answer", "actual": _reason(answer)}
        return {"expected": _differing(before, after), "actual": _differing(after, before)}


class Recorder:
    """Records the module calls of this run on each host, as long as nothing changes there."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, dict[tuple[str, str, str, str], Call]] = {}
        self._not_asked: dict[str | None, set[tuple[str, str]]] = {}
        self._queries: set[str] = set()
        self._void: set[str] = set()
        self._index: Path | None = None
        self._environment = ""
        self._whole = self._extra_variables = False
        #: Digest of the run's inputs, empty where they cannot be compared; None until the first host is recorded.
        self._inputs: str | None = None

    def begin(self, environment: str | None, *, whole: bool, extra_variables: bool = False) -> None:
        """Record the start of a play; `whole` says that the run leaves out nothing of its playbook."""
        if environment is not None and self._index is None:
            self._environment = environment
            self._index = index_path(environment)
            self._whole, self._extra_variables = whole, extra_variables

    def add_task(self, host: str, task: Any, *, in_process: bool) -> None:
        """Record that a task is about to run; the calls of a worker are not seen here."""
        # The task's own keyword: a task that runs despite check mode never changes anything.
        if getattr(task, "_check_mode", None) is False:
            self._queries.add(task._uuid)  # noqa: SLF001 - what copies of a task have in common
        if not in_process:
            self.leave_out(host, task)

    def leave_out(self, host: str | None, task: Any) -> None:
        """Record a task of a host (None: any host) whose call cannot be repeated without a change."""
        with self._lock:
            self._not_asked.setdefault(host, set()).add((_role(task), _name(task)))

    def add_answer(
        self, action: Any, variables: Mapping[str, Any], call: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> None:
        """Record the answer of a host."""
        task = action._task  # noqa: SLF001 - as every action does
        host = str(task.delegate_to or variables.get("inventory_hostname"))
        if self._index is None or host == "localhost" or call["module"].rpartition(".")[2] in _OF_THE_RUN:
            return
        query = task._uuid in self._queries  # noqa: SLF001 - as above
        if any(task.environment or ()) or not is_observable(call["module"], call["arguments"], query=query):
            self.leave_out(host, task)
            return
        become = action._play_context  # noqa: SLF001 - what the connection was made for
        recorded = Call(
            role=_role(task),
            task=_name(task),
            user=str(become.become_user or "root") if become.become else "",
            module=call["module"],
            arguments=dict(call["arguments"]),
            answer=dict(answer),
            secret=bool(task.no_log),
        )
        # For a task that repeats until a condition holds, the last answer counts.
        key = (task._uuid, recorded.user, recorded.module, json.dumps(recorded.arguments, sort_keys=True, default=str))  # noqa: SLF001 - as above
        with self._lock:
            self._calls.setdefault(host, {})[key] = recorded

    def discard(self, *hosts: str) -> None:
        """Drop the records of hosts on which something changed or failed: earlier records are no longer valid, too."""
        for host in set(hosts) - self._void:
            self._void.add(host)
            self._write(host, None)

    def content(self, host: str) -> str | None:
        """Return the record that the host should keep; None if something changed there or was left out."""
        if self._index is None or not self._whole or host in self._void or host not in self._calls:
            return None
        content = {
            # Without the nonce, the content could be guessed from the checksum.
            "nonce": secrets.token_hex(16),
            "calls": [asdict(call) for call in self._calls[host].values()],
            "not_asked": sorted(self._not_asked.get(host, set()) | self._not_asked.get(None, set())),
        }
        return json.dumps(content, default=str)

    def remember(self, host: str, content: str) -> None:
        """Add the record that a host has stored to the controller's index."""
        with self._lock:
            # The inputs of the whole run: its last play is the one that records.
            if self._inputs is None:
                self._inputs = run_inputs.record(self._environment, extra_variables=self._extra_variables) or ""
        entry = {"sha256": checksum(content), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self._write(host, entry | {"inputs": self._inputs})

    def _write(self, host: str, entry: dict[str, str] | None) -> None:
        if self._index is None:
            return
        with self._lock:
            entries = {name: known for name, known in index(self._index).items() if name != host}
            if entry is not None:
                entries[host] = entry
            if entries or self._index.exists():
                state_files.write(self._index, json.dumps(entries) + "\n", mode=0o600)


#: The recorder of this process, in which tasks run.
recorder = Recorder()


def record_calls(mixin: type) -> None:
    """Make the recorder see the calls that actions make on hosts over mitogen."""
    execute: Callable[..., Any] = mixin._execute_module  # type: ignore[attr-defined]  # noqa: SLF001 - Ansible offers no other place
    low_level: Callable[..., Any] = mixin._low_level_execute_command  # type: ignore[attr-defined]  # noqa: SLF001 - as above

    @wraps(execute)
    def execute_module(
        self: Any,
        module_name: Any = None,
        module_args: Any = None,
        tmp: Any = None,
        task_vars: Any = None,
        **options: Any,
    ) -> Any:
        arguments = dict(self._task.args if module_args is None else module_args)
        answer = execute(self, module_name, module_args, tmp, task_vars, **options)
        call = {
            "module": str(module_name or self._task.action),
            "arguments": {key: value for key, value in arguments.items() if not key.startswith("_ansible")},
        }
        recorder.add_answer(self, task_vars or {}, call, answer)
        return answer

    @wraps(low_level)
    def low_level_execute_command(self: Any, *arguments: Any, **options: Any) -> Any:
        recorder.leave_out(None, self._task)
        return low_level(self, *arguments, **options)

    mixin._execute_module = execute_module  # type: ignore[attr-defined]  # noqa: SLF001 - as above
    mixin._low_level_execute_command = low_level_execute_command  # type: ignore[attr-defined]  # noqa: SLF001 - as above


def is_observable(module: str, arguments: Mapping[str, Any], *, query: bool) -> bool:
    """Return whether a call can be repeated without a change; `query` says that its task runs in check mode as well."""
    kind = module.rpartition(".")[2]
    if kind in ("command", "postgresql_query"):
        return query
    if kind == "uri":
        return str(arguments.get("method", "GET")).upper() in ("GET", "HEAD") and not arguments.get("dest")
    return kind in CHECK_MODE or kind in READ_ONLY


def index_path(environment: str) -> Path:
    """Return the path of the controller's index of an environment's records."""
    return project.state_folder(environment) / "recorded-calls.json"


def index(path: Path) -> dict[str, dict[str, str]]:
    """Return the index of the records: `sha256`, `at`, and the digest of the run's `inputs`, by host."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def checksum(content: str) -> str:
    """Return the checksum by which a record is identified."""
    return hashlib.sha256(content.encode()).hexdigest()


def calls(content: str) -> Iterator[Call]:
    """Yield the calls of a record."""
    for entry in json.loads(content)["calls"]:
        yield Call(**entry)


def not_asked(content: str) -> list[dict[str, str]]:
    """Return the tasks of a record's run that cannot be repeated."""
    return [{"role": role, "task": task} for role, task in json.loads(content)["not_asked"]]


def _role(task: Any) -> str:
    return str(task._role.get_name()) if task._role is not None else PLAYBOOK  # noqa: SLF001 - as above


def _name(task: Any) -> str:
    return str(task.get_name(include_role_fqcn=False)).rpartition(" : ")[2].strip()


def _plain(answer: Any) -> Any:
    """Return an answer in the form in which a record stores it."""
    return json.loads(json.dumps(answer, default=str))


def _relevant(kind: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of an answer that is compared."""
    failed = {"failed": True} if answer.get("failed") else {}
    if kind in CHECK_MODE:
        return {"changed": bool(answer.get("changed")), **failed}
    if kind in ("command", "stackwright_program"):
        return {name: answer.get(name) for name in ("rc", "stdout", "stderr")}
    if failed:
        return failed
    plain = {
        name: value
        for name, value in answer.items()
        if name not in _VOLATILE and name not in ("changed", "failed", "msg") and not name.startswith("_ansible")
    }
    if kind == "stat":
        return _stat(plain.get("stat", {}))
    if kind == "find":
        files = [{"path": file["path"], **_stat(file)} for file in plain.get("files", [])]
        return {"files": sorted(files, key=lambda file: str(file["path"]))}
    return plain


def _stat(file: Mapping[str, Any]) -> dict[str, Any]:
    volatile = _VOLATILE_FOLDER if file.get("isdir") else _VOLATILE_STAT
    return {name: value for name, value in file.items() if name not in volatile}


def _reason(answer: Mapping[str, Any]) -> str:
    if answer.get("failed"):
        return _text(answer.get("msg") or answer.get("module_stderr") or "a failure")
    differing = answer.get("changed_paths") or answer.get("changed_units") or answer.get("restarted")
    return f"would change{f': {_text(differing)}' if differing else ''}"


def _differing(answer: Mapping[str, Any], opposite: Mapping[str, Any]) -> str:
    """Return in words the values of the first answer that differ from the second."""
    return ", ".join(
        f"{name}: {_words(answer.get(name), opposite.get(name))}"
        for name in sorted(answer.keys() | opposite.keys())
        if answer.get(name) != opposite.get(name)
    )


def _words(value: Any, opposite: Any) -> str:
    if isinstance(value, str) and isinstance(opposite, str):
        with contextlib.suppress(ValueError):
            document, opposite_document = json.loads(value), json.loads(opposite)
            if isinstance(document, dict) and isinstance(opposite_document, dict):
                return f"{{{_differing(document, opposite_document)}}}"
        return _text(" / ".join(line.strip() for line in value.splitlines() if line not in opposite.splitlines()))
    return _text(value)


def _text(value: Any) -> str:
    return ", ".join(map(_entry, value)) if isinstance(value, list) else str(value)


def _entry(value: Any) -> str:
    return str(value.get("path") or value.get("name") or value) if isinstance(value, dict) else str(value)
