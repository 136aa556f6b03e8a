"""The program `aws`, as far as a push of secrets calls it: Secrets Manager and the users of ElastiCache, in a JSON file.

It is a program on PATH, and a function for tests that cut a push short at every call. It refuses what AWS refuses.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

State = dict[str, Any]
CHANGES = ("put-secret-value", "update-secret-version-stage", "modify-user")


class RefusedError(Exception):
    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"An error occurred ({code}) when calling the operation: {text}")


def call(state: State, argv: list[str], given: State | None) -> State:
    """Do what `aws` does with these arguments (without its name)."""
    service, verb = argv[:2]
    options = dict(zip(argv[2::2], argv[3::2], strict=True))
    assert options.pop("--region") == "eu-central-1"
    assert options.pop("--output") == "json"
    assert (options.pop("--cli-input-json", None) == "file:///dev/stdin") == (given is not None)
    verbs = {
        "sts get-caller-identity": lambda: {"Account": state["account"]},
        "secretsmanager describe-secret": lambda: {"Name": options["--secret-id"], **found(state, options)},
        "secretsmanager get-secret-value": lambda: get(found(state, options), options["--version-stage"]),
        "secretsmanager put-secret-value": lambda: put(found(state, options), given or {}),
        "secretsmanager update-secret-version-stage": lambda: move(found(state, options), options),
        "elasticache describe-users": lambda: describe(user(state, options)),
        "elasticache modify-user": lambda: modify(user(state, options), given or {}),
    }
    return verbs[f"{service} {verb}"]()


def found(state: State, options: dict[str, str]) -> State:
    secret = state["secrets"].get(options["--secret-id"])
    if secret is None:
        raise RefusedError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    return secret


def get(secret: State, stage: str) -> State:
    for number, version in secret["versions"].items():
        if stage in version["stages"]:
            return {"VersionId": number, **version["content"]}
    text = f"Secrets Manager can't find the specified secret value for staging label: {stage}"
    raise RefusedError("ResourceNotFoundException", text)


def put(secret: State, given: State) -> State:
    number = f"version-{len(secret['versions'])}"
    secret["versions"][number] = {"content": {"SecretString": given["SecretString"]}, "stages": []}
    for stage in given.get("VersionStages", ["AWSCURRENT"]):
        label(secret, stage, number)
    return {"VersionId": number}


def move(secret: State, options: dict[str, str]) -> State:
    holder = [number for number, each in secret["versions"].items() if options["--version-stage"] in each["stages"]]
    if holder != [options["--remove-from-version-id"]]:
        raise RefusedError("InvalidParameterException", "You must specify the version that the label is attached to.")
    label(secret, options["--version-stage"], options["--move-to-version-id"])
    return {}


def label(secret: State, stage: str, number: str) -> None:
    for other, version in secret["versions"].items():
        if stage in version["stages"]:
            version["stages"].remove(stage)
            if stage == "AWSCURRENT" and other != number:
                label(secret, "AWSPREVIOUS", other)
    secret["versions"][number]["stages"].append(stage)


def user(state: State, options: dict[str, str]) -> State:
    one = state["users"].get(options["--user-id"])
    if one is None:
        raise RefusedError("UserNotFound", "User not found.")
    return one


def describe(one: State) -> State:
    status = "modifying" if one["busy"] else "active"
    one["busy"] = max(0, one["busy"] - 1)
    said = {"Type": one["type"]} | ({"PasswordCount": len(one["passwords"])} if one["type"] == "password" else {})
    return {"Users": [{"Status": status, "Authentication": said}]}


def modify(one: State, given: State) -> State:
    mode = given["AuthenticationMode"]
    if one["busy"]:
        raise RefusedError("InvalidUserState", "The user is not in active state.")
    if mode["Type"] != "password" or len(mode["Passwords"]) not in (1, 2):
        raise RefusedError("InvalidParameterCombination", "One or two passwords.")
    for password in mode["Passwords"]:
        if not re.fullmatch(r'[^,"/@]{16,128}', password):
            raise RefusedError("InvalidParameterValue", f"The password {password} is not valid.")
    one.update(type="password", passwords=mode["Passwords"], busy=one["slow"])
    return {}


def main() -> int:
    file, log = Path(os.environ["FAKE_AWS"]), Path(os.environ["FAKE_AWS"] + ".calls")
    argv, given = sys.argv[1:], None
    if "--cli-input-json" in argv:
        # Twice, as version 1 of the real one does.
        texts = [Path("/dev/stdin").read_text(encoding="utf-8") for _ in range(2)]
        assert texts[0] == texts[1], "standard input cannot be read twice"
        given = json.loads(texts[0])
    with log.open("a", encoding="utf-8") as record:
        record.write(json.dumps({"argv": argv, "given": given}) + "\n")
    state = json.loads(file.read_text(encoding="utf-8"))
    if state["says"] and argv[1] in state["says"]:
        text = state["says"][argv[1]]
        print(text.replace("GIVEN", repr(given)), file=sys.stderr)
        return 255
    try:
        print(json.dumps(call(state, argv, given)))
    except RefusedError as refused:
        print(refused, file=sys.stderr)
        return 254
    file.write_text(json.dumps(state), encoding="utf-8")
    return 0
