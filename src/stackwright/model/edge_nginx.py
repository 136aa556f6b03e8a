"""The edge for nginx: from the neutral model to the role's `nginx_sites`, and from there to what its templates print.

Templates only loop. Everything that could be decided wrongly (defaults, quoting, names that refer to each other) is
decided here, where it is tested without a machine.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

Data = dict[str, Any]

# Nested defaults of the role's argument spec, which Ansible checks but does not fill in. A test compares both.
DEFAULTS: Mapping[str, Data] = {
    "site": {
        "tls": None,
        "redirect_http": True,
        "redirect_http_status": 301,
        "hsts": None,
        "headers": {},
        "request_headers_removed": [
            "Forwarded",
            "Proxy",
            "X-Original-URL",
            "X-Rewrite-URL",
            "X-Middleware-Subrequest",
        ],
        "body_limit_mb": 1,
        "timeouts": {},
        "compression": {},
        "upstreams": [],
        "limits": [],
        "connections_per_client": 0,
        "streams_per_client": 0,
    },
    "hsts": {"include_subdomains": False, "preload": False},
    "timeouts": {
        "client_header_seconds": 10,
        "client_body_seconds": 30,
        "keepalive_seconds": 20,
        "connect_seconds": 5,
        "next_upstream_seconds": 75,
        "send_seconds": 60,
        "read_seconds": 60,
    },
    "compression": {
        "gzip": True,
        "brotli": True,
        "min_bytes": 1024,
        "types": [
            "application/atom+xml",
            "application/javascript",
            "application/json",
            "application/manifest+json",
            "application/rss+xml",
            "application/wasm",
            "application/xml",
            "font/otf",
            "font/ttf",
            "image/svg+xml",
            "text/css",
            "text/javascript",
            "text/plain",
            "text/x-component",
            "text/xml",
        ],
    },
    "upstreams": {"method": "least_conn", "keepalive": 32, "keepalive_timeout_seconds": 4, "health": None},
    "health": {"interval_seconds": 2, "timeout_seconds": 2, "failures": 3, "retry_after_seconds": 10},
    "members": {"weight": 1, "max_fails": 0, "fail_timeout_seconds": 10, "backup": False},
    "limits": {"key": "client", "burst": 0, "methods": []},
    "locations": {
        "match": "prefix",
        "type": "proxy",
        "upstream": "",
        "directory": None,
        "cache": None,
        "limits": [],
        "access_log": True,
        "websocket": False,
        "buffering": True,
        "body_limit_mb": 0,
        "read_seconds": 0,
    },
    "cache": {"immutable": False},
}

# Headers that the edge sets itself; those of an instance are hidden, so that no header is sent twice.
_EDGE_HEADERS = ("Strict-Transport-Security", "X-Request-ID")
# Headers that belong to one response: its length and form, its age, the state of the connection.
_ANSWER_HEADERS = frozenset(
    [
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "date",
        "etag",
        "keep-alive",
        "last-modified",
        "location",
        "retry-after",
        "server",
        "set-cookie",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
# Headers that reveal internals.
_HIDDEN_HEADERS = ("X-Powered-By",)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_SERVER_NAME = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_RATE = re.compile(r"([1-9][0-9]*)r/([sm])")
# Characters that end a word or start a variable in nginx's configuration.
_UNSAFE = re.compile(r"[\s;{}\"'$\\#]")
_UNSAFE_VALUE = re.compile(r"[\r\n$]")


# nginx keeps types in a table whose buckets have 64 bytes, in every version and without a directive to change it.
LONGEST_TYPE = 46


class Mistake(NamedTuple):
    """One mistake in the sites."""

    #: Name of the site; empty if several are affected.
    site: str
    #: Part of the site, as `("headers", "X-Frame-Options")` or `("locations", "/public/")`.
    part: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"site {self.site}: {self.message}" if self.site else self.message


class EdgeError(ValueError):
    """All mistakes in the sites, one line each."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


def nginx_sites(edge: Iterable[Mapping[str, Any]], *, certificate_folder: str, static_root: str) -> list[Data]:
    """Return the role's `nginx_sites` for the neutral sites of stackwright.model.edge (as mappings).

    `certificate_folder` has `tls.crt` and `tls.key` for all names; the static files of an application are stored by
    their URL below `<static_root>/<app>/current`.
    """
    return [_from_neutral(site, certificate_folder, static_root) for site in edge]


def tls_min_version(edge: Iterable[Mapping[str, Any]]) -> str:
    """Return the strictest version of the sites: nginx negotiates it before it knows which site is requested."""
    return max((str(site["tls"]["min_version"]) for site in edge), default="1.2")


def _from_neutral(site: Mapping[str, Any], certificate_folder: str, static_root: str) -> Data:
    tls, hsts = site["tls"], site["tls"]["hsts"]
    return {
        "name": site["name"],
        "server_names": list(site["names"]),
        "tls": {
            "certificates": [
                {"certificate_file": f"{certificate_folder}/tls.crt", "key_file": f"{certificate_folder}/tls.key"}
            ]
        },
        "redirect_http": tls["redirect_http"],
        "headers": dict(site["headers"]),
        "body_limit_mb": site["body_limit_mb"],
        "timeouts": _neutral_timeouts(site["timeouts"]),
        "compression": {**site["compression"], "types": list(site["compression"]["types"])},
        "connections_per_client": site["connections_per_client"],
        "streams_per_client": site["streams_per_client"],
        "upstreams": [_neutral_upstream(upstream) for upstream in site["upstreams"]],
        "limits": [_neutral_limit(limit) for limit in site["limits"]],
        "locations": _neutral_locations(site, static_root),
    } | ({"hsts": _neutral_hsts(hsts)} if hsts else {})


def _neutral_hsts(hsts: Mapping[str, Any]) -> Data:
    return {
        "max_age_seconds": hsts["max_age_days"] * 86400,
        "include_subdomains": hsts["include_subdomains"],
        "preload": hsts["preload"],
    }


def _neutral_timeouts(timeouts: Mapping[str, Any]) -> Data:
    """Return the timeouts; the model's `connect` is the maximum wait of a client; no single attempt may use it up."""
    return {
        "client_header_seconds": timeouts["client_header_seconds"],
        "client_body_seconds": timeouts["client_body_seconds"],
        "keepalive_seconds": timeouts["keepalive_seconds"],
        "connect_seconds": min(5, timeouts["connect_seconds"]),
        "next_upstream_seconds": timeouts["connect_seconds"],
        "send_seconds": timeouts["send_seconds"],
        "read_seconds": timeouts["read_seconds"],
    }


def _neutral_upstream(upstream: Mapping[str, Any]) -> Data:
    """Return the upstream; a failing member is taken out only if the method would choose it again and again.

    With least_conn it is chosen rarely, since waiting requests count as its connections. See
    docs/adr/0003-nginx-differs-from-the-original.md.
    """
    balance, health = upstream["balance"], upstream["health"]
    passive = {"max_fails": health["failures"], "fail_timeout_seconds": health["retry_after_seconds"]}
    return {
        "name": upstream["name"],
        "method": balance,
        "keepalive": upstream["keepalive"],
        "health": {
            "path": health["ready_path"],
            **{key: health[key] for key in DEFAULTS["health"]},
        },
        "members": [
            {"address": member["address"], "port": member["port"]}
            | ({} if balance == "least_conn" else passive)
            | ({} if balance == "round_robin" else {"weight": member["weight"]})
            for member in upstream["members"]
        ],
    }


def _neutral_limit(limit: Mapping[str, Any]) -> Data:
    return {
        "zone": limit["name"],
        "rate": f"{limit['requests']}r/{limit['per'][0]}",
        "burst": limit["burst"],
        "methods": list(limit["methods"]),
    }


def _covers(path: str, candidate: str) -> bool:
    """Return whether `candidate` is `path` or below it. nginx compares characters: /api would be a prefix of /apix."""
    return path == "/" or candidate == path or candidate.startswith(path.rstrip("/") + "/")


def _neutral_locations(site: Mapping[str, Any], static_root: str) -> list[Data]:
    exact = {route["path"]: route for route in site["routes"] if route["exact"]}
    below = {route["path"]: route for route in site["routes"] if not route["exact"]}
    statics = {static["url"].rstrip("/") + "/": static for static in site["static"]}
    # A limit's path becomes its own location, which behaves like the route, or the static files, that contain it.
    for limit in site["limits"]:
        path = limit["path"].rstrip("/") + "/"
        served = max((url for url in statics if path.startswith(url)), key=len, default="")
        # A route below the static files, such as a stream, takes precedence.
        routed = max((route for route in below if _covers(route, limit["path"])), key=len)
        if len(served) > len(routed.rstrip("/") + "/"):
            statics.setdefault(path, statics[served])
            continue
        parent = max((path for path in below if _covers(path, limit["path"])), key=len)
        below.setdefault(limit["path"], below[parent])

    result = []
    for path, route in sorted(below.items()):
        if path != "/" and path not in exact:
            exact[path] = route
        result.append(_neutral_location(site, path, route, "prefix"))
    result += [_neutral_location(site, path, route, "exact") for path, route in sorted(exact.items())]
    repeated = Counter(static["url"].rstrip("/") + "/" for static in site["static"])
    for path, static in statics.items():
        result += [_static_location(site, path, static, static_root)] * max(1, repeated[path])
    return result


def _static_location(site: Mapping[str, Any], path: str, static: Mapping[str, Any], static_root: str) -> Data:
    return {
        "path": path,
        "type": "static",
        "directory": f"{static_root}/{site['app']}/current{path}",
        "cache": {"max_age_seconds": static["max_age_days"] * 86400, "immutable": static["immutable"]},
        "limits": _limits_of(site, path.rstrip("/") or "/"),
    }


def _neutral_location(site: Mapping[str, Any], path: str, route: Mapping[str, Any], match: str) -> Data:
    return {
        "path": path if match == "exact" or path == "/" else path.rstrip("/") + "/",
        "match": match,
        "upstream": route["upstream"],
        "limits": _limits_of(site, path),
        "access_log": route["logged"],
        "websocket": route["websocket"],
        "buffering": route["buffered"],
    }


def _limits_of(site: Mapping[str, Any], path: str) -> list[str]:
    return [limit["name"] for limit in site["limits"] if _covers(limit["path"], path)]


def quote(value: str) -> str:
    """Return `value` as one quoted word of nginx's configuration. `$` cannot be quoted: see `_check_headers`."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def normalise(sites: Iterable[Mapping[str, Any]]) -> list[Data]:
    """Fill in nested defaults and derive what the templates print. Raises EdgeError with every mistake."""
    filled = [_site(site) for site in sites]
    mistakes = [*_check_names(filled)]
    upstreams = {upstream["name"] for site in filled for upstream in site["upstreams"]}
    for site in filled:
        mistakes += [Mistake(site["name"], part, message) for part, message in _check_site(site, upstreams)]
    if mistakes:
        raise EdgeError(mistakes)
    return [_derive(site) for site in filled]


def _fill(kind: str, value: Mapping[str, Any]) -> Data:
    # Ansible passes options that were not set as None.
    return {**DEFAULTS[kind], **{key: option for key, option in value.items() if option is not None}}


def _site(value: Mapping[str, Any]) -> Data:
    site = _fill("site", value)
    for part in ("timeouts", "compression"):
        site[part] = _fill(part, site[part])
    if site["hsts"]:
        site["hsts"] = _fill("hsts", site["hsts"])
    for part in ("limits", "locations"):
        site[part] = [_fill(part, options) for options in site[part]]
    for location in site["locations"]:
        if location["cache"]:
            location["cache"] = _fill("cache", location["cache"])
    site["upstreams"] = [
        {
            **_fill("upstreams", upstream),
            "health": _fill("health", upstream["health"]) if upstream.get("health") else None,
            "members": [_fill("members", member) for member in upstream["members"]],
        }
        for upstream in site["upstreams"]
    ]
    return site


_Found = Iterable[tuple[tuple[str, ...], str]]


def _check_names(sites: list[Data]) -> Iterable[Mistake]:
    def repeated(kind: str, names: Iterable[tuple[str, str]]) -> Iterable[Mistake]:
        pairs = list(names)
        counts = Counter(name for _, name in pairs)
        last = {name: site for site, name in pairs}
        return (
            Mistake(last[name], (kind, name), f"{kind} name {name!r} is used {count} times")
            for name, count in counts.items()
            if count > 1
        )

    yield from repeated("site", ((site["name"], site["name"]) for site in sites))
    yield from repeated("server", ((site["name"], name.lower()) for site in sites for name in site["server_names"]))
    yield from repeated("upstream", ((site["name"], up["name"]) for site in sites for up in site["upstreams"]))


def _check_site(site: Data, upstreams: set[str]) -> _Found:
    if not _NAME.fullmatch(site["name"]):
        yield ("name",), "the name may have letters, digits, '-' and '_'"
    if not site["server_names"]:
        yield ("server_names",), "server_names is empty; a site answers to at least one name"
    for name in site["server_names"]:
        if not _SERVER_NAME.fullmatch(name):
            yield ("server_names", name), f"server name {name!r} is no host name"
    if site["tls"] and not 1 <= len(site["tls"]["certificates"]) <= 2:
        yield ("tls",), "tls.certificates wants one certificate, or one ECDSA and one RSA"
    if site["hsts"] and not site["tls"]:
        yield ("hsts",), "hsts without tls: browsers ignore the header over HTTP"
    yield from _check_headers(site)
    yield from _check_types(site["compression"]["types"])
    for upstream in site["upstreams"]:
        for message in _check_upstream(upstream):
            yield ("upstreams", upstream["name"]), f"upstream {upstream['name']}: {message}"
    yield from _check_limits(site["limits"])
    zones = {limit["zone"] for limit in site["limits"]}
    counts = Counter((location["match"], location["path"]) for location in site["locations"])
    for location in site["locations"]:
        part = ("locations", location["path"])
        for message in _check_location(location, upstreams, zones):
            yield part, f"location {location['path']}: {message}"
        if counts[location["match"], location["path"]] > 1:
            yield part, f"location {location['path']} is there twice"


def _check_types(types: list[str]) -> _Found:
    for kind in types:
        part = ("compression", kind)
        if not re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", kind):
            yield part, f"compression type {kind!r} is no media type"
        if len(kind) > LONGEST_TYPE:
            yield part, f"compression type {kind!r} has {len(kind)} characters; nginx takes at most {LONGEST_TYPE}"
        if kind == "text/event-stream":
            yield part, "compression would hold up text/event-stream"


def _check_limits(limits: list[Data]) -> _Found:
    zones = [limit["zone"] for limit in limits]
    for limit in limits:
        part = ("limits", limit["zone"])
        if not _RATE.fullmatch(limit["rate"]):
            yield part, f"limit {limit['zone']}: rate {limit['rate']!r} is not like '10r/s' or '5r/m'"
        if any(not re.fullmatch("[A-Z]+", method) for method in limit["methods"]):
            yield part, f"limit {limit['zone']}: methods are words in capitals"
        if not _NAME.fullmatch(limit["zone"]) or zones.count(limit["zone"]) > 1:
            yield part, f"limit {limit['zone']!r}: zones are unique and have letters, digits, '-' and '_'"


def _check_headers(site: Data) -> _Found:
    counts = Counter(name.lower() for name in site["headers"])
    for name, value in site["headers"].items():
        part = ("headers", name)
        if not _HEADER.fullmatch(name):
            yield part, f"{name!r} is no header name"
        if _UNSAFE_VALUE.search(str(value)):
            yield part, f"header {name}: line ends and '$' cannot be sent"
        if name.lower() in {header.lower() for header in _EDGE_HEADERS}:
            yield part, f"header {name} is the edge's own (hsts, request id)"
        if name.lower() in _ANSWER_HEADERS:
            yield part, f"header {name} says something of one answer; it cannot be the same for all of the site"
        if counts[name.lower()] > 1:
            yield part, f"header {name} is there twice, in other letters"
    for name in site["request_headers_removed"]:
        if not _HEADER.fullmatch(name):
            yield ("request_headers_removed", name), f"{name!r} is no header name"


def _check_upstream(upstream: Data) -> Iterable[str]:
    if not _NAME.fullmatch(upstream["name"]):
        yield "the name may have letters, digits, '-' and '_'"
    if not upstream["members"]:
        yield "has no members"
    if upstream["health"]:
        yield from _check_health(upstream["health"])
    addresses = Counter((str(member["address"]), member["port"]) for member in upstream["members"])
    for member in upstream["members"]:
        where = f"{member['address']}:{member['port']}"
        try:
            ipaddress.ip_address(member["address"])
        except ValueError:
            yield f"member {where}: the address is no IP address"
        if not 1 <= member["port"] <= 65535:
            yield f"member {where}: ports are 1 to 65535"
        if addresses[str(member["address"]), member["port"]] > 1:
            yield f"member {where} is there twice"
        if member["backup"] and upstream["method"] == "ip_hash":
            yield f"member {where}: ip_hash has no backup members"
        if member["weight"] != 1 and upstream["method"] == "round_robin":
            yield f"member {where}: weights want the method 'weighted' (or least_conn, ip_hash)"
    if upstream["members"] and all(member["backup"] for member in upstream["members"]):
        yield "all members are backups"


def _check_health(health: Data) -> Iterable[str]:
    if not re.fullmatch(r"/[!-~]*", health["path"]):
        yield f"health path {health['path']!r}: a path starts with '/' and has no blanks"
    for key in DEFAULTS["health"]:
        if health[key] < 1:
            yield f"health {key} is {health[key]}; at least 1"


def _check_location(location: Data, upstreams: set[str], zones: set[str]) -> Iterable[str]:
    if not location["path"].startswith("/") or _UNSAFE.search(location["path"]):
        yield "a path starts with '/' and has no blanks, quotes, '$', '#', ';' or braces"
    if location["type"] == "proxy" and not location["upstream"]:
        yield "type proxy wants an upstream"
    if location["upstream"] and location["upstream"] not in upstreams:
        yield f"upstream {location['upstream']!r} is not declared; there are: {', '.join(sorted(upstreams)) or 'none'}"
    if location["type"] == "static":
        # `location /static` with `alias /srv/static` serves /srv/static-private for /static-private, and
        # `/static../x` leaves the directory: both ends need the slash.
        if not location["path"].endswith("/") or location["match"] != "prefix":
            yield "a static path is a prefix and ends in '/'"
        directory = location["directory"] or ""
        if not directory.startswith("/") or _UNSAFE.search(directory):
            yield "type static wants a directory: an absolute path without blanks, quotes, '$', '#', ';' or braces"
    elif location["cache"] or location["directory"]:
        yield "cache and directory are for type static"
    for zone in location["limits"]:
        if zone not in zones:
            yield f"limit {zone!r} is not declared; there are: {', '.join(sorted(zones)) or 'none'}"


def _derive(site: Data) -> Data:
    name = site["name"]
    limits = {limit["zone"]: _derive_limit(name, limit) for limit in site["limits"]}
    headers = {key: str(value) for key, value in site["headers"].items()}
    if site["hsts"]:
        headers["Strict-Transport-Security"] = _hsts(site["hsts"])
    # nginx always compresses text/html and warns about the repetition.
    compression = {
        **site["compression"],
        "types": [mime_type for mime_type in site["compression"]["types"] if mime_type != "text/html"],
    }
    hidden = sorted({*headers, *_EDGE_HEADERS, *_HIDDEN_HEADERS}, key=str.lower)
    return {
        **site,
        "limits": list(limits.values()),
        "redirects": bool(site["tls"]) and site["redirect_http"],
        "compression": compression,
        "headers": headers,
        "response_headers_hidden": hidden,
        "upstreams": [_derive_upstream(upstream) for upstream in site["upstreams"]],
        "locations": [_derive_location(location, limits, number) for number, location in enumerate(site["locations"])],
    }


def _derive_limit(site: str, limit: Data) -> Data:
    zone = f"{site}_{limit['zone']}"
    counted = "$edge_client" if limit["key"] == "client" else "$server_name"
    variable = f"edge_limit_{zone}".replace("-", "_")
    # nginx rejects a reload in which a zone of the same name has another key.
    key = f"${variable}" if limit["methods"] else counted
    return {
        **limit,
        "zone": f"{zone}_{hashlib.sha256(key.encode()).hexdigest()[:6]}",
        "counted": counted,
        "variable": variable,
        "retry_after": _retry_after(limit["rate"]),
    }


def _derive_upstream(upstream: Data) -> Data:
    members = []
    for member in upstream["members"]:
        address = ipaddress.ip_address(member["address"])
        host = f"[{address}]" if address.version == 6 else str(address)
        words = [f"{host}:{member['port']}"]
        words += [f"weight={member['weight']}"] if member["weight"] != 1 else []
        words += [f"max_fails={member['max_fails']}", f"fail_timeout={member['fail_timeout_seconds']}s"]
        words += ["backup"] if member["backup"] else []
        members.append({**member, "server": " ".join(words)})
    # A member needs about half a kilobyte.
    return {**upstream, "members": members, "zone_kb": max(256, 64 + 2 * len(members))}


def _derive_location(location: Data, limits: Mapping[str, Data], number: int) -> Data:
    applied = [limits[zone] for zone in location["limits"]]
    cache = location["cache"]
    directory = location["directory"]
    return {
        **location,
        "limits": applied,
        "retry_after": max((limit["retry_after"] for limit in applied), default=0),
        "directory": directory.rstrip("/") + "/" if directory else None,
        "cache_control": _cache_control(cache) if cache else "",
        "fallback": f"@missing_{number}" if location["type"] == "static" and location["upstream"] else "",
    }


def tables(sites: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return nginx's hash table sizes, by directive, for normalised sites: a name that fits no bucket is an error."""
    sites = list(sites)
    names = [name for site in sites for name in site["server_names"]]
    variables = [limit["variable"] for site in sites for limit in site["limits"]]
    headers = [
        name
        for site in sites
        for name in (*site["headers"], *site["request_headers_removed"], *site["response_headers_hidden"])
    ]
    # The second number is the minimum for what nginx and its modules define: names, variables, headers always present.
    return {
        **_table("server_names_hash", names, 512),
        **_table("variables_hash", variables, 1024),
        **_table("proxy_headers_hash", headers, 512),
        **_table("types_hash", [], 2048),
    }


def _table(name: str, keys: list[str], least: int) -> dict[str, int]:
    """Return the sizes: an element is two pointers and the key, in 8-byte words; a bucket fits four of the longest."""
    longest = max((len(key) for key in keys), default=0)
    bucket = 128
    while bucket < 4 * (longest + 2 + 8 + 16):
        bucket *= 2
    size = least
    while size < 4 * len(keys):
        size *= 2
    return {f"{name}_bucket_size": bucket, f"{name}_max_size": size}


def health_checks(sites: Iterable[Mapping[str, Any]]) -> Data:
    """Return the input of nginx-health for normalised sites: each instance once, with all upstreams that have it."""
    checks: dict[tuple[Any, ...], Data] = {}
    for site in sites:
        for upstream in site["upstreams"]:
            health = upstream["health"]
            for member in upstream["members"] if health else ():
                address = str(ipaddress.ip_address(member["address"]))
                key = (address, member["port"], *(health[name] for name in ("path", *DEFAULTS["health"])))
                check = checks.setdefault(key, {"address": address, "port": member["port"], "upstreams": [], **health})
                check["upstreams"].append(upstream["name"])
    return {"checks": list(checks.values())}


def _hsts(hsts: Mapping[str, Any]) -> str:
    words = [f"max-age={hsts['max_age_seconds']}"]
    words += ["includeSubDomains"] if hsts["include_subdomains"] else []
    words += ["preload"] if hsts["preload"] else []
    return "; ".join(words)


def _cache_control(cache: Mapping[str, Any]) -> str:
    return f"public, max-age={cache['max_age_seconds']}" + (", immutable" if cache["immutable"] else "")


def _retry_after(rate: str) -> int:
    """Return the seconds until the next request is allowed, at least one (the header has whole seconds)."""
    match = _RATE.fullmatch(rate)
    assert match, rate
    return math.ceil({"s": 1, "m": 60}[match[2]] / int(match[1]))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "nginx_sites": nginx_sites,
    "nginx_tls_min_version": tls_min_version,
    "nginx_normalise": normalise,
    "nginx_health_checks": health_checks,
    "nginx_tables": tables,
    "nginx_quote": quote,
}
