"""`python -m bench`: one subcommand per measurement; `all` runs them one after the other.

A measurement writes `.state/bench/<name>.json`; `report` generates docs/benchmarks.md from all existing files. With
`--quick` it writes `<name>.quick.json`, which is not part of any report.
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

#: Errors that the user can act on; any other exception is shown as a traceback.
PROBLEMS = (BenchError, PodmanError, ImageError, EngineError, ModelError, OSError)


@app.command()
def setup(*, quick: Quick = False) -> None:
    """Measure the set-up of a new clone."""
    _keep("setup", lambda: set_up.measure(1 if quick else 2), quick=quick)


@app.command(name="image")
def image_command(*, quick: Quick = False) -> None:
    """Measure the build of the hosts' base image."""
    _keep("image", lambda: image.measure(1 if quick else 2), quick=quick)


@app.command(name="provisioning")
def provisioning_command(*, quick: Quick = False) -> None:
    """Measure the provisioning of hosts by Pulumi."""
    _keep("provisioning", lambda: provisioning.measure({1: 1} if quick else {1: 3, 7: 3}), quick=quick)


@app.command()
def converge(hosts: Hosts = None, *, quick: Quick = False) -> None:
    """Measure first and second converges."""
    for count in hosts or _sizes(quick=quick):
        _converge(count, quick=quick)


@app.command(name="edge")
def edge_command(*, quick: Quick = False) -> None:
    """Measure throughput and latency of the edge."""
    _keep("edge", lambda: edge.measure(1, 1) if quick else edge.measure(5, 3), quick=quick)


@app.command(name="pooler")
def pooler_command(*, quick: Quick = False) -> None:
    """Measure PgBouncer with 200 clients."""
    _keep("pooler", lambda: pooler.measure(1, shorter=10) if quick else pooler.measure(4), quick=quick)


@app.command()
def report() -> None:
    """Write docs/benchmarks.md."""
    path = checkout() / "docs" / "benchmarks.md"
    path.write_text(pages.page(documents.read_all()))
    say(f"report: {path.relative_to(checkout())}")


@app.command(name="all")
def all_command(*, quick: Quick = False) -> None:
    """Run every measurement, then write the report; a measurement that fails does not stop the others."""
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
    """Return the numbers of hosts, the largest first: it fetches the packages that the smallest needs for its floor."""
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
    """Run the application: SIGTERM cleans up like Ctrl-C, and a known problem is printed as a message."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        app()
    except PROBLEMS as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
