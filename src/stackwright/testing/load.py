"""Steady, limited traffic on a site while something happens to it: every request has to succeed."""

from __future__ import annotations

import itertools
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from stackwright.testing.e2e import Client, Connection
from stackwright.verify import Answer

_GOOD = {"GET": {200}, "POST": {200, 201}}


@dataclass
class Tally:
    """The results of a load."""

    sent: dict[str, int] = field(default_factory=dict)
    #: One line for each request that failed.
    failures: list[str] = field(default_factory=list)
    #: Number of requests sent again, as the edge had closed the persistent connection before the request reached it.
    resent: int = 0
    #: Answers to POST, by patient.
    added: list[str] = field(default_factory=list)
    instances: set[str] = field(default_factory=set)


class Load:
    """Sends GETs, and POSTs unless disabled, over persistent and new connections, while the context is open."""

    def __init__(self, client: Client, session: str, *, per_second: float = 12.0, writes: bool = True) -> None:
        self.client, self.session = client, session
        #: Part of the name of every patient that this load creates.
        self.mark = f"Load {uuid.uuid4().hex[:12]}"
        self.tally = Tally()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        methods = ("GET", "POST") if writes else ("GET",)
        kinds = [(method, persistent) for method in methods for persistent in (True, False)]
        pause = len(kinds) / per_second
        self._threads = [
            threading.Thread(target=self._work, args=(method, pause), kwargs={"persistent": persistent}, daemon=True)
            for method, persistent in kinds
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=90)

    def require_success(self, at_least: int) -> None:
        """Raise AssertionError unless every request succeeded and at least so many of each method were sent."""
        tally = self.tally
        shown = "\n".join(tally.failures[:20])
        assert not tally.failures, f"{len(tally.failures)} of {sum(tally.sent.values())} requests failed:\n{shown}"
        assert all(not thread.is_alive() for thread in self._threads), "a request had no end"
        assert min(tally.sent.values(), default=0) >= at_least, f"too little was sent to prove anything: {tally.sent}"

    def _work(self, method: str, pause: float, *, persistent: bool) -> None:
        connection: Connection | None = None
        for number in _paced(pause, self._stop):
            connection = connection if persistent else None
            reused = connection is not None
            connection = connection or self.client.connection()
            try:
                answer = self._exchange(method, number, connection, reused=reused)
                self._note(method, answer)
            except Exception as error:  # noqa: BLE001 - whatever went wrong, the request was not answered
                self._fail(f"{method} ({'kept' if reused else 'new'} connection): {error!r}")
                connection.close()
                connection = None
            if connection is not None and not persistent:
                connection.close()

    def _exchange(self, method: str, number: int, connection: Connection, *, reused: bool) -> Answer:
        path, body, headers = self._request(method, number)

        def send() -> Answer:
            return self.client.request(method, path, body, headers=headers, session=self.session, over=connection)

        try:
            return send()
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            # A server may close a persistent connection at any time; clients send idempotent requests again (RFC 9110,
            # 9.2.2), and an idempotency key makes a POST idempotent. On a new connection it is a failure.
            if not reused:
                raise
            connection.close()
        with self._lock:
            self.tally.resent += 1
        return send()

    def _request(self, method: str, number: int) -> tuple[str, dict[str, str] | None, dict[str, str]]:
        if method == "GET":
            return ("/api/instance", "/api/patients?limit=5")[number % 2], None, {}
        patient = {"fullName": f"{self.mark} {uuid.uuid4().hex[:8]}", "dateOfBirth": "1990-01-01"}
        return "/api/patients", patient, {"Idempotency-Key": uuid.uuid4().hex}

    def _note(self, method: str, answer: Answer) -> None:
        with self._lock:
            self.tally.sent[method] = self.tally.sent.get(method, 0) + 1
            self.tally.instances.add(answer.headers.get("x-instance", ""))
        if answer.status not in _GOOD[method]:
            self._fail(f"{method}: {answer.status} {answer.body[:200]!r}")
        elif method == "POST":
            with self._lock:
                self.tally.added.append(answer.headers.get("location", ""))

    def _fail(self, what: str) -> None:
        with self._lock:
            self.tally.failures.append(f"{time.strftime('%H:%M:%S', time.gmtime())} {what}")


def _paced(pause: float, stop: threading.Event) -> Iterator[int]:
    """Count up every `pause` seconds; a late step is not caught up, as a burst would follow a stall."""
    for number in itertools.count():
        began = time.monotonic()
        yield number
        if stop.wait(max(0.0, pause - (time.monotonic() - began))):
            return
