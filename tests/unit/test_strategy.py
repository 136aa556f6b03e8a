"""The strategy of every playbook: what it does to the processes that it starts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.command: >-
        python3 -c "import json, os; open('{out}', 'w').write(json.dumps(sorted(os.sched_getaffinity(0))))"
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be shared out")
def test_what_a_task_starts_may_run_on_every_cpu(tmp_path: Path) -> None:
    """mitogen pins its workers; a container that a local task started would stay on one CPU for its whole life."""
    out, play = tmp_path / "cpus.json", tmp_path / "play.yml"
    play.write_text(PLAY.format(out=out))
    environment = os.environ | {"ANSIBLE_INVENTORY_ENABLED": "host_list", "ANSIBLE_LOCALHOST_WARNING": "0"}
    subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(play)],
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert json.loads(out.read_text()) == sorted(os.sched_getaffinity(0))
