"""A whole environment under test: its commands, hosts, edge and secrets, accessed as its users access them."""

from __future__ import annotations

import http.client
import ipaddress
import json
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from stackwright import project
from stackwright.cli.report import write_ca
from stackwright.infra import engine
from stackwright.infra.identity import store
from stackwright.infra.local.podman import Podman
from stackwright.model import environment as model
from stackwright.model.inventory import ADMIN_USER
from stackwright.secret_store import SecretStore
from stackwright.testing import command, on_host
from stackwright.verify import Answer, Edge

#: Upper limits, not expectations: the two cores may be shared with another run.
UP_SECONDS = 2700
CONVERGE_SECONDS = 1800
SHORT_SECONDS = 300
_HTTP_SECONDS = 60

Process = tuple[str, ...]


def wait_until(check: Callable[[], bool], what: str, seconds: float = 60, pause: float = 1.0) -> None:
    """Return as soon as `check` is true; raise AssertionError with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(pause)


class Connection(http.client.HTTPSConnection):
    """A connection to an edge's address with a site's name; reconnects after the edge has closed it."""

    def __init__(self, edge: Edge, name: str, seconds: float = _HTTP_SECONDS) -> None:
        super().__init__(name, timeout=seconds, context=edge.context)
        self._edge, self._name = edge, name

    def connect(self) -> None:
        self.sock = self._edge.connect(self._name, tls=True)
        self.sock.settimeout(self.timeout)
        # Otherwise the body of a small POST would wait for the acknowledgement of its headers.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Client:
    """A client of a site, with requests as a user sends them."""

    def __init__(self, edge: Edge, name: str) -> None:
        self.edge, self.name = edge, name

    def connection(self) -> Connection:
        return Connection(self.edge, self.name)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        session: str | None = None,
        over: Connection | None = None,
    ) -> Answer:
        """Send a request (a mapping is sent as JSON) over a new connection, or over the given one, which stays open."""
        sent = dict(headers or {})
        if session is not None:
            sent["Cookie"] = f"sid={session}"
        if isinstance(body, Mapping):
            sent["Content-Type"], body = "application/json", json.dumps(body).encode()
        connection = over or self.connection()
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            names = {key.lower(): value for key, value in response.getheaders()}
            return Answer(status=response.status, headers=names, body=response.read())
        finally:
            if over is None:
                connection.close()

    def get(self, path: str, session: str | None = None) -> Answer:
        return self.request("GET", path, session=session)

    def json(self, path: str, session: str | None = None) -> Any:
        """Return the JSON of a GET that is answered with 200."""
        answer = self.get(path, session)
        assert answer.status == http.HTTPStatus.OK, (path, answer)
        return json.loads(answer.body)

    def log_in(self, password: str, user: str = "admin") -> Answer:
        return self.request("POST", "/api/login", {"username": user, "password": password})


class Environment:
    """An environment of this project, given by name."""

    def __init__(self, name: str) -> None:
        self.name, self.root = name, project.root()
        self.file = Path("inventories") / name / "stack.yml"
        self.state_folder = project.state_folder(name)

    # --- commands -----------------------------------------------------------------------------------------------

    def run(
        self,
        *argv: str,
        seconds: float = SHORT_SECONDS,
        expect: int | None = 0,
        variables: Mapping[str, str] | None = None,
    ) -> command.Done:
        """Run a command at the project's root, as described in the README."""
        return command.run(argv, folder=self.root, seconds=seconds, expect=expect, variables=variables)

    def stackwright(
        self, verb: str, *options: str, seconds: float = UP_SECONDS, expect: int | None = 0
    ) -> command.Done:
        return self.run("stackwright", verb, self.name, *options, seconds=seconds, expect=expect)

    def converge_quickly(self) -> str:
        """Return what `stackwright converge --quick` prints."""
        argv = ("stackwright", "converge", self.name, "--quick")
        return self.run(*argv, seconds=UP_SECONDS, variables={"STACKWRIGHT_REPLAY": "1"}).output

    def playbook(self, *names: str, options: tuple[str, ...] = ()) -> command.Recap:
        """Run playbooks with `ansible-playbook`."""
        return command.converge(self._argv(names, options), folder=self.root, seconds=CONVERGE_SECONDS)

    def converge(self, *options: str) -> command.Recap:
        return self.playbook("site", options=options)

    def interrupt(self, host: str, task: str) -> None:
        """Start a converge of one host and kill it as soon as `task` has changed the host."""
        command.interrupt(
            self._argv(("site",), ("--limit", host)), folder=self.root, seconds=CONVERGE_SECONDS, host=host, task=task
        )

    def pulumi(self, *arguments: str) -> str:
        """Run a Pulumi command for the stack; return its output."""
        argv = ("pulumi", *arguments, "--non-interactive")
        pulumi_command = engine.Command(argv=argv, folder=self.root / "pulumi", variables=engine.variables(self.name))
        done = engine.run(pulumi_command)
        assert done.returncode == 0, f"{pulumi_command}\n{done.stderr}"
        return done.stdout

    def _argv(self, playbooks: tuple[str, ...], options: tuple[str, ...]) -> list[str]:
        return ["ansible-playbook", "-i", str(self.file), *[f"playbooks/{name}.yml" for name in playbooks], *options]

    # --- facts --------------------------------------------------------------------------------------------------

    @property
    def model(self) -> model.Environment:
        return model.load(self.root / self.file)

    @cached_property
    def stack(self) -> Mapping[str, Any]:
        """Return the read-only facts that Ansible receives."""
        facts: Mapping[str, Any] = engine.inventory(self.model).variables["stack"]
        return facts

    @property
    def hosts(self) -> list[str]:
        return list(self.stack["hosts"])

    def group(self, name: str) -> list[str]:
        return list(self.stack["groups"][name])

    def address(self, host: str) -> str:
        return str(self.stack["hosts"][host]["address"])

    @property
    def domain(self) -> str:
        return str(self.stack["domain"])

    @property
    def app(self) -> str:
        return str(next(iter(self.stack["apps"])))

    @cached_property
    def ca_file(self) -> Path:
        path = write_ca(self.model)
        assert path is not None, "the environment's issuer is not its own CA"
        return path

    @property
    def edge(self) -> Edge:
        return Edge(self.address(self.group("edge")[0]), self.ca_file)

    @property
    def client(self) -> Client:
        return Client(self.edge, self.domain)

    @property
    def secrets(self) -> SecretStore:
        return store(self.model)

    # --- hosts --------------------------------------------------------------------------------------------------

    def ssh(self, host: str, script: str, text: str = "", *, expect: int | None = 0) -> str:
        """Return the output of a shell script, run as root on a host; `text` is its standard input."""
        return self._ssh(host, ["sh", "-euc", script], text, expect)

    def ask(self, host: str, program: str, question: Any = None) -> Any:
        """Run one of the programs of `stackwright.testing.on_host` on a host."""
        source = (Path(on_host.__file__).parent / f"{program}.py").read_text()
        return json.loads(self._ssh(host, ["python3", "-c", source], json.dumps(question), 0))

    def _ssh(self, host: str, argv: list[str], text: str, expect: int | None) -> str:
        folder = self.state_folder / "ssh"
        options = [
            *("-o", f"UserKnownHostsFile={folder / 'known_hosts'}"),
            *("-o", "StrictHostKeyChecking=yes"),
            *("-o", "IdentitiesOnly=yes"),
            *("-o", "BatchMode=yes"),
            *("-o", "ConnectTimeout=20"),
            *("-o", "LogLevel=ERROR"),
        ]
        login = ["ssh", "-i", str(folder / "id_ed25519"), *options, f"{ADMIN_USER}@{self.address(host)}"]
        done = subprocess.run(
            [*login, shlex.join(["sudo", "-n", *argv])],
            input=text,
            capture_output=True,
            text=True,
            timeout=SHORT_SECONDS,
            check=False,
        )
        if expect is not None and done.returncode != expect:
            shown = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            raise command.CommandError(f"{host}: {argv[-1][:500]}\nexit code {done.returncode}\n{shown}")
        return done.stdout

    def leader(self) -> str:
        """Return the host whose PostgreSQL accepts writes."""
        return next(host for host in self.group("database") if self._psql(host, "SELECT pg_is_in_recovery()") == "f")

    def sql(self, query: str, database: str) -> str:
        """Return the result of a query on the leader of the database cluster."""
        return self._psql(self.leader(), query, database)

    def _psql(self, host: str, query: str, database: str = "postgres") -> str:
        argv = ["psql", "--no-psqlrc", "-At", f"--dbname={database}", "--set=ON_ERROR_STOP=1", f"--command={query}"]
        return self.ssh(host, f"cd / && exec runuser -u postgres -- {shlex.join(argv)}").strip()

    # --- what runs ----------------------------------------------------------------------------------------------

    def instances(self) -> dict[str, dict[str, Any] | None]:
        """Return the self-description of each application instance, by "host:port"; None if it does not answer."""
        placed = self.stack["apps"][self.app]["instances_by_host"]
        members = [(host, instance) for host, ones in placed.items() for instance in ones]
        targets = [[instance["address"], instance["port"]] for _, instance in members]
        answers = self.ask(self.group("edge")[0], "instances", targets)
        return {f"{host}:{instance['port']}": answer for (host, instance), answer in zip(members, answers, strict=True)}

    def releases(self) -> set[str | None]:
        """Return the releases that the instances run, with None if an instance does not answer."""
        return {answer["release"] if answer else None for answer in self.instances().values()}

    def processes(self) -> dict[str, Process]:
        """Return main process and start of each service, and each instance's process: equal if nothing restarted."""
        process_by_name: dict[str, Process] = {}
        for host in self.hosts:
            for unit, (state, *run) in self.ask(host, "services").items():
                if run:
                    process_by_name[f"{host} {unit}"] = (state, *run)
        for name, instance in self.instances().items():
            process_by_name[name] = (str(instance and instance["pid"]),)
        return process_by_name

    def condition(self) -> dict[str, str]:
        """Return managed files and states of services on every host: equal if two converges had the same result."""
        states: dict[str, str] = {}
        for host in self.hosts:
            states |= {f"{host} {path}": text for path, text in self.ask(host, "files").items()}
            states |= {f"{host} {unit}": state for unit, (state, *_) in self.ask(host, "services").items()}
        return states

    def leftovers(self) -> list[str]:
        """Return the remnants on this machine of an environment that was destroyed."""
        podman = Podman()
        remnants = [f"container {name}" for name in podman.hosts(self.name)]
        if podman.find_network(self.name) is not None:
            remnants.append(f"network {self.name}")
        network = ipaddress.ip_network(self.model.network.cidr)
        remnants += [
            f"route by {interface}" for destination, interface in podman.routes() if destination.overlaps(network)
        ]
        if self.state_folder.exists():
            remnants.append(f"folder {self.state_folder}")
        return remnants

    def forget(self) -> None:
        """Drop what was read of the environment, because it is about to change."""
        for name in ("stack", "ca_file"):
            self.__dict__.pop(name, None)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the differences of two states: {name: (before, after)}."""
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def reset_artifact(environment: Environment) -> str:
    """Select the release built from the current sources for environments to run; return its id."""
    environment.run("python", "-m", "stackwright.artifact", "application", seconds=1200)
    return selected_release(environment)


def selected_release(environment: Environment) -> str:
    """Return the id of the release that a converge would deploy."""
    app = environment.stack["apps"][environment.app]
    return str(json.loads((environment.root / app["artifact"]).read_text())["release"])
