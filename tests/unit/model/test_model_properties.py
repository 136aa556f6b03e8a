"""Properties of the pure functions, for any input."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from stackwright.model import addressing, capacity, naming, topology
from stackwright.model.capacity import Client, Demand
from stackwright.model.topology import Host

TIERS = st.sampled_from(topology.TIERS)
DEMANDS = st.lists(
    st.builds(
        Demand,
        app=st.sampled_from("abcdef"),
        instances=st.none() | st.integers(1, 16),
        max_instances=st.integers(1, 32),
        memory_mb=st.integers(64, 4096),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda demand: demand.app,
)
GROUPS = st.sets(st.sampled_from((*topology.TIERS, "consensus")), min_size=1).map(sorted)


@given(counts=st.dictionaries(TIERS, st.integers(1, 40)))
def test_no_two_hosts_have_one_address(counts: dict[str, int]) -> None:
    addresses = [
        addressing.address("10.0.0.0/22", tier, number) for tier, n in counts.items() for number in range(1, n + 1)
    ]
    assert len(addresses) == len(set(addresses))
    for address in addresses:
        assert addressing.usable("10.0.0.0/22", address)
        assert address != addressing.gateway("10.0.0.0/22")


@given(before=st.dictionaries(TIERS, st.integers(1, 9)), tier=TIERS)
def test_no_host_moves_when_another_is_added(before: dict[str, int], tier: str) -> None:
    def placed(counts: dict[str, int]) -> dict[str, str]:
        return {
            naming.host_name(one, number): addressing.address("10.0.0.0/24", one, number)
            for one, n in counts.items()
            for number in range(1, n + 1)
        }

    after = placed(before | {tier: before.get(tier, 0) + 1})
    assert placed(before).items() <= after.items()
    assert len(set(after.values())) == len(after)


@given(names=st.lists(st.text("abc", min_size=1), unique=True, max_size=16), more=st.text("xyz", min_size=1))
def test_subnets_do_not_overlap_and_do_not_move(names: list[str], more: str) -> None:
    subnets = addressing.split("10.0.0.0/16", names, 21)
    assert list(subnets) == names
    assert addressing.overlaps(list(subnets.values())) == ()
    assert all(addressing.within("10.0.0.0/16", cidr) for cidr in subnets.values())
    assert subnets.items() <= addressing.split("10.0.0.0/16", [*names, more], 21).items()


@given(networks=st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 29)), max_size=6))
def test_overlaps_are_those_with_a_common_address(networks: list[tuple[int, int]]) -> None:
    parsed = [ipaddress.IPv4Network((base >> (32 - prefix) << (32 - prefix), prefix)) for base, prefix in networks]
    expected = tuple(
        (i, j)
        for i in range(len(parsed))
        for j in range(i + 1, len(parsed))
        if max(parsed[i][0], parsed[j][0]) <= min(parsed[i][-1], parsed[j][-1])
    )
    assert addressing.overlaps([str(network) for network in parsed]) == expected


@given(parts=st.lists(st.text("abcdefgh-", min_size=1), min_size=1), limit=st.integers(12, 63))
def test_names_fit_their_limit_and_stay_apart(parts: list[str], limit: int) -> None:
    name = naming.bounded(*parts, limit=limit)
    assert len(name) <= limit
    if len("-".join(parts)) > limit:
        assert name != naming.bounded(*parts, "x", limit=limit)
    else:
        assert name == "-".join(parts)


@given(groups=GROUPS, cpus=st.integers(1, 64), memory_mb=st.integers(512, 262_144), demands=DEMANDS)
def test_a_plan_that_fits_shares_out_no_more_than_there_is(
    groups: list[str], cpus: int, memory_mb: int, demands: list[Demand]
) -> None:
    plan = capacity.plan_host(groups=groups, cpus=cpus, memory_mb=memory_mb, demands=demands, cache_mb=[128, 64])
    assert plan.fits == (sum(plan.shares.values()) <= memory_mb)
    assert plan.sum_text.endswith(f"= {sum(plan.shares.values())} MB of {memory_mb} MB")
    for demand in demands if "app" in groups else []:
        number = plan.instances[demand.app]
        assert plan.shares[demand.app] == number * demand.memory_mb
        if demand.instances is None:
            assert 1 <= number <= max(1, min(cpus, demand.max_instances))
        else:
            assert number == demand.instances
    if "database" in groups:
        assert plan.shares["database"] >= capacity.DATABASE_MIN_MB


@given(cpus=st.integers(1, 16), memory_mb=st.integers(1024, 65_536), more=st.integers(0, 65_536), demands=DEMANDS)
def test_one_instance_per_cpu_where_memory_allows_and_one_more_would_not_fit(
    cpus: int, memory_mb: int, more: int, demands: list[Demand]
) -> None:
    demand = Demand(app="a", instances=None, max_instances=32, memory_mb=demands[0].memory_mb)
    number = capacity.plan_instances(cpus=cpus, memory_mb=memory_mb, demands=[demand])["a"]
    assert number == cpus or (number + 1) * demand.memory_mb > memory_mb
    assert capacity.plan_instances(cpus=cpus, memory_mb=memory_mb + more, demands=[demand])["a"] >= number


def test_four_instances_of_a_gigabyte_do_not_fit_two() -> None:
    demand = Demand(app="emr", instances=4, max_instances=4, memory_mb=1024)
    plan = capacity.plan_host(groups=["app"], cpus=4, memory_mb=2048, demands=[demand], cache_mb=[])
    assert not plan.fits
    assert plan.sum_text == "system 384 + proxies 128 + emr 4 x 1024 = 4608 MB of 2048 MB"
    assert capacity.plan_instances(
        cpus=4, memory_mb=2048 - 384 - 128, demands=[Demand(app="emr", instances=None, max_instances=4, memory_mb=1024)]
    ) == {"emr": 1}


CLIENTS = st.lists(
    st.builds(
        Client,
        host=st.sampled_from(["app1", "app2", "app3", "app4"]),
        app=st.sampled_from(["emr", "portal"]),
        instances=st.integers(1, 16),
        pool=st.integers(1, 50),
        reads_replica=st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda client: (client.host, client.app),
)


@given(
    clients=CLIENTS,
    max_connections=st.integers(20, 5000),
    limits=st.lists(st.integers(-1, 20), max_size=3),
    per_host=st.none() | st.integers(1, 400),
)
def test_a_connection_budget_that_fits_never_exceeds_the_database(
    clients: list[Client], max_connections: int, limits: list[int], per_host: int | None
) -> None:
    budget = capacity.plan_connections(
        max_connections=max_connections, role_limits=limits, clients=clients, per_host=per_host
    )
    spent = sum(budget.reserved.values()) + sum(pool.primary + pool.replica for pool in budget.pools)
    instances = sum(client.instances for client in clients)
    if budget.fits:
        assert spent <= max_connections
        assert sum(budget.reserved.values()) + 2 * instances <= max_connections
    elif per_host is None:
        assert sum(budget.reserved.values()) + 2 * instances > max_connections
    assert {(pool.host, pool.app) for pool in budget.pools} == {(client.host, client.app) for client in clients}
    for pool, client in ((p, c) for p in budget.pools for c in clients if (p.host, p.app) == (c.host, c.app)):
        assert pool.clients == client.instances * client.pool * (2 if client.reads_replica else 1)
        assert pool.replica == 0 or client.reads_replica
        assert pool.primary >= pool.replica


@given(
    groups=GROUPS,
    memory_mb=st.integers(512, 262_144),
    clients=st.integers(0, 10_000),
    connections=st.integers(20, 5000),
)
def test_kernel_limits_cover_what_was_planned(
    groups: list[str], memory_mb: int, clients: int, connections: int
) -> None:
    limits = capacity.kernel_limits(groups=groups, memory_mb=memory_mb, clients=clients, max_connections=connections)
    files = limits["open_files"]
    if "edge" in groups:
        assert int(files["nginx"]) > 2 * capacity.edge_connections(memory_mb)
    if "app" in groups:
        assert int(files["pgbouncer"]) > clients + connections
    if "cache" in groups:
        assert limits["sysctl"]["vm.overcommit_memory"] == 1
    assert set(files) == {
        service
        for group, services in {
            "edge": ["nginx"],
            "app": ["pgbouncer", "haproxy", "app"],
            "database": ["postgresql"],
            "cache": ["redis"],
            "consensus": ["etcd"],
        }.items()
        if group in groups
        for service in services
    }


@given(number=st.integers(1, 7), ops=st.integers(1, 3))
def test_voters_are_odd_wherever_there_is_an_ops_host(number: int, ops: int) -> None:
    hosts = [
        Host(name=f"{tier}{n}", address=f"10.0.0.{n}", groups=(tier,), cpus=1, memory_mb=1024)
        for tier, count in (("database", number), ("ops", ops))
        for n in range(1, count + 1)
    ]
    voters = topology.voters(hosts)
    assert len(voters) % 2 == 1
    assert {host.name for host in hosts if "database" in host.groups} <= set(voters)
