"""`pulumi up` of a program for AWS with the real engine and without AWS: a provider that checks, records and makes up answers.

Mocks show what a program declares. They cannot show what the engine makes of it: previews with unknowns, replacement and its order,
protection, aliases, failures half-way, the state file. This does, and finds a misspelled key at any depth on the way.

    folder = aws.install(tmp_path / "bin")
    environ = os.environ | aws.environment(folder, journal=tmp_path / "journal")
    subprocess.run(["pulumi", "up", "--yes"], env=environ)
    journal.read(tmp_path / "journal", "create")

Nothing of it is called `pulumi-resource-aws` where it is installed: a test makes that name in a folder of its own, and the plugin
refuses to run without a journal, so no real deployment meets it by accident.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

#: The file to append what was done to. Required.
JOURNAL = "STACKWRIGHT_AWS_JOURNAL"
#: A file of failures to make; see `failures.Order`.
FAILURES = "STACKWRIGHT_AWS_FAILURES"
#: A JSON file, type -> list of paths: properties that replace beside those of which the SDK's documentation says so.
REPLACES = "STACKWRIGHT_AWS_REPLACES"
#: The account to be logged in to; else the first that the provider allows.
ACCOUNT = "STACKWRIGHT_AWS_ACCOUNT"


def install(folder: Path) -> Path:
    """Put a `pulumi-resource-aws` that is this plugin into a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    wrapper = folder / "pulumi-resource-aws"
    # -P: the engine starts plugins in the program's folder, whose modules are not ours.
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
    """The variables with which Pulumi finds the plugin in that folder, before any other."""
    variables = {
        "PATH": os.pathsep.join([str(folder), os.environ.get("PATH", os.defpath)]),
        # The only plugin is the one on PATH.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        JOURNAL: str(journal),
    }
    more = {FAILURES: failures, REPLACES: replaces, ACCOUNT: account}
    return variables | {name: str(value) for name, value in more.items() if value is not None}
