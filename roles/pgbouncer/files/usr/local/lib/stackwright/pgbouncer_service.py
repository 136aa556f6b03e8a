#!/usr/bin/python3
"""Test, compare and reload the PgBouncer of this host. Managed by stackwright.

pgbouncer_service.py test FILE   start a scratch process with this pgbouncer.ini; fail if PgBouncer refuses it
pgbouncer_service.py pending     print what the running process needs to match its files: none, reload or restart
pgbouncer_service.py reload      run RELOAD, replace server connections whose settings have changed, and record what is
                                 loaded
pgbouncer_service.py mark        record what the process is about to load (run by the unit before the start)
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = Path("/etc/pgbouncer/pgbouncer.ini")
UNIT = Path("/etc/systemd/system/pgbouncer.service")
PROGRAM = Path("/usr/sbin/pgbouncer")
RUN = Path("/run/pgbouncer")
USER = "pgbouncer"


class PgBouncerError(Exception):
    """An error that is shown without a traceback."""


def settings(path: Path, section: str = "pgbouncer") -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";", "#"))
    parser.read_string(path.read_text())
    return dict(parser[section])


def server_settings(config: dict[str, str]) -> str:
    """Return the settings with which connections to servers are opened, and the limits of their number."""
    keys = [
        key for key in sorted(config) if key.startswith("server_tls") or "pool_size" in key or "db_connections" in key
    ]
    return json.dumps([settings(CONFIG, "databases"), [(key, config[key]) for key in keys]], sort_keys=True)


def ask(folder: Path, port: str, query: str) -> list[list[str]]:
    """Return the rows of a console query; the console admits its own system user through the socket."""
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--field-separator=\t"]
    server = [f"--host={folder}", f"--port={port}", f"--username={USER}", "--dbname=pgbouncer"]
    done = subprocess.run(
        ["psql", *options, *server, f"--command={query}"],
        text=True,
        capture_output=True,
        check=False,
        user=USER,
        group=USER,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PGCONNECT_TIMEOUT": "10"},
    )
    if done.returncode:
        raise PgBouncerError(done.stderr.strip())
    return [line.split("\t") for line in done.stdout.splitlines()]


def digest(paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def on_disk() -> dict[str, str]:
    config = settings(CONFIG)
    named = [
        Path(config[key])
        for key in sorted(config)
        if key == "auth_file" or key.endswith(("_cert_file", "_key_file", "_ca_file"))
    ]
    server = hashlib.sha256(server_settings(config).encode()).hexdigest()
    return {"files": digest([CONFIG, *named]), "unit": digest([UNIT, PROGRAM]), "server": server}


def note(loaded: dict[str, str]) -> None:
    """Record what is loaded, in the runtime directory, which is removed when the process ends."""
    path = RUN / "loaded.json"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(loaded, file)


def noted() -> dict[str, str]:
    try:
        return dict(json.loads((RUN / "loaded.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def same(key: str, configured: str, running: str) -> bool:
    if key == "unix_socket_mode":
        return int(configured, 8) == int(running)
    try:
        return float(configured) == float(running)
    except ValueError:
        return configured == running


def runs_replaced_files() -> bool:
    """Return whether the process executes code from a file that is no longer on disk."""
    command = ["systemctl", "show", "--property=MainPID", "--value", UNIT.name]
    pid = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout.strip()
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    # The path of the program itself is `/` then, because its unit bind-mounts it into a private mount namespace.
    return any("x" in line.split()[1] and line.endswith(" (deleted)") for line in lines)


def pending() -> None:
    before, now = noted(), on_disk()
    if before.get("unit") != now["unit"]:
        print("restart: unit or program")
        return
    if runs_replaced_files():
        print("restart: an update has replaced the program or a library")
        return
    # The process may still listen on the port of an earlier configuration.
    port = next(RUN.glob(".s.PGSQL.*[0-9]")).name.rsplit(".", 1)[1]
    running = {row[0]: (row[1], row[3]) for row in ask(RUN, port, "SHOW CONFIG")}
    changed = [key for key, value in settings(CONFIG).items() if not same(key, value, running[key][0])]
    static = [key for key in changed if running[key][1] == "no"]
    if static:
        print("restart:", *static)
    elif changed or before.get("files") != now["files"]:
        print("reload:", *changed or ["databases, users or certificates"])
    else:
        print("none")


def mark() -> None:
    note(on_disk())


def reload() -> None:
    before, now = noted(), on_disk()
    port = next(RUN.glob(".s.PGSQL.*[0-9]")).name.rsplit(".", 1)[1]
    ask(RUN, port, "RELOAD")
    if before.get("server") != now["server"]:
        # Each connection is replaced once no client uses it: surplus ones are closed, and new session limits apply.
        ask(RUN, port, "RECONNECT")
    note({**before, "files": now["files"], "server": now["server"]})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_files(config: dict[str, str]) -> None:
    """Check files that PgBouncer may open only for the first client or server."""
    for key, value in config.items():
        if not key.endswith("_file"):
            continue
        try:
            if key.endswith("_ca_file"):
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
            else:
                Path(value).read_bytes()
        except OSError as error:
            raise PgBouncerError(f"{key} = {value}: {error.strerror}") from error


def test(path: Path) -> None:
    """Start a scratch process as the same user, on a socket only, because no option of PgBouncer just checks a file."""
    config = settings(path)
    check_files(config)
    # The group of the key for clients, which the unit has through SupplementaryGroups.
    key = config.get("client_tls_key_file")
    groups = [Path(key).stat().st_gid] if key else []
    folder, port = Path(tempfile.mkdtemp(prefix="pgbouncer-test-")), str(free_port())
    overrides = {
        "listen_addr": "",
        "listen_port": port,
        "unix_socket_dir": str(folder),
        "logfile": "",
        "pidfile": "",
        "syslog": "0",
    }
    lines = [line for line in path.read_text().splitlines() if line.split("=")[0].strip() not in overrides]
    ini = folder / "pgbouncer.ini"
    ini.touch(0o600)
    for scratch_path in (folder, ini):
        shutil.chown(scratch_path, USER, USER)
    ini.write_text("\n".join([*lines, *(f"{key} = {value}" for key, value in overrides.items()), ""]))
    process = subprocess.Popen(
        [str(PROGRAM), str(ini)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=USER,
        group=USER,
        extra_groups=groups,
    )
    answered = False
    try:
        for _ in range(200):
            time.sleep(0.05)
            if process.poll() is not None:
                break
            if (folder / f".s.PGSQL.{port}").exists():
                answered = bool(ask(folder, port, "SHOW CONFIG"))
                break
    finally:
        process.kill()
        output = process.communicate()[0].splitlines()
        shutil.rmtree(folder)
    # If PgBouncer cannot read the file of logins, it only logs an error.
    errors = [line for line in output if any(f" {level} " in line for level in ("FATAL", "ERROR", "WARNING"))]
    if errors or not answered:
        raise PgBouncerError("PgBouncer refuses this configuration:\n" + "\n".join(errors or output[-8:]))


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["test", path]:
                test(Path(path))
            case ["pending" | "reload" | "mark" as verb]:
                {"pending": pending, "reload": reload, "mark": mark}[verb]()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (PgBouncerError, configparser.Error) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
