"""Runs `pulumi up` for AWS programs with the real engine and without AWS, through a provider plugin.

The plugin checks inputs, records operations and makes up outputs.

Mocks show what a program declares. They cannot show what the engine makes of it: previews with unknowns, replacement
and its order, protection, aliases, failures half-way, the state file. This plugin does, and also finds misspelled keys
at any depth.

    folder = aws.install(tmp_path / "bin")
    environ = os.environ | aws.environment(folder, journal=tmp_path / "journal")
    subprocess.run(["pulumi", "up", "--yes"], env=environ)
    journal.read(tmp_path / "journal", "create")

The package installs nothing called `pulumi-resource-aws`: a test creates a program of that name in its own directory.
The plugin refuses to run without a journal, so that no real deployment uses it by accident.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

#: The file to which operations are appended. Required.
JOURNAL = "STACKWRIGHT_AWS_JOURNAL"
#: A file of failures to produce; see `failures.Order`.
FAILURES = "STACKWRIGHT_AWS_FAILURES"
#: A JSON file, type -> list of paths: properties that force replacement in addition to those that the SDK's
#: documentation names.
REPLACES = "STACKWRIGHT_AWS_REPLACES"
#: The account to be logged in to; by default the first account that the provider allows.
ACCOUNT = "STACKWRIGHT_AWS_ACCOUNT"


def install(folder: Path) -> Path:
    """Write a `pulumi-resource-aws` that runs this plugin to a directory, and return the directory."""
    folder.mkdir(parents=True, exist_ok=True)
    wrapper = folder / "pulumi-resource-aws"
    # -P: the engine starts plugins in the program's directory, whose modules must not be imported.
    wrapper.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m stackwright.testing.aws.plugin "$@"\n', encoding="utf-8"
    )
    wrapper.chmod(0o755)
    return folder


def environment(
    folder: Path,
    *,
    journal: Path,
    failures: Path | None = None,
    replaces: Path | None = None,
    account: str | None = None,
) -> dict[str, str]:
    """Return the variables that make Pulumi use the plugin in that directory, before any other."""
    variables = {
        "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]),
        # Use only the plugin on PATH.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        JOURNAL: str(journal),
    }
    more = {FAILURES: failures, REPLACES: replaces, ACCOUNT: account}
    return variables | {name: str(value) for name, value in more.items() if value is not None}
