"""The house rules that hold for every role; a new role is held to them without being listed anywhere."""

from __future__ import annotations

import ast
import ipaddress
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
ENTRY_POINTS_BESIDE_MAIN = {"main", "validate", "install", "configure", "run"}


class _Loader(yaml.SafeLoader):
    """Reads Ansible's own tags as plain values."""


_Loader.add_multi_constructor("!", lambda loader, _, node: loader.construct_scalar(node))


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), _Loader)


def options(role: str) -> dict[str, Any]:
    """The inputs of all entry points: defaults/main.yml serves every one of them."""
    entries = load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    return {name: option for entry in entries.values() for name, option in entry.get("options", {}).items()}


def defaults(role: str) -> dict[str, Any]:
    path = ROOT / "roles" / role / "defaults/main.yml"
    return load(path) or {} if path.exists() else {}


def yaml_files(role: str) -> list[Path]:
    return sorted((ROOT / "roles" / role).rglob("*.yml"))


def test_there_are_roles() -> None:
    assert len(ROLES) >= 14


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_those_of_the_spec(role: str) -> None:
    declared = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert defaults(role) == declared


@pytest.mark.parametrize("role", ROLES)
def test_every_input_is_described_typed_and_named_after_its_role(role: str) -> None:
    for name, option in options(role).items():
        assert name.startswith(f"{role}_"), name
        assert option.get("type"), f"{name} has no type"
        assert option.get("description"), f"{name} has no description"


@pytest.mark.parametrize("role", ROLES)
def test_every_entry_point_has_a_spec(role: str) -> None:
    specs = load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"]
    for playbook in sorted((ROOT / "playbooks").glob("*.yml")):
        for called, entry in re.findall(r"name: (\w+)\n\s+tasks_from: (\w+)", playbook.read_text()):
            if called == role:
                assert entry.removesuffix(".yml") in specs, f"{playbook.name} calls {role}:{entry}, which has no spec"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_reads_only_its_own_variables(role: str) -> None:
    foreign = re.compile(r"\b(hostvars|groups|stack|stack_host)\s*[\[.]")
    others = re.compile(r"\b(" + "|".join(other for other in ROLES if other != role) + r")_(?!role\b)\w+\s*[|}\].]")
    for path in [*yaml_files(role), *sorted((ROOT / "roles" / role).rglob("*.j2"))]:
        if "argument_specs" in path.name:
            continue
        for expression in re.findall(r"\{\{(.*?)\}\}", path.read_text(), re.DOTALL):
            assert not foreign.search(expression), f"{path.relative_to(ROOT)}: {expression.strip()}"
            found = others.search(expression)
            assert not found or found[0].startswith(f"{role}_"), f"{path.relative_to(ROOT)}: {expression.strip()}"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_has_a_scenario_with_tests(role: str) -> None:
    assert (ROOT / "molecule" / role / "molecule.yml").is_file()
    tests = list((ROOT / "molecule" / role / "tests").glob("test_*.py"))
    functions = [
        node
        for path in tests
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert functions, f"molecule/{role}/tests holds no test"
    for function in functions:
        asserts = [node for node in ast.walk(function) if isinstance(node, (ast.Assert, ast.Call))]
        assert asserts, f"{function.name} asserts nothing"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_tells_its_reader_what_it_promises(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text()
    assert "<!-- inputs: begin -->" in text
    for heading in ("guarantee", "example", "rollback"):
        assert heading in text.lower(), f"roles/{role}/README.md says nothing of: {heading}"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_small_enough_to_read(role: str) -> None:
    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        assert len(path.read_text().splitlines()) <= 160, f"{path.relative_to(ROOT)} is two files"


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_ignored_or_left_to_chance(role: str) -> None:
    for path in yaml_files(role):
        text = path.read_text()
        for forbidden in ("ignore_errors: true", "state: latest"):
            assert forbidden not in text, f"{path.relative_to(ROOT)}: {forbidden}"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_writes_its_files_in_lists(role: str) -> None:
    """docs/adr/0016: one call for all files of a phase. A user who may not give files away has no other way than copy."""
    for path in sorted((ROOT / "roles" / role / "tasks").glob("*.yml")):
        text = path.read_text()
        assert "ansible.builtin.template:" not in text, path
        copies = text.count("ansible.builtin.copy:") - text.count("remote_src: true")
        assert copies <= 0 or "become_user:" in text, path
        tasks = [
            {key: value for key, value in task.items() if key not in ("name", "register")} for task in load(path) or []
        ]
        for task, following in itertools.pairwise(tasks):
            if "stackwright_files" in task and "stackwright_files" in following:
                conditions = [{**each, "stackwright_files": None} for each in (task, following)]
                assert conditions[0] != conditions[1], f"{path}: two lists of files one after the other"


#: `baseline` configures apt and comes first; a setting has to be there before PostgreSQL's packages are.
OWN_TRANSACTION = {"baseline", "postgresql"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_publishes_the_packages_that_it_installs(role: str) -> None:
    """playbooks/common.yml installs those of all roles of a host at once; units that must not run before ours are masked."""
    files = {name: ROOT / "roles" / role / f"{name}.yml" for name in ("tasks/install", "vars/main")}
    install, variables = (path.read_text() if path.exists() else "" for path in files.values())
    exports = (yaml.safe_load(variables) or {}).get(f"{role}_exports", {})
    published = str(exports if isinstance(exports, str) else exports.get("packages"))
    for names in re.findall(r"stackwright_packages:\n\s+name: (.*)", install):
        assert (re.findall(r"__\w+", names)[0] in published) == (role not in OWN_TRANSACTION), names
    for unit in re.findall(r"[\w@-]+\.service", published):
        assert f"/etc/systemd/system/{unit}" in install, unit


def test_a_reload_failure_is_deferred_only_where_the_reload_is_repeated() -> None:
    deferring = set()
    for path in sorted((ROOT / "playbooks").rglob("*.yml")):
        if "tls_defer_reload_failures" not in path.read_text():
            continue
        deferring.add(path.name)
        imports = [(play.get("ansible.builtin.import_playbook"), play.get("vars", {})) for play in load(path)]
        repeated = [name for name, _ in imports].index("operations.yml")
        assert all(number < repeated for number, (_, values) in enumerate(imports) if values)
    assert deferring == {"site.yml", "configure-self.yml"}


def test_scenarios_have_addresses_of_their_own() -> None:
    seen: dict[str, str] = {}
    for path in sorted((ROOT / "molecule").glob("*/molecule.yml")):
        networks = {str(ipaddress.ip_network(f"{p['ip']}/24", strict=False)) for p in load(path)["platforms"]}
        assert len(networks) == 1, f"{path} spans {networks}"
        network = networks.pop()
        assert network not in seen, f"{path.parent.name} and {seen[network]} share {network}"
        seen[network] = path.parent.name


def test_group_vars_set_only_inputs_that_exist() -> None:
    """A mistyped variable would pass silently: Ansible's specs do not see top-level names that no role declares."""
    known = {name for role in ROLES for name in options(role)}
    files = sorted((ROOT / "playbooks/group_vars").rglob("*.yml"))
    assert files
    for path in files:
        for name in load(path) or {}:
            assert name in known, f"{path.relative_to(ROOT)}: {name} is no input of any role"


def test_a_name_is_set_in_one_layer_only() -> None:
    seen: dict[str, Path] = {}
    for path in sorted((ROOT / "playbooks/group_vars").rglob("*.yml")):
        for name in load(path) or {}:
            assert name not in seen, f"{name} is set in {seen.get(name)} and in {path}"
            seen[name] = path


def test_site_runs_only_roles_that_exist_and_every_role() -> None:
    from stackwright.ansible.playbooks import roles_of

    tiers = {"edge", "app", "database", "cache", "ops", "consensus"}
    shared = {"backup", "database_admin", "database_pool", "database_proxy", "metrics"}
    everything = roles_of(tiers | shared, ROOT / "playbooks")
    assert sorted(everything) == ROLES


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_a_run_limited_by_tags_still_knows_its_hosts(path: Path) -> None:
    """A play that has tags gathers facts only for these, and what differs between systems would be taken for the default."""
    for play in load(path):
        assert play.get("tags", ["always"]) == ["always"], play["name"]


#: Change nothing, or are the begin itself, or run where no controller does (a server that configures itself).
WITHOUT_BEGIN = {
    "begin",
    "refuse-windows",
    "adopt",
    "status",
    "status-app",
    "configure-self",
    "drain",
    "drift",
    "reach-retiring-hosts",
}


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_a_playbook_that_changes_hosts_begins_with_the_lock_and_the_checks(path: Path) -> None:
    imports = [play.get("ansible.builtin.import_playbook") for play in load(path)]
    assert (path.stem in WITHOUT_BEGIN) != (imports[:2][-1] == "begin.yml" or imports[0] == "begin.yml"), imports


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_plays_for_every_host_leave_hosts_alone_that_are_about_to_go(path: Path) -> None:
    """They are in no tier, and `stack.hosts` does not have them."""
    for play in load(path):
        groups = str(play.get("hosts", "")).replace(",", ":").split(":")
        assert "all" not in groups or "!retiring" in groups, play["name"]


def test_who_leads_is_read_after_the_last_restart_that_may_hand_over() -> None:
    tasks = yaml.safe_load((ROOT / "roles/postgresql/tasks/cluster.yml").read_text())
    restarts = [number for number, task in enumerate(tasks) if "patroni_restart" in task]
    readings = [number for number, task in enumerate(tasks) if task.get("register") == "__postgresql_ready"]
    assert len(restarts) == 3
    assert min(readings) > max(restarts)
