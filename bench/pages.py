"""Generates docs/benchmarks.md from the documents of the measurements. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.documents import Document
from bench.samples import Comparison

#: Measurement -> heading, and a description of the two sides.
PARTS: dict[str, tuple[str, str]] = {
    "setup": (
        "Set-up",
        (
            "`scripts/setup.sh` in a new clone, with system packages and the programs that are built once per machine already"
            " there, and again right after it. Peer: `python -m venv` and `pip install` of the same locked packages, from wheels"
            " on disk."
        ),
    ),
    "image": (
        "Base image",
        (
            "The image of local hosts, built and imported from nothing. Peer: the distribution's smallest system by the same"
            " builder. Both download their packages."
        ),
    ),
    "provisioning": (
        "Provisioning",
        (
            "`pulumi up` of an environment that is not there, until its hosts have booted. Peer: the same containers by the same"
            " code without Pulumi, all at once, until they have booted. The difference is the engine, its program and its state."
        ),
    ),
    "converge-1": (
        "Converge of one host",
        (
            "A copy of `taaleem-single`: every role on one server. The floor of a role is `apt-get install` of exactly the"
            " packages that it installed, with their dependencies, on an identical fresh host, with no service started; packages"
            " are downloaded before, for both. A role that installs no package has no floor. 1 is a role that costs nothing but"
            " its packages."
        ),
    ),
    "converge-3": (
        "Converge of three hosts",
        "A copy of `taaleem-baremetal`: three servers that existed before. Downloads are part of the first converge.",
    ),
    "converge-7": (
        "Converge of seven hosts",
        "A copy of `taaleem-local`. Downloads are part of the first converge.",
    ),
    "edge": (
        "Edge",
        (
            "Our configuration for `taaleem`, rendered by the role's templates, against the distribution's nginx with the"
            " original's configuration (`bench/inputs/original-edge.conf`): the same program, host, certificate and instances;"
            " TLS, HTTP/1.1; `wrk` with 32 connections on the same host. Ours logs JSON, limits connections and sets more headers;"
            " it keeps connections to instances open, which the original's does not"
            " ([ADR 3](adr/0003-nginx-differs-from-the-original.md)); it compresses harder (level 5 against 1)."
        ),
    ),
    "pooler": (
        "PgBouncer",
        (
            "`pgbench --select-only` with 200 clients through PgBouncer, configured by the role's template with its default of 20"
            " server connections, against 200 direct connections to the same PostgreSQL. TLS with a verified certificate and SCRAM"
            " towards the server on both ways; clients, pooler and server share one host."
        ),
    ),
}

_HEAD = """# Benchmarks

<!-- Written by `python -m bench report`; edits are lost. -->

Ratios, not seconds: each figure is ours divided by a peer's, measured in turn in the same run on the same machine (`make bench`, raw
samples in `.state/bench/*.json`). Nothing here is a test that can fail.

**ratio** is the median over the pairs, **range** their least and greatest. **noise** is the peer's slowest sample divided by its
fastest: a ratio closer to 1 than that says nothing. An arrow tells which way is good for us.
"""


def page(documents: Iterable[Document]) -> str:
    """Return the whole page; a missing measurement is named as such."""
    by_bench = {document.bench: document for document in documents}
    parts = [_HEAD]
    for bench, (heading, text) in PARTS.items():
        parts.append(f"## {heading}\n{text}\n")
        document = by_bench.get(bench)
        parts += [_not_measured(bench)] if document is None else _measured(document)
    return "\n".join(parts)


def _not_measured(bench: str) -> str:
    command, _, hosts = bench.partition("-")
    option = f" --hosts {hosts}" if hosts else ""
    return f"Not measured yet: `python -m bench {command}{option}`.\n"


def _measured(document: Document) -> list[str]:
    sections: dict[str, list[Comparison]] = {}
    for comparison in document.comparisons:
        sections.setdefault(comparison.section, []).append(comparison)
    parts = []
    for section, comparisons in sections.items():
        heading = f"### {section}\n" if len(sections) > 1 else ""
        parts.append(heading + table(comparisons))
    return [*parts, _circumstances(document)]


def table(comparisons: Sequence[Comparison]) -> str:
    """Return a table with one line per comparison."""
    lines = ["| what | against | ratio | range | noise | pairs |", "|---|---|---|---|---|---|"]
    for comparison in comparisons:
        arrow = "↑" if comparison.better == "higher" else "↓"
        name = f"{comparison.name} ({comparison.note})" if comparison.note else comparison.name
        span = f"{shown(comparison.ratio.low)}-{shown(comparison.ratio.high)}" if len(comparison.ours) > 1 else ""
        noise = shown(comparison.noise) if len(comparison.ours) > 1 else ""
        cells = (
            name,
            comparison.peer,
            f"{shown(comparison.ratio.median)} {arrow}",
            span,
            noise,
            str(len(comparison.ours)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def shown(ratio: float) -> str:
    """Return a ratio with at most three digits, as more would be noise."""
    if ratio >= 100:
        return f"{ratio:.0f}"
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def _circumstances(document: Document) -> str:
    machine = document.machine
    return (
        f"Measured {document.measured[:10]}: {machine['cores']} cores ({machine['processor']}),"
        f" {machine['memory_gib']} GiB, {machine['system']}, kernel {machine['kernel']}, Python {machine['python']},"
        f" Ansible {machine['ansible']}, Pulumi {machine['pulumi']}, podman {machine['podman']};"
        f" load average before: {machine['load_before']}.\n"
    )
