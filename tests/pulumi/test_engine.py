"""How Pulumi is called: variables, commands, and the language host that a CLI of our own needs."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import grpc
import pytest
import yaml
from conftest import ROOT
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from stackwright import processes
from stackwright.infra import engine
from stackwright.model.output import RETIRING_VARIABLE
from stackwright.model.transition import Transition


@pytest.fixture
def cli(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `pulumi` on PATH that says its version."""
    path = project / "bin" / "pulumi"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho v3.300.1\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    return path


def test_the_state_is_the_environments_own(cli: Path, project: Path) -> None:
    found = engine.variables("test")
    folder = project / ".state/test/pulumi"
    assert found["PULUMI_BACKEND_URL"] == folder.as_uri()
    assert found["PULUMI_HOME"] == str(folder / "home")
    assert found["PULUMI_STACK"] == "test"
    path = found["PATH"].split(os.pathsep)
    assert path[:2] == [str(cli.parent), str(Path(sys.executable).parent)]


def test_the_passphrase_is_made_once_and_is_its_owners_alone(cli: Path, project: Path) -> None:
    path = Path(engine.variables("test")["PULUMI_CONFIG_PASSPHRASE_FILE"])
    first = path.read_text()
    engine.variables("test")
    assert path.read_text() == first
    assert len(first) >= 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert (project / ".state/test/pulumi").stat().st_mode & 0o777 == 0o700
    assert first not in str(engine.variables("test"))


def test_what_the_user_set_stays(cli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "own")
    found = engine.variables("test")
    assert not {"PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE"} & found.keys()


def test_commands_are_what_a_person_would_type(cli: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert {name: " ".join(getattr(engine, name)("test").argv) for name in COMMANDS} == COMMANDS
    assert engine.up("test").folder == project / "pulumi"


def test_hosts_that_go_stay_until_they_are_removed(cli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    entry = {"address": "10.231.90.42", "groups": ["database"]}
    change = Transition(retiring={"db2": entry, "db1": {**entry, "groups": ["cache"]}}, leaving=("db2",), joining=())
    for command in (engine.up("test", change), engine.up_without("test", "test-group", change)):
        excluded = [command.argv[place + 1] for place, word in enumerate(command.argv) if word == "--exclude"]
        assert "urn:pulumi:test::stackwright::**::test-compute-db2" in excluded
        # On AWS a host is several resources.
        assert "urn:pulumi:test::stackwright::**::test-compute-db2-**" in excluded
        assert not [urn for urn in excluded if "db1" in urn]
        # The output keeps what the next run has to know.
        assert json.loads(command.variables[RETIRING_VARIABLE]).keys() == {"db1", "db2"}
    last = engine.remove_hosts("test")
    assert "--exclude" not in last.argv
    # A host that is gone already cannot be asked.
    assert "--refresh" not in last.argv
    assert last.variables[RETIRING_VARIABLE] == "{}"


COMMANDS = {
    "remove_hosts": "pulumi up --yes --skip-preview --non-interactive",
    "select": "pulumi stack select --create test --non-interactive",
    "preview": "pulumi preview --refresh --diff --non-interactive",
    "up": "pulumi up --refresh --yes --skip-preview --non-interactive",
    "refresh": "pulumi refresh --yes --skip-preview --non-interactive",
    "destroy": "pulumi destroy --yes --skip-preview --non-interactive",
    "remove": "pulumi stack rm --yes test --non-interactive",
    "output": "pulumi stack output stackwright_inventory --json --non-interactive",
}


def test_an_old_cli_gives_way_to_the_built_one(cli: Path, project: Path) -> None:
    cli.write_text("#!/bin/sh\necho v3.258.9\n")
    with pytest.raises(
        engine.EngineError, match=r"pulumi on PATH is 3\.258\.9, 3\.259\.0 or newer is needed: run `make"
    ):
        engine.cli()
    built = project / "cache/stackwright/pulumi/3.259.0/pulumi"
    built.parent.mkdir(parents=True)
    built.touch()
    assert engine.cli() == built
    cli.unlink()
    built.unlink()
    with pytest.raises(engine.EngineError, match="pulumi is not on PATH"):
        engine.cli()


@pytest.mark.parametrize(
    ("pid", "host", "machine", "recovers"),
    [
        (2**22 + 1, socket.gethostname(), processes.machine(), True),
        (os.getpid(), socket.gethostname(), processes.machine(), False),
        (2**22 + 1, "other", processes.machine(), False),
        # A second container with the same host name.
        (2**22 + 1, socket.gethostname(), "boot/pid:[1]", False),
    ],
    ids=["dead", "alive", "elsewhere", "same name elsewhere"],
)
def test_only_the_lock_of_a_dead_process_of_this_machine_is_taken_away(
    cli: Path, project: Path, monkeypatch: pytest.MonkeyPatch, pid: int, host: str, machine: str, recovers: bool
) -> None:
    assert engine.recover("test") == ()
    with monkeypatch.context() as patch:
        patch.setattr(processes, "machine", lambda: machine)
        engine.remember_machine("test")
    lock = project / ".state/test/pulumi/.pulumi/locks/organization/stackwright/test/some.json"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"pid": pid, "username": "me", "hostname": host}))
    # Whoever finds the lock does not make it his own by trying.
    engine.remember_machine("test")
    argv = [" ".join(command.argv[:4]) for command in engine.recover("test")]
    assert argv == (["pulumi cancel --yes test"] if recovers else [])


def test_versions_and_names_are_the_same_everywhere() -> None:
    wanted = ".".join(str(part) for part in engine.CLI_VERSION)
    project = yaml.safe_load((ROOT / "pulumi/Pulumi.yaml").read_text())
    assert project["requiredPulumiVersion"] == f">={wanted}"
    assert project["name"] == engine.PROJECT
    assert f"pulumi=={wanted}" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"github.com/pulumi/pulumi/pkg/v3 v{wanted}" in (ROOT / "tools/pulumi/go.mod").read_text()
    assert f"PULUMI_VERSION={wanted}" in (ROOT / "scripts/setup.sh").read_text()


def test_the_language_host_is_not_on_path_where_it_would_hide_the_official_one() -> None:
    scripts = Path(sys.executable).parent
    assert (scripts / "stackwright-language-host").is_file()
    assert not (scripts / "pulumi-language-python").exists()


@pytest.fixture
def host() -> subprocess.Popen[str]:
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"}
    process = subprocess.Popen(
        [ROOT / "tools/pulumi/pulumi-language-python", "--root=/nowhere", "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    yield process
    process.kill()
    process.communicate()


def test_the_language_host_serves_and_leaves_quietly(host: subprocess.Popen[str], tmp_path: Path) -> None:
    assert host.stdout is not None
    port = int(host.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = language_pb2_grpc.LanguageRuntimeStub(channel)
        assert stub.GetPluginInfo(empty_pb2.Empty()).version == "3.259.0"
        found = stub.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest()).dependencies
        assert ("pulumi", "3.259.0") in {(each.name, each.version) for each in found}
        answer = stub.Run(language_pb2.RunRequest(pwd=str(tmp_path), info={"program_directory": str(tmp_path)}))
        assert answer.error == f"there is no program {tmp_path}/__main__.py"
        with pytest.raises(grpc.RpcError, match="--generate-code=false"):
            stub.GenerateProgram(language_pb2.GenerateProgramRequest())
    host.send_signal(signal.SIGINT)
    assert host.communicate(timeout=10) == ("", "")
    assert host.returncode == 0


@pytest.mark.parametrize("program", ["pulumi-resource-stackwright", "stackwright-language-host"])
def test_a_killed_engine_leaves_no_process_behind(program: str) -> None:
    command = f"{Path(sys.executable).parent}/{program} 127.0.0.1:1 & echo $!; wait"
    engine_process = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True)
    assert engine_process.stdout is not None
    child = int(engine_process.stdout.readline())
    assert int(engine_process.stdout.readline()) > 0
    engine_process.kill()
    engine_process.wait()
    for _ in range(100):
        stat = Path(f"/proc/{child}/stat")
        if not stat.is_file() or ") Z " in stat.read_text():
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail(f"{program} outlives its engine")


def test_the_shim_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", ROOT / "tools/pulumi/pulumi-language-python"],
        env={"PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "stackwright env ENVIRONMENT" in done.stderr
