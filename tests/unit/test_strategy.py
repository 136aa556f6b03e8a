"""The strategy of every playbook: what it does to the processes that it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import ansible_mitogen
import pytest

from stackwright.secret_store import SecretStore

PLUGINS = Path(__file__).resolve().parents[2] / "src/stackwright/ansible"
#: Runs ansible-playbook, and says how often two of its parts were called.
COUNT = """
import os, sys
from ansible.cli.playbook import main
from ansible.executor.task_queue_manager import TaskQueueManager
forks, looks, look = [], [], TaskQueueManager.has_dead_workers
os.register_at_fork(before=lambda: forks.append(1))
TaskQueueManager.has_dead_workers = lambda self: looks.append(1) or look(self)
sys.argv = sys.argv[1:]
try:
    main()
finally:
    print('forks', len(forks), 'looks', len(looks))
"""

#: Runs ansible-playbook, for which a look into a folder of plugins takes long.
SLOW_FOLDERS = """
import os, sys, time
look = os.listdir
os.listdir = lambda path='.': (time.sleep(0.3 if b'/plugins/' in os.fsencode(path) else 0), look(path))[1]
from ansible.cli.playbook import main
sys.argv = sys.argv[1:]
main()
"""


def variables_of_a_run(**variables: str) -> dict[str, str]:
    """For a command of Ansible with our strategy, without mitogen."""
    return {
        **os.environ,
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_INVENTORY_ENABLED": "yaml,advanced_host_list,host_list",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_LOOKUP_PLUGINS": str(PLUGINS / "lookup"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_STRATEGY": "stackwright_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(PLUGINS / "strategy"),
        "STACKWRIGHT_MITOGEN": "0",
        **variables,
    }


def playbook(folder: Path, inventory: str, *argv: str, program: str = "", **variables: str) -> tuple[int, str]:
    """Run play.yml of the folder; exit code and output."""
    environment = variables_of_a_run(**variables)
    command = [
        *([sys.executable, "-c", program] if program else []),
        "ansible-playbook",
        "-i",
        inventory,
        *argv,
        "play.yml",
    ]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout + done.stderr


def number(name: str, output: str) -> int:
    found = re.search(rf"{name} (\d+)", output)
    assert found, output
    return int(found[1])


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
    out = tmp_path / "cpus.json"
    (tmp_path / "play.yml").write_text(PLAY.format(out=out))
    code, output = playbook(tmp_path, "localhost,", STACKWRIGHT_MITOGEN="1")
    assert code == 0, output
    assert json.loads(out.read_text()) == sorted(os.sched_getaffinity(0))


CONDITIONS = """
- hosts: all
  gather_facts: false
  tasks:
    - {name: plain, ansible.builtin.command: "false", when: never, register: plain}
    - {name: secret, ansible.builtin.command: "false", when: ["'canary' == word"], no_log: true}
    - {name: looped, ansible.builtin.command: "false", when: item > 1, loop: [1], register: looped}
    - {name: included, ansible.builtin.include_tasks: none.yml, when: never}
    - {name: role, ansible.builtin.include_role: {name: none}, when: never}
    - {name: fact, ansible.builtin.set_fact: {x: 1}, when: never}
    - {name: once, ansible.builtin.command: "false", when: never, run_once: true}
    - {name: own, ansible.builtin.command: "false", when: own, vars: {own: "{{ never }}"}}
    - name: block
      when: never
      block:
        - {name: inner, ansible.builtin.command: "false"}
      rescue:
        - {name: rescue, ansible.builtin.command: "false"}
    - {name: by host, ansible.builtin.debug: {msg: here}, when: inventory_hostname == 'h1', register: by_host}
    - name: registered
      ansible.builtin.assert:
        that:
          - plain is skipped and plain.false_condition == 'never' and plain.skip_reason is defined
          - looped is skipped and looped.results[0] is skipped
          - x is not defined
          - (by_host is skipped) == (inventory_hostname == 'h2')
    - {name: broken, ansible.builtin.debug: {msg: here}, when: missing.key, ignore_errors: true, register: broken}
    - {name: says why, ansible.builtin.assert: {that: broken is failed and 'missing' in broken.msg}}
  handlers:
    - {name: handler, ansible.builtin.command: "false", when: never}
"""


#: One of each kind of task that a worker could run, and what comes of it.
RESULTS = """
- hosts: all
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}", shared: "{{ lookup('slow') }}"}
  tasks:
    - {name: fact, ansible.builtin.set_fact: {mine: "{{ inventory_hostname }}", shared_fact: "{{ shared }}"}}
    - {name: of the other, ansible.builtin.assert: {that: "hostvars['h1'].mine == 'h1' and hostvars['h2'].mine == 'h2'"}}
    - {name: command, ansible.builtin.command: "echo {{ mine }}", changed_when: mine == 'h1', register: echoed}
    - {name: condition, ansible.builtin.command: echo again, when: echoed is changed}
    - {name: loop, ansible.builtin.command: "echo {{ item }}", loop: [1, 2], loop_control: {label: "<{{ item }}>"}, register: loop}
    - {name: paused, ansible.builtin.debug: {msg: "{{ n }}"}, loop: [1, 2], loop_control: {loop_var: n, pause: "{{ 0 }}"}}
    - {name: expected, ansible.builtin.command: "false", failed_when: false, changed_when: false}
    - {name: ignored, ansible.builtin.command: "false", ignore_errors: true, changed_when: false}
    - {name: delegated, ansible.builtin.command: echo here, delegate_to: h1, changed_when: false}
    - {name: once, ansible.builtin.command: echo once, run_once: true, register: once, changed_when: false}
    - {name: of once, ansible.builtin.assert: {that: "once.stdout == 'once' and loop.results[1].stdout == '2'"}}
    - name: repeated
      ansible.builtin.command: "sh -c 'echo x >> {{ playbook_dir }}/{{ mine }}; wc -l < {{ playbook_dir }}/{{ mine }}'"
      register: count
      until: count.stdout | int == 2
      retries: 3
      delay: 0
      changed_when: true
    - {name: secret, ansible.builtin.command: echo canary, no_log: true, changed_when: false}
    - {name: copy, ansible.builtin.copy: {content: "{{ mine }}", dest: "{{ playbook_dir }}/copy-{{ mine }}", mode: "0600"}, diff: true}
    - {name: included, ansible.builtin.include_tasks: included.yml, loop: [1, 2], loop_control: {loop_var: number}}
    - {name: broken, ansible.builtin.debug: {msg: "{{ nothing.at.all }}"}, ignore_errors: true}
    - name: block
      block:
        - {name: fails, ansible.builtin.fail: {msg: "{{ mine }}"}}
      rescue:
        - {name: rescue, ansible.builtin.debug: {msg: "{{ ansible_failed_task.name }} {{ ansible_failed_result.msg }}"}}
      always:
        - {name: always, ansible.builtin.command: "true", changed_when: true, notify: handler}
    - {name: limited, ansible.builtin.command: sleep 5, timeout: 1, ignore_errors: true, changed_when: false}
    - {name: terminal, ansible.builtin.debug: {msg: "{{ lookup('pipe', 'readlink /proc/self/fd/2') }}"}}
    - {name: one fails, ansible.builtin.assert: {that: inventory_hostname == 'h1'}}
    - {name: the other goes on, ansible.builtin.debug: {msg: on}}
  handlers:
    - {name: handler, ansible.builtin.command: "true", changed_when: false}
"""
#: Two threads that load it at once must both wait for it.
SLOW_LOOKUP = """
import time
from ansible.plugins.lookup import LookupBase
time.sleep(0.5)
class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        return ["slow"]
"""


def shown(folder: Path, play: str, *argv: str, expected: int = 0, **variables: str) -> list[str]:
    folder.mkdir()
    (folder / "play.yml").write_text(play)
    (folder / "included.yml").write_text("- {name: inner, ansible.builtin.debug: {msg: '{{ number }} {{ mine }}'}}\n")
    (folder / "lookup_plugins").mkdir()
    (folder / "lookup_plugins/slow.py").write_text(SLOW_LOOKUP)
    code, output = playbook(folder, "h1,h2", "-c", "local", *argv, **variables)
    assert code == expected, output
    output = output.replace(str(folder), "").replace("h2, h1", "h1, h2")
    kept = [line for line in output.splitlines() if not re.search(r"\d:\d\d:\d\d|delta|config file|python", line)]
    # Hosts answer in either order.
    return sorted(kept)


def test_a_task_that_is_skipped_says_what_it_says_in_ansibles_own_strategy(tmp_path: Path) -> None:
    argv = ("-e", '{"never": false, "word": "x"}', "-vv")
    assert shown(tmp_path / "ours", CONDITIONS, *argv) == (
        shown(tmp_path / "ansibles", CONDITIONS, *argv, ANSIBLE_STRATEGY="linear")
    )


def test_a_task_says_in_this_process_what_it_says_in_a_worker(tmp_path: Path) -> None:
    ours = shown(tmp_path / "ours", RESULTS, expected=2, STACKWRIGHT_MITOGEN="1")
    folder = Path(ansible_mitogen.__file__).parent / "plugins/strategy"
    of_worker = {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(folder)}
    assert ours == shown(tmp_path / "mitogens", RESULTS, expected=2, **of_worker)


def test_a_task_on_a_host_starts_no_process_here(tmp_path: Path) -> None:
    play = "- hosts: all\n  gather_facts: false\n  tasks:\n" + "    - ansible.builtin.command: 'true'\n" * 20
    (tmp_path / "play.yml").write_text(play)
    code, output = playbook(tmp_path, "h1,h2", "-c", "local", program=COUNT, STACKWRIGHT_MITOGEN="1")
    assert code == 0, output
    assert number("forks", output) < 10


@pytest.mark.parametrize("mitogen", ["0", "1"])
def test_a_module_by_hand_needs_no_playbook(tmp_path: Path, mitogen: str) -> None:
    """`ansible` has fewer options than `ansible-playbook`."""
    done = subprocess.run(
        ["ansible", "all", "-i", "h1,h2", "-c", "local", "-m", "ansible.builtin.ping"],
        cwd=tmp_path,
        env=variables_of_a_run(STACKWRIGHT_MITOGEN=mitogen),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("pong") == 2


WHERE = """
import os
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.{name} import here
if __name__ == "__main__":
    AnsibleModule(argument_spec={{}}).exit_json(pid=here())
"""
TWICE = """
- hosts: h1
  gather_facts: false
  tasks:
    - {{{name}: , register: one}}
    - {{{name}: , register: two}}
    - ansible.builtin.debug: {{msg: "same {{{{ one.pid == two.pid }}}}"}}
"""


@pytest.mark.parametrize(("name", "same"), [("stackwright_here", True), ("other_here", False)])
def test_our_modules_need_no_process_of_their_own_on_the_host(tmp_path: Path, name: str, same: bool) -> None:
    for folder, text in {"library": WHERE.format(name=name), "module_utils": "import os\nhere = os.getpid\n"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text(text)
    (tmp_path / "play.yml").write_text(TWICE.format(name=name))
    folders = {"ANSIBLE_LIBRARY": str(tmp_path / "library"), "ANSIBLE_MODULE_UTILS": str(tmp_path / "module_utils")}
    code, output = playbook(tmp_path, "h1,", "-c", "local", STACKWRIGHT_MITOGEN="1", **folders)
    assert code == 0, output
    assert f"same {same}" in output


def test_a_task_that_is_skipped_starts_no_process(tmp_path: Path) -> None:
    play = "- hosts: all\n  gather_facts: false\n  tasks:\n"
    play += "    - {ansible.builtin.command: 'true', when: never}\n" * 40
    (tmp_path / "play.yml").write_text(play)
    _, output = playbook(tmp_path, "h1,h2", "-e", '{"never": false}', program=COUNT)
    assert "skipped=40" in output, output
    assert number("forks", output) < 20


def test_whoever_waits_for_a_task_does_not_look_all_the_time(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks: [{ansible.builtin.command: sleep 3}]\n"
    )
    code, output = playbook(tmp_path, "localhost,", "-c", "local", program=COUNT)
    assert code == 0, output
    assert number("looks", output) < 20


def test_a_worker_that_dies_ends_the_run(tmp_path: Path) -> None:
    # With a limit, which is for workers.
    task = {"ansible.builtin.debug": {"msg": "{{ lookup('ansible.builtin.pipe', 'kill -9 $PPID') }}"}, "timeout": 60}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    code, output = playbook(tmp_path, "localhost,", "-c", "local")
    assert code != 0
    assert "A worker was found in a dead state" in output


def test_hosts_that_need_a_plugin_at_once_all_find_it(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.command: 'true'\n      vars: {home: \"{{ lookup('env', 'HOME') }}\"}\n      when: home != ''\n"
    )
    code, output = playbook(tmp_path, "h[1:8],", "-c", "local", program=SLOW_FOLDERS, STACKWRIGHT_MITOGEN="1")
    assert code == 0, output


@pytest.mark.parametrize("hosts", ["h1,", "h1,h2"])
def test_an_action_that_ends_its_process_fails_the_run(tmp_path: Path, hosts: str) -> None:
    (tmp_path / "lookup_plugins").mkdir()
    (tmp_path / "lookup_plugins/leave.py").write_text(SLOW_LOOKUP.replace('return ["slow"]', "raise SystemExit(0)"))
    task = {"ansible.builtin.debug": {"msg": "{{ lookup('leave') }}"}}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
    code, output = playbook(tmp_path, hosts, "-c", "local")
    assert code != 0
    assert "debug would have ended the run" in output


SECRETS = """
- hosts: all
  gather_facts: false
  tasks:
    - {ansible.builtin.set_fact: {seen: "{{ lookup('stackwright_secrets', 'redis/')['redis/a'] }}"}}
    - {ansible.builtin.assert: {that: "lookup('stackwright_secrets', 'redis/')['redis/a'] == 'canary'"}, no_log: true}
- hosts: all
  gather_facts: false
  tasks:
    - {ansible.builtin.assert: {that: "lookup('stackwright_secrets', 'redis/')['redis/a'] == seen"}, no_log: true}
"""


def test_the_command_for_the_vaults_password_is_run_once(tmp_path: Path) -> None:
    (tmp_path / "inventories").mkdir()
    folder = tmp_path / ".state/test"
    store = SecretStore("test", folder)
    store.create()
    store.set("redis/a", "canary")
    (tmp_path / "play.yml").write_text(SECRETS)
    command = f"sh -c 'echo run >> {tmp_path}/runs; cat {folder}/vault-password'"
    stack = {"environment": "test", "secrets": {"cloud": None, "names": ["redis/a"], "password_command": command}}
    hosts = {"all": {"hosts": {"h1": {}, "h2": {}}, "vars": {"stack": stack, "ansible_connection": "local"}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(hosts))
    code, output = playbook(tmp_path, "hosts.yml", STACKWRIGHT_ROOT=str(tmp_path))
    assert code == 0, output
    assert (tmp_path / "runs").read_text() == "run\n"


ABSENT = """
- hosts: away:here
  gather_facts: false
  any_errors_fatal: {fatal}
  vars: {{ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"}}
  tasks:
    - ansible.builtin.ping:
      loop: {loop}
      run_once: {once}
      delegate_to: away
      ignore_unreachable: true
      register: found
    - ansible.builtin.fail: {{msg: "it goes on"}}
"""


@pytest.mark.parametrize("loop", ["[1]", "null"])
@pytest.mark.parametrize(("fatal", "once"), [("true", "false"), ("false", "true"), ("false", "false")])
def test_a_play_goes_on_where_it_ignores_that_a_host_is_absent(
    tmp_path: Path, loop: str, fatal: str, once: str
) -> None:
    (tmp_path / "play.yml").write_text(
        ABSENT.format(loop=loop, fatal=fatal, once=once).replace("      loop: null\n", "")
    )
    away = {"ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {"all": {"hosts": {"away": away, "here": {"ansible_connection": "local"}}}}
    (tmp_path / "hosts.yml").write_text(json.dumps(hosts))
    code, output = playbook(tmp_path, "hosts.yml", STACKWRIGHT_MITOGEN="1")
    assert code == 2, output
    assert "it goes on" in output
