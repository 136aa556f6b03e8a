"""Run Python programs in a forked copy of this process; standard library only."""

from __future__ import annotations

import ast
import contextlib
import importlib
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
import types
import warnings
from pathlib import Path
from typing import Any

#: Exit code of a program that was ended after its time limit, as that of `timeout` in coreutils.
TIMED_OUT = 124
#: Compiled programs by path, with the state of the file; it outlives this module, which is loaded again for each call.
_COMPILED: dict[str, tuple[tuple[int, int, int], Any]] = sys.__dict__.setdefault("_stackwright_programs", {})


def run(argv: list[str], stdin: str, timeout_seconds: float) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of a program. `timeout_seconds` 0 waits forever.

    A program for another interpreter than this one is started as usual. Raise OSError if it does not exist.
    """
    program = Path(argv[0])
    if not _is_for_this_interpreter(program):
        return _start(argv, stdin, timeout_seconds)
    code = _load(program)
    feed, stdin_bytes = os.pipe(), stdin.encode()
    outputs = os.pipe(), os.pipe()
    with warnings.catch_warnings():
        # This process has threads. The fork uses none of their locks: it ends by exec or _exit.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _execute(code, argv, (feed[0], outputs[0][1], outputs[1][1]))
    for descriptor in (feed[0], outputs[0][1], outputs[1][1]):
        os.close(descriptor)
    deadline = time.monotonic() + timeout_seconds if timeout_seconds else None
    texts = _exchange(pid, feed[1], stdin_bytes, (outputs[0][0], outputs[1][0]), deadline)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    timed_out = deadline is not None and time.monotonic() >= deadline and status == -signal.SIGKILL
    return TIMED_OUT if timed_out else status, *texts


def _is_for_this_interpreter(program: Path) -> bool:
    with program.open("rb") as stream:
        words = stream.readline().removeprefix(b"#!").decode(errors="replace").split()
    return len(words) == 1 and Path(words[0]).resolve() == Path(sys.executable).resolve()


def _start(argv: list[str], stdin: str, timeout_seconds: float) -> tuple[int, str, str]:
    limit = ["timeout", "--kill-after=5", str(timeout_seconds)] if timeout_seconds else []
    done = subprocess.run([*limit, *argv], input=stdin, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def _load(program: Path) -> Any:
    """Return a program's code, and import its modules in this process, for all forks."""
    status = program.stat()
    state = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _COMPILED.get(str(program))
    if known is None or known[0] != state:
        tree = ast.parse(program.read_bytes(), str(program))
        for name in _imports(tree):
            # The program itself handles modules that are not installed or lie next to it.
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        known = _COMPILED[str(program)] = (state, compile(tree, str(program), "exec", dont_inherit=True))
    return known[1]


def _imports(tree: ast.Module) -> list[str]:
    names = []
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            names += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names.append(statement.module)
    return [name for name in names if not name.startswith("stackwright_")]


def _execute(code: Any, argv: list[str], descriptors: tuple[int, int, int]) -> None:
    """Run a program in this fork, as Python runs a script, and exit."""
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN if number == signal.SIGPIPE else signal.SIG_DFL)
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        # Python's own finders are classes. Those of mitogen ask the controller, to which this fork has no connection.
        sys.meta_path[:] = [finder for finder in sys.meta_path if isinstance(finder, type)]
        for name, mode, descriptor in (("stdin", "r", 0), ("stdout", "w", 1), ("stderr", "w", 2)):
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", errors="surrogateescape"))  # noqa: SIM115, PTH123 - until the end
        main = types.ModuleType("__main__")
        main.__file__ = argv[0]
        sys.modules["__main__"], sys.argv = main, argv
        sys.path.insert(0, str(Path(argv[0]).resolve().parent))
        status = _run(code, main)
    finally:
        os._exit(status)


def _run(code: Any, main: types.ModuleType) -> int:
    status: Any = 0
    try:
        exec(code, main.__dict__)  # noqa: S102 - a file that root owns, as Python would
    except SystemExit as end:
        status = end.code
    except BaseException:  # noqa: BLE001 - as Python does at the end of a script
        traceback.print_exc()
        status = 1
    if status is not None and not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return int(status or 0)


def _exchange(pid: int, feed: int, unsent: bytes, outputs: tuple[int, int], deadline: float | None) -> tuple[str, str]:
    """Write standard input and read both outputs until the program has closed them; end it at the deadline."""
    texts = dict.fromkeys(outputs, b"")
    with selectors.DefaultSelector() as selector:
        os.set_blocking(feed, False)
        selector.register(feed, selectors.EVENT_WRITE)
        for descriptor in outputs:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                break
            for key, _ in selector.select(left):
                if key.fd == feed:
                    unsent = _write(feed, unsent)
                    finished = not unsent
                else:
                    part = os.read(key.fd, 65536)
                    texts[key.fd] += part
                    finished = not part
                if finished:
                    selector.unregister(key.fd)
                    os.close(key.fd)
        for key in [*selector.get_map().values()]:
            os.close(key.fd)
    stdout, stderr = (texts[descriptor].decode(errors="replace") for descriptor in outputs)
    return stdout, stderr


def _write(feed: int, unsent: bytes) -> bytes:
    """Write to the pipe and return what is left to write; nothing if the reader has closed it."""
    try:
        return unsent[os.write(feed, unsent) :] if unsent else b""
    except BrokenPipeError:
        return b""
    except BlockingIOError:
        return unsent
