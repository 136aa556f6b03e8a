"""What ansible.cfg promises to roles."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.testing import probe

PLAY = "- hosts: all\n  gather_facts: false\n  {}\n"
WAYS = {
    "roles": "roles: [probe]",
    "import_role": "tasks: [{ansible.builtin.import_role: {name: probe}}]",
    "include_role": "tasks: [{ansible.builtin.include_role: {name: probe}}]",
}


@pytest.mark.parametrize("way", WAYS)
def test_the_tasks_of_a_role_see_the_wiring_beside_the_playbooks(tmp_path: Path, way: str) -> None:
    files = {
        "playbooks/site.yml": PLAY.format(WAYS[way]),
        "playbooks/group_vars/all/probe.yml": "probe_input: wired\n",
        "roles/probe/tasks/main.yml": "- ansible.builtin.assert: {that: probe_input == 'wired'}\n",
    }
    done = probe.run(tmp_path, files)
    assert done.returncode == 0, done.stdout + done.stderr
