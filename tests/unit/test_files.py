"""`stackwright_files`: what it makes of entries on the controller, and of a host."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stackwright.ansible.modules.stackwright_files import ENTRY, Host, Refused
from stackwright.testing import probe


def entry(path: Path, **values: Any) -> dict[str, Any]:
    return {key: spec.get("default") for key, spec in ENTRY.items()} | {"path": str(path)} | values


def run(command: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def host() -> Host:
    return Host(run, check_mode=False)


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def test_a_file_is_written_once_and_then_left_alone(host: Host, tmp_path: Path) -> None:
    wanted = entry(tmp_path / "a", content="x\n", mode="0600")
    assert host.make(wanted)
    assert (tmp_path / "a").read_text() == "x\n"
    assert mode(tmp_path / "a") == "0600"
    before = (tmp_path / "a").stat()
    assert not host.make(wanted)
    assert (tmp_path / "a").stat() == before
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize(
    ("spoil", "mended"),
    [
        (lambda path: path.write_text("y"), True),
        (lambda path: path.chmod(0o666), True),
        (lambda path: os.chown(path, 1, 0), True),
        (lambda path: os.chown(path, 0, 1), True),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), True),
        (lambda path: path.touch(), False),
    ],
)
def test_what_somebody_changed_is_mended(host: Host, tmp_path: Path, spoil: Any, mended: bool) -> None:
    path = tmp_path / "a"
    wanted = entry(path, content="x", mode="0640")
    host.make(wanted)
    spoil(path)
    assert Host(run, check_mode=True).make(wanted) == mended
    assert host.make(wanted) == mended
    assert path.read_text() == "x"
    assert not path.is_symlink()
    assert (mode(path), path.stat().st_uid, path.stat().st_gid) == ("0640", 0, 0)


def test_a_check_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    (tmp_path / "gone").mkdir()
    check = Host(run, check_mode=True)
    assert check.make(entry(tmp_path / "a", content="new\n"))
    assert check.make(entry(tmp_path / "b/c", content="new\n"))
    assert check.make(entry(tmp_path / "d/e", state="directory"))
    assert check.make(entry(tmp_path / "f", state="link", target="a"))
    assert check.make(entry(tmp_path / "gone", state="absent"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "gone"]
    assert (tmp_path / "a").read_text() == "old\n"
    assert check.diff[0] == {
        "before_header": str(tmp_path / "a"),
        "after_header": str(tmp_path / "a"),
        "before": "old\n",
        "after": "new\n",
    }


def test_a_file_that_is_refused_leaves_the_former_one(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(Refused, match=rf"^sh refuses the new file: {path}: broken$"):
        host.make(entry(path, content="broken", validate="sh -c 'echo $0: $(cat $0); exit 1' %s"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_has_its_mode_before_it_has_its_name(host: Host, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    wanted = entry(tmp_path / "a", content="secret", mode="0640", validate=f"sh -c 'stat -c %a $0 > {seen}' %s")
    host.make(wanted)
    assert seen.read_text() == "640\n"


def test_directories_links_and_what_has_to_go(host: Host, tmp_path: Path) -> None:
    deep = entry(tmp_path / "a/b", state="directory", mode="0750")
    assert host.make(deep)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a/b")) == ("0750", "0750")
    assert not host.make(deep)
    link = entry(tmp_path / "l", state="link", target="a")
    assert host.make(link)
    assert not host.make(link)
    (tmp_path / "l").unlink()
    (tmp_path / "l").write_text("a file of a package")
    assert host.make(link)
    assert (tmp_path / "l").readlink() == Path("a")
    for name in ("l", "a"):
        assert host.make(entry(tmp_path / name, state="absent"))
        assert not host.make(entry(tmp_path / name, state="absent"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_entry_may_take_the_place_of_what_an_earlier_one_removes(tmp_path: Path, check_mode: bool) -> None:
    for name in ("link", "file"):
        (tmp_path / name / "full").mkdir(parents=True)
    (tmp_path / "directory").touch()
    host = Host(run, check_mode=check_mode)
    for name in ("link", "file", "directory"):
        assert host.make(entry(tmp_path / name, state="absent"))
    assert host.make(entry(tmp_path / "link", state="link", target="file"))
    assert host.make(entry(tmp_path / "file", content="x"))
    assert host.make(entry(tmp_path / "directory", state="directory"))
    assert (tmp_path / "link").is_symlink() != check_mode


def test_a_directory_keeps_only_what_the_task_names(tmp_path: Path) -> None:
    wanted = entry(tmp_path / "sites", state="directory", purge=True)
    (tmp_path / "sites/old").mkdir(parents=True)
    for name in ("a", "b", "old/c"):
        (tmp_path / "sites" / name).touch()
    named = {str(tmp_path / "sites"), str(tmp_path / "sites/a")}
    assert Host(run, check_mode=True, named=named).make(wanted)
    assert len(list((tmp_path / "sites").iterdir())) == 3
    host = Host(run, check_mode=False, named=named)
    assert host.make(wanted)
    assert list((tmp_path / "sites").iterdir()) == [tmp_path / "sites/a"]
    assert not host.make(wanted)
    assert not host.make(entry(tmp_path / "sites", state="directory"))


def test_a_file_that_is_only_begun_keeps_its_content(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "a"
    first = entry(path, content="", force=False, mode="0600")
    assert host.make(first)
    path.write_text("grown")
    path.chmod(0o644)
    assert host.make(first)
    assert (path.read_text(), mode(path)) == ("grown", "0600")
    assert not host.make(first)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"state": "file", "content": "x", "owner": "nobody-here"}, "there is no user nobody-here"),
        ({"state": "file", "content": "x", "group": "nobody-here"}, "there is no group nobody-here"),
        ({"state": "file", "content": "x", "path": "/proc/none/a"}, "there is no directory /proc/none"),
        ({"state": "file", "content": "x", "path": "a"}, "absolute"),
        ({"state": "file"}, "no content is given"),
        ({"state": "file", "path": "/etc", "content": "x"}, "a directory is where the file should be"),
        ({"state": "directory", "path": "/etc/hostname"}, "no directory is where the directory should be"),
        ({"state": "directory", "owner": "nobody-here"}, "there is no user nobody-here"),
        ({"state": "link", "target": "x", "path": "/etc"}, "a directory is where the link should be"),
    ],
)
def test_what_cannot_be_is_said_and_leaves_nothing(
    host: Host, tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    with pytest.raises(Refused, match=said):
        host.make(entry(tmp_path / "a") | values)
    assert not list(tmp_path.iterdir())


def test_a_check_on_a_bare_host_knows_no_users_yet(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    wanted = entry(tmp_path / "a", content="x", owner="nobody-here")
    assert Host(run, check_mode=True).make(wanted)


TASKS = """
- name: Write files
  stackwright_files:
    files:
      - {path: "{{ folder }}", state: directory}
      - path: "{{ folder }}/{{ item.name }}"
        template: deep/file.j2
        vars: {greeting: "{{ item.name | upper }}"}
        when: item.wanted
        loop: "{{ entries }}"
      - {path: "{{ folder }}/copied", src: copied.txt, mode: "0600"}
      - {path: "{{ folder }}/secret", content: "{{ secret }}\\n", mode: "0600"}
      - {path: "{{ folder }}/never", content: "", when: [false]}
  register: written
  diff: false
- ansible.builtin.assert: {that: written.changed_paths == expected}
- name: Nothing
  stackwright_files: {files: [{path: /never, state: absent, when: false}]}
"""
ROLE = {
    "roles/probe/tasks/main.yml": TASKS,
    "roles/probe/files/copied.txt": "copied {{ as it is }}\n",
    "roles/probe/templates/deep/file.j2": (
        "# {{ ansible_managed }}\n{% if true %}\n{{ greeting }} {{ item.name }} {{ top }}\n{% endif %}\n"
        "{% include 'deep/part.j2' %}\n"
    ),
    "roles/probe/templates/deep/part.j2": "part\n",
}


def test_a_task_renders_its_entries_and_keeps_contents_to_itself(tmp_path: Path) -> None:
    out = tmp_path / "out"
    variables = {
        "folder": str(out),
        "top": "top",
        "secret": "canary-4711",
        "entries": [{"name": "one", "wanted": True}, {"name": "two", "wanted": False}],
    }
    names = ["", "/one", "/copied", "/secret"]
    # In a file, since the verbose output shows its own command line.
    (tmp_path / "variables.json").write_text(json.dumps(variables | {"expected": [f"{out}{name}" for name in names]}))
    first = probe.run(tmp_path, ROLE, None, "-e", "@variables.json", "-vvv")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "canary-4711" not in first.stdout + first.stderr
    assert (out / "one").read_text() == "# Ansible managed\nONE one top\npart\n"
    assert (out / "copied").read_text() == "copied {{ as it is }}\n"
    assert (out / "secret").read_text() == "canary-4711\n"
    assert sorted(path.name for path in out.iterdir()) == ["copied", "one", "secret"]
    second = probe.run(tmp_path, ROLE, variables | {"expected": []})
    assert second.returncode == 0, second.stdout + second.stderr
    assert "changed=0" in second.stdout


REFUSED = {
    "{files: [{content: x}]}": "needs a `path`",
    "{files: [{path: /a, content: {x: 1}}]}": "`content` is no text",
    "{files: [{path: /a, state: absent, loop: text}]}": "`loop` must be a list, got: text",
    "{files: [{path: /a, state: absent, each: [1]}]}": "each",
    "{files: [{path: /a, state: link}]}": "target",
    "{files: [{path: /a, content: x, src: y}]}": "only one of these is accepted: content, src",
    "{files: [{path: /a, state: abscent}]}": "abscent",
    "{files: [{path: /a, contents: x}]}": "contents",
    "{files: [{path: /a, template: none.j2}]}": "none.j2",
    "{files: [], mode: '0644'}": "`files`, a list, is the one argument",
}


def test_what_a_task_cannot_mean_is_refused(tmp_path: Path) -> None:
    # In one play: each costs seconds.
    tasks = "".join(f"- stackwright_files: {task}\n  ignore_errors: true\n" for task in REFUSED)
    done = probe.run(tmp_path, {"roles/probe/tasks/main.yml": tasks})
    _, *answers = re.split(r"^TASK .*$", done.stdout + done.stderr, flags=re.MULTILINE)
    assert len(answers) == len(REFUSED), done.stdout
    for answer, said in zip(answers, REFUSED.values(), strict=True):
        assert "FAILED!" in answer
        assert said in answer
