"""What ansible.cfg promises to roles."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLAY = "- hosts: all\n  gather_facts: false\n  {}\n"
WAYS = {
    "roles": "roles: [probe]",
    "import_role": "tasks: [{ansible.builtin.import_role: {name: probe}}]",
    "include_role": "tasks: [{ansible.builtin.include_role: {name: probe}}]",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_tasks_of_a_role_see_the_wiring_beside_the_playbooks(tmp_path: Path, way: str) -> None:
    shutil.copy(ROOT / "ansible.cfg", tmp_path)
    files = {
        "playbooks/site.yml": PLAY.format(WAYS[way]),
        "playbooks/group_vars/all/probe.yml": "probe_input: wired\n",
        "roles/probe/tasks/main.yml": "- ansible.builtin.assert: {that: probe_input == 'wired'}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    settings = {
        "ANSIBLE_INVENTORY_ENABLED": "host_list",
        "ANSIBLE_STRATEGY": "linear",
        "ANSIBLE_VARS_ENABLED": "host_group_vars",
    }
    command = ["ansible-playbook", "-i", "host1,", "-c", "local", "playbooks/site.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
