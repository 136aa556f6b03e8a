"""Deployments while app2 cannot be reached; each has to end as the tests expect, in little time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from stackwright.infra.local.podman import Podman, container_name

HOST = "app2"
#: Ansible's code for a host that cannot be reached, and for one that failed.
UNREACHABLE, FAILED = 4, 2


def on_host(script: str) -> None:
    """Run a script on the lost host, past SSH."""
    container = container_name(f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}", HOST)
    subprocess.run([*Podman().command, "exec", container, "sh", "-euc", script], check=True, capture_output=True)


def deploy(release: str, *options: str) -> tuple[int, str]:
    """Deploy; return the exit code and what was printed."""
    playbook = str(Path(__file__).parent.parent / "deploy.yml")
    command = [
        "ansible-playbook",
        "-i",
        os.environ["MOLECULE_INVENTORY_FILE"],
        playbook,
        "-e",
        f"wanted={release}",
        *options,
    ]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return process.returncode, process.stdout + process.stderr


# All that admits Ansible ends as soon as the rollout has reached the host.
LOSE_IN_THE_MIDDLE = """
cat > /run/systemd/system/lose.path <<END
[Path]
PathExists=/srv/contract/rolling/contract-5005
END
cat > /run/systemd/system/lose.service <<END
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'systemctl stop lose.path ssh.service; pkill ^sshd || true'
END
systemctl daemon-reload
systemctl start lose.path
"""
LOSE = "systemctl stop ssh.service; pkill ^sshd || true"
RETURN = "systemctl start ssh.service"


def main() -> int:
    """Lose the host in the middle, before a run, and with the switch that leaves it out."""
    outcomes = {}
    steps = (
        ("middle", LOSE_IN_THE_MIDDLE, ()),
        ("before", LOSE, ()),
        ("without", LOSE, ("-e", f"app_release_without={HOST}")),
    )
    for name, script, options in steps:
        on_host(script)
        began = time.monotonic()
        code, output = deploy("v5", *options)
        on_host(RETURN)
        outcomes[name] = {"code": code, "output": output, "seconds": round(time.monotonic() - began)}
    print(json.dumps(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
