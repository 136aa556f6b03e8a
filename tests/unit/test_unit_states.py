"""`stackwright_units`: what it asks of systemd, and that it asks no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stackwright.ansible.modules import stackwright_units
from stackwright.ansible.modules.stackwright_units import Units


class Failed(Exception):  # noqa: N818 - what a module's end is called in a test
    """The module has failed."""


class Module:
    """An Ansible module on a host with units: what is loaded, active, enabled, changed on the disk."""

    def __init__(self, units: dict[str, str], **params: Any) -> None:
        self.units, self.called, self.check_mode = units, [], params.pop("check_mode", False)
        self.questions, self.silent = 0, params.pop("silent", False)
        self.params = {"name": list(units), "state": None, "enabled": None, "no_block": False} | params

    def run_command(self, command: list[str], **_: Any) -> tuple[int, str, str]:
        if command[0] == "journalctl":
            return 0, "no such group\n", ""
        verb, *words = command[1:]
        names = [word for word in words if not word.startswith("--")]
        if verb == "show":
            return 0, "\n".join(self._shown(*self.units[name].split()) for name in names), ""
        if verb == "is-enabled":
            self.questions += 1
            states = [self._state(*self.units[name].split()) for name in names]
            return int(not {"enabled", "static"} & {*states}), "\n".join(filter(None, states)), ""
        self.called.append(" ".join([verb, *words]))
        return int(verb == "start" and "broken" in self.units[names[0]]), "", "Job failed."

    def _state(self, _: str, *words: str) -> str:
        """On the disk; systemd 252 says nothing of a unit that is not there."""
        if "absent" in words:
            return "" if self.silent else "not-found"
        return next((word for word in words if word in ("enabled", "static", "masked")), "disabled")

    @staticmethod
    def _shown(state: str, *words: str) -> str:
        load = "not-found" if "absent" in words else "loaded"
        values = dict(word.split("=") for word in words if "=" in word)
        return (
            f"LoadState={load}\nActiveState={state}\nSubState={values.get('sub', state)}\nNeedDaemonReload={'yes' if 'edited' in words else 'no'}\n"
            f"FragmentPath={values.get('file', '')}\nTriggers={values.get('triggers', '')}\n"
            f"DropInPaths={values.get('dropins', '').replace(',', ' ')}\n"
        )

    def fail_json(self, msg: str) -> None:
        raise Failed(msg)


STARTED = {"state": "started", "enabled": True}
STOPPED = {"state": "stopped", "enabled": False}


@pytest.mark.parametrize(
    ("units", "wanted", "called", "changed"),
    [
        ({"a": "active enabled", "b": "reloading enabled"}, STARTED, [], []),
        ({"a": "activating enabled"}, STARTED, ["start a"], []),
        ({"a": "activating"}, {"state": "started", "no_block": True}, [], []),
        ({"a": "activating enabled sub=auto-restart"}, STARTED, ["start a"], ["a"]),
        ({"a": "activating enabled sub=auto-restart"}, STOPPED, ["disable a", "stop a"], ["a"]),
        ({"a": "active enabled edited", "b": "active enabled"}, STARTED, ["daemon-reload"], []),
        ({"a": "inactive", "b": "active enabled"}, STARTED, ["enable a", "start a"], ["a"]),
        ({"a": "failed enabled", "b": "active"}, STARTED, ["start a", "enable b"], ["a", "b"]),
        ({"a": "active"}, {"enabled": True}, ["enable a"], ["a"]),
        ({"a": "inactive enabled"}, {"state": "started"}, ["start a"], ["a"]),
        ({"a": "inactive"}, {"state": "started", "no_block": True}, ["start --no-block a"], ["a"]),
        ({"a": "inactive", "b": "failed", "c": "inactive absent"}, STOPPED, [], []),
        ({"a": "deactivating"}, STOPPED, ["stop a"], ["a"]),
        ({"a": "active enabled", "b": "failed enabled"}, STOPPED, ["disable a", "stop a", "disable b"], ["a", "b"]),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_what_differs_is_changed_and_nothing_else(
    units: dict[str, str], wanted: dict[str, Any], called: list[str], changed: list[str], check_mode: bool
) -> None:
    module = Module(units, **wanted, check_mode=check_mode)
    assert Units(module).make() == changed
    assert module.called == ([] if check_mode else called)


@pytest.mark.parametrize(("silent", "questions"), [(False, 1), (True, 4)])
def test_all_units_are_asked_for_in_one_question_where_systemd_answers_for_each(silent: bool, questions: int) -> None:
    units = {"a": "active enabled", "b": "inactive absent", "c": "active static"}
    module = Module(units, enabled=True, silent=silent)
    assert Units(module).make() == ["b"]
    assert (module.called, module.questions) == (["enable b"], questions)


def test_a_timer_is_loaded_anew_where_its_service_has_changed() -> None:
    module = Module({"a.timer": "active enabled triggers=a.service", "a.service": "inactive edited"}, **STARTED)
    module.params["name"] = ["a.timer"]
    assert Units(module).make() == []
    assert module.called == ["daemon-reload"]


@pytest.mark.parametrize(("loaded", "called"), [("usr/a@.service", ["daemon-reload"]), ("etc/a@.service", [])])
def test_a_file_of_ours_in_front_of_a_packages_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: str, called: list[str]
) -> None:
    for folder in ("usr", "etc"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a@.service").touch()
    monkeypatch.setattr(stackwright_units, "_OURS", tmp_path / "etc")
    module = Module({"a@1.service": f"active enabled file={tmp_path}/{loaded}"}, **STARTED)
    assert Units(module).make() == []
    assert module.called == called


@pytest.mark.parametrize("folder", ["a@.service.d", "a@1.service.d"])
@pytest.mark.parametrize(
    ("there", "loaded", "called"),
    [
        (["new"], [], ["daemon-reload"]),
        ([], ["gone"], ["daemon-reload"]),
        (["new"], ["gone"], ["daemon-reload"]),
        (["both"], ["both"], []),
    ],
)
def test_a_drop_in_that_came_or_went_is_loaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
    there: list[str],
    loaded: list[str],
    called: list[str],
) -> None:
    """systemd 252 says nothing of one in a new folder. What is the package's, or every unit's, is none of ours."""
    monkeypatch.setattr(stackwright_units, "_OURS", tmp_path)
    (tmp_path / folder).mkdir()
    for name in there:
        (tmp_path / folder / f"{name}.conf").touch()
    others = ["/usr/lib/systemd/system/a@.service.d/package.conf", f"{tmp_path}/service.d/every.conf"]
    dropins = ",".join([*(f"{tmp_path}/{folder}/{name}.conf" for name in loaded), *others])
    module = Module({"a@1.service": f"active enabled dropins={dropins}"}, **STARTED)
    assert Units(module).make() == []
    assert module.called == called


def test_a_check_on_a_bare_host_would_start_what_is_not_there() -> None:
    assert Units(Module({"a": "inactive absent"}, **STARTED, check_mode=True)).make() == ["a"]


def test_a_unit_that_does_not_start_says_why() -> None:
    with pytest.raises(Failed, match=r"^a: systemctl start failed: Job failed. no such group$"):
        Units(Module({"a": "inactive enabled broken"}, **STARTED)).make()


def test_no_unit_is_no_question() -> None:
    assert Units(Module({}, **STARTED)).make() == []
