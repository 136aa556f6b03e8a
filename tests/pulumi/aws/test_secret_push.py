"""`stackwright secrets`: values into AWS's store and passwords of the cache's users, against a program `aws` of our own."""

from __future__ import annotations

import copy
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_aws
import pytest
from environments import ROOT, place
from typer.testing import CliRunner, Result

from stackwright.cli import app as cli
from stackwright.cli import secrets
from stackwright.infra import keys, signing
from stackwright.infra.aws import aws_cli, secret_plan, secret_push
from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.infra.aws.secret_plan import Known, User, Version
from stackwright.model.environment import Environment, load
from stackwright.secret_store import SecretError, SecretStore, new_password
from stackwright.testing import canaries

NAME = "taaleem-production"
SESSIONS, USER = "redis/sessions/emr", f"{NAME}-sessions-emr"
OLD, NEW, NEWER = "old-" + "o" * 40, "new-" + "n" * 40, "newer-" + "m" * 40
ACCOUNT = "111122223333"
CLOUD = {"region": "eu-central-1", "account": ACCOUNT, "buckets": {}, "secrets_prefix": f"{NAME}/"}


def output_of(environment: Environment) -> dict[str, Any]:
    """What `pulumi up` leaves, as far as a push reads it."""
    login = {"user": "stackwright", "bootstrap_user": "admin", "port": 22, "private_key_file": "key", "through": "ssm"}
    hosts = {
        host.name: {
            "address": host.address,
            "instance_id": f"i-{host.name}",
            "groups": list(host.groups),
            "connection": login,
            "cpus": host.cpus,
            "memory_mb": host.memory_mb,
        }
        for host in environment.hosts
    }
    return {
        "version": 1,
        "environment": NAME,
        "provider": "aws",
        "network": {"cidr": "10.64.0.0/16"},
        "hosts": hosts,
        "endpoints": {},
        "secrets": [],
        "cloud": CLOUD,
    }


def state_of(environment: Environment) -> fake_aws.State:
    """What `pulumi up` leaves: empty secrets, locked users."""
    secrets = {f"{NAME}/{name}": {"versions": {}} for name in secret_plan.names(environment)}
    locked = {"type": "iam", "passwords": [], "busy": 0, "slow": 0}
    users = {each: dict(locked) for each in secret_plan.cache_users(environment).values()}
    return {"account": ACCOUNT, "secrets": secrets, "users": users, "says": {}}


def current(state: fake_aws.State, name: str) -> str:
    found: str = fake_aws.get(state["secrets"][f"{NAME}/{name}"], "AWSCURRENT")["SecretString"]
    return found


# --- the command ------------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Site:
    """An environment that is up, and a program `aws` that knows it."""

    project: Path
    environment: Environment
    file: Path

    @property
    def store(self) -> SecretStore:
        return SecretStore(NAME, self.environment.state_folder)

    @property
    def state(self) -> fake_aws.State:
        found: fake_aws.State = json.loads(self.file.read_text())
        return found

    @state.setter
    def state(self, state: fake_aws.State) -> None:
        self.file.write_text(json.dumps(state))

    @property
    def calls(self) -> list[dict[str, Any]]:
        log = Path(f"{self.file}.calls")
        found = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
        log.unlink(missing_ok=True)
        return found

    def run(self, *argv: str) -> Result:
        return CliRunner().invoke(cli.app, ["secrets", *argv])

    def ok(self, *argv: str) -> str:
        done = self.run(*argv)
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    def fails(self, *argv: str) -> str:
        done = self.run(*argv)
        assert isinstance(done.exception, cli.PROBLEMS), (done.output, done.exception)
        return str(done.exception)


def write_output(file: Path, output: dict[str, Any]) -> None:
    """As `pulumi stack export` writes it."""
    kind = "pulumi:pulumi:Stack"
    stack = {"urn": f"urn:pulumi:{NAME}::stackwright::{kind}::stackwright-{NAME}", "type": kind}
    resources = [stack | {"outputs": {"stackwright_inventory": output}}]
    file.write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))


@pytest.fixture
def site(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Site:
    place(project, NAME)
    programs = tmp_path_factory.mktemp("programs")
    folder = str(Path(__file__).parent)
    text = f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {folder!r})\nimport fake_aws\nsys.exit(fake_aws.main())\n"
    (programs / "aws").write_text(text)
    (programs / "aws").chmod(0o755)
    environment = load(project / "inventories" / NAME)
    write_output(programs / "state.json", output_of(environment))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("STACKWRIGHT_STATE_FILE", str(programs / "state.json"))
    monkeypatch.setenv("FAKE_AWS", str(programs / "fake.json"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("time.sleep", lambda _: None)
    made = Site(project=project, environment=environment, file=programs / "fake.json")
    made.state = state_of(environment)
    keys.ensure(environment.state_folder / "ssh/id_ed25519")
    signing.private_key(environment)
    made.store.create()
    return made


def test_the_first_push_fills_what_pulumi_made_and_the_second_changes_nothing(site: Site) -> None:
    shown = site.ok("push", NAME)
    assert f"{len(secret_plan.names(site.environment))} changed" in shown
    assert f"{SESSIONS}: generated, value written, password of its user set" in shown
    state, values = site.state, site.store.all()
    names = secret_plan.names(site.environment)
    assert {name: current(state, name) for name in names} == {name: values[name] for name in names}
    users = secret_plan.cache_users(site.environment)
    assert {each: state["users"][each]["passwords"] for each in users.values()} == {
        user: [values[secret]] for secret, user in users.items()
    }
    site.calls  # noqa: B018 - forgotten
    assert "0 changed" in site.ok("push", NAME)
    assert site.state == state
    assert not [each for each in site.calls if each["argv"][1] in fake_aws.CHANGES]
    assert site.store.all() == values


def test_the_key_of_the_authority_stays_here(site: Site) -> None:
    site.store.get("tls/ca_key")
    site.ok("push", NAME)
    assert not [each for each in site.calls if "ca_key" in " ".join(each["argv"])]


def test_no_value_is_on_a_command_line_or_in_what_is_shown_or_logged(site: Site) -> None:
    shown = site.ok("push", NAME)
    before = dict(site.store.all())
    site.store.set(SESSIONS, NEW)
    shown += site.ok("push", NAME, "--dry-run") + site.ok("push", NAME) + site.ok("retire", NAME)
    values = canaries.texts({f"before {name}": value for name, value in before.items()} | site.store.all())
    calls = site.calls
    assert not canaries.names_in(shown.encode(), values)
    assert not canaries.names_in(json.dumps([each["argv"] for each in calls]).encode(), values)
    # The watch sees them where they are.
    assert canaries.names_in(json.dumps([each["given"] for each in calls]).encode(), values) >= {SESSIONS}
    logs = [path for path in site.environment.state_folder.rglob("*") if path.name != "secrets.vault.yml"]
    assert not canaries.names_in_files(logs, values)
    printed = [line.strip() for line in shown.splitlines() if line.strip().startswith("$ aws")]
    assert len(printed) == len(calls)
    assert (
        f"$ aws secretsmanager put-secret-value --region eu-central-1 --output json --secret-id {NAME}/{SESSIONS}"
        " --cli-input-json file:///dev/stdin"
    ) in printed


def test_a_changed_secret_without_a_user_is_written_alone(site: Site) -> None:
    site.ok("push", NAME)
    site.store.set("app/emr/session", NEW)
    site.calls  # noqa: B018 - forgotten
    shown = site.ok("push", NAME)
    assert "1 changed" in shown
    assert "secrets retire" not in shown
    (call,) = [each for each in site.calls if each["argv"][1] in fake_aws.CHANGES]
    assert (call["argv"][:2], call["given"]) == (["secretsmanager", "put-secret-value"], {"SecretString": NEW})


def test_a_rotation_accepts_old_and_new_until_it_is_retired(site: Site) -> None:
    site.ok("push", NAME)
    old = site.store.get(SESSIONS)
    site.store.set(SESSIONS, NEW)
    shown = site.ok("push", NAME)
    assert f"{SESSIONS}: new value staged, its user accepts old and new, new value is what servers read" in shown
    assert f"{USER}: the old password is accepted, too." in shown
    assert (current(site.state, SESSIONS), site.state["users"][USER]["passwords"]) == (NEW, [old, NEW])
    again = site.ok("push", NAME)
    assert "0 changed" in again
    assert f"stackwright secrets retire {NAME}" in again
    assert "1 would change" in site.ok("retire", NAME, "--dry-run")
    assert site.state["users"][USER]["passwords"] == [old, NEW]
    assert "1 changed" in site.ok("retire", NAME)
    assert site.state["users"][USER]["passwords"] == [NEW]
    assert "0 changed" in site.ok("retire", NAME)
    assert "secrets retire" not in site.ok("push", NAME)


def test_a_rotation_before_the_last_one_is_retired_is_refused(site: Site) -> None:
    site.ok("push", NAME)
    site.store.set(SESSIONS, NEW)
    site.ok("push", NAME)
    state = site.state
    site.store.set(SESSIONS, NEWER)
    site.store.set("app/emr/session", NEW)
    message = site.fails("push", NAME)
    assert f"{SESSIONS} has another value again, and {USER} still accepts the password before" in message
    assert f"stackwright secrets retire {NAME}" in message
    assert site.state == state
    site.ok("retire", NAME)
    assert "2 changed" in site.ok("push", NAME)
    assert site.state["users"][USER]["passwords"] == [NEW, NEWER]


def test_a_dry_run_changes_nothing_here_or_there(site: Site) -> None:
    state, vault = site.state, site.store.file.read_bytes()
    shown = site.ok("push", NAME, "--dry-run")
    assert f"{len(secret_plan.names(site.environment))} would change" in shown
    assert (site.state, site.store.file.read_bytes()) == (state, vault)
    assert not [each for each in site.calls if each["argv"][1] in fake_aws.CHANGES]


def test_a_user_that_is_being_changed_is_waited_for(site: Site) -> None:
    state = site.state
    state["users"][USER] |= {"busy": 2, "slow": 3}
    site.state = state
    site.ok("push", NAME)
    assert site.state["users"][USER]["passwords"] == [site.store.get(SESSIONS)]
    assert site.state["users"][USER]["busy"] == 0


def test_a_user_is_not_waited_for_without_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    state = site.state
    state["users"][USER]["busy"] = 10**6
    site.state = state
    clock = iter(range(0, 10**6, 100))
    monkeypatch.setattr(secret_push.time, "monotonic", lambda: next(clock))
    message = site.fails("push", NAME)
    assert f"the user {USER} of ElastiCache is modifying, and did not become active within 300 s" in message


def test_up_pushes_before_anything_reads(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr(
        cli.engine, "_command", lambda _, *argv: cli.engine.Command(argv=argv, folder=site.project, variables={})
    )
    monkeypatch.setattr(cli.report, "artifact_commands", lambda _: [])
    monkeypatch.setattr(cli.Runner, "pulumi", lambda _, *commands: done.append(commands[-1].argv[0]))

    def stop(environment: Environment, *_: Any, **__: Any) -> None:
        done.append(current(site.state, SESSIONS))
        raise CutError

    monkeypatch.setattr(cli, "_record_host_keys", lambda *_: None)
    # Whichever is first.
    monkeypatch.setattr(cli, "_converge", stop)
    monkeypatch.setattr(cli, "_upload_bundle", stop)
    shown = CliRunner().invoke(cli.app, ["up", NAME])
    assert isinstance(shown.exception, CutError), (shown.output, shown.exception)
    assert done == ["up", site.store.get(SESSIONS)]
    assert "Secrets\n" in shown.output


def test_up_pushes_nothing_where_ansible_brings_secrets(site: Site) -> None:
    place(site.project, "taaleem-staging")
    environment = load(site.project / "inventories/taaleem-staging")
    secrets.fill(environment, cli._runner(environment, verbose=False))
    assert site.calls == []


# --- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("taaleem-local", "taaleem-local is not on AWS but local: its secrets stay on this machine"),
        ("taaleem-staging", "taaleem-staging has no secrets in AWS: its servers are hosts"),
    ],
)
@pytest.mark.parametrize("verb", ["push", "retire"])
def test_elsewhere_there_is_nothing_to_push(site: Site, name: str, reason: str, verb: str) -> None:
    place(site.project, name)
    assert reason in site.fails(verb, name)
    assert site.calls == []


def test_an_environment_that_is_not_up_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STACKWRIGHT_STATE_FILE")
    assert f"{NAME} is not provisioned: run `stackwright up {NAME}`" in site.fails("push", NAME)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"environment": "other"}, "the output is of environment other"),
        ({"version": 7}, "is not one that this version reads"),
        ({"cloud": None}, "has no section cloud"),
    ],
)
def test_an_output_that_is_not_the_environments_is_refused(site: Site, change: dict[str, Any], reason: str) -> None:
    write_output(Path(os.environ["STACKWRIGHT_STATE_FILE"]), output_of(site.environment) | change)
    assert reason in site.fails("push", NAME)
    assert site.calls == []


def test_missing_credentials_are_said_before_anything_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(site.project))
    assert f"there are no credentials of AWS for {NAME} (account {ACCOUNT})" in site.fails("push", NAME)
    assert site.calls == []


def test_a_missing_cli_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(site.project))
    assert "the AWS CLI is not on PATH" in site.fails("push", NAME)


def test_secrets_go_to_no_other_account(site: Site) -> None:
    site.state = site.state | {"account": "444455556666"}
    message = site.fails("push", NAME)
    assert f"the credentials are of account 444455556666, and {NAME} is in {ACCOUNT}" in message
    assert (len(site.calls), set(site.store.all())) == (1, {"tls/ca_crt", "tls/ca_key"})


def test_secrets_that_are_not_there_are_all_named(site: Site) -> None:
    state = site.state
    del state["secrets"][f"{NAME}/{SESSIONS}"], state["secrets"][f"{NAME}/tls/ca_crt"]
    site.state = state
    message = site.fails("push", NAME)
    assert f"{NAME}/{SESSIONS}, {NAME}/tls/ca_crt are not there in Secrets Manager of eu-central-1" in message
    assert f"stackwright up {NAME}" in message
    assert (site.state, set(site.store.all())) == (state, {"tls/ca_crt", "tls/ca_key"})


def test_a_user_that_is_not_there_is_named(site: Site) -> None:
    state = site.state
    del state["users"][USER]
    site.state = state
    assert f"there is no user {USER} in ElastiCache of eu-central-1" in site.fails("push", NAME)


def test_a_secret_that_is_no_text_is_refused(site: Site) -> None:
    state = site.state
    version = {"content": {"SecretBinary": "AAAA"}, "stages": ["AWSCURRENT"]}
    state["secrets"][f"{NAME}/{SESSIONS}"]["versions"]["version-0"] = version
    site.state = state
    assert f"{NAME}/{SESSIONS} holds no text but bytes" in site.fails("push", NAME)


def test_the_secrets_of_another_machine_are_not_replaced(site: Site) -> None:
    site.ok("push", NAME)
    state = site.state
    site.store.file.unlink()
    message = site.fails("push", NAME)
    assert f"AWS has secrets of {NAME}, and {site.store.file} is not here" in message
    assert (site.state, site.store.file.exists()) == (state, False)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        (SESSIONS, "short-canary", f"{SESSIONS} is a password of ElastiCache with 12 characters, accepted: 16 to 128"),
        (SESSIONS, "c" * 129, "with 129 characters"),
        (SESSIONS, "canary with a space in it", "no space"),
        (SESSIONS, "canary-of-ümläuts-canary", "printable"),
        *((SESSIONS, f"canary-canary-canary-{each}", 'with one of ,"/@% in it') for each in ',"/@%'),
        ("app/emr/session", "", "app/emr/session has 0 bytes, accepted: 1 to 65536"),
        ("app/emr/session", "c" * 65537, "has 65537 bytes"),
        ("app/emr/session", 12345678, "app/emr/session is no text but int, accepted: text (in quotes)"),
    ],
)
def test_a_value_that_aws_would_refuse_is_refused_here(site: Site, name: str, value: Any, reason: str) -> None:
    site.store.set(name, value)
    message = site.fails("push", NAME)
    assert reason in message
    assert str(site.store.file) in message
    assert not value or str(value) not in message
    assert site.calls == []


def test_what_we_generate_is_a_password_of_elasticache() -> None:
    values = {f"redis/x/{number}": new_password() for number in range(200)}
    assert list(secret_plan.value_problems(values, values)) == []


@pytest.mark.parametrize("verb", ["get-caller-identity", "get-secret-value", "describe-users", *fake_aws.CHANGES[::2]])
def test_a_refusal_of_aws_is_shown_without_the_value_that_it_quotes(site: Site, verb: str) -> None:
    site.store.set("tls/ca_key", "-")
    site.store.set("tls/ca_crt", "canary-line-one\ncanary-line-two\n")
    site.store.set("app/emr/admin", "canary-of-admin-canary")
    site.store.set("redis/cache/emr", "canary-of-the-cache-canary")
    refusal = "An error occurred (AccessDenied) when calling X: not for you: GIVEN"
    site.state = site.state | {"says": {verb: refusal}}
    message = site.fails("push", NAME)
    assert f" {verb}` failed: An error occurred (AccessDenied) when calling X: not for you" in message
    assert "canary" not in message
    assert verb not in fake_aws.CHANGES or "***" in message


def test_a_secret_without_a_value_has_nothing_to_retire(site: Site) -> None:
    state = site.state
    state["users"][USER] |= {"type": "password", "passwords": [OLD, NEW]}
    site.state = state
    message = site.fails("retire", NAME)
    assert f"{NAME}/{SESSIONS} ({USER}): there is no value" in message
    assert f"stackwright secrets push {NAME}" in message
    assert site.state == state


# --- cut short at every call --------------------------------------------------------------------------------------------


class CutError(Exception):
    """The machine is gone."""


@dataclass
class Cloud:
    """AWS in this process; goes away at a change, before or after it is done."""

    state: fake_aws.State
    cut_at: int | None = None
    applied: bool = False
    changes: int = 0
    #: What there was after each change.
    seen: list[fake_aws.State] | None = None

    def __call__(self, argv: Any, given: Any = None, hide: Any = (), /) -> str:
        changing = argv[2] in fake_aws.CHANGES
        if changing and self.changes == self.cut_at and not self.applied:
            raise CutError
        try:
            answer = fake_aws.call(self.state, list(argv[1:]), given)
        except fake_aws.RefusedError as refused:
            code = str(refused).partition("(")[2].partition(")")[0]
            raise AwsCliError(str(refused), code) from None
        if changing:
            if self.seen is not None:
                self.seen.append(copy.deepcopy(self.state))
            if self.changes == self.cut_at:
                raise CutError
            self.changes += 1
        return json.dumps(answer)


@pytest.fixture(scope="module")
def production() -> Environment:
    return load(ROOT / "inventories" / NAME)


class Values:
    """A store in memory."""

    #: One that is there.
    file = Path(__file__)

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def all(self) -> dict[str, str]:
        return dict(self.values)

    def get(self, name: str) -> str:
        return self.values[name]


def pusher(production: Environment, values: dict[str, str], cloud: Cloud) -> secret_push.Pusher:
    return secret_push.Pusher(
        environment=production,
        cloud=CLOUD,
        store=Values(values),  # type: ignore[arg-type]
        ask=cloud,
        seconds=0,
    )


def values_of(environment: Environment, first: str) -> dict[str, str]:
    return {name: f"{first}-{number:03}-{'x' * 40}" for number, name in enumerate(secret_plan.names(environment))}


def essence(state: fake_aws.State) -> Any:
    """Without the versions that nobody reads."""
    read = {
        name: {
            each["content"]["SecretString"] for each in secret["versions"].values() if "AWSCURRENT" in each["stages"]
        }
        for name, secret in state["secrets"].items()
    }
    return read, state["users"]


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["first", "rotation", "by hand"])
def test_a_push_that_is_cut_short_anywhere_ends_where_it_would_have_ended(
    production: Environment, kind: str, applied: bool
) -> None:
    start, wanted = state_of(production), values_of(production, "b")
    if kind == "rotation":
        pusher(production, values_of(production, "a"), Cloud(start)).push()
    if kind == "by hand":
        for one in start["users"].values():
            one.update(type="password", passwords=[OLD])
    whole = Cloud(copy.deepcopy(start))
    pusher(production, wanted, whole).push()
    plain, users = len(wanted) - len(start["users"]), len(start["users"])
    assert whole.changes == plain + users * (3 if kind == "rotation" else 2)
    for number in range(whole.changes):
        cloud = Cloud(copy.deepcopy(start), cut_at=number, applied=applied)
        with pytest.raises(CutError):
            pusher(production, wanted, cloud).push()
        cloud.cut_at = None
        pusher(production, wanted, cloud).push()
        assert essence(cloud.state) == essence(whole.state), number
        assert pusher(production, wanted, cloud).push().changed == {}, number


def test_in_a_rotation_no_server_is_locked_out(production: Environment) -> None:
    start, before, after = state_of(production), values_of(production, "a"), values_of(production, "b")
    pusher(production, before, Cloud(start)).push()
    cloud = Cloud(start, seen=[])
    done = pusher(production, after, cloud).push()
    users = secret_plan.cache_users(production)
    assert set(done.rotating) == set(users.values())
    assert cloud.seen
    for state in cloud.seen:
        for secret, user in users.items():
            accepted = state["users"][user]["passwords"]
            assert before[secret] in accepted
            assert current(state, secret) in accepted


def test_a_rotation_that_was_cut_short_may_go_on_to_another_value(production: Environment) -> None:
    before, cloud = values_of(production, "a"), Cloud(state_of(production))
    pusher(production, before, cloud).push()
    # Staged, and accepted; what servers read is still the old one.
    cloud.cut_at, cloud.changes = 2, 0
    with pytest.raises(CutError):
        pusher(production, before | {SESSIONS: NEW}, cloud).push()
    assert cloud.state["users"][USER]["passwords"] == [before[SESSIONS], NEW]
    cloud.cut_at = None
    pusher(production, before | {SESSIONS: NEWER}, cloud).push()
    assert cloud.state["users"][USER]["passwords"] == [before[SESSIONS], NEWER]
    assert current(cloud.state, SESSIONS) == NEWER


def test_a_version_that_somebody_else_took_away_is_said(production: Environment) -> None:
    before, cloud = values_of(production, "a"), Cloud(state_of(production))
    pusher(production, before, cloud).push()
    plain = cloud.__call__

    def meddling(argv: Any, given: Any = None, hide: Any = (), /) -> str:
        if argv[2] == "modify-user":
            for version in cloud.state["secrets"][f"{NAME}/{SESSIONS}"]["versions"].values():
                version["stages"] = [each for each in version["stages"] if each != "AWSPENDING"]
        return plain(argv, given, hide)

    one = pusher(production, before | {SESSIONS: NEW}, cloud)
    with pytest.raises(SecretError, match="has lost its version AWSPENDING: somebody else writes it, too"):
        secret_push.Pusher(environment=production, cloud=one.cloud, store=one.store, ask=meddling).push()


# --- the plan -----------------------------------------------------------------------------------------------------------


def user(kind: str, passwords: int) -> User:
    return User(id="u", type=kind, passwords=passwords)


def known(
    local: str | None, current: str | None, who: User | None = None, pending: tuple[str, str] | None = None
) -> Known:
    version = None if current is None else Version(id="1", value=current)
    staged = None if pending is None else Version(id=pending[0], value=pending[1])
    return Known(name="s", local=local, current=version, pending=staged, user=who)


@pytest.mark.parametrize(
    ("each", "steps"),
    [
        (known("a", "a"), ()),
        (known("a", "b"), ("put",)),
        (known("a", None), ("put",)),
        (known(None, "b"), ("put",)),
        (known("a", None, user("iam", 0)), ("put", "admit")),
        (known("a", "a", user("iam", 0)), ("admit",)),
        (known("a", "b", user("iam", 0)), ("put", "admit")),
        (known("a", "a", user("no-password", 0)), ("admit",)),
        (known("a", "a", user("password", 0)), ("admit",)),
        (known("a", None, user("password", 1)), ("admit", "put")),
        (known("a", "a", user("password", 1)), ()),
        (known("a", "a", user("password", 2)), ()),
        (known("a", "b", user("password", 1)), ("stage", "admit_both", "promote")),
        (known(None, "b", user("password", 1)), ("stage", "admit_both", "promote")),
        (known("a", "b", user("password", 1), ("1", "b")), ("stage", "admit_both", "promote")),
        (known("a", "b", user("password", 1), ("2", "a")), ("admit_both", "promote")),
        (known("a", "b", user("password", 2), ("2", "a")), ("admit_both", "promote")),
        (known("a", "b", user("password", 2), ("2", "c")), ("stage", "admit_both", "promote")),
    ],
)
def test_steps(each: Known, steps: tuple[str, ...]) -> None:
    assert secret_plan.steps(each) == steps


@pytest.mark.parametrize("pending", [None, ("1", "b")])
def test_a_user_has_no_third_password(pending: tuple[str, str] | None) -> None:
    with pytest.raises(ValueError, match="u still accepts the password before the one that servers read now"):
        secret_plan.steps(known("a", "b", user("password", 2), pending))


# --- the AWS CLI ----------------------------------------------------------------------------------------------------------


def test_where_memory_has_no_files_standard_input_is_one_on_disk(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.memfd_create")
    argv = ["aws", "secretsmanager", "put-secret-value", "--region", "eu-central-1", "--output", "json"]
    aws_cli.ask([*argv, "--secret-id", f"{NAME}/{SESSIONS}", *aws_cli.GIVEN], {"SecretString": "x"})
    assert [each["given"] for each in site.calls] == [{"SecretString": "x"}]
