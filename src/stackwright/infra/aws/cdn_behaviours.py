"""What CloudFront caches and what it passes on: a behaviour for the application and one for each static directory.

Pure, except that `Cdn` creates the policies that it refers to.
"""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

#: Policies of AWS, with the same ids in every account (developer guide of CloudFront, "Use managed cache policies" and
#: "Use managed origin request policies").
CACHING_DISABLED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
ALL_VIEWER = "216adef6-5c7f-47e4-b989-5492eafa07d3"
DAY_SECONDS = 86_400
_READING = ("GET", "HEAD")
_ALL_METHODS = (*_READING, "OPTIONS", "PUT", "POST", "PATCH", "DELETE")
#: Errors that CloudFront caches for ten seconds by default, regardless of the cache policy (developer guide, "HTTP 4xx
#: and 5xx status codes that CloudFront caches"). A file of the next release that one server does not
#: have yet, or a record that does not exist yet, must not stay missing.
_KEPT_ERRORS = (404, 414, 500, 501, 502, 503, 504)
_MOST_DAYS = 3650
_URL = re.compile(r"/[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_LONGEST_URL = 250


@dataclass(frozen=True, kw_only=True)
class StaticArgs:
    """A directory of static files: `static` of a system's application."""

    #: Path of the directory, without a trailing slash: `/_next/static`.
    url: str
    #: 0 means that CloudFront does not cache it either.
    max_age_days: int
    #: Whether the name of a file changes with its content, so that a query does not matter; otherwise a query is part
    #: of the name.
    immutable: bool | None = None


def kept(static: Sequence[StaticArgs]) -> list[StaticArgs]:
    """Return what CloudFront caches, longest path first, because it takes the first behaviour that matches."""
    return sorted(
        (folder for folder in static if folder.max_age_days), key=lambda folder: (-len(folder.url), folder.url)
    )


def policy_part(static: StaticArgs) -> str:
    """Return the name of the cache policy; directories of one kind and age share it, as an account has only 20."""
    return f"{'immutable' if static.immutable else 'static'}-{static.max_age_days}-days"


def cache_key(*, immutable: bool) -> aws.cloudfront.CachePolicyParametersInCacheKeyAndForwardedToOriginArgsDict:
    """Return what distinguishes two cached files, which is also all that the origin receives.

    No cookies and no credentials, because a file cached for all clients depends on none of them. Host, because the load
    balancer and nginx select the site by it, and TLS to the origin uses it.
    """
    return {
        "cookies_config": {"cookie_behavior": "none"},
        "headers_config": {"header_behavior": "whitelist", "headers": {"items": ["Host"]}},
        "query_strings_config": {"query_string_behavior": "none" if immutable else "all"},
        "enable_accept_encoding_brotli": True,
        "enable_accept_encoding_gzip": True,
    }


def application_behaviour(origin: str) -> aws.cloudfront.DistributionDefaultCacheBehaviorArgsDict:
    """Return the behaviour that passes on everything as sent, including WebSocket upgrades, and caches nothing.

    nginx compresses: without a cache CloudFront compresses nothing, and passes on `Accept-Encoding` and the response.
    """
    return {
        "target_origin_id": origin,
        "viewer_protocol_policy": "redirect-to-https",
        "allowed_methods": list(_ALL_METHODS),
        "cached_methods": list(_READING),
        "cache_policy_id": CACHING_DISABLED,
        "origin_request_policy_id": ALL_VIEWER,
        "compress": False,
    }


def static_behaviour(
    origin: str, static: StaticArgs, policy_id: pulumi.Input[str]
) -> aws.cloudfront.DistributionOrderedCacheBehaviorArgsDict:
    """Return the behaviour of static files, which are cached, compressed and read-only."""
    return {
        "path_pattern": f"{static.url}/*",
        "target_origin_id": origin,
        "viewer_protocol_policy": "redirect-to-https",
        "allowed_methods": list(_READING),
        "cached_methods": list(_READING),
        "cache_policy_id": policy_id,
        "compress": True,
    }


def errors() -> list[aws.cloudfront.DistributionCustomErrorResponseArgs]:
    """Return the error settings: no caching unless the application allows it, and errors are passed on unchanged."""
    return [
        aws.cloudfront.DistributionCustomErrorResponseArgs(error_code=code, error_caching_min_ttl=0)
        for code in _KEPT_ERRORS
    ]


def static_problems(static: Sequence[StaticArgs]) -> Iterator[str]:
    """Yield the problems of the directories."""
    urls = [static_folder.url for static_folder in static]
    for position, folder in enumerate(static):
        argument = f"static[{position}]"
        dots = {".", ".."} & set(folder.url.split("/"))
        if not _URL.fullmatch(folder.url) or dots or len(folder.url) > _LONGEST_URL or folder.url in urls[:position]:
            yield f"{argument}.url is {folder.url!r}, accepted: a folder such as /_next/static, each once"
        if not 0 <= folder.max_age_days <= _MOST_DAYS:
            yield f"{argument}.max_age_days is {folder.max_age_days}, accepted: 0 to {_MOST_DAYS}"
        if folder.immutable and folder.max_age_days == 0:
            yield f"{argument}.immutable is True with max_age_days 0, accepted: at least a day"
