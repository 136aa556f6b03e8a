"""The edge, independent of the proxy: sites, their instances, routes, limits. nginx implements it, IIS could.

The behaviour of each part is specified once, in `tests/contract/edge.yml`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stackwright.model import capacity, naming, topology
from stackwright.model.system import Compression, Health, RateLimit, StaticPath, Timeouts, Tls

#: Time that a cloud's load balancer keeps an idle connection: WebSockets may be silent for an hour.
LOAD_BALANCER_IDLE_SECONDS = 3600

if TYPE_CHECKING:
    from stackwright.model.environment import Environment
    from stackwright.model.process import AppPlan
    from stackwright.model.system import Site


@dataclass(frozen=True, kw_only=True)
class Member:
    """An instance that requests may be sent to."""

    host: str
    address: str
    port: int
    weight: int


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """The instances of an application, and how one of them is chosen."""

    name: str
    members: tuple[Member, ...]
    balance: str
    keepalive: int
    health: Health


@dataclass(frozen=True, kw_only=True)
class Route:
    """How a path and all paths below it reach the application; the longest matching path is used."""

    path: str
    upstream: str
    #: Match this path only, not those below it.
    exact: bool = False
    websocket: bool = False
    #: False for streams, which are passed on without buffering.
    buffered: bool = True
    logged: bool = True


@dataclass(frozen=True, kw_only=True)
class EdgeSite:
    """A web site."""

    name: str
    app: str
    #: The first name is used in links and redirects.
    names: tuple[str, ...]
    tls: Tls
    upstreams: tuple[Upstream, ...]
    routes: tuple[Route, ...]
    static: tuple[StaticPath, ...]
    limits: tuple[RateLimit, ...]
    connections_per_client: int
    streams_per_client: int
    headers: dict[str, str]
    timeouts: Timeouts
    body_limit_mb: int
    compression: Compression


def sites(environment: Environment) -> tuple[EdgeSite, ...]:
    """Return the environment's sites."""
    return tuple(_site(environment, name, site) for name, site in environment.system.sites.items())


def site_names(environment: Environment, site: Site) -> tuple[str, ...]:
    """Return the host names that a site responds to."""
    return naming.site_names(site, environment.domain, environment.aliases)


def _site(environment: Environment, name: str, site: Site) -> EdgeSite:
    plan = environment.apps[site.app]
    override = environment.stack.sites.get(name)
    return EdgeSite(
        name=name,
        app=site.app,
        names=site_names(environment, site),
        tls=site.tls,
        upstreams=(_upstream(environment, name, site, plan),),
        routes=_routes(name, site, plan.app.health),
        static=plan.app.static,
        limits=site.rate_limits if override is None or override.rate_limits is None else override.rate_limits,
        connections_per_client=site.connections_per_client,
        streams_per_client=_streams(environment, site),
        headers=dict(site.headers),
        timeouts=_timeouts(environment, site),
        body_limit_mb=(override and override.body_limit_mb) or site.body_limit_mb,
        compression=site.compression,
    )


def _streams(environment: Environment, site: Site) -> int:
    """Return the limit of streams: a stream has two connections, and one address gets at most half of a worker's."""
    if site.streams_per_client is not None:
        return site.streams_per_client
    smallest = min((host.memory_mb for host in environment.plan.hosts if "edge" in host.groups), default=0)
    return capacity.edge_connections(smallest) // 4


def _timeouts(environment: Environment, site: Site) -> Timeouts:
    """Return timeouts that let a load balancer close idle connections before the host does, to prevent error 502."""
    if "edge" not in topology.managed(environment.stack):
        return site.timeouts
    longer = max(site.timeouts.keepalive_seconds, LOAD_BALANCER_IDLE_SECONDS + 10)
    return replace(site.timeouts, keepalive_seconds=longer)


def _upstream(environment: Environment, name: str, site: Site, plan: AppPlan) -> Upstream:
    override = environment.stack.sites.get(name)
    weights = site.balance.weights | (override.weights if override else {})
    return Upstream(
        name=name,
        members=tuple(
            Member(host=host, address=address, port=port, weight=weights.get(host, 1))
            for host, address, port in plan.endpoints
        ),
        balance=(override and override.method) or site.balance.method,
        keepalive=site.balance.keepalive,
        health=plan.app.health,
    )


def _routes(upstream: str, site: Site, health: Health) -> tuple[Route, ...]:
    streams = tuple(Route(path=path, upstream=upstream, buffered=False) for path in site.unbuffered)
    return (
        Route(path="/", upstream=upstream, websocket=site.websocket),
        *streams,
        Route(path=health.path, upstream=upstream, exact=True, logged=False),
    )
