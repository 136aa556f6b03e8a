"""`stackwright_inputs`: every check that does not hold is named, and no value of a secret is."""

from __future__ import annotations

import json
import re

import pytest

from stackwright.testing import probe

CHECKS = """
- name: Check the inputs
  stackwright_inputs:
    checks:
      - name: Users have long passwords
        that: item.password | length >= minimum
        fail_msg: "user {{ item.name }}: a longer password is needed"
        loop: "{{ users }}"
        when: item.name != 'guest'
        vars: {minimum: 8}
      - name: Ports differ
        that: [ports | length > 0, ports | unique | length == ports | length]
        fail_msg: "ports: {{ ports | join(', ') }}"
      - name: The first port is one
        that: ports[0] in range(1, 65536)
        fail_msg: never said
  register: checked
  ignore_errors: true
"""
MAIN = """
- ansible.builtin.include_tasks: check.yml
  loop: "{{ cases }}"
  loop_control: {loop_var: case, index_var: number}
  vars: {users: "{{ case.users }}", ports: "{{ case.ports }}"}
- stackwright_inputs: {checks: [{that: true}]}
  ignore_errors: true
- stackwright_inputs: {checks: [{name: a, that: true, fail_msg: b, each: []}]}
  ignore_errors: true
- stackwright_inputs: {checks: [text]}
  ignore_errors: true
"""
GUEST, SHORT = {"name": "guest", "password": ""}, {"name": "a", "password": "canary"}
LONGER = "user {}: a longer password is needed"
#: What is given, and what is said; the last one cannot be evaluated at all.
CASES = [
    ({"users": [GUEST, {"name": "a", "password": "canary-1"}], "ports": [1, 2]}, []),
    ({"users": [SHORT], "ports": [1]}, [LONGER.format("a")]),
    (
        {"users": [SHORT, SHORT | {"name": "b"}], "ports": [1, 1]},
        [LONGER.format("a"), LONGER.format("b"), "ports: 1, 1"],
    ),
    # The last check cannot be evaluated: the second one has said why.
    ({"users": [GUEST], "ports": []}, ["ports: "]),
    ({"users": [GUEST]}, ["has no attribute 'ports'"]),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each task answers; of one play, since each costs seconds."""
    folder = tmp_path_factory.mktemp("inputs")
    variables = folder / "variables.yml"
    variables.write_text(json.dumps({"cases": [case for case, _ in CASES]}))
    files = {"roles/probe/tasks/main.yml": MAIN, "roles/probe/tasks/check.yml": CHECKS}
    done = probe.run(folder, files, None, "-e", f"@{variables}", "-vvv")
    task = r"^TASK \[probe : (?:Check the inputs|stackwright_inputs)\].*$"
    found = re.split(task, done.stdout + done.stderr, flags=re.MULTILINE)[1:]
    assert len(found) == len(CASES) + 3, done.stdout + done.stderr
    return found


def test_every_check_that_does_not_hold_is_named_and_no_value_of_a_secret_is(answers: list[str]) -> None:
    for answer, (_, said) in zip(answers, CASES, strict=False):
        assert ("FAILED!" in answer) == bool(said), answer
        for text in said:
            assert text.strip() in answer
        assert "canary" not in answer
        assert "never said" not in answer


def test_a_check_has_what_it_needs_and_nothing_else(answers: list[str]) -> None:
    for answer in answers[len(CASES) :]:
        assert "a check has name, that and fail_msg" in answer
