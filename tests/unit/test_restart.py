"""A unit that does not come up after its restart says why."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from stackwright.ansible.modules import stackwright_restart


class Failed(Exception):  # noqa: N818 - what a module's end is called in a test
    """The module has failed."""


class Module:
    """An Ansible module on a host whose unit does not start."""

    params: ClassVar = {"unit": "haproxy.service"}

    def run_command(self, command: list[str], **_: Any) -> tuple[int, str, str]:
        if command[:2] == ["systemctl", "restart"]:
            return 1, "", "Job failed."
        return 0, "no such group\n", ""

    def fail_json(self, msg: str) -> None:
        raise Failed(msg)


def test_a_unit_that_does_not_start_says_why() -> None:
    module: Any = Module()
    with pytest.raises(Failed, match=r"haproxy.service does not start: Job failed. no such group"):
        stackwright_restart.restart(module)
