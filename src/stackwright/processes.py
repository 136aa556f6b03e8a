"""Child processes that end with their parent, however it ends."""

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
#: Time for a stopped command to end by itself before the next signal: Pulumi writes its state, Ansible stops workers.
GRACE_SECONDS = 20.0


def machine() -> str:
    """Return an ID of this controller, valid while its processes live: its boot, and its container, if any.

    The host name is not unique: two containers of a CI have the same one.
    """
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def end_with_parent(parent: int) -> None:
    """Make the kernel kill this process when the process `parent`, which started it, ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # It may have ended between the fork and the call.
    if os.getppid() != parent:
        os._exit(1)


def child_setup(parent: int | None = None) -> Callable[[], None]:
    """Return the function that a new child calls before its program starts; `parent` defaults to the caller."""
    known = os.getpid() if parent is None else parent
    return lambda: end_with_parent(known)


def stop(process: subprocess.Popen[bytes], *, own_group: bool) -> None:
    """End a child: by SIGINT, then by SIGTERM, then by SIGKILL.

    A child without its own process group has already received SIGINT (Ctrl-C) from the terminal.
    """
    for step in (signal.SIGINT, signal.SIGTERM) if own_group else (None, signal.SIGTERM):
        if step is not None:
            process.send_signal(step)
        if _ends(process):
            break
    else:
        process.kill()
    if own_group:
        # Processes that the child has started and left behind end, too.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ends(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    except KeyboardInterrupt:
        # A second Ctrl-C: do not wait any longer.
        return process.poll() is not None
    return True
