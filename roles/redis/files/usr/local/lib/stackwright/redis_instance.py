#!/usr/bin/python3
"""Compare, reload, test, snapshot and use the Redis instances of this host. Managed by stackwright.

redis_instance.py pending NAME     prints none, reload or restart: what the running instance owes to its files
redis_instance.py reload NAME      applies users, certificates and settings while it runs
redis_instance.py mark NAME        notes what an instance is about to load (unit: before start)
redis_instance.py test FILE        starts a scratch instance with this redis.conf; fails if Redis refuses it
redis_instance.py test-acl FILE    the same with this users.acl
redis_instance.py snapshot         writes a fresh RDB file of every instance that persists
redis_instance.py cli NAME ARG...  redis-cli as the operators' user, password not on the command line
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path("/etc/redis/instances")
UNIT = Path("/etc/systemd/system/redis@.service")
PROGRAM = Path("/usr/bin/redis-server")
# What CONFIG SET refuses; anything else is applied while Redis runs.
STATIC = {
    *("aclfile", "always-show-logo", "daemonize", "databases", "dbfilename", "dir", "enable-debug-command"),
    *("enable-module-command", "enable-protected-configs", "logfile", "supervised", "tcp-backlog", "unixsocket"),
    "unixsocketperm",
}
TLS = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")


class RedisError(Exception):
    """An error to show without a traceback."""


def settings(path: Path) -> dict[str, str]:
    """The keys of a redis.conf as CONFIG GET gives them."""
    lines = (shlex.split(line, comments=True) for line in path.read_text().splitlines())
    return {words[0]: " ".join(words[1:]) for words in lines if words}


def connection(name: str) -> list[str]:
    return ["redis-cli", "-s", f"/run/redis-{name}/redis.sock", "--user", "admin", "--no-auth-warning"]


def environment(name: str, password: Path | None = None) -> dict[str, str]:
    secret = (password or FOLDER / name / "admin.password").read_text().strip()
    return {**os.environ, "REDISCLI_AUTH": secret}


def loaded_password(name: str) -> Path:
    return Path(f"/run/redis-{name}/admin.password")


def ask(name: str, *command: str) -> list[str]:
    """The lines of an answer. The password that the running instance knows may be older than the one in the file."""
    message = ""
    for password in (loaded_password(name), FOLDER / name / "admin.password"):
        if not password.exists():
            continue
        done = subprocess.run(
            [*connection(name), *command], env=environment(name, password), text=True, capture_output=True, check=False
        )
        answer = done.stdout.strip("\n")
        message = answer or done.stderr
        first = message.split(" ", 1)[0]
        if done.returncode == 0 and first not in ("WRONGPASS", "NOAUTH", "ERR", "NOPERM"):
            return answer.split("\n")
        if first not in ("WRONGPASS", "NOAUTH") and "AUTH failed" not in message:
            break
    raise RedisError(f"redis@{name}: {command[0]} {command[1] if len(command) > 1 else ''}: {message.strip()}")


def digest(paths: list[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def on_disk(name: str) -> dict[str, str]:
    config = settings(FOLDER / name / "redis.conf")
    return {
        "users": digest([FOLDER / name / "users.acl"]),
        "certificates": digest([Path(config[key]) for key in TLS]),
        "unit": digest([UNIT, PROGRAM]),
    }


def note(name: str, loaded: dict[str, str]) -> None:
    """The run-time folder goes with the process, and with it what is noted here."""
    for path, text in (
        (Path(f"/run/redis-{name}/loaded.json"), json.dumps(loaded)),
        (loaded_password(name), (FOLDER / name / "admin.password").read_text()),
    ):
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)


def mark(name: str) -> None:
    note(name, on_disk(name))


def noted(name: str) -> dict[str, str]:
    try:
        return dict(json.loads(Path(f"/run/redis-{name}/loaded.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def differing(name: str) -> dict[str, str]:
    """Keys of the file whose value in the running instance is another one."""
    wanted = settings(FOLDER / name / "redis.conf")
    lines = ask(name, "CONFIG", "GET", *wanted)
    running = dict(zip(lines[::2], lines[1::2], strict=False))
    return {key: value for key, value in wanted.items() if running.get(key, "").strip() != value.strip()}


def pending(name: str) -> None:
    before, now = noted(name), on_disk(name)
    changed = differing(name)
    static = sorted(STATIC & changed.keys())
    if before.get("unit") != now["unit"] or static:
        print("restart:", *static or ["unit or program"])
    elif before != now or changed:
        print("reload:", *sorted(changed), *(key for key in now if before.get(key) != now[key]))
    else:
        print("none")


def reload(name: str) -> None:
    before, now = noted(name), on_disk(name)
    changed = {key: value for key, value in differing(name).items() if key not in STATIC}
    if before.get("certificates") != now["certificates"]:
        # Setting the same path again is how Redis reads a renewed certificate.
        wanted = settings(FOLDER / name / "redis.conf")
        changed |= {key: wanted[key] for key in TLS}
    if changed:
        ask(name, "CONFIG", "SET", *(word for pair in changed.items() for word in pair))
    if before.get("users") != now["users"]:
        ask(name, "ACL", "LOAD")
    note(name, {**now, "unit": before.get("unit", "")})


def snapshot() -> None:
    for folder in sorted(FOLDER.iterdir()):
        config = settings(folder / "redis.conf")
        if config["appendonly"] == "no" and not config["save"]:
            continue
        wait_for_save(folder.name)
        before = ask(folder.name, "LASTSAVE")
        # LASTSAVE counts in seconds: a second save within one would look like none.
        time.sleep(1.1)
        ask(folder.name, "BGSAVE")
        wait_for_save(folder.name)
        if ask(folder.name, "LASTSAVE") == before:
            raise RedisError(f"redis@{folder.name}: the snapshot failed, see /var/log/redis/{folder.name}.log")


def wait_for_save(name: str) -> None:
    for _ in range(6000):
        if "rdb_bgsave_in_progress:0" in (line.strip() for line in ask(name, "INFO", "persistence")):
            return
        time.sleep(0.1)
    raise RedisError(f"redis@{name}: a snapshot still runs after 10 minutes")


@contextmanager
def scratch(users: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="redis-test-"))
    acl = folder / "users.acl"
    acl.touch(0o600)
    try:
        for path in (folder, acl):
            shutil.chown(path, "redis", "redis")
        acl.write_text(users)
        yield folder
    finally:
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def try_out(folder: Path, config: str, overrides: dict[str, str], groups: list[int]) -> None:
    """Start Redis with this configuration beside the real instances, as the service's user, until it answers."""
    wanted = {
        "port": "0",
        "unixsocket": str(folder / "redis.sock"),
        "dir": str(folder),
        "logfile": '""',
        "supervised": "no",
        "save": '""',
        "appendonly": "no",
        "aclfile": str(folder / "users.acl"),
        **overrides,
    }
    kept = [line for line in config.splitlines() if (line.split() or [""])[0] not in wanted]
    text = "\n".join([*kept, *(f"{key} {value}" for key, value in wanted.items()), ""])
    (folder / "redis.conf").write_text(text)
    process = subprocess.Popen(
        ["redis-server", str(folder / "redis.conf")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user="redis",
        group="redis",
        extra_groups=groups,
    )
    ping = ["redis-cli", "-s", wanted["unixsocket"], "PING"]
    try:
        for _ in range(400):
            answer = subprocess.run(ping, text=True, capture_output=True, check=False)
            # Without a login the answer of a Redis that accepted its configuration is a refusal.
            if answer.stdout.startswith("NOAUTH"):
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        process.terminate()
        output = process.communicate()[0]
    raise RedisError("Redis refuses this configuration:\n" + "\n".join(output.splitlines()[-8:]))


def test(path: Path) -> None:
    # The key's group, as the unit's SupplementaryGroups gives it.
    groups = [Path(settings(path)["tls-key-file"]).stat().st_gid]
    with scratch("user default reset off\n") as folder:
        try_out(folder, path.read_text(), {"bind": "127.0.0.1", "tls-port": str(free_port())}, groups)


def test_acl(path: Path) -> None:
    with scratch(path.read_text()) as folder:
        try_out(folder, "", {}, [])


def cli(name: str, *arguments: str) -> None:
    os.execvpe("redis-cli", [*connection(name), *arguments], environment(name))


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["pending" | "reload" | "mark" as verb, name]:
                {"pending": pending, "reload": reload, "mark": mark}[verb](name)
            case ["test" | "test-acl" as verb, path]:
                {"test": test, "test-acl": test_acl}[verb](Path(path))
            case ["snapshot"]:
                snapshot()
            case ["cli", name, *rest]:
                cli(name, *rest)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except RedisError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
