"""What every playbook that changes hosts begins with: the lock, the identity, the commit. Run on hosts that are this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackwright import converge_checks
from stackwright.secret_store import SecretStore, new_ca

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ("one", "two")
#: Whatever comes after the begin: it must not be reached where the begin refuses.
CHANGE = """
- ansible.builtin.import_playbook: begin.yml
- hosts: all
  gather_facts: false
  tasks:
    - name: Change the host
      ansible.builtin.shell: "echo $$ >> {{ folder }}/changed; sleep {{ pause | default(0) }}"
"""


class Project:
    """A project with the playbook `begin.yml` and two hosts, whose files are in a folder of their own."""

    def __init__(self, root: Path, hosts: Path) -> None:
        self.root, self.hosts = root, hosts
        (root / "inventories/test").mkdir(parents=True)
        (root / "playbooks").mkdir()
        (root / "systems").mkdir()
        shutil.copy(ROOT / "playbooks/begin.yml", root / "playbooks")
        (root / "playbooks/site.yml").write_text(CHANGE)
        (root / "ansible.cfg").write_text("[defaults]\n")
        stack = {
            "environment": "test",
            "secrets": {"cloud": None, "password_command": None, "names": ["tls/ca_crt", "tls/ca_key", "etcd/root"]},
        }
        variables = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "stack": stack,
            "folder": f"{hosts}/{{{{ inventory_hostname }}}}",
            "__begin_lock_path": "{{ folder }}/lock",
            "__begin_record_path": "{{ folder }}/converge.json",
            "__begin_anchor": "{{ folder }}/ca.crt",
        }
        for name in HOSTS:
            (hosts / name).mkdir(parents=True, exist_ok=True)
        self.extra = {name: variables.pop(name) for name in list(variables) if name.startswith("__begin")}
        inventory = {"all": {"hosts": dict.fromkeys(HOSTS), "vars": variables}}
        (root / "inventories/test/hosts.yml").write_text(yaml.safe_dump(inventory))
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        (root / ".gitignore").write_text(".state\n")
        self.commit("first")

    @property
    def store(self) -> SecretStore:
        return SecretStore("test", self.root / ".state/test")

    def commit(self, subject: str) -> None:
        git = ["git", "-C", str(self.root), "-c", "user.name=test", "-c", "user.email=test@test"]
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", subject], check=True)

    def start(self, **extra: Any) -> subprocess.Popen[str]:
        folders = {"ACTION_PLUGINS": "action", "LIBRARY": "modules", "LOOKUP_PLUGINS": "lookup"}
        plugins = ROOT / "src/stackwright/ansible"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")} | {
            **{f"ANSIBLE_{name}": str(plugins / folder) for name, folder in folders.items()},
            "ANSIBLE_STRATEGY_PLUGINS": str(plugins / "strategy"),
            "ANSIBLE_STRATEGY": "stackwright_linear",
            "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "STACKWRIGHT_ROOT": str(self.root),
            "STACKWRIGHT_MITOGEN": "0",
        }
        playbook = ["ansible-playbook", "-i", "inventories/test/hosts.yml", "playbooks/site.yml"]
        return subprocess.Popen(
            [*playbook, "-e", json.dumps(self.extra | extra)],
            cwd=self.root,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )

    def converge(self, **extra: Any) -> str:
        code, output = self.run(**extra)
        assert code == 0, output
        return output

    def run(self, **extra: Any) -> tuple[int, str]:
        process = self.start(**extra)
        output = process.communicate(timeout=110)[0]
        return process.returncode, output.replace("\\n", "\n")

    def files(self) -> dict[str, str]:
        """What is on the hosts, but for the locks."""
        return {str(path): path.read_text() for path in self.hosts.rglob("*") if path.is_file() and path.name != "lock"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project", tmp_path / "hosts")
    made.store.create()
    return made


def until(condition: Any) -> None:
    for _ in range(2500):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("did not happen in time")


# On an environment of hosts: tests/e2e/test_local.py.
@pytest.mark.long
def test_a_controller_without_the_vault_changes_nothing(project: Project) -> None:
    project.converge()
    before = project.files()
    vault = project.store.file.rename(project.root / "elsewhere")
    code, output = project.run()
    assert (code, project.files()) == (2, before)
    assert "secrets.vault.yml is missing: the secrets of test are created once" in output
    assert not project.store.file.exists()

    # One that has made its own: the hosts know better.
    (project.hosts / "two/ca.crt").write_text(
        SecretStore("test", vault.parent / ".state/test").password_file.read_text()
    )
    (project.hosts / "two/ca.crt").write_text(new_ca("test")["tls/ca_crt"])
    before = project.files()
    vault.rename(project.store.file)
    code, output = project.run()
    assert (code, project.files()) == (2, before)
    assert "two: it trusts another CA of test than the one in the vault here" in output
    assert "one:" not in output.partition("nothing was changed on any host")[2].partition("PLAY RECAP")[0]


def test_a_vault_that_has_lost_a_secret_in_use_is_refused(project: Project) -> None:
    for name in ("etcd/root", "app/emr/gone"):
        project.store.get(name)
    project.converge()
    values = dict(project.store.all())
    project.store.file.unlink()
    project.store.update({name: value for name, value in values.items() if name.startswith("tls/")})
    code, output = project.run()
    assert code == 2
    # One that nothing needs any more may go.
    assert "it uses secrets that the vault here has lost: etcd/root;" in " ".join(output.split())


def test_an_older_checkout_is_refused_unless_allowed(project: Project) -> None:
    project.commit("second")
    project.converge()
    subprocess.run(["git", "-C", str(project.root), "checkout", "-q", "HEAD~1"], check=True)
    before = project.files()
    code, output = project.run()
    assert (code, project.files()) == (2, before)
    assert "which the checkout here" in " ".join(output.split())
    project.converge(stackwright_allow_older=True)


def test_two_runs_never_meet_and_a_dead_one_is_no_obstacle(project: Project) -> None:
    first = project.start(pause=60)
    until(lambda: all((project.hosts / name / "changed").exists() for name in HOSTS))
    before = project.files()
    code, output = project.run()
    assert (code, project.files()) == (2, before)
    assert "one: locked by" in output
    assert "two: locked by" in output

    # Killed: no worker goes on, and the next run says what it found.
    first.send_signal(signal.SIGKILL)
    first.wait()
    workers = _descendants_left(project.root)
    until(lambda: not [pid for pid in workers if "ansible-playbook" in _command(pid)])
    assert "whose run has ended" in " ".join(project.converge().split())


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _descendants_left(root: Path) -> list[int]:
    """Processes that still work in the project's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").resolve() == root:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_a_record_of_a_commit_is_compared_by_history(project: Project) -> None:
    record = converge_checks.new_record("test", project.root, ["a"])
    assert record["commit"] == converge_checks.commit(project.root)
    host = {"trusted": "", "converged": {"commit": "f" * 40, "by": "x", "at": "y"}}
    problems = converge_checks.problems(project.root, record, "", host, needed=[], allow_older=False)
    assert "converged from commit ffffffffffff by x at y" in problems[0]
    assert converge_checks.problems(project.root, record, "", host, needed=[], allow_older=True) == []


def test_a_ca_signs_only_once_every_host_trusts_it(project: Project) -> None:
    """Not in one step: until the last host has it, the others refuse what it signs."""
    store, record = project.store, converge_checks.new_record("test", project.root, [])

    def refused(trusted: str) -> list[str]:
        host = {"trusted": trusted, "converged": None}
        return converge_checks.problems(
            project.root, record, store.get("tls/ca_crt"), host, needed=[], allow_older=False
        )

    for _ in range(3):
        trusted = store.get("tls/ca_crt")
        assert refused(trusted) == []
        store.advance_ca()
        assert refused(trusted) == []
    store.advance_ca()
    before = store.get("tls/ca_crt").partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    store.advance_ca()
    assert "does not trust yet the CA that signs" in refused(before)[0]
