"""Windows hosts: where they may be, what Ansible sees of them, and that nothing is done to them yet."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from model_project import ROOT, Project, provisioned

from stackwright.model.capacity import WINDOWS_MB
from stackwright.model.environment import load
from stackwright.model.graph import topology_svg
from stackwright.model.inventory import Inventory, build

NAME = "taaleem-windows-aws"
STAGING = (ROOT / "inventories/taaleem-staging/stack.yml").read_text()
LOCAL = (ROOT / "inventories/taaleem-local/stack.yml").read_text()
#: Windows, and a host of ops whose image has the agent.
STACK = """\
system: taaleem
provider: aws
class: staging
domain: windows.taaleem.example
network: {cidr: 10.66.0.0/20}
topology: {size: C, app: 2, ops: 1}
tier_os: {ops: ubuntu-24.04, app: windows-2025}
sizes:
  app: {cpus: 2, memory_mb: 8192, disk_gb: 50}
aws:
  region: eu-central-1
  account: "111122223333"
  example: true
  hosted_zone: {name: taaleem.example, id: Z0123456789ABCDEFGHIJ}
  zones: 2
  nat: single
"""
LINUX = "debian-12, debian-13, ubuntu-24.04"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path, stack=STACK)


def inventory() -> Inventory:
    environment = load(ROOT / "inventories" / NAME)
    output = json.loads(json.dumps(provisioned(environment)))
    for number, host in enumerate(output["hosts"].values()):
        host["instance_id"] = f"i-{number:017x}"
        host["connection"]["through"] = "ssm"
    return build(environment, output)


# --- what a person may write ------------------------------------------------------------------------------------------

#: (what is wrong, text, what it becomes, the message)
CASES = [
    (
        "a processor without an image",
        "  zones: 2",
        "  zones: 2\n  app: {architecture: arm64}",
        ("aws.app.architecture: does not go with the system: windows-2025 has no image for 'arm64'; accepted: x86_64"),
    ),
    (
        "a type of such a processor",
        "  zones: 2",
        "  zones: 2\n  app: {instance_type: m7g.large}",
        "aws.app.instance_type: is arm64, and the image is x86_64, got 'm7g.large'; accepted: a type of x86_64",
    ),
    (
        "a disk smaller than the image's",
        "disk_gb: 50",
        "disk_gb: 29",
        "sizes.app.disk_gb: is less than the image of windows-2025 has, got 29; accepted: at least 30",
    ),
    (
        "a group",
        "  zones: 2",
        "  zones: 2\n  app: {group: {min: 2, max: 4}}",
        (
            "aws.app.group: has servers that configure themselves with Ansible, which does not run on windows-2025;"
            " accepted: no `group`: as many servers with names as `topology.app` says; or a Linux"
        ),
    ),
    (
        "a tier that AWS runs",
        "app: windows-2025}",
        "app: windows-2025, edge: windows-2025}",
        "tier_os.edge: is of hosts that topology C has not; accepted: app, ops",
    ),
    (
        "memory that Windows itself needs",
        "memory_mb: 8192",
        "memory_mb: 2048",
        "sizes.app: memory of app1, app2 is over budget: system 2048 + edge 128 + proxies 128 + emr 1 x 1024",
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_windows_cannot_be_on_aws(project: Project, old: str, new: str, message: str) -> None:
    project.edit(old, new)
    errors = project.errors()
    assert len(errors) == 1, errors
    assert message in errors[0]


def test_an_unknown_system(project: Project) -> None:
    project.edit("windows-2025}", "windows-2019}")
    known = f"{LINUX}, windows-2022, windows-2025"
    assert f"tier_os.app: is not accepted, got 'windows-2019'; accepted: {known}" in project.errors()[0]


@pytest.mark.parametrize(
    ("stack", "old", "new", "message"),
    [
        (
            STAGING,
            "topology: {size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}",
            "topology: {size: B}\ntier_os: {edge: windows-2025, cache: windows-2025}",
            (
                "tier_os.cache: is no system for data: cache runs Redis, got 'windows-2025';"
                f" accepted: {LINUX}; Windows by `tier_os` for edge and app alone"
            ),
        ),
        (
            STAGING,
            "class: staging",
            "class: staging\nos: windows-2025",
            (
                "os: is no system for data: database runs PostgreSQL under Patroni; cache runs Redis;"
                " ops runs the repositories of backups, got 'windows-2025'"
            ),
        ),
        (
            STAGING,
            "topology: {size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}",
            "topology: {size: A}\nos: windows-2022",
            "os: is no system for data: server runs PostgreSQL and Redis beside all else, got 'windows-2022'",
        ),
        (
            LOCAL,
            "class: development",
            "class: development\ntier_os: {app: windows-2022}",
            (
                "tier_os.app: is for AWS so far: local makes no Windows host, and the roles for one are to come,"
                f" got 'windows-2022'; accepted: {LINUX}"
            ),
        ),
        (
            (ROOT / "inventories/taaleem-baremetal/stack.yml").read_text(),
            "{name: db1,",
            "{name: db1, os: windows-2022,",
            "hosts[1].os: is for AWS so far: bare_metal makes no Windows host",
        ),
        (
            (ROOT / "inventories/taaleem-baremetal/stack.yml").read_text(),
            "class: staging",
            "class: staging\ntier_os: {app: debian-12}",
            "tier_os.app: is of hosts that are created; these exist already; accepted: `os` of each of `hosts`",
        ),
    ],
)
def test_where_windows_cannot_be(project: Project, stack: str, old: str, new: str, message: str) -> None:
    project.stack = stack
    project.edit(old, new)
    errors = project.errors()
    assert len(errors) == 1, errors
    assert message in errors[0]


def test_a_tier_may_have_a_system_of_its_own(project: Project) -> None:
    project.stack = STAGING
    project.edit(
        "class: staging", "class: staging\ntier_os: {edge: windows-2025, app: windows-2022, ops: ubuntu-24.04}"
    )
    project.edit("certificates:", "sizes: {edge: {memory_mb: 4096}}\ncertificates:")
    systems = {host.name: host.os for host in project.load().hosts}
    assert systems == {
        "edge1": "windows-2025",
        **dict.fromkeys(("app1", "app2"), "windows-2022"),
        **dict.fromkeys(("db1", "db2", "cache1"), "debian-13"),
        "ops1": "ubuntu-24.04",
    }


def test_an_agent_is_asked_for_only_where_an_image_has_none(project: Project) -> None:
    assert "ssm_agent" not in project.stack
    project.load()
    project.edit("{ops: ubuntu-24.04, app: windows-2025}", "{app: windows-2025}")
    [error] = project.errors()
    assert "aws.ssm_agent: is missing for x86_64: images of debian-13 have no agent, and nobody could log in" in error


def test_windows_has_its_share_of_the_memory(project: Project) -> None:
    environment = project.load()
    plans = environment.host_plans
    assert {plans[name].shares["system"] for name in environment.groups["app"]} == {WINDOWS_MB}


# --- what Ansible sees ------------------------------------------------------------------------------------------------


def test_a_windows_host_is_reached_as_others_are_and_spoken_to_in_powershell() -> None:
    found = inventory()
    assert found.groups["windows"] == found.groups["edge"] == found.groups["app"] == ("app1", "app2")
    variables = found.hosts["app1"].variables
    assert variables["ansible_connection"] == "ssh"
    assert variables["ansible_shell_type"] == "powershell"
    assert variables["ansible_python_interpreter"] == "none"
    assert variables["ansible_user"] == variables["stack_host"]["bootstrap_user"] == "Administrator"
    assert variables["ansible_host"] == "i-00000000000000000"
    assert "ProxyCommand='aws ssm start-session" in variables["ansible_ssh_common_args"]
    assert "StrictHostKeyChecking=yes" in variables["ansible_ssh_common_args"]
    assert "10.66.0.31 ssh-ed25519 " in found.known_hosts


def test_the_picture_says_what_is_windows() -> None:
    text = topology_svg(load(ROOT / "inventories" / NAME))
    assert text.count("Windows 2025") == text.count("IIS with ARR") == 2
    assert "nginx" not in text


# --- what is done to it -----------------------------------------------------------------------------------------------


def converge(tmp_path: Path, hosts: dict[str, Any], windows: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run what site.yml begins with, and after it a play that writes a file for each host that it gets."""
    (tmp_path / "refuse-windows.yml").write_text((ROOT / "playbooks/refuse-windows.yml").read_text())
    touch = {"ansible.builtin.file": {"path": "{{ playbook_dir }}/{{ inventory_hostname }}.touched", "state": "touch"}}
    plays = [
        {"import_playbook": "refuse-windows.yml"},
        {"hosts": "all", "gather_facts": False, "tasks": [touch]},
    ]
    groups = {"windows": {"hosts": {name: {} for name in windows}}}
    (tmp_path / "site.yml").write_text(json.dumps(plays))
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": hosts, "children": groups}}))
    argv = ["ansible-playbook", "-i", str(tmp_path / "hosts.yml"), str(tmp_path / "site.yml")]
    environment = {**os.environ, "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.run(
        argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


HERE = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    "stack_host": {"os": "debian-13"},
}


def test_nothing_is_done_to_any_host_where_there_is_one_of_windows(tmp_path: Path) -> None:
    """Not even a connection: that of the Windows host would fail here, with other words."""
    windows = dict(inventory().hosts["app1"].variables)
    done = converge(tmp_path, {"app1": windows, "db1": HERE}, ("app1",))
    assert done.returncode != 0
    assert "app1 runs windows-2025, which no role here is for yet: nothing was changed on any host" in done.stdout
    assert not list(tmp_path.glob("*.touched"))


def test_without_windows_all_goes_on(tmp_path: Path) -> None:
    done = converge(tmp_path, {"app1": HERE, "db1": HERE}, ())
    assert done.returncode == 0, done.stdout
    assert sorted(path.name for path in tmp_path.glob("*.touched")) == ["app1.touched", "db1.touched"]


@pytest.mark.parametrize("name", ["site", "deploy-app", "rollback-app", "status-app", "restore-files"])
def test_it_is_the_first_thing_of_each_playbook(name: str) -> None:
    text = (ROOT / "playbooks" / f"{name}.yml").read_text()
    assert text[text.index("- name:") :].startswith(
        "- name: Windows\n  ansible.builtin.import_playbook: refuse-windows.yml\n"
    )
