"""What nginx on the edge would reject about the sites, reported with the file, the line and the key that it comes from.

The same code completes and checks the role's input on hosts: stackwright.model.edge_nginx.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from stackwright.model import edge, edge_nginx, topology
from stackwright.model.errors import KeyPath, Problem
from stackwright.model.files import Parsed
from stackwright.model.stackfile import StackFile
from stackwright.model.system import Site, System

if TYPE_CHECKING:
    from stackwright.model.environment import Environment

_ACCEPTED = {
    "headers": "headers of all answers, in ASCII without `$`, each once",
    "compression": f"media types of at most {edge_nginx.LONGEST_TYPE} characters that are not streams, such as text/css",
    "limits": "names that are used once in the site",
    "locations": "paths that no other key of the site or its application claims",
    "server": "names that no other site answers to",
}


def problems(environment: Environment, stack: Parsed[StackFile], system: Parsed[System]) -> Iterator[Problem]:
    """Yield every problem of the sites that the role nginx would find."""
    sites = [asdict(site) for site in edge.sites(environment)]
    if "edge" in topology.managed(environment.stack):
        # Each edge has the instances on its own host, which all have the same addresses.
        for upstream in (upstream for site in sites for upstream in site["upstreams"]):
            first = upstream["members"][0]["host"] if upstream["members"] else ""
            upstream["members"] = tuple(member for member in upstream["members"] if member["host"] == first)
    try:
        edge_nginx.normalise(edge_nginx.nginx_sites(sites, certificate_folder="/tls", static_root="/static"))
    except edge_nginx.EdgeError as error:
        for mistake in dict.fromkeys(error.mistakes):
            file, path = _origin(environment, stack, system, mistake)
            yield file.problem(path, mistake.message, accepted=_ACCEPTED.get(mistake.part[0], ""))


def _origin(
    environment: Environment, stack: Parsed[StackFile], system: Parsed[System], mistake: edge_nginx.Mistake
) -> tuple[Parsed[StackFile] | Parsed[System], KeyPath]:
    """Return the file and the key that a mistake comes from."""
    site_path: KeyPath = ("sites", mistake.site)
    site = environment.system.sites[mistake.site]
    kind, name = mistake.part[0], mistake.part[-1]
    if kind == "headers":
        return system, (*site_path, "headers", name)
    if kind == "compression":
        types = site.compression.types
        return system, (*site_path, "compression", "types", *((types.index(name),) if name in types else ()))
    if kind in ("limits", "locations"):
        override = stack.need().sites.get(mistake.site)
        replaced = override is not None and override.rate_limits is not None
        limits = override.rate_limits if override is not None and override.rate_limits is not None else site.rate_limits
        for position, limit in enumerate(limits):
            if limit.name == name or (kind == "locations" and _same(limit.path, name)):
                return stack if replaced else system, (*site_path, "rate_limits", position)
    return system, _route(environment, site, name) or site_path


def _route(environment: Environment, site: Site, path: str) -> KeyPath:
    """Return the key of the site, or of its application, that uses `path`; empty if there is none."""
    name = next(name for name, known in environment.system.sites.items() if known is site)
    for position, stream in enumerate(site.unbuffered):
        if _same(stream, path):
            return ("sites", name, "unbuffered", position)
    statics = environment.system.apps[site.app].static
    matches = [position for position, static in enumerate(statics) if _same(static.url, path)]
    return ("apps", site.app, "static", matches[-1], "url") if matches else ()


def _same(path: str, location: str) -> bool:
    return path.rstrip("/") == location.rstrip("/")
