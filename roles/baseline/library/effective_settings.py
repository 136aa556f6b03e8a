#!/usr/bin/python
"""Compare the effective settings of programs with those of the role: see DOCUMENTATION."""

from __future__ import annotations

import re
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
---
module: effective_settings
short_description: Compare what programs make of all their configuration files with what was set
description:
  - A drop-in has no effect where its folder is not included, or where another file outranks it.
  - Asks C(sshd -T) for every user, and looks into C(Match) blocks, which hold under conditions that cannot all be tried;
    asks systemd and apt for what they make of their files. Changes nothing.
options:
  sshd: {type: dict, default: {}, description: 'Settings of sshd that have to hold for everybody, by keyword.'}
  sshd_users: {type: list, elements: str, default: [], description: Users to ask sshd for.}
  sshd_admitted: {type: list, elements: str, default: [], description: 'Users of these who have to be admitted.'}
  sshd_config: {type: path, default: /etc/ssh/sshd_config, description: The file that sshd reads.}
  systemd: {type: dict, default: {}, description: 'Assignments by the file that C(systemd-analyze cat-config) is asked for.'}
  sysctl: {type: dict, default: {}, description: Kernel settings as the next boot will have them.}
  apt: {type: dict, default: {}, description: Scalar settings of apt.}
author: [stackwright]
"""
EXAMPLES = r"""
- name: Look what SSH really does
  effective_settings:
    sshd: {PermitRootLogin: "no"}
    sshd_users: [root]
"""
RETURN = r"""
differing: {type: list, elements: str, returned: always, description: 'What differs, in words: empty if all is in force.'}
"""

#: An arbitrary client: settings that depend on the client's address are in a `Match` block.
_CLIENT = "host=client.invalid,addr=192.0.2.1"


def shown(value: str) -> str:
    """Return a value as sshd prints it: some values have two spellings, and lists have no spaces."""
    words = value.strip().strip('"').split()
    return " ".join({"without-password": "prohibit-password"}.get(word.lower(), word) for word in words)


def sshd_files(path: Path, known: list[Path] | None = None) -> list[Path]:
    """Return the file and the files that it includes, each once, in the order in which they are read."""
    files = known if known is not None else []
    files.append(path)
    for line in path.read_text(errors="replace").splitlines():
        words = line.split()
        if len(words) > 1 and words[0].lower() == "include":
            for pattern in words[1:]:
                absolute = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
                for included in sorted(Path("/").glob(absolute.lstrip("/"))):
                    if included.is_file() and included not in files:
                        sshd_files(included, files)
    return files


def match_overrides(path: Path, settings: dict[str, str]) -> list[str]:
    """Return the lines within `Match` blocks, of any condition, that give one of the settings another value."""
    required = {name.lower(): shown(str(value)) for name, value in settings.items()}
    overrides = []
    condition = None
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        name, _, value = re.sub(r"^(\s*\w+)\s*=\s*", r"\1 ", line).strip().partition(" ")
        if name.lower() == "match":
            condition = None if value.strip().lower() == "all" else value.strip()
        elif name.lower() in required and condition and shown(value).lower() != required[name.lower()].lower():
            overrides.append(f"{path}:{number}: '{line.strip()}' under 'Match {condition}'")
    return overrides


def lockout(effective: dict[str, list[str]], user: str, groups: set[str]) -> str | None:
    """Return the setting by which sshd would reject the user by name; patterns are compared as names."""
    for keyword, names, present in (
        ("allowusers", {user}, True),
        ("allowgroups", groups, True),
        ("denyusers", {user}, False),
        ("denygroups", groups, False),
    ):
        listed = {name for value in effective.get(keyword, []) for name in value.split()}
        if listed and bool(listed & names) != present:
            return f"{keyword} {' '.join(sorted(listed))}"
    return None


def parse(text: str) -> dict[str, list[str]]:
    """Return the settings that `sshd -T` prints; keywords that may be repeated have several values."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        settings.setdefault(name.lower(), []).append(value)
    return settings


def last_assignments(text: str) -> dict[str, tuple[str, str]]:
    """Return the effective value of each setting in `systemd-analyze cat-config`, and the file that sets it."""
    assignments: dict[str, tuple[str, str]] = {}
    file = ""
    for line in text.splitlines():
        heading = re.fullmatch(r"# (/\S+)", line)
        if heading:
            file = heading[1]
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", ";")):
            assignments[name.strip().lstrip("-").replace("/", ".")] = (value.strip(), file)
    return assignments


def differing_assignments(text: str, settings: dict[str, str]) -> list[str]:
    """Return the settings that another file overrides."""
    assignments = last_assignments(text)
    report = []
    for name, value in settings.items():
        actual, file = assignments.get(name, ("nothing", "no file"))
        if actual.split() != str(value).split():
            report.append(f"{file}: {name} is {actual}, and has to be {value}")
    return report


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "sshd": {"type": "dict", "default": {}},
            "sshd_users": {"type": "list", "elements": "str", "default": []},
            "sshd_admitted": {"type": "list", "elements": "str", "default": []},
            "sshd_config": {"type": "path", "default": "/etc/ssh/sshd_config"},
            "systemd": {"type": "dict", "default": {}},
            "sysctl": {"type": "dict", "default": {}},
            "apt": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    inputs = module.params
    differing: list[str] = []
    config = Path(inputs["sshd_config"])
    for user in inputs["sshd_users"]:
        argv = ["/usr/sbin/sshd", "-T", "-f", str(config), "-C", f"user={user},{_CLIENT}"]
        effective = parse(module.run_command(argv, check_rc=True)[1])
        for name, value in inputs["sshd"].items():
            actual = ",".join(effective.get(name.lower(), ["nothing"]))
            if shown(actual).lower() != shown(str(value)).lower():
                differing.append(f"sshd -T: {name} is {actual} for {user}, and has to be {value}")
        if user in inputs["sshd_admitted"]:
            groups = set(module.run_command(["id", "-Gn", user])[1].split())
            refused = lockout(effective, user, groups)
            if refused:
                differing.append(f"sshd -T: '{refused}' would lock {user} out")
    if inputs["sshd"]:
        for file in sshd_files(config):
            differing += match_overrides(file, inputs["sshd"])
    for file, settings in inputs["systemd"].items():
        text = module.run_command(["systemd-analyze", "cat-config", file], check_rc=True)[1]
        differing += differing_assignments(text, settings)
    if inputs["sysctl"]:
        text = module.run_command(["/usr/lib/systemd/systemd-sysctl", "--cat-config"], check_rc=True)[1]
        differing += differing_assignments(text, inputs["sysctl"])
    for name, value in inputs["apt"].items():
        command = ["apt-config", "shell", "value", name]
        actual = module.run_command(command, check_rc=True)[1].strip().removeprefix("value=").strip("'")
        if actual != str(value):
            differing.append(f"apt-config dump: {name} is '{actual}', and has to be '{value}'")
    module.exit_json(changed=False, differing=differing)


if __name__ == "__main__":
    main()
