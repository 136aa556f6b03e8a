"""`stackwright database take-over`: the master's password from RDS into a secret of the environment's own."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import fake_aws
import pytest
from environments import ROOT
from environments import run as record_environment
from test_secret_push import ACCOUNT, CLOUD, NAME, Cloud, CutError, Site, output_of, site, write_output
from typer.testing import CliRunner, Result

from stackwright.cli import app as cli
from stackwright.infra.aws import secret_plan, take_over
from stackwright.infra.aws.take_over import TakeOver
from stackwright.model.environment import Environment, load
from stackwright.model.secrets import MASTER, secret_names
from stackwright.secret_store import SecretError
from stackwright.testing import canaries

assert site  # a fixture

DATABASE, SECRET = f"{NAME}-database", f"{NAME}/{MASTER}"
ARN = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:{SECRET}-AbCdEf"
OTHER = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:by-hand-AbCdEf"
USER, CANARY = "stackwright", "canary-of-the-master-canary"
LOGIN = json.dumps({"username": USER, "password": CANARY})
LOOKS = 3


def state_of(**database: Any) -> fake_aws.State:
    """What `stackwright up` leaves: an empty secret, and an instance whose password is RDS's."""
    instance = {
        "user": USER,
        "password": "RDS's own",
        "managed": True,
        "status": "available",
        "slow": LOOKS,
        "coming": [],
    }
    databases = {DATABASE: {**instance, **database}}
    return {"account": ACCOUNT, "secrets": {SECRET: {"versions": {}}}, "users": {}, "says": {}, "databases": databases}


def filled(state: fake_aws.State, text: str = LOGIN) -> fake_aws.State:
    version = {"content": {"SecretString": text}, "stages": ["AWSCURRENT"]}
    state["secrets"][SECRET]["versions"]["version-0"] = version
    return state


def login(state: fake_aws.State) -> dict[str, str]:
    found: dict[str, str] = json.loads(fake_aws.get(state["secrets"][SECRET], "AWSCURRENT")["SecretString"])
    return found


def require_taken_over(state: fake_aws.State) -> None:
    """The master's password is the one in the secret, and RDS keeps none."""
    instance = state["databases"][DATABASE]
    assert (instance["managed"], instance["status"], instance["coming"]) == (False, "available", [])
    assert login(state) == {"username": USER, "password": instance["password"]}
    assert len(instance["password"]) >= 40


def changes(site: Site) -> list[str]:
    return [each["argv"][1] for each in site.calls if each["argv"][1] in fake_aws.CHANGES]


def run(*argv: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(cli.app, ["database", "take-over", NAME, *argv], input=typed)


def ok(*argv: str, typed: str | None = None) -> str:
    done = run(*argv, typed=typed)
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def fails() -> str:
    done = run("--yes")
    assert isinstance(done.exception, cli.PROBLEMS), (done.output, done.exception)
    return str(done.exception)


@pytest.fixture
def database(site: Site) -> Site:
    site.state = state_of()
    return site


def edit(site: Site, old: str, new: str) -> None:
    file = site.project / "inventories" / NAME / "stack.yml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


# --- the place of the login ---------------------------------------------------------------------------------------------


def test_pulumi_makes_the_secret_empty_and_no_server_may_read_it(project: Path) -> None:
    recording = record_environment(project, NAME)
    made = recording.named(f"{NAME}-secrets-{MASTER}")
    assert made.inputs["name"] == SECRET
    role = recording.named(f"{NAME}-secrets-postgresql/role/emr")
    assert {key: made.inputs[key] for key in ("kmsKeyId", "recoveryWindowInDays")} == {
        key: role.inputs[key] for key in ("kmsKeyId", "recoveryWindowInDays")
    }
    assert (made.protect, made.parent) == (role.protect, role.parent)
    assert recording.named(f"{NAME}-secrets-{MASTER}-policy").inputs["secretArn"]
    texts = [json.dumps(each.inputs, default=str) for each in recording.resources if "iam/" in each.type]
    # The pattern of another one is where it is looked for.
    assert any("secret:taaleem-production/postgresql/role/emr-" in each for each in texts)
    assert not any(MASTER in each for each in texts)
    assert not [each.name for each in recording.resources if each.type.endswith(":SecretVersion")]


def test_the_secret_goes_after_the_instance(project: Path) -> None:
    """The engine deletes what depends on something before that, and children before their component."""
    recording = record_environment(project, NAME)
    instance = recording.named(f"{NAME}-database-database")
    assert f"{NAME}-secrets-{MASTER}" in recording.named(instance.parent).depends_on


def test_no_secret_is_made_for_a_database_of_ones_own(project: Path) -> None:
    text = (
        (ROOT / "inventories" / NAME / "stack.yml")
        .read_text()
        .replace("{storage_gb: 100,", "{run_by: hosts, storage_gb: 100,")
        .replace("class: production\n", "class: production\nbackups: {copy_to: {type: none}}\n")
    )
    recording = record_environment(project, "other", stack=text)
    assert not [each.name for each in recording.resources if MASTER in each.name]


def test_no_store_generates_the_login_and_no_push_writes_it(production: Environment) -> None:
    assert MASTER not in secret_plan.names(production)
    assert MASTER not in {each.name for each in secret_names(production)}


# --- the command --------------------------------------------------------------------------------------------------------


def test_the_password_is_taken_over_once(database: Site) -> None:
    shown = ok("--yes")
    assert f"The password of {DATABASE} is taken over: {SECRET}" in shown
    assert f"aws:\n  database:\n    master_secret: {ARN}\n    replicas: 1\n" in shown
    assert f"Then: stackwright up {NAME}" in shown
    assert changes(database) == ["put-secret-value", "modify-db-instance"]
    state = database.state
    require_taken_over(state)
    again = ok("--yes")
    assert f"The password of {DATABASE} is taken over already: {SECRET}" in again
    assert f"    master_secret: {ARN}\n" in again
    assert (changes(database), database.state) == ([], state)


def test_what_is_printed_is_valid_in_stack_yml_and_then_known(database: Site) -> None:
    ok("--yes")
    edit(database, "database: {storage_gb: 100,", f"database: {{master_secret: '{ARN}', replicas: 2, storage_gb: 100,")
    found = load(database.project / "inventories" / NAME)
    assert found.plan.aws.database.replicas == 2
    shown = ok("--yes")
    assert f"inventories/{NAME}/stack.yml names it already; replicas: 2" in shown
    assert f"    master_secret: {ARN}\n    replicas: 2\n" in shown
    assert changes(database)[2:] == []


@pytest.mark.parametrize("typed", ["n\n", "", "\n"])
def test_it_asks_first_and_changes_nothing_unless_the_answer_is_yes(database: Site, typed: str) -> None:
    before = database.state
    done = run(typed=typed)
    assert done.exit_code == 1
    assert f"RDS manages the password of the master user of {DATABASE}" in done.output
    assert f"Take the password of {DATABASE} over?" in done.output
    assert database.state["secrets"] == before["secrets"]
    assert changes(database) == []
    ok(typed="y\n")
    require_taken_over(database.state)


def test_the_password_is_on_no_command_line_and_in_nothing_that_is_shown_or_written(database: Site) -> None:
    shown = ok("--yes") + ok("--yes")
    values = canaries.texts({"password": login(database.state)["password"]})
    calls = database.calls
    assert not canaries.names_in(shown.encode(), values)
    assert not canaries.names_in(json.dumps([each["argv"] for each in calls]).encode(), values)
    # The watch sees it where it is.
    assert canaries.names_in(json.dumps([each["given"] for each in calls]).encode(), values)
    here = [path for path in database.project.rglob("*") if path.is_file()]
    assert here
    assert canaries.names_in_files(here, values) == {}
    assert len([line for line in shown.splitlines() if line.strip().startswith("$ aws")]) == len(calls)
    assert (
        f"$ aws rds modify-db-instance --region eu-central-1 --output json --db-instance-identifier {DATABASE}"
        " --cli-input-json file:///dev/stdin"
    ) in shown


@pytest.mark.parametrize("verb", ["put-secret-value", "modify-db-instance"])
def test_a_refusal_of_aws_is_shown_without_the_password_that_it_quotes(database: Site, verb: str) -> None:
    state = state_of() if verb == "put-secret-value" else filled(state_of())
    database.state = state | {"says": {verb: "An error occurred (AccessDenied) when calling X: not for you: GIVEN"}}
    message = fails()
    assert f" {verb}` failed: An error occurred (AccessDenied) when calling X: not for you" in message
    assert "the same command goes on from there" in message
    assert "***" in message
    assert CANARY not in message
    given = next(each["given"] for each in database.calls if each["given"])
    secret = given.get("MasterUserPassword") or json.loads(given["SecretString"])["password"]
    assert secret not in message


def test_a_secret_that_has_a_login_is_used(database: Site) -> None:
    database.state = filled(state_of())
    shown = run(typed="y\n").output
    assert f"It is set to that of the login in {SECRET}" in shown
    assert changes(database) == ["modify-db-instance"]
    assert database.state["databases"][DATABASE]["password"] == CANARY


# --- refusals: nothing is changed ---------------------------------------------------------------------------------------


def test_an_environment_that_is_not_on_aws_is_refused(database: Site) -> None:
    with pytest.raises(SecretError, match="taaleem-local is not on AWS but local"):
        take_over.require_managed(load(ROOT / "inventories/taaleem-local"))


def test_a_database_of_ones_own_is_refused(database: Site) -> None:
    edit(database, "{storage_gb: 100,", "{run_by: hosts, storage_gb: 100,")
    edit(database, "class: production\n", "class: production\nbackups: {copy_to: {type: none}}\n")
    assert f"{NAME} has no database that AWS runs, accepted: size C without `aws.database.run_by: hosts`" in fails()
    with pytest.raises(SecretError, match="taaleem-staging has no database that AWS runs"):
        take_over.require_managed(load(ROOT / "inventories/taaleem-staging"))
    assert database.calls == []


def test_without_credentials_nothing_is_asked(database: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("HOME", str(database.project))
    assert f"there are no credentials of AWS for {NAME} (account {ACCOUNT})" in fails()
    assert database.calls == []


def test_another_account_is_refused(database: Site) -> None:
    database.state = database.state | {"account": "444455556666"}
    assert f"the credentials are of account 444455556666, and {NAME} is in {ACCOUNT}" in fails()
    assert len(database.calls) == 1


def test_an_environment_that_is_not_provisioned_is_refused(database: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    output = output_of(database.environment)
    del output["cloud"]
    write_output(database.file.with_name("state.json"), output)
    assert f"the output of {NAME} has no section cloud: run `stackwright up {NAME}`" in fails()
    database.file.with_name("state.json").write_text(json.dumps({"version": 3, "deployment": {"resources": []}}))
    assert f"{NAME} is not provisioned: run `stackwright up {NAME}`" in fails()
    assert database.calls == []


def test_a_database_or_a_secret_that_is_not_there_is_named(database: Site) -> None:
    state = state_of()
    del state["secrets"][SECRET]
    database.state = state
    assert f"{SECRET} is not there in Secrets Manager of eu-central-1: stackwright up {NAME} makes it" in fails()
    database.state = state_of() | {"databases": {}}
    assert f"there is no database {DATABASE} in RDS of eu-central-1: stackwright up {NAME} makes it" in fails()
    assert changes(database) == []


@pytest.mark.parametrize("verb", ["describe-db-instances", "describe-secret", "get-secret-value"])
def test_who_may_not_look_is_told_so(database: Site, verb: str) -> None:
    database.state = database.state | {"says": {verb: "An error occurred (AccessDenied) when calling X: not for you"}}
    message = fails()
    assert f" {verb}` failed: An error occurred (AccessDenied) when calling X: not for you" in message
    assert changes(database) == []


@pytest.mark.parametrize("status", ["creating", "modifying", "backing-up", "stopped", "failed"])
def test_a_database_that_is_not_available_is_refused(database: Site, status: str) -> None:
    database.state = state_of(status=status)
    message = fails()
    assert f"the database {DATABASE} is {status}, accepted: available; run the same command again once it is" in message
    assert changes(database) == []


def test_a_take_over_by_hand_is_not_touched(database: Site) -> None:
    database.state = state_of(managed=False)
    message = fails()
    assert f"RDS no longer manages the password of {DATABASE}, and {SECRET} is empty" in message
    assert "Name their secret in aws.database.master_secret" in message
    edit(database, "database: {storage_gb: 100,", f"database: {{master_secret: '{OTHER}', storage_gb: 100,")
    message = fails()
    assert f"aws.database.master_secret is {OTHER}, accepted: none, or the environment's own secret, {ARN}" in message
    assert changes(database) == []


@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        json.dumps([CANARY]),
        json.dumps({"username": USER}),
        json.dumps({"username": "somebody", "password": CANARY}),
        json.dumps({"username": USER, "password": 12345678}),
        json.dumps({"username": USER, "password": "canary!"}),
        json.dumps({"username": USER, "password": "canary-" * 19}),
        *(json.dumps({"username": USER, "password": f"canary-canary{each}"}) for each in ' /"@ü'),
    ],
)
def test_a_secret_that_holds_something_else_is_refused_without_its_words(
    database: Site, text: str, managed: bool
) -> None:
    database.state = filled(state_of(managed=managed), text)
    message = fails()
    assert f"{SECRET} holds something else than a login of {USER}, accepted: JSON with username {USER}" in message
    assert "canary" not in message
    assert changes(database) == []


def test_what_we_generate_and_any_character_that_rds_takes_is_accepted(production: Environment) -> None:
    every = "".join(chr(each) for each in range(33, 127) if chr(each) not in '/"@')
    cloud = Cloud(filled(state_of(), json.dumps({"username": USER, "password": every})))
    assert taker(production, cloud).look().filled
    for _ in range(50):
        cloud = Cloud(state_of(slow=0))
        take(production, cloud)
        require_taken_over(cloud.state)


# --- cut short at every change ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def production() -> Environment:
    return load(ROOT / "inventories" / NAME)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def taker(production: Environment, ask: Any, seconds: float = 60) -> TakeOver:
    return TakeOver(environment=production, cloud=CLOUD, ask=ask, seconds=seconds)


def take(production: Environment, ask: Any, seconds: float = 60) -> None:
    one = taker(production, ask, seconds)
    one.finish(one.look())


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("slow", [0, LOOKS])
def test_a_run_that_is_cut_short_at_a_change_ends_where_it_would_have_ended(
    production: Environment, number: int, applied: bool, slow: int
) -> None:
    cloud = Cloud(state_of(slow=slow), cut_at=number, applied=applied, seen=[])
    with pytest.raises(CutError):
        take(production, cloud)
    stored = copy.deepcopy(cloud.state["secrets"])
    cloud.cut_at, cloud.changes = None, 0
    take(production, cloud)
    require_taken_over(cloud.state)
    # What was there is used, and what was done is not done again.
    kept = bool(stored[SECRET]["versions"])
    assert kept == (number == 1 or applied)
    assert not kept or cloud.state["secrets"] == stored
    assert cloud.changes == 2 - number - applied
    cloud.changes = 0
    take(production, cloud)
    assert cloud.changes == 0


@pytest.mark.parametrize("looks", range(LOOKS + 3))
def test_a_run_that_is_cut_short_while_rds_sets_the_password_waits_for_it(production: Environment, looks: int) -> None:
    cloud = Cloud(state_of())
    left = looks

    def cut(argv: Any, given: Any = None, hide: Any = (), /) -> str:
        nonlocal left
        if cloud.changes == 2:
            if not left:
                raise CutError
            left -= 1
        return cloud(argv, given, hide)

    with pytest.raises(CutError):
        take(production, cut)
    take(production, cloud)
    require_taken_over(cloud.state)
    assert cloud.changes == 2


def test_at_every_moment_the_secret_has_the_password_that_rds_is_given(production: Environment) -> None:
    cloud = Cloud(state_of(), seen=[])
    take(production, cloud)
    assert cloud.seen is not None
    first, second = cloud.seen
    assert first["databases"][DATABASE]["managed"]
    assert second["databases"][DATABASE]["next"] == login(first)["password"] == login(second)["password"]


def test_two_at_once_end_with_one_password(production: Environment) -> None:
    cloud, found = Cloud(state_of(slow=0)), []
    one, other = taker(production, cloud), taker(production, cloud)
    found = [one.look(), other.look()]
    assert not found[0].filled
    assert not found[1].filled
    one.finish(found[0])
    first = login(cloud.state)
    other.finish(found[1])
    assert login(cloud.state) == first
    require_taken_over(cloud.state)


def test_a_value_that_somebody_takes_away_is_said(production: Environment) -> None:
    cloud = Cloud(state_of())

    def meddling(argv: Any, given: Any = None, hide: Any = (), /) -> str:
        answer = cloud(argv, given, hide)
        if argv[2] == "put-secret-value":
            cloud.state["secrets"][SECRET]["versions"].clear()
        return answer

    with pytest.raises(SecretError, match="has lost its value: somebody else writes it, too"):
        take(production, meddling)
    assert cloud.state["databases"][DATABASE]["managed"]


def test_a_wait_ends(production: Environment) -> None:
    cloud = Cloud(state_of(slow=1000))
    with pytest.raises(
        SecretError, match="after 0 s, and the password is not taken over: run the same command again"
    ) as raised:
        take(production, cloud, seconds=0)
    assert DATABASE in str(raised.value)
    with pytest.raises(SecretError, match="its master's password is being set: run the same command again"):
        take(production, cloud, seconds=0)
    assert cloud.changes == 2
