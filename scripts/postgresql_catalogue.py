#!/usr/bin/env python3
"""Write the settings, libraries and extensions of a packaged PostgreSQL to a file: `postgresql_catalogue.py BIN FILE`.

BIN is the directory of its programs, such as /usr/lib/postgresql/17/bin. The catalogue is read from a scratch instance
of that package, so that it reflects the compiled-in features. Run it as root on the distribution; the user `postgres`
must exist.
"""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_SETTINGS = """SELECT jsonb_agg(to_jsonb(s)) FROM (
    SELECT name, vartype, unit, min_val, max_val, enumvals, context, category FROM pg_settings ORDER BY name COLLATE "C"
  ) s"""
_EXTENSIONS = 'SELECT jsonb_agg(name ORDER BY name COLLATE "C") FROM pg_available_extensions'
_VERSION = "SELECT jsonb_build_array(current_setting('server_version'))"
#: Libraries for conversions and languages are loaded by the server itself.
_INTERNAL = ("_and_", "2004_", "dict_", "libpq", "pgoutput", "plpgsql", "llvmjit")


class Scratch:
    """An instance in a temporary directory that only ever runs as a single process."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        self._user = pwd.getpwnam("postgres")
        command = ["initdb", "-D", str(folder), "--encoding=UTF8", "--locale=C", "--auth=peer", "--no-sync"]
        self._run(command, check=True)

    def query(self, sql: str, **settings: str) -> Any:
        """Return the JSON result of a query; None if the server does not start with `settings`."""
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = ["postgres", "--single", "-j", "-D", str(self.folder), *options, "postgres"]
        process = self._run(command, text=f"{sql};\n\n")
        lines = [line for line in process.stdout.splitlines() if " 1: " in line and ' = "' in line]
        if process.returncode or not lines:
            return None
        return json.loads(lines[-1].split(' = "', 1)[1].rsplit('"', 1)[0])

    def accepts(self, name: str, value: str) -> bool:
        """Return whether the server accepts a setting in its configuration file."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            quoted = value.replace("'", "''")
            (folder / "postgresql.conf").write_text(f"{name} = '{quoted}'\n", encoding="utf-8")
            folder.chmod(0o755)
            return self._run(["postgres", "-D", str(folder), "-C", "port"]).returncode == 0

    def _run(
        self, command: list[str], *, text: str | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            input=text,
            text=True,
            capture_output=True,
            check=check,
            cwd="/",
            user=self._user.pw_uid,
            group=self._user.pw_gid,
            extra_groups=[],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )


def catalogue(scratch: Scratch, libraries: Path) -> dict[str, Any]:
    """Return the catalogue of an instance whose libraries are in a directory."""
    settings = {row["name"]: row for row in scratch.query(_SETTINGS)}
    return {
        "version": scratch.query(_VERSION)[0],
        "settings": {name: _setting(scratch, row) for name, row in settings.items()},
        "libraries": {
            file.stem: library
            for file in sorted(libraries.glob("*.so"))
            if not any(part in file.stem for part in _INTERNAL)
            and (library := _library(scratch, file.stem, settings)) is not None
        },
        "extensions": scratch.query(_EXTENSIONS),
    }


def _setting(scratch: Scratch, row: dict[str, Any]) -> dict[str, Any]:
    name, kind = row["name"], row["vartype"]
    setting = {"type": kind, "context": row["context"]}
    setting |= {key: row[column] for key, column in (("unit", "unit"),) if row[column] is not None}
    if kind in ("integer", "real"):
        setting |= {"min": float(row["min_val"]), "max": float(row["max_val"])}
    if row["category"].startswith("Developer"):
        setting["developer"] = True
    words = row["enumvals"] if kind == "enum" else ["on", "off"] if kind == "bool" else []
    if row["context"] != "internal" and words:
        refused = [word for word in words if not scratch.accepts(name, word)]
        if kind == "enum" or refused:
            setting["values"] = [word for word in words if word not in refused]
    return setting


def _library(scratch: Scratch, name: str, known: dict[str, Any]) -> dict[str, Any] | None:
    """Return a library's own settings, or None if the server does not start with it."""
    rows = scratch.query(_SETTINGS, shared_preload_libraries=name)
    if rows is None:
        return None
    in_session = scratch.query(_SETTINGS, session_preload_libraries=name) or []
    later = {row["name"] for row in in_session}
    added = [row for row in rows if row["name"] not in known]
    return {
        "settings": {row["name"]: _setting(scratch, row) for row in added},
        # Whether any of its settings is missing if it is loaded later than at server start.
        "needs_preload": any(row["name"] not in later for row in added),
    }


def text(listing: dict[str, Any]) -> str:
    """Return the catalogue as JSON with one line per name."""
    blocks = []
    for key, value in listing.items():
        if isinstance(value, str):
            blocks.append(f"{json.dumps(key)}: {json.dumps(value)}")
            continue
        names = value.items() if isinstance(value, dict) else [(None, name) for name in value]
        lines = [(f"{json.dumps(name)}: " if name else "") + json.dumps(entry) for name, entry in names]
        left, right = "{}" if isinstance(value, dict) else "[]"
        blocks.append(f"{json.dumps(key)}: {left}\n  " + ",\n  ".join(lines) + f"\n {right}")
    return "{" + ",\n ".join(blocks) + "}\n"


def main(arguments: list[str]) -> int:
    """Write the catalogue of the programs in the first argument to the file in the second."""
    if len(arguments) != 2:
        sys.stderr.write("usage: postgresql_catalogue.py BIN FILE\n")
        return 2
    programs, file = Path(arguments[0]), Path(arguments[1])
    with tempfile.TemporaryDirectory(prefix="postgresql-catalogue-") as temporary:
        user = pwd.getpwnam("postgres")
        folder = Path(temporary) / "scratch"
        folder.mkdir()
        Path(temporary).chmod(0o755)
        os.chown(folder, user.pw_uid, user.pw_gid)
        listing = catalogue(Scratch(programs, folder), programs.parent / "lib")
    file.write_text(text(listing), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
