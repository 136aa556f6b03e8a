"""Child processes that end with their parent, whatever ends it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
#: What a stopped command gets to end by itself before the next signal: Pulumi writes its state, Ansible ends its workers.
GRACE_SECONDS = 20.0


def machine() -> str:
    """Name this controller for as long as its processes live: its boot, and the container that it may be.

    The host name does not: two containers of a CI have the same one.
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the process `parent`, which started it, ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # It may have ended between the fork and the call.
    if os.getppid() != parent:
        os._exit(1)


def child_setup(parent: int | None = None) -> Callable[[], None]:
    """Return what a new child calls before its program starts; `parent` is the caller."""
    known = os.getpid() if parent is None else parent
    return lambda: end_with_parent(known)


def stop(process: subprocess.Popen[bytes], *, own_group: bool) -> None:
    """End a child: by Ctrl-C's signal, then by a harder one, then by force.

    A child without a process group of its own has got Ctrl-C's signal from the terminal already.
    """
    for step in (signal.SIGINT, signal.SIGTERM) if own_group else (None, signal.SIGTERM):
        if step is not None:
            process.send_signal(step)
        if _ends(process):
            break
    else:
        process.kill()
    if own_group:
        # What it has started and left goes, too.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ends(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    except KeyboardInterrupt:
        # A second Ctrl-C: no more patience.
        return process.poll() is not None
    return True
