"""The checks of `stackwright verify` on AWS: the sites as users reach them, by their DNS names over the Internet.

The certificates are those that browsers trust, DNS is checked first, and everything between users and hosts (a CDN, a
load balancer, an edge host) is included in the checks. The checks write nothing and do not log in.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from stackwright.model.aws.stackfile import HostedZone
from stackwright.model.environment import Environment
from stackwright.verify import Answer, Edge, Finding, certificate, finding, status

#: A name that no one can own (RFC 2606).
UNKNOWN = "unknown.invalid"
_DAY_SECONDS = 86_400
#: Each of CloudFront's edge locations has its own cache, and the first request to each is a miss.
_CACHE_TRIES = 5
_PAUSE_SECONDS = 1.0
_MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSALS = range(400, 500)


class Internet:
    """Looks up names and connects to them; tests replace it."""

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file = ca_file

    def addresses(self, name: str) -> list[str]:
        """Return the addresses from DNS. Raise socket.gaierror."""
        answers = socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(answer[4][0]) for answer in answers))

    def edge(self, name: str) -> Edge:
        """Return the edge that answers for the name: the connection goes to one of its addresses."""
        return Edge(name, self._ca_file)


@dataclass(frozen=True, kw_only=True)
class _Site:
    """A name of a site, and its expected properties."""

    name: str
    site: dict[str, Any]
    health: dict[str, Any]
    edge: Edge
    #: CloudFront is in front.
    cdn: bool
    #: AWS answers, not one of our hosts.
    cloud: bool


def of(environment: Environment, stack: dict[str, Any], ca_file: Path | None) -> Iterator[Finding]:
    """Check an environment on AWS; `ca_file` is None if browsers trust the issuer."""
    aws = environment.stack.aws
    assert aws is not None, "only an environment on AWS has a hosted zone"
    cdn = not stack["groups"]["edge"] and aws.load_balancer.cdn
    yield from verify(stack, aws.hosted_zone, Internet(ca_file), cdn=cdn)


def verify(stack: dict[str, Any], zone: HostedZone, internet: Internet, *, cdn: bool) -> Iterator[Finding]:
    """Check every name of every site of `stack` (the inventory's variable)."""
    cloud = not stack["groups"]["edge"]
    for site in stack["edge"]["sites"]:
        health = stack["apps"][site["app"]]["health"]
        for name in site["names"]:
            dns_finding = finding(f"{name} is in DNS", partial(_resolved, internet, name, zone))
            yield dns_finding
            # Without DNS every other check would only repeat this failure.
            if dns_finding.ok:
                edge = internet.edge(name)
                yield from _name(_Site(name=name, site=site, health=health, edge=edge, cdn=cdn, cloud=cloud))


def _resolved(internet: Internet, name: str, zone: HostedZone) -> tuple[bool, str]:
    try:
        return True, ", ".join(internet.addresses(name))
    except socket.gaierror as error:
        if error.errno == socket.EAI_AGAIN:
            return False, f"this machine's resolver does not answer ({error.strerror}): try again, or from elsewhere"
        return False, (
            f"no address: the hosted zone {zone.name} ({zone.id}) is not delegated to Route 53, or the record has not reached"
            " this resolver, which keeps 'there is none' for up to 15 minutes once it was asked. Name servers of the zone:"
            f" `aws route53 get-hosted-zone --id {zone.id} --query DelegationSet.NameServers`; those that the world"
            f" knows: `dig +short NS {zone.name}`; they have to be the same"
        )


def _name(site: _Site) -> Iterator[Finding]:
    name, tls = site.name, site.site["tls"]
    yield finding(f"the certificate of {name}", partial(certificate, site.edge, site.name))
    if tls["redirect_http"] or site.cdn:
        yield finding(f"http://{name} redirects to https", partial(_redirect, site))
    for path in (site.health["path"], site.health["ready_path"]):
        yield finding(f"https://{name}{path}", partial(status, site.edge, name, path))
    if tls["hsts"] is not None:
        yield finding(f"{name} tells browsers to stay with https", partial(_hsts, site, tls["hsts"]))
    if site.site["headers"]:
        yield finding(f"security headers of {name}", partial(_headers, site))
    if site.cdn:
        yield finding(f"{name} is behind the CDN, which keeps no answer of the application", partial(_passed_on, site))
    for folder in site.site["static"]:
        if folder["immutable"] and folder["max_age_days"]:
            caching = "kept by the CDN and by browsers" if site.cdn else "kept by browsers"
            yield finding(f"https://{name}{folder['url']}/ is {caching}", partial(_static, site, folder))
    yield finding(f"{name}: a name that no site has is refused", partial(_unknown, site))


def _redirect(site: _Site) -> tuple[bool, str]:
    answer = site.edge.get(site.name, "/a?b=c", tls=False)
    target = answer.headers.get("location", "")
    # A load balancer of AWS includes the port.
    plain = target.replace(f"https://{site.name}:443/", f"https://{site.name}/", 1)
    return answer.status in {301, 308} and plain == f"https://{site.name}/a?b=c", f"{answer.status} {target}".rstrip()


def _hsts(site: _Site, hsts: dict[str, Any]) -> tuple[bool, str]:
    value = site.edge.get(site.name, site.health["path"]).headers.get("strict-transport-security", "")
    directives = {directive.strip().lower() for directive in value.split(";")}
    expected = {f"max-age={hsts['max_age_days'] * _DAY_SECONDS}"}
    expected |= {"includesubdomains"} if hsts["include_subdomains"] else set()
    expected |= {"preload"} if hsts["preload"] else set()
    missing = expected - directives
    if missing:
        return False, f"{value or 'no Strict-Transport-Security'}; expected: {'; '.join(sorted(missing))}"
    return True, value


def _headers(site: _Site) -> tuple[bool, str]:
    headers = site.edge.get(site.name, site.health["path"]).headers
    wrong = [
        f"{header} is {headers.get(header.lower(), 'missing')}, expected: {value}"
        for header, value in site.site["headers"].items()
        if headers.get(header.lower()) != value
    ]
    return not wrong, "; ".join(wrong) or ", ".join(site.site["headers"])


def _passed_on(site: _Site) -> tuple[bool, str]:
    answers = [site.edge.get(site.name, site.health["path"]) for _ in range(2)]
    if any("x-amz-cf-id" not in answer.headers for answer in answers):
        return False, "no X-Amz-Cf-Id: CloudFront did not answer; does the name lead to the distribution?"
    return not _from_cache(answers[1]), answers[1].headers.get("x-cache", "no X-Cache")


def _from_cache(answer: Answer) -> bool:
    age = answer.headers.get("age", "0")
    return "hit" in answer.headers.get("x-cache", "").lower() or (age.isdigit() and int(age) > 0)


def _static(site: _Site, folder: dict[str, Any]) -> tuple[bool, str]:
    page, path = _page(site)
    match = re.search(rf"""["'(]({re.escape(folder["url"])}/[^"'()\s?#<>\\]+)""", page.body.decode(errors="replace"))
    if match is None:
        return False, f"the page {path} ({page.status}) names no file below {folder['url']}/"
    file = match[1]
    answer = site.edge.get(site.name, file)
    control = answer.headers.get("cache-control", "no Cache-Control")
    summary = f"{file}: {answer.status}, {control}"
    expected = {f"max-age={folder['max_age_days'] * _DAY_SECONDS}", "immutable"}
    if answer.status != 200 or not expected <= {directive.strip().lower() for directive in control.split(",")}:
        return False, f"{summary}; expected: 200, {', '.join(sorted(expected))}"
    if not site.cdn:
        return True, summary
    for _ in range(_CACHE_TRIES):
        answer = site.edge.get(site.name, file)
        if _from_cache(answer):
            return True, f"{summary}; {answer.headers.get('x-cache', '')}".rstrip("; ")
        time.sleep(_PAUSE_SECONDS)
    return (
        False,
        f"{summary}; not kept after {_CACHE_TRIES + 1} requests: {answer.headers.get('x-cache', 'no X-Cache')}",
    )


def _page(site: _Site) -> tuple[Answer, str]:
    """Return the page that a browser reaches when it requests the site, and its path."""
    path = "/"
    for _ in range(_MOST_REDIRECTS):
        answer = site.edge.get(site.name, path)
        if answer.status not in _REDIRECTS:
            break
        target = urlsplit(urljoin(f"https://{site.name}{path}", answer.headers.get("location", "")))
        if target.hostname != site.name:
            break
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    return answer, path


def _unknown(site: _Site) -> tuple[bool, str]:
    requests = {
        "http": partial(site.edge.get, UNKNOWN, "/", tls=False),
        # With the site's own server name in TLS, so that the name in the request is what is refused.
        "https": partial(site.edge.get, UNKNOWN, "/", tls_name=site.name),
    }
    answers, fine = list[str](), True
    for scheme, get in requests.items():
        try:
            answer = get()
        except OSError:
            answers.append(f"{scheme}: closed without an answer")
            continue
        # A load balancer redirects all HTTP to HTTPS, where it refuses the request; our own hosts give no answer.
        onward = scheme == "http" and answer.headers.get("location", "").startswith(f"https://{UNKNOWN}")
        refused = site.cloud and (answer.status in _REFUSALS or onward)
        fine = fine and refused
        answers.append(f"{scheme}: {'' if refused else 'answered '}{answer.status}")
    return fine, ", ".join(answers)
