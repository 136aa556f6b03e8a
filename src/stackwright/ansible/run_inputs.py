"""The inputs that a converge reads on the controller, so that a later one can tell whether it would read the same.

The read files come from Python's audit events, not from a list: a role that reads one more file needs no entry here.
Python and the installed packages are compared by version, everything else by content.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import stackwright
from stackwright import project, state_files

#: Directories of the project of which a converge may read any file, including one that is added later.
_TREES = ("collections", "group_vars", "playbooks", "roles", "systems")
_PROJECT_FILES = ("ansible.cfg", "uv.lock")
#: Files in the state folder that every run writes. Of Pulumi's state a converge reads the output, compared separately.
_WRITTEN = ("inputs.json", "log", "pulumi", "recorded-calls.json", "run.json", "run.lock", "secrets.lock")
#: Variables of the terminal and of the session, and those that only identify who started the converge.
_SESSION = frozenset(
    {
        *("_", "COLORTERM", "COLUMNS", "INVOCATION_ID", "JOURNAL_STREAM", "LINES", "LS_COLORS", "OLDPWD", "PWD"),
        *("SHLVL", "SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "SYSTEMD_EXEC_PID", "TERM", "TMUX"),
        *("TMUX_PANE", "WINDOWID", "XDG_RUNTIME_DIR", "XDG_SESSION_ID"),
        *("ANSIBLE_CALLBACKS_ENABLED", "ANSIBLE_FORCE_COLOR", "STACKWRIGHT_EVENTS_FD"),
        *("STACKWRIGHT_REPLAY", "STACKWRIGHT_RUN"),
    }
)
#: Programs that the controller may start in a converge: git for the current commit, Pulumi for the stack's output.
_PROGRAMS = frozenset({"git", "pulumi"})


@dataclass(frozen=True)
class Inputs:
    """Digests by path or name, all with one random key: a plain digest would allow guessing a weak secret."""

    key: str
    files: Mapping[str, str]
    folders: Mapping[str, str]
    environment: Mapping[str, str]
    output: str
    versions: str

    @property
    def digest(self) -> str:
        """Return one digest of all inputs."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def changes(self, later: Inputs) -> list[str]:
        """Return in words what differs."""
        words = []
        for kind, before, after in (
            ("", self.files, later.files),
            ("the names in ", self.folders, later.folders),
            ("the environment variable ", self.environment, later.environment),
        ):
            names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
            words += [f"{kind}{name}" for name in names]
        words += ["the output of the Pulumi stack"] if self.output != later.output else []
        return words + (["the version of Python or of a package"] if self.versions != later.versions else [])


class ReadLog:
    """The files and directories that this process has read, and other sources of information that it has used."""

    def __init__(self) -> None:
        self._started = False
        #: The environment at the start of the log: Ansible and its plugins add variables later.
        self.environment: dict[str, str] = {}
        #: Output of the Pulumi stack, from which the inventory is built.
        self.output: Mapping[str, Any] | None = None
        self._files: dict[str, tuple[int, ...] | None] = {}
        self._folders: set[str] = set()
        self._other: set[str] = set()

    def start(self) -> None:
        """Start logging, once per process; Python cannot remove an audit hook."""
        if not self._started:
            self._started = True
            self.environment = dict(os.environ)
            sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        try:
            if event == "open":
                path, _, flags = arguments
                if isinstance(path, (str, bytes)) and flags & os.O_ACCMODE == os.O_RDONLY:
                    name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a Path costs ten times as much
                    self._files.setdefault(name, _state(name))
            elif event in ("os.listdir", "os.scandir"):
                if isinstance(arguments[0], (str, bytes)):
                    self._folders.add(os.path.abspath(os.fsdecode(arguments[0])))  # noqa: PTH100 - as above
            elif event == "subprocess.Popen":
                self._other.add(os.path.basename(os.fsdecode(arguments[0] or arguments[1][0])))  # noqa: PTH119 - as above
            elif event == "socket.connect" and isinstance(arguments[1], tuple):
                self._other.add(f"{arguments[1][0]}")
        except Exception as error:  # noqa: BLE001 - it must not fail what it watches
            self._other.add(f"{event}: {error}")

    def files(self) -> list[str]:
        """Return the files that were read; they need not exist."""
        return [name for name in self._files if not _is_ignored(name)]

    def folders(self) -> list[str]:
        """Return the directories that were listed."""
        return [name for name in self._folders if not _is_ignored(name)]

    def problem(self) -> str | None:
        """Return why a later run cannot tell whether it would read the same; None if it can."""
        if not self._started:
            return "what it read is not known"
        if self._other - _PROGRAMS:
            return f"it also started or contacted {', '.join(sorted(self._other - _PROGRAMS))}"
        changed = [name for name in self.files() if self._files[name] != _state(name)]
        return f"{changed[0]} changed meanwhile" if changed else None


#: The log of this process.
read_log = ReadLog()


def record(environment: str, *, extra_variables: bool) -> str | None:
    """Record what this process has read for a converge, and return the digest; None if that cannot be known."""
    path = _path(environment)
    problem = "it had variables on its command line" if extra_variables else read_log.problem()
    if problem is not None:
        state_files.write(path, json.dumps({"problem": problem}) + "\n", mode=0o600)
        return None
    key = secrets.token_hex(32)
    log = read_log
    inputs = _collect(environment, log.files(), log.folders(), variables=log.environment, output=log.output, key=key)
    state_files.write(path, json.dumps(asdict(inputs)) + "\n", mode=0o600)
    return inputs.digest


def recorded(environment: str) -> Inputs | str:
    """Return the inputs of the last converge that changed nothing, or in words why there are none."""
    try:
        content = json.loads(_path(environment).read_text())
        return str(content["problem"]) if "problem" in content else Inputs(**content)
    except (FileNotFoundError, ValueError, TypeError):
        return "there is no record of it"


def now(environment: str, before: Inputs, output: Mapping[str, Any] | None) -> Inputs:
    """Return the current state of the inputs that were read `before`; `output` is that of the Pulumi stack."""
    variables = os.environ
    return _collect(environment, before.files, before.folders, variables=variables, output=output, key=before.key)


def _collect(
    environment: str,
    files: Iterable[str],
    folders: Iterable[str],
    *,
    variables: Mapping[str, str],
    output: Mapping[str, Any] | None,
    key: str,
) -> Inputs:
    secret = bytes.fromhex(key)
    names = {*files, *_project_files(environment)}
    variables = {name: value for name, value in variables.items() if name not in _SESSION}
    return Inputs(
        key=key,
        files={name: _digest(_content(Path(name)), secret) for name in sorted(names)},
        folders={name: _digest(_names(Path(name)), secret) for name in sorted(set(folders))},
        environment={
            name: _digest(value.encode(errors="surrogateescape"), secret) for name, value in sorted(variables.items())
        },
        output=_digest(json.dumps(output, sort_keys=True).encode(), secret),
        versions=_digest(repr((sys.version, sorted({*_packages()}))).encode(), secret),
    )


def _path(environment: str) -> Path:
    return project.state_folder(environment) / "inputs.json"


def _project_files(environment: str) -> Iterator[str]:
    root = project.root()
    yield from (str(root / name) for name in _PROJECT_FILES)
    for tree in (
        *(root / name for name in _TREES),
        root / "inventories" / environment,
        Path(stackwright.__file__).parent,
    ):
        for folder, below, names in os.walk(tree):
            below[:] = [name for name in below if name != "__pycache__"]
            yield from (os.path.join(folder, name) for name in names)  # noqa: PTH118 - as above


def _is_ignored(name: str) -> bool:
    """Return whether a path belongs to Python and its packages or to system views like /proc, or the run writes it."""
    path = Path(name)
    if path.is_relative_to(stackwright_folder := Path(stackwright.__file__).parent):
        # It is part of a tree that is compared as a whole.
        return "__pycache__" in path.parts or path == stackwright_folder
    temporary = (tempfile.gettempdir(), str(Path.home() / ".ansible/tmp"))
    system = ("/proc", "/sys", "/dev", "/run", "/usr/share/zoneinfo", sys.prefix, sys.base_prefix)
    if any(path.is_relative_to(folder) for folder in (*system, *temporary)):
        return True
    return path.is_relative_to(project.root() / ".state") and bool({*_WRITTEN} & {*path.parts})


def _state(name: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(name)  # noqa: PTH116 - as above
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _content(path: Path) -> bytes:
    try:
        # Reading a pipe would empty it or block forever.
        return b"file" + path.read_bytes() if stat.S_ISREG(path.stat().st_mode) else b"no file"
    except OSError:
        return b"absent"


def _names(folder: Path) -> bytes:
    try:
        return json.dumps(sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")).encode()
    except OSError:
        return b"absent"


def _packages() -> Iterator[str]:
    """Yield names and versions of the installed packages, as the names of their metadata directories."""
    for folder in map(Path, sys.path):
        if folder.name in ("site-packages", "dist-packages") and folder.is_dir():
            yield from (path.name for path in folder.iterdir() if path.name.endswith((".dist-info", ".egg-info")))


def _digest(content: bytes, key: bytes) -> str:
    return hashlib.blake2b(content, key=key, digest_size=16).hexdigest()
