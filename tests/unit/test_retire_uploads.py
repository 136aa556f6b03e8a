"""Uploads of a host that goes are copied to one that stays, by the commands of the playbook, with the tar of this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def copy(source: Path, target: Path) -> None:
    (task,) = yaml.safe_load((ROOT / "playbooks/tasks/retire-uploads.yml").read_text())
    read, write = (
        task["vars"][name].replace("{{ __retire_folder }}", str(folder))
        for name, folder in (("__retire_read", source), ("__retire_write", target))
    )
    subprocess.run(["bash", "-c", f"set -o pipefail; {read} | {write}"], check=True)


def test_what_the_host_that_stays_has_is_left_as_it_is(tmp_path: Path) -> None:
    source, target = tmp_path / "app2", tmp_path / "app1"
    for folder, word in ((source, "of app2"), (target, "of app1")):
        (folder / "uploads").mkdir(parents=True)
        (folder / "uploads/both").write_text(word)
        (folder / "uploads" / folder.name).write_text(word)
    target.chmod(0o750)
    source.chmod(0o700)
    for _ in range(2):
        copy(source, target)
    assert {path.name: path.read_text() for path in (target / "uploads").iterdir()} == {
        "both": "of app1",
        "app1": "of app1",
        "app2": "of app2",
    }
    assert target.stat().st_mode & 0o777 == 0o750


def test_a_host_without_uploads_has_nothing_to_copy(tmp_path: Path) -> None:
    (tmp_path / "app1").mkdir()
    copy(tmp_path / "none", tmp_path / "app1")
    assert list((tmp_path / "app1").iterdir()) == []
