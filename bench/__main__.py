"""`python -m bench`: one sub-command per measurement, each on its own; `all` runs them one after the other.

A measurement leaves `.state/bench/<name>.json`; `report` makes docs/benchmarks.md of all that are there. With `--quick` it
leaves `<name>.quick.json`, which no report shows.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer

from bench import converge as converge_bench
from bench import documents, edge, image, pages, pooler, provisioning, set_up
from bench.environments import BY_HOSTS
from bench.process import BenchError, checkout
from bench.samples import Comparison
from bench.workplace import alone, say
from stackwright.infra.engine import EngineError
from stackwright.infra.local.images import ImageError
from stackwright.infra.local.podman import PodmanError
from stackwright.model.errors import ModelError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Quick = Annotated[bool, typer.Option("--quick", help="A small form, to see that it works; not for the docs.")]
Hosts = Annotated[list[int] | None, typer.Option("--hosts", help="1, 3 or 7; all of them if not said.")]

Found = tuple[list[Comparison], dict[str, Any]]

#: What a person can do something about; anything else is a traceback.
PROBLEMS = (BenchError, PodmanError, ImageError, EngineError, ModelError, OSError)


@app.command()
def setup(*, quick: Quick = False) -> None:
    """Set-up of a new clone."""
    _keep("setup", lambda: set_up.measure(1 if quick else 2), quick=quick)


@app.command(name="image")
def image_command(*, quick: Quick = False) -> None:
    """The hosts' base image."""
    _keep("image", lambda: image.measure(1 if quick else 2), quick=quick)


@app.command(name="provisioning")
def provisioning_command(*, quick: Quick = False) -> None:
    """Hosts by Pulumi."""
    _keep("provisioning", lambda: provisioning.measure({1: 1} if quick else {1: 3, 7: 3}), quick=quick)


@app.command()
def converge(hosts: Hosts = None, *, quick: Quick = False) -> None:
    """First and second converges."""
    for count in hosts or _sizes(quick=quick):
        _converge(count, quick=quick)


@app.command(name="edge")
def edge_command(*, quick: Quick = False) -> None:
    """Throughput and latency of the edge."""
    _keep("edge", lambda: edge.measure(1, 1) if quick else edge.measure(5, 3), quick=quick)


@app.command(name="pooler")
def pooler_command(*, quick: Quick = False) -> None:
    """PgBouncer with 200 clients."""
    _keep("pooler", lambda: pooler.measure(1, shorter=10) if quick else pooler.measure(4), quick=quick)


@app.command()
def report() -> None:
    """Write docs/benchmarks.md."""
    path = checkout() / "docs" / "benchmarks.md"
    path.write_text(pages.page(documents.read_all()))
    say(f"report: {path.relative_to(checkout())}")


@app.command(name="all")
def all_command(*, quick: Quick = False) -> None:
    """Every measurement, then the report; one that fails does not keep the others from running."""
    work = {"setup": setup, "image": image_command, "provisioning": provisioning_command}
    work |= {"edge": edge_command, "pooler": pooler_command}
    for hosts in _sizes(quick=quick):
        work[f"converge --hosts {hosts}"] = partial(_converge, hosts)
    failed = []
    for name, measure in work.items():
        try:
            measure(quick=quick)
        except PROBLEMS as problem:
            failed.append(name)
            print(f"error: {name}: {problem}", file=sys.stderr)
    if not quick:
        report()
    if failed:
        raise BenchError(f"not measured: {', '.join(failed)}")


def _sizes(*, quick: bool) -> list[int]:
    """Hosts; the largest first: it brings the packages that the floor of the smallest needs."""
    return [1] if quick else sorted(BY_HOSTS, reverse=True)


def _converge(hosts: int, *, quick: bool) -> None:
    if hosts not in BY_HOSTS:
        raise BenchError(f"--hosts: {hosts}; accepted: {', '.join(map(str, BY_HOSTS))}")
    single = hosts == 1

    def measure() -> Found:
        return converge_bench.measure(
            hosts,
            first_rounds=2 if single and not quick else 1,
            second_rounds=1 if quick else 3 if single else 2,
            plain_rounds=1 if single and not quick else 0,
            fetch=not quick,
        )

    _keep(f"converge-{hosts}", measure, quick=quick)


def _keep(name: str, measure: Callable[[], Found], *, quick: bool) -> None:
    load = os.getloadavg()[0]
    say(f"{name}: load average {load:.2f} before")
    with alone():
        comparisons, details = measure()
    path = documents.write(name, comparisons, quick=quick, load=load, details=details)
    for comparison in comparisons:
        say(f"{name}: {comparison.name}: {pages.shown(comparison.ratio.median)} of {comparison.peer}")
    say(f"{name}: {path.relative_to(checkout())}")


def main() -> None:
    """Entry point: being told to end cleans up as Ctrl-C does, and a known problem is a message."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app()
    except PROBLEMS as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
