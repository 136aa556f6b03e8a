"""An environment's own `group_vars` and `host_vars`: what would change nothing is refused, and named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from model_project import ROOT, Project

FOLDER = "inventories/clinic"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "roles").symlink_to(ROOT / "roles")
    return Project(root=tmp_path)


def write(project: Project, name: str, text: str) -> None:
    file = project.root / FOLDER / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "group_vars/all.yml",
            "---\nmine: 1\nnginx_http3: true\n",
            (
                "group_vars/all.yml:3: nginx_http3: is not an input of the role nginx; accepted: what roles/nginx/README.md"
                " lists; did you mean `nginx_http2`?"
            ),
        ),
        (
            "host_vars/app1/more.yml",
            "pm2_rol_on_change: no\n",
            (
                "host_vars/app1/more.yml:1: pm2_rol_on_change: is not an input of the role pm2; accepted: what"
                " roles/pm2/README.md lists; did you mean `pm2_roll_on_change`?"
            ),
        ),
        (
            "group_vars/app.yaml",
            "stack: {}\n",
            "group_vars/app.yaml:1: stack: is set by stackwright, and is not an input",
        ),
        ("group_vars/edges/a.yml", "mine: 1\n", "group_vars/edges/a.yml:1: is not a group of this environment, got"),
        ("group_vars/all.yml", "a: [1\n", "group_vars/all.yml:2: is not valid YAML: expected ',' or ']'"),
        ("group_vars/all.yml", "- a\n", "group_vars/all.yml:1: has no variables; accepted: a mapping"),
    ],
)
def test_what_nobody_reads_is_refused(project: Project, name: str, text: str, message: str) -> None:
    write(project, name, text)
    (error,) = project.errors()
    assert error.startswith(f"{FOLDER}/{message}")


def test_inputs_own_variables_and_what_only_ansible_can_read_are_accepted(project: Project) -> None:
    write(project, "group_vars/all.yml", "mine: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  00\nbaseline_locale: C\n")
    write(project, "group_vars/all/secret.yml", "$ANSIBLE_VAULT;1.1;AES256\n00\n")
    write(project, "group_vars/all/.hidden.yml", "nginx_http3: true\n")
    write(project, "host_vars/gone1.yml", "ansible_ssh_common_args: -J gate\n")
    assert project.load().name == "clinic"
