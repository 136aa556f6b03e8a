"""Kill a deployment with its whole process group in the middle: `interrupt.py RELEASE`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

# The second instance has been drained and not been restarted.
MOMENT = "replace | Restart the instance"
TIMES = 2


def main(release: str) -> int:
    """Start, wait for the moment, kill."""
    playbook = str(Path(__file__).parent.parent / "deploy.yml")
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], playbook, "-e", f"wanted={release}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    seen = 0
    assert process.stdout is not None
    for line in process.stdout:
        seen += line.count(MOMENT)
        if seen == TIMES:
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.wait()
    return 0 if seen == TIMES else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
