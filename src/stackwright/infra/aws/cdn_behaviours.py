"""What CloudFront keeps and what it passes on: one behaviour for the application, one for each folder of static files.

Pure, except that the policies it refers to are made by `Cdn`.
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
#: Those that CloudFront keeps for ten seconds although nothing told it to, whatever the cache policy says (developer
#: guide, "HTTP 4xx and 5xx status codes that CloudFront caches"). A file of the next release that one server does not
#: have yet, or a record that does not exist yet, must not stay missing.
_KEPT_ERRORS = (404, 414, 500, 501, 502, 503, 504)
_MOST_DAYS = 3650
_URL = re.compile(r"/[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_LONGEST_URL = 250


@dataclass(frozen=True, kw_only=True)
class StaticArgs:
    """A folder of files: `static` of a system's application."""

    #: The folder, without a slash at its end: `/_next/static`.
    url: str
    #: 0: not kept by CloudFront either.
    max_age_days: int
    #: The name of a file changes with what is in it, so that no query does; otherwise a query is part of the name.
    immutable: bool | None = None


def kept(static: Sequence[StaticArgs]) -> list[StaticArgs]:
    """What CloudFront keeps, the longest path first: it takes the first behaviour that fits."""
    return sorted(
        (folder for folder in static if folder.max_age_days), key=lambda folder: (-len(folder.url), folder.url)
    )


def policy_part(static: StaticArgs) -> str:
    """What the cache policy is called; folders of the same kind and age share one, as an account has only 20."""
    return f"{'immutable' if static.immutable else 'static'}-{static.max_age_days}-days"


def cache_key(*, immutable: bool) -> aws.cloudfront.CachePolicyParametersInCacheKeyAndForwardedToOriginArgsDict:
    """What tells two files apart, which is also all that the origin hears.

    No cookie and no credentials: what is kept for all is asked for by nobody in particular. Host, as the load balancer
    and nginx choose the site by it, and as TLS to the origin goes by it.
    """
    return {
        "cookies_config": {"cookie_behavior": "none"},
        "headers_config": {"header_behavior": "whitelist", "headers": {"items": ["Host"]}},
        "query_strings_config": {"query_string_behavior": "none" if immutable else "all"},
        "enable_accept_encoding_brotli": True,
        "enable_accept_encoding_gzip": True,
    }


def application_behaviour(origin: str) -> aws.cloudfront.DistributionDefaultCacheBehaviorArgsDict:
    """Everything is passed on as the client sent it, also the upgrade to a WebSocket, and nothing is kept.

    nginx compresses: without a cache CloudFront compresses nothing, and passes `Accept-Encoding` and the answer on.
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
    """Files are kept, compressed, and only read."""
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
    """No error is kept, unless the application says so itself; each is answered as the application wrote it."""
    return [
        aws.cloudfront.DistributionCustomErrorResponseArgs(error_code=code, error_caching_min_ttl=0)
        for code in _KEPT_ERRORS
    ]


def static_problems(static: Sequence[StaticArgs]) -> Iterator[str]:
    """Problems of the folders."""
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
