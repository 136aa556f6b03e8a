"""What bench makes of what it measured: ratios, times by role, packages by role, the page."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench import converge, documents, edge, environments, pages, pooler, process
from bench.packages import Transaction, transactions
from bench.process import BenchError, Finished
from bench.samples import Comparison, Spread, from_json, in_turn, to_json
from bench.timeline import Span, role_at, role_of, run_of, seconds_by_role, spans
from stackwright.testing.e2e import wait_until

ROOT = Path(__file__).resolve().parents[2]


def comparison(**given: Any) -> Comparison:
    values = {
        "section": "Edge",
        "name": "static",
        "peer": "the original's",
        "unit": "requests/s",
        "better": "higher",
        "ours": (30.0, 10.0, 20.0),
        "peers": (10.0, 10.0, 8.0),
    }
    return Comparison(**values | given)


def document(**given: Any) -> documents.Document:
    values = {
        "bench": "edge",
        "measured": "2026-01-02T03:04:05+00:00",
        "quick": False,
        "machine": documents.machine() | {"load_before": 0.25},
        "comparisons": (comparison(),),
    }
    return documents.Document(**values | given)


# --- ratios -----------------------------------------------------------------------------------------------------------


def test_a_ratio_is_reckoned_pair_by_pair() -> None:
    assert comparison().ratio == Spread(median=2.5, low=1.0, high=3.0)


def test_noise_is_how_far_the_peers_own_samples_are_apart() -> None:
    assert comparison().noise == 1.25
    assert comparison(ours=(1.0,), peers=(2.0,)).noise == 1.0


@pytest.mark.parametrize(
    ("ours", "peers", "message"),
    [
        ((), (), "0 samples against 0; accepted: pairs, one at least"),
        ((1.0,), (1.0, 2.0), "1 samples against 2; accepted: pairs, one at least"),
        ((1.0,), (0.0,), "a peer of 0.0 requests/s has no ratio"),
    ],
)
def test_what_has_no_ratio_is_refused(ours: tuple[float, ...], peers: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^Edge, static: {message}$"):
        comparison(ours=ours, peers=peers)


def test_a_comparison_survives_json() -> None:
    kept = json.loads(json.dumps(to_json(comparison())))
    assert kept["ratio"] == {"median": 2.5, "low": 1.0, "high": 3.0}
    assert from_json(kept) == comparison()


def test_who_is_first_changes_with_each_round() -> None:
    order: list[str] = []

    def note(name: str) -> str:
        order.append(name)
        return name

    assert in_turn(3, lambda: note("ours"), lambda: note("peer")) == [("ours", "peer")] * 3
    assert order == ["ours", "peer", "peer", "ours", "ours", "peer"]


# --- time by role -----------------------------------------------------------------------------------------------------

EVENTS = (
    (10.0, {"event": "play", "name": "Edge"}),
    (10.0, {"event": "task", "name": "Gathering Facts"}),
    (11.0, {"event": "result", "host": "edge1", "status": "ok", "task": "Gathering Facts"}),
    (11.5, {"event": "task", "name": "nginx : install | Install packages"}),
    (14.0, {"event": "result", "host": "edge1", "status": "changed", "task": "nginx : install | Install packages"}),
    (14.5, {"event": "task", "name": "redis : run | Start"}),
    (14.75, {"event": "result", "host": "edge1", "status": "skipped", "task": "redis : run | Start"}),
    (15.0, {"event": "task", "name": "nginx : Reload"}),
    (16.0, {"event": "stats", "hosts": {}}),
)


def test_a_task_lasts_until_the_next_one_begins() -> None:
    found = spans(EVENTS)
    assert found[1] == Span(role="nginx", began=11.5, seconds=3.0)
    assert seconds_by_role(found) == {"(edge)": 1.5, "nginx": 4.0, "redis": 0.5}


def test_nothing_but_what_ran_is_counted() -> None:
    run = run_of(Finished(seconds=20.0, output="", events=EVENTS))
    assert (run.seconds, run.tasks, run.changed) == (20.0, 2, 1)
    assert run_of(Finished(seconds=1.0, output="")).spans == ()


def test_a_task_belongs_to_its_role_or_to_its_play() -> None:
    assert role_of("nginx : install | Install packages", "Edge") == "nginx"
    assert role_of("Gathering Facts", "Edge") == "(edge)"


def test_the_role_at_a_time() -> None:
    found = spans(EVENTS)
    assert [role_at(found, when) for when in (9.0, 10.0, 12.0, 99.0)] == [None, "(edge)", "nginx", "nginx"]


def test_shares_add_up_to_the_whole() -> None:
    runs = [
        (100.0, {"small": 0.5, "redis": 20.0, "nginx": 30.0}),
        (200.0, {"small": 1.0, "redis": 50.0, "nginx": 90.0}),
    ]
    found = converge.shares(runs)
    assert list(found.items()) == [("nginx", (30.0, 90.0)), ("redis", (20.0, 50.0)), (converge.REST, (50.0, 60.0))]


# --- packages by role -------------------------------------------------------------------------------------------------

HISTORY = """
Start-Date: 2026-01-02  02:00:00
Commandline: apt-get install systemd
Install: systemd:amd64 (257.1)
End-Date: 2026-01-02  02:00:05

Start-Date: 2026-01-02  03:00:11
Commandline: /usr/bin/apt-get install nginx
Install: nginx:amd64 (1.26.3-3+deb13u1), nginx-common:amd64 (1.26.3-3+deb13u1, automatic)
Upgrade: libssl3t64:amd64 (3.5.1-1, 3.5.4-1~deb13u1)
End-Date: 2026-01-02  03:00:13

Start-Date: 2026-01-02  03:00:20
Commandline: /usr/bin/apt-get remove cron
Remove: cron:amd64 (3.0)
End-Date: 2026-01-02  03:00:21
"""


def test_packages_are_the_role_s_that_ran_when_apt_began() -> None:
    # apt's whole second, 03:00:11, is before 03:00:11.5, when the task began.
    began = 1767322811.5
    found = transactions(HISTORY, "+0000", [Span(role="nginx", began=began, seconds=3.0)])
    packages = ("nginx=1.26.3-3+deb13u1", "nginx-common=1.26.3-3+deb13u1", "libssl3t64=3.5.4-1~deb13u1")
    assert found == [Transaction(role="nginx", packages=packages)]
    assert transactions(HISTORY, "+0100", [Span(role="nginx", began=began, seconds=3.0)]) == []


# --- what programs print ----------------------------------------------------------------------------------------------

WRK = """Running 3s test @ https://bench-edge.test:443/
  Latency Distribution
     50%  812.00us
     75%    1.43ms
     90%    2.43ms
     99%    1.20s
  35000 requests in 3.00s, 20.00MB read
Requests/sec:  11989.25
Transfer/sec:      6.67MB
"""

PGBENCH = """number of transactions actually processed: 40000/40000
number of failed transactions: 0 (0.000%)
latency average = 40.307 ms
initial connection time = 912.000 ms
tps = 4961.92 (without initial connection time)
"""


def test_the_figures_of_wrk() -> None:
    assert edge.parse(WRK) == edge.Load(per_second=11989.25, median_ms=0.812, p99_ms=1200.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WRK + "  Non-2xx or 3xx responses: 7\n", "7 requests got another answer"),
        ("unable to connect\n", "wrk printed no figures"),
    ],
)
def test_bad_answers_are_no_measurement(text: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        edge.parse(text)


def test_the_figures_of_pgbench() -> None:
    assert pooler.parse(PGBENCH) == pooler.Load(per_second=4961.92, latency_ms=40.307)


@pytest.mark.parametrize("text", ["tps = 1.0\n", PGBENCH.replace("transactions: 0 (", "transactions: 3 (")])
def test_failed_transactions_are_no_measurement(text: str) -> None:
    with pytest.raises(BenchError, match="pgbench has no good figures"):
        pooler.parse(text)


# --- what is measured -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hosts", "original"), [(n, original) for n, (_, original) in environments.BY_HOSTS.items()])
def test_an_environment_is_a_copy_elsewhere(hosts: int, original: str, tmp_path: Path) -> None:
    """Loaded by the model; the number of hosts is the one that it is called by."""
    from stackwright.model import environment as model

    stack = yaml.safe_load((ROOT / "inventories" / original / "stack.yml").read_text())
    moved = environments.moved(stack, "bench-copy", "10.232.7.0/24")
    place = tmp_path / "inventories" / "bench-copy"
    place.mkdir(parents=True)
    (place / "stack.yml").write_text(yaml.safe_dump(moved))
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "taaleem.yml").write_text((ROOT / "systems/taaleem.yml").read_text())
    found = model.load(place / "stack.yml")
    assert len(found.hosts) == hosts
    assert all(host.address.startswith("10.232.7.") for host in found.hosts)
    assert stack["network"]["cidr"] != moved["network"]["cidr"]


def test_our_edge_serves_the_paths_that_are_asked_for() -> None:
    _, files = edge.render()
    site = files["live/sites/emr.conf"]
    assert f"server_name {edge.NAME};" in site
    assert "alias /var/lib/bench/static/emr/current/_next/static/;" in site
    assert "/var/log/nginx" not in "".join(files.values())


def test_the_pooler_is_the_role_s() -> None:
    files = pooler.render()
    assert "pool_mode = transaction" in files["/etc/pgbouncer/pgbouncer.ini"]
    assert "server_tls_sslmode = verify-full" in files["/etc/pgbouncer/pgbouncer.ini"]
    assert f"max_connections = '{pooler.CLIENTS + 50}'" in pooler.settings("10.0.0.1")


def test_a_command_that_fails_shows_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"(?s)`sh -c .*` ended with 3; all of it: .*\| the end"):
        process.run(("sh", "-c", "echo the end; exit 3"), folder=tmp_path, log=tmp_path / "log")
    done = process.run(("cat",), folder=tmp_path, log=tmp_path / "log", stdin="given")
    assert done.output == "given"


def command_line(pid: str) -> bytes:
    """Return a process's command; empty where it has ended, also while its new parent has not noticed."""
    try:
        return Path(f"/proc/{pid.strip()}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_ends_a_measurement_ends_the_command_that_runs(tmp_path: Path, number: signal.Signals) -> None:
    """Though the command has a session of its own, which the terminal's signal does not reach."""
    marked = tmp_path / "pid"
    work = f"""
from pathlib import Path
from bench.process import run
folder = Path({str(tmp_path)!r})
run(("sh", "-c", "echo $$ > pid; exec sleep 60"), folder=folder, log=folder / "log")
"""
    # pytest may have been started where the signal is ignored, which a child would inherit.
    bench = subprocess.Popen(
        [sys.executable, "-c", f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n{work}"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: marked.exists() and bool(marked.read_text()), "it runs", seconds=20, pause=0.05)
    bench.send_signal(number)
    assert bench.wait(10) != 0
    wait_until(lambda: not command_line(marked.read_text()), "it has ended", seconds=10, pause=0.05)


def test_what_an_ansible_leaves_running_is_ended(tmp_path: Path) -> None:
    """As its workers do, it starts a session of its own and goes on without its parent."""
    program = tmp_path / "ansible-like"
    program.write_text("#!/bin/sh\nsetsid sleep 60 > /dev/null 2>&1 & echo $!\n")
    program.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{process.search_path()}"}
    done = process.run(("ansible-like",), folder=tmp_path, log=tmp_path / "log", variables=variables)
    wait_until(lambda: b"sleep" in command_line(done.output), "it runs", seconds=10, pause=0.05)
    process.end_marked()
    wait_until(lambda: not command_line(done.output), "it has ended", seconds=10, pause=0.05)


# --- the page ---------------------------------------------------------------------------------------------------------


def test_documents_are_kept_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "results_folder", lambda: tmp_path)
    path = documents.write("edge", [comparison()], quick=False, load=0.254, details={"connections": 32})
    small = documents.write("edge", [comparison(ours=(1.0,), peers=(1.0,))], quick=True, load=0.1, details={})
    (found,) = documents.read_all()
    assert path.name == "edge.json"
    assert (found.bench, found.quick, found.comparisons) == ("edge", False, (comparison(),))
    assert documents.read(small).quick
    assert found.machine["load_before"] == 0.25
    path.write_text(path.read_text().replace('"version": 1,', '"version": 0,'))
    with pytest.raises(ValueError, match="version is 0; accepted: 1; measure again"):
        documents.read_all()


def test_the_page_has_ratios_and_no_seconds() -> None:
    text = pages.page([document()])
    assert "| static | the original's | 2.50 ↑ | 1.00-3.00 | 1.25 | 3 |" in text
    assert "requests/s" not in text
    assert "load average before: 0.25" in text


def test_the_page_says_what_was_not_measured() -> None:
    text = pages.page([document()])
    assert "Not measured yet: `python -m bench converge --hosts 7`." in text
    assert "Not measured yet: `python -m bench setup`." in text
    assert "Not measured yet: `python -m bench edge`." not in text


def test_one_pair_has_neither_range_nor_noise() -> None:
    table = pages.table([comparison(ours=(3.0,), peers=(2.0,), better="lower", note="a word")])
    assert "| static (a word) | the original's | 1.50 ↓ |  |  | 1 |" in table


@pytest.mark.parametrize(("ratio", "text"), [(0.1234, "0.12"), (9.994, "9.99"), (12.34, "12.3"), (123.4, "123")])
def test_ratios_have_three_digits(ratio: float, text: str) -> None:
    assert pages.shown(ratio) == text


def test_every_measurement_has_its_part_of_the_page() -> None:
    converges = {f"converge-{hosts}" for hosts in environments.BY_HOSTS}
    assert set(pages.PARTS) == {"setup", "image", "provisioning", "edge", "pooler"} | converges
