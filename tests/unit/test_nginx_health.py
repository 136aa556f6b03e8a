"""The edge's health checks against instances of this test: when one leaves, when it returns, what is asked of nginx."""

from __future__ import annotations

import asyncio
import importlib.machinery
import importlib.util
import itertools
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).parents[2] / "roles/nginx/files/usr/local/sbin/nginx-health"


@pytest.fixture
def health(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader("nginx_health", str(PROGRAM))
    spec = importlib.util.spec_from_loader("nginx_health", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "nginx_health", module)
    loader.exec_module(module)
    module.STATE, module.APPLIED = tmp_path / "state", tmp_path / "applied"  # type: ignore[attr-defined]
    module.STATE.mkdir()
    return module


class Instance:
    """Answers what it is set to; `silent` never answers."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 200 OK\r\n\r\n"
        self.silent = False
        self.requests: list[tuple[float, bytes]] = []
        self.port = 0

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((time.monotonic(), await reader.readuntil(b"\r\n\r\n")))
        if self.silent:
            await reader.read()
        writer.write(self.answer)
        writer.close()


def check(module: ModuleType, instance: Instance, **settings: float):  # type: ignore[no-untyped-def]
    values = {"interval_seconds": 0.1, "timeout_seconds": 0.2, "failures": 3, "retry_after_seconds": 0.5, **settings}
    text = {"address": "127.0.0.1", "port": instance.port, "path": "/api/ready", "upstreams": ["shop", "www"], **values}
    return module.load(json.dumps({"checks": [text]}))[0]


def marks(module: ModuleType) -> list[str]:
    return sorted(str(path.relative_to(module.STATE)) for path in module.STATE.glob("*/*"))


async def until(condition: Callable[[], bool], seconds: float = 5) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "not within the time"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def play(module: ModuleType, story: Callable[[Instance], Awaitable[None]], **settings: float) -> None:
    async def stage() -> None:
        instance = Instance()
        async with await instance.start():
            task = asyncio.create_task(module.run([check(module, instance, **settings)]))
            try:
                await story(instance)
            finally:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(stage())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "answers 302"),
        (b"SSH-2.0-x\r\n", "does not answer in HTTP"),
        (b"", "does not answer in HTTP"),
    ],
)
def test_an_instance_that_is_not_ready_leaves_and_returns_by_itself(
    health: ModuleType, answer: bytes, reason: str
) -> None:
    async def story(instance: Instance) -> None:
        good = instance.answer
        await until(lambda: len(instance.requests) > 1)
        assert marks(health) == []
        instance.answer = answer
        assert await until(lambda: bool(marks(health))) < 1
        assert marks(health) == [f"shop/127.0.0.1_{instance.port}", f"www/127.0.0.1_{instance.port}"]
        noted = json.loads((health.STATE / marks(health)[0]).read_text())
        assert noted["reason"] == reason
        instance.answer = good
        assert 0.3 < await until(lambda: not marks(health)) < 2
        assert instance.requests[0][1].startswith(b"GET /api/ready HTTP/1.1\r\nHost: 127.0.0.1:")

    play(health, story)


def test_an_instance_that_hangs_or_is_gone_leaves(health: ModuleType) -> None:
    async def story(instance: Instance) -> None:
        await until(lambda: bool(instance.requests))
        instance.silent = True
        # Three checks of 0.2 s each.
        assert 0.5 < await until(lambda: bool(marks(health))) < 1.5
        assert json.loads((health.STATE / marks(health)[0]).read_text())["reason"] == "does not answer within 0.2 s"

    play(health, story)


def test_every_setting_has_its_effect(health: ModuleType) -> None:
    async def story(instance: Instance) -> None:
        await until(lambda: len(instance.requests) == 3)
        times = [moment for moment, _ in instance.requests]
        assert times[2] - times[0] == pytest.approx(0.6, abs=0.25), "the interval"
        before = len(instance.requests)
        instance.answer = b"HTTP/1.1 500 x\r\n\r\n"
        await until(lambda: bool(marks(health)))
        assert len(instance.requests) - before == 2, "the failures"
        marked = len(instance.requests)
        pause = await until(lambda: len(instance.requests) > marked)
        assert pause == pytest.approx(1.0, abs=0.3), "retry_after"

    play(health, story, interval_seconds=0.3, failures=2, retry_after_seconds=1.0)


def test_a_single_failure_changes_nothing(health: ModuleType) -> None:
    async def story(instance: Instance) -> None:
        good = instance.answer
        for _ in range(3):
            instance.answer = b"HTTP/1.1 503 x\r\n\r\n"
            before = len(instance.requests)
            await until(lambda before=before: len(instance.requests) > before + 1)  # type: ignore[misc]
            instance.answer = good
            before = len(instance.requests)
            await until(lambda before=before: len(instance.requests) > before + 1)  # type: ignore[misc]
        assert marks(health) == []

    play(health, story, failures=5)


def test_an_instance_that_flaps_is_left_alone_longer_each_time(health: ModuleType) -> None:
    subject = check(health, Instance(), failures=1)
    seen = []
    for _ in range(7):
        assert subject.note("answers 503")
        seen.append(subject.backoff)
        assert subject.note(None)
    assert seen == [1, 2, 4, 8, 16, 16, 16]
    subject.returned_at -= 2 * health.STABLE_SECONDS
    subject.note("answers 503")
    assert subject.backoff == 1


def test_a_mark_removed_by_hand_puts_the_instance_back_and_it_is_looked_at_anew(health: ModuleType) -> None:
    async def story(instance: Instance) -> None:
        instance.answer = b"HTTP/1.1 503 x\r\n\r\n"
        await until(lambda: bool(marks(health)))
        before = len(instance.requests)
        for mark in health.STATE.glob("*/*"):
            mark.unlink()
        # At once, not after retry_after, and only after as many failures as ever.
        await until(lambda: len(instance.requests) > before, 2)
        await until(lambda: bool(marks(health)), 3)
        assert len(instance.requests) - before >= 3

    play(health, story, retry_after_seconds=60)


def test_marks_survive_a_restart_and_those_of_members_that_are_gone_do_not(health: ModuleType) -> None:
    instance = Instance()
    instance.port = 5005
    subject = check(health, instance, failures=1)
    subject.note("answers 503")
    (health.STATE / "gone").mkdir()
    (health.STATE / "gone/127.0.0.1_1").write_text("{}")
    again = check(health, instance)
    health.forget_others([again])
    assert again.marked()
    assert marks(health) == ["shop/127.0.0.1_5005", "www/127.0.0.1_5005"]


def test_changes_are_applied_at_most_once_a_second_and_until_they_are(
    health: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(health.time, "monotonic", lambda: now[0])
    applier, asked = health.Applier(), []
    trigger = health.STATE / "changed"

    def tick(seconds: float) -> None:
        for _ in range(int(seconds / 0.25)):
            now[0] += 0.25
            applier.tick()
            if trigger.exists():
                asked.append(now[0])
                trigger.unlink()

    tick(1)
    assert asked == [1000.25]
    for _ in range(16):
        applier.note_change()
        tick(0.25)
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(asked))
    assert 4 <= len(asked) <= 5
    tick(2)
    refused = len(asked)
    tick(25)
    assert len(asked) - refused in (2, 3), "what is refused is tried again every ten seconds"
    health.APPLIED.write_text(repr(now[0]))
    done = len(asked)
    tick(60)
    assert len(asked) == done
