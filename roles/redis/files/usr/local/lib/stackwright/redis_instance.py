#!/usr/bin/python3
"""Compare, reload, test, snapshot and use the Redis instances of this host. Managed by stackwright.

redis_instance.py pending NAME...  print for each running instance what it needs to match its files: none, reload or
                                   restart
redis_instance.py reload NAME      apply users, certificates and settings while the instance runs
redis_instance.py mark NAME        record what an instance is about to load (run by the unit before the start)
redis_instance.py test FILE        start a scratch instance with this redis.conf; fail if Redis refuses it
redis_instance.py test-acl FILE    do the same with this users.acl
redis_instance.py snapshot         write a new RDB file for every instance with persistence
redis_instance.py reaches HOST PORT          fail if a connection to this address is not possible
redis_instance.py follow NAME HOST PORT      copy the data of the instance at HOST and keep replicating it; read the
                                             password of its operators from stdin
redis_instance.py hand-over NAME HOST PORT   promote the copy at HOST without losing a write, stop this instance and
                                             forward its connections from then on; read the password of the copy's
                                             operators from stdin
redis_instance.py admit ADDRESS PORT         admit an address in the packet filter of a host that is being retired
redis_instance.py release                    end all forwarding
redis_instance.py cli NAME ARG...  run redis-cli as the operators' user, with no password on the command line
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
UNITS = Path("/etc/systemd/system")
FORWARD = "redis-forward-"
#: Longer than a hand-over takes; after this time, clients continue with the instance that they know.
PAUSE_MS = 30_000
PROGRAM = Path("/usr/bin/redis-server")
# The settings that CONFIG SET refuses; all others are applied while Redis runs.
STATIC = {
    *("aclfile", "always-show-logo", "daemonize", "databases", "dbfilename", "dir", "enable-debug-command"),
    *("enable-module-command", "enable-protected-configs", "logfile", "supervised", "tcp-backlog", "unixsocket"),
    "unixsocketperm",
}
TLS = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")


class RedisError(Exception):
    """An error that is shown without a traceback."""


def settings(path: Path) -> dict[str, str]:
    """Return the settings of a redis.conf in the form of CONFIG GET."""
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
    """Return the lines of a response. The running instance may still use an older password than the one in the file."""
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
    """Record what is loaded, in the runtime directory, which is removed when the process ends."""
    keep(Path(f"/run/redis-{name}/loaded.json"), json.dumps(loaded))
    keep(loaded_password(name), (FOLDER / name / "admin.password").read_text())


def keep(path: Path, text: str) -> None:
    """Write a file into a directory of the service's user, who must not be able to redirect root to another file."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def mark(name: str) -> None:
    path, moved = FOLDER / name / "redis.conf", FOLDER / name / "moved"
    release(settings(path)["tls-port"])
    if moved.exists():
        # The data on the other host is newer, but clients may still connect here: serve nothing until `follow` has
        # copied it.
        host, port = moved.read_text().split()[1].rsplit(":", 1)
        lines = (f"replicaof {host} {port}", "replica-serve-stale-data no")
        path.write_text("\n".join([*without_source(path), *lines, ""]))
    note(name, on_disk(name))


def without_source(path: Path) -> list[str]:
    """Return the lines of a redis.conf without those that `mark` adds."""
    return [
        line
        for line in path.read_text().splitlines()
        if not line.startswith(("replicaof ", "replica-serve-stale-data "))
    ]


def noted(name: str) -> dict[str, str]:
    try:
        return dict(json.loads(Path(f"/run/redis-{name}/loaded.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def differing(name: str) -> dict[str, str]:
    """Return the settings of the file that have another value in the running instance."""
    configured = settings(FOLDER / name / "redis.conf")
    lines = ask(name, "CONFIG", "GET", *configured)
    running = dict(zip(lines[::2], lines[1::2], strict=False))
    return {key: value for key, value in configured.items() if running.get(key, "").strip() != value.strip()}


def users_differ(name: str) -> bool:
    """Return whether a user of the running instance was changed.

    Redis rewrites rules, so a scratch instance is asked for its version of the file, once for each content.
    """
    users = (FOLDER / name / "users.acl").read_text()
    note, content = Path(f"/run/redis-{name}/users.sha256"), hashlib.sha256(users.encode()).hexdigest()
    known = note.read_text().split() if note.exists() else []
    if known[:1] != [content]:
        known = [content, listed(ask_scratch(users))]
        keep(note, " ".join(known))
    return listed(ask(name, "ACL", "LIST")) != known[1]


def listed(users: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(users)).encode()).hexdigest()


def pending(name: str) -> None:
    before, now = noted(name), on_disk(name)
    changed = differing(name)
    if before.get("users") == now["users"] and users_differ(name):
        before.pop("users")
    static = sorted(STATIC & changed.keys())
    if before.get("unit") != now["unit"] or static:
        print(name, "restart:", *sorted({*static, *({"tls-port"} & changed.keys())}) or ["unit or program"])
    elif before != now or changed:
        print(name, "reload:", *sorted(changed), *(key for key in now if before.get(key) != now[key]))
    else:
        print(name, "none")


def reload(name: str) -> None:
    before, now = noted(name), on_disk(name)
    changed = {key: value for key, value in differing(name).items() if key not in STATIC}
    if before.get("certificates") != now["certificates"]:
        # Redis reads a renewed certificate when the same path is set again.
        configured = settings(FOLDER / name / "redis.conf")
        changed |= {key: configured[key] for key in TLS}
    previous_port = ask(name, "CONFIG", "GET", "tls-port")[1]
    if "tls-port" in changed:
        release(changed["tls-port"])
    if changed:
        ask(name, "CONFIG", "SET", *(word for pair in changed.items() for word in pair))
    if "tls-port" in changed:
        bind = settings(FOLDER / name / "redis.conf")["bind"]
        forward(name, f"{bind}:{previous_port}", f"{bind}:{changed['tls-port']}")
    # This needs no comparison: clients of unchanged users keep their connections.
    ask(name, "ACL", "LOAD")
    note(name, {**now, "unit": before.get("unit", "")})


def systemctl(*arguments: str) -> None:
    done = subprocess.run(["systemctl", *arguments], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise RedisError(f"systemctl {' '.join(arguments)}: {done.stderr.strip()}")


def runs(name: str) -> bool:
    done = subprocess.run(["systemctl", "is-active", "--quiet", f"redis@{name}.service"], check=False)
    return done.returncode == 0


def forward(name: str, listen: str, target: str) -> None:
    """Forward connections from `listen` to `target`, until all clients use the new address."""
    unit = f"{FORWARD}{name}"
    (UNITS / f"{unit}.socket").write_text(
        f"[Unit]\nDescription=Previous place of the Redis instance {name}\n"
        f"[Socket]\nListenStream={listen}\nFreeBind=true\n[Install]\nWantedBy=sockets.target\n"
    )
    (UNITS / f"{unit}.service").write_text(
        f"[Unit]\nDescription=Forward to the Redis instance {name}\nRequires={unit}.socket\nAfter={unit}.socket\n"
        f"[Service]\nExecStart=/usr/lib/systemd/systemd-socket-proxyd --connections-max=4096 {target}\n"
        "DynamicUser=true\nNoNewPrivileges=true\nPrivateTmp=true\nProtectSystem=strict\nProtectHome=true\n"
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\nLimitNOFILE=16384\n"
    )
    systemctl("daemon-reload")
    systemctl("enable", "--now", "--quiet", f"{unit}.socket")


def forwarders() -> list[Path]:
    return sorted(UNITS.glob(f"{FORWARD}*.socket"))


def release(port: str | None = None) -> bool:
    """End all forwarding or that of one port; return whether there was any."""
    ended = False
    for socket_unit in forwarders():
        if port is not None and f":{port}\n" not in socket_unit.read_text():
            continue
        service = socket_unit.with_suffix(".service")
        systemctl("disable", "--now", "--quiet", socket_unit.name)
        systemctl("stop", service.name)
        socket_unit.unlink()
        service.unlink(missing_ok=True)
        systemctl("daemon-reload")
        ended = True
    return ended


def info(lines: list[str]) -> dict[str, str]:
    return dict(line.strip().split(":", 1) for line in lines if ":" in line)


def remote(name: str, host: str, port: str, password: str, *command: str) -> list[str]:
    """Run a command on the instance at `host` as its operators' user, and return the lines of the response."""
    config = settings(FOLDER / name / "redis.conf")
    files = ["--cacert", config["tls-ca-cert-file"], "--cert", config["tls-cert-file"], "--key", config["tls-key-file"]]
    argv = ["redis-cli", "-h", host, "-p", port, "--tls", *files, "--user", "admin", "--no-auth-warning", *command]
    environment = {**os.environ, "REDISCLI_AUTH": password}
    done = subprocess.run(argv, env=environment, text=True, capture_output=True, check=False)
    answer = done.stdout.strip("\n")
    if done.returncode != 0 or answer.split(" ", 1)[0] in ("WRONGPASS", "NOAUTH", "ERR", "NOPERM"):
        raise RedisError(f"{host}:{port}: {command[0]}: {(answer or done.stderr).strip()}")
    return answer.split("\n")


def reaches(host: str, port: str) -> None:
    try:
        socket.create_connection((host, int(port)), 3).close()
    except OSError as error:
        raise RedisError(f"{host}:{port}: {error}") from error


def follow(name: str, host: str, port: str, password: str) -> None:
    ask(name, "CONFIG", "SET", "tls-replication", "yes", "masteruser", "admin")
    set_source_password(name, password)
    ask(name, "REPLICAOF", host, port)
    for _ in range(6000):
        state = info(ask(name, "INFO", "replication"))
        if state.get("master_link_status") == "up" and state.get("master_sync_in_progress") == "0":
            ask(name, "CONFIG", "SET", "replica-serve-stale-data", "yes")
            path = FOLDER / name / "redis.conf"
            path.write_text("\n".join([*without_source(path), ""]))
            (FOLDER / name / "moved").unlink(missing_ok=True)
            return
        time.sleep(0.1)
    raise RedisError(f"redis@{name}: not a copy of {host}:{port} within 10 minutes, see /var/log/redis/{name}.log")


def set_source_password(name: str, password: str) -> None:
    """Set the replication password through standard input, because all users can read a command line."""
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    done = subprocess.run(
        connection(name),
        input=f'CONFIG SET masterauth "{quoted}"\n',
        env=environment(name, loaded_password(name)),
        text=True,
        capture_output=True,
        check=False,
    )
    if done.stdout.strip() != "OK":
        raise RedisError(f"redis@{name}: CONFIG SET masterauth was refused")


def hand_over(name: str, host: str, port: str, password: str) -> None:
    moved = FOLDER / name / "moved"
    config = settings(FOLDER / name / "redis.conf")
    if not moved.exists():
        if not runs(name):
            raise RedisError(f"redis@{name} does not run, so what it holds cannot be moved to {host}; start it first")
        # Read from the running instance, because the file may already contain another port.
        config["tls-port"] = ask(name, "CONFIG", "GET", "tls-port")[1]
        ask(name, "CLIENT", "PAUSE", str(PAUSE_MS), "WRITE")
        try:
            wait_for_copy(name, host, port, password)
            remote(name, host, port, password, "REPLICAOF", "NO", "ONE")
        except RedisError:
            ask(name, "CLIENT", "UNPAUSE")
            raise
        # The data that it would save on shutdown is already on the other host.
        moved.write_text(f"{config['bind']}:{config['tls-port']} {host}:{port}\n")
        ask(name, "CONFIG", "SET", "save", "", "appendonly", "no")
    systemctl("disable", "--now", "--quiet", f"redis@{name}.service")
    listen, target = moved.read_text().split()
    forward(name, listen, target)
    remote(name, host, port, password, "CONFIG", "SET", "masterauth", "", "masteruser", "")


def wait_for_copy(name: str, host: str, port: str, password: str) -> None:
    """Wait until the copy has all data; writes are paused meanwhile."""
    for _ in range(PAUSE_MS // 200):
        offset = info(ask(name, "INFO", "replication"))["master_repl_offset"]
        there = info(remote(name, host, port, password, "INFO", "replication"))
        if there.get("master_link_status") == "up" and there.get("slave_repl_offset") == offset:
            return
        time.sleep(0.05)
    raise RedisError(f"redis@{name}: {host}:{port} has not caught up while writes waited")


def admit(address: str, port: str) -> None:
    rule = ["ip", "saddr", address, "tcp", "dport", port, "accept", "comment", '"redis moves"']
    done = subprocess.run(
        ["nft", "insert", "rule", "inet", "stackwright", "input", *rule], text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        raise RedisError(f"nft: {done.stderr.strip()}")


def snapshot() -> None:
    for folder in sorted(FOLDER.iterdir()):
        config = settings(folder / "redis.conf")
        if config["appendonly"] == "no" and not config["save"]:
            continue
        wait_for_save(folder.name)
        before = ask(folder.name, "LASTSAVE")
        # LASTSAVE has a resolution of one second: a second save in the same second would not be visible.
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


def try_out(
    folder: Path, config: str, overrides: dict[str, str], groups: list[int], question: tuple[str, ...] = ()
) -> list[str]:
    """Start Redis with this configuration next to the real instances, as the service's user; return its answer."""
    directives = {
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
    inherited = [line for line in config.splitlines() if (line.split() or [""])[0] not in directives]
    text = "\n".join([*inherited, *(f"{key} {value}" for key, value in directives.items()), ""])
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
    client = ["redis-cli", "-s", directives["unixsocket"]]
    try:
        for _ in range(400):
            answer = subprocess.run([*client, "PING"], text=True, capture_output=True, check=False)
            # A Redis that has accepted its configuration answers NOAUTH to a client without a login.
            if answer.stdout.startswith("NOAUTH"):
                if not question:
                    return []
                done = subprocess.run([*client, *question], text=True, capture_output=True, check=True)
                return done.stdout.splitlines()
            if process.poll() is not None:
                break
            time.sleep(0.05)
    finally:
        process.terminate()
        output = process.communicate()[0]
    raise RedisError("Redis refuses this configuration:\n" + "\n".join(output.splitlines()[-8:]))


def test(path: Path) -> None:
    # The group of the key, which the unit has through SupplementaryGroups.
    groups = [Path(settings(path)["tls-key-file"]).stat().st_gid]
    with scratch("user default reset off\n") as folder:
        try_out(folder, path.read_text(), {"bind": "127.0.0.1", "tls-port": str(free_port())}, groups)


def test_acl(path: Path) -> None:
    with scratch(path.read_text()) as folder:
        try_out(folder, "", {}, [])


def ask_scratch(users: str) -> list[str]:
    """Return these users as Redis lists them."""
    question = ("--user", "question", "--pass", "any", "--no-auth-warning", "ACL", "LIST")
    with scratch(f"{users.rstrip()}\nuser question on nopass +acl\n") as folder:
        lines = try_out(folder, "", {}, [], question)
    return [line for line in lines if not line.startswith("user question ")]


def cli(name: str, *arguments: str) -> None:
    os.execvpe("redis-cli", [*connection(name), *arguments], environment(name))


def main(arguments: list[str]) -> int:
    try:
        match arguments:
            case ["pending", *names]:
                for name in names:
                    pending(name)
            case ["reload" | "mark" as verb, name]:
                {"reload": reload, "mark": mark}[verb](name)
            case ["test" | "test-acl" as verb, path]:
                {"test": test, "test-acl": test_acl}[verb](Path(path))
            case ["reaches", host, port]:
                reaches(host, port)
            case ["follow" | "hand-over" as verb, name, host, port]:
                {"follow": follow, "hand-over": hand_over}[verb](name, host, port, sys.stdin.read().strip())
            case ["admit", address, port]:
                admit(address, port)
            case ["release"] | ["release", "--dry-run"]:
                ended = forwarders() if "--dry-run" in arguments else release()
                print("released" if ended else "none")
            case ["snapshot"]:
                snapshot()
            case ["cli", name, *command]:
                cli(name, *command)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except RedisError as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
