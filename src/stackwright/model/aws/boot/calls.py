"""The few calls to AWS that a host makes before anything is installed on it: who am I, signed requests, retries.

Every address can be another one, so that a test can stand in for AWS. Nothing here prints or raises what a service
answered in full: answers of S3 repeat the request that was signed.
"""

import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import IO, Any

#: Seconds; a host in a subnet without a way out would wait for minutes otherwise.
TIMEOUT_SECONDS = 10
_EMPTY = hashlib.sha256(b"").hexdigest()
Credentials = tuple[str, str, str | None]


class UnreachableError(Exception):
    """Nobody answered, or a service said that it is overloaded: to be tried again."""


class RefusedError(Exception):
    """A service said no, or what it gave is not what was asked for."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signature is for one host: a request that is sent on would be refused, or tell a stranger our token."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _opener(context: ssl.SSLContext | None) -> urllib.request.OpenerDirector:
    # No proxies: the metadata service and the VPC's endpoints are never behind one.
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
    if context is not None:
        handlers.append(urllib.request.HTTPSHandler(context=context))
    return urllib.request.build_opener(*handlers)


def metadata_url() -> str:
    """Where the instance metadata service is."""
    return os.environ.get("STACKWRIGHT_METADATA_URL", "http://169.254.169.254")


def send(
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    *,
    timeout: float = TIMEOUT_SECONDS,
    context: ssl.SSLContext | None = None,
) -> IO[bytes]:
    """The answer, to be read by the caller. Raises UnreachableError and RefusedError."""
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}), method=method)  # noqa: S310
    where = urllib.parse.urlsplit(url)
    request_line = f"{method} {where.scheme}://{where.netloc}{where.path}"
    try:
        answer: IO[bytes] = _opener(context).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        code = _code(error)
        again = error.code >= 500 or error.code == 429 or code.startswith(("Throttl", "RequestLimit"))
        message = f"{request_line}: {error.code} {code}".rstrip()
        raise (UnreachableError if again else RefusedError)(message) from None
    except (OSError, http.client.HTTPException) as problem:
        raise UnreachableError(f"{request_line}: {getattr(problem, 'reason', problem)}") from None
    return answer


def _code(error: urllib.error.HTTPError) -> str:
    """The error's name in an answer of XML or JSON, and nothing else of it."""
    try:
        text = error.read(4096).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    match = re.search(r"<Code>([A-Za-z0-9._-]{1,60})</Code>", text)
    match = match or re.search(r'"__type"\s*:\s*"(?:[^"#]*#)?([A-Za-z0-9._-]{1,60})"', text)
    return match.group(1) if match else ""


def read(answer: IO[bytes], limit: int = 1 << 20) -> bytes:
    """The body of an answer that must not be larger than `limit` bytes."""
    body = b""
    with answer:
        while chunk := read_some(answer, limit + 1 - len(body)):
            body += chunk
            if len(body) > limit:
                raise RefusedError(f"the answer is larger than {limit} bytes")
        check_whole(answer)
    return body


def read_some(answer: IO[bytes], size: int) -> bytes:
    """A part of an answer; nothing at its end."""
    try:
        return answer.read(size)
    except (OSError, http.client.HTTPException) as problem:
        raise UnreachableError(f"the answer broke off: {problem}") from None


def check_whole(answer: IO[bytes]) -> None:
    """That an answer had as many bytes as it said: reading in parts does not tell."""
    missing = getattr(answer, "length", None)
    if missing:
        raise UnreachableError(f"the answer broke off: {missing} bytes are missing")


class Metadata:
    """The instance metadata service, version 2."""

    def __init__(self) -> None:
        self._token, self._until = "", 0.0

    def get(self, path: str) -> str | None:
        """A value; None where there is none of that name."""
        if time.monotonic() >= self._until:
            ttl_headers = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
            self._token = read(send("PUT", f"{metadata_url()}/latest/api/token", ttl_headers, b"")).decode()
            self._until = time.monotonic() + 240
        headers = {"X-aws-ec2-metadata-token": self._token}
        try:
            return read(send("GET", f"{metadata_url()}/latest/meta-data/{path}", headers)).decode().strip()
        except RefusedError as problem:
            if ": 404" in str(problem):
                return None
            raise

    def instance_id(self) -> str:
        """Who this is."""
        return self.get("instance-id") or ""

    def credentials(self) -> Credentials:
        """Of the instance's profile; read anew for each request, as they change in the course of a day."""
        role = self.get("iam/security-credentials/")
        if not role:
            raise UnreachableError("the instance has no profile yet")
        session_keys = json.loads(self.get(f"iam/security-credentials/{role.splitlines()[0]}") or "{}")
        if session_keys.get("Code") != "Success":
            raise UnreachableError("the instance's profile has no credentials yet")
        return session_keys["AccessKeyId"], session_keys["SecretAccessKey"], session_keys["Token"]


def sign(
    method: str,
    url: str,
    region: str,
    service: str,
    credentials: Credentials,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    now: datetime.datetime | None = None,
) -> dict[str, str]:
    """The headers of a request with AWS's signature version 4.

    The path of `url` is signed as it is written: quoted once, as S3 wants it; other services here have only `/`.
    """
    key, secret, token = credentials
    where = urllib.parse.urlsplit(url)
    stamp = (now or datetime.datetime.now(datetime.UTC)).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest() if body else _EMPTY
    sent = {name.lower(): value for name, value in (headers or {}).items()}
    sent |= {"host": where.netloc, "x-amz-date": stamp}
    if token:
        sent["x-amz-security-token"] = token
    if service == "s3":
        sent["x-amz-content-sha256"] = digest
    names = ";".join(sorted(sent))
    pairs = sorted(urllib.parse.parse_qsl(where.query, keep_blank_values=True))
    query = "&".join("=".join(urllib.parse.quote(component, safe="-_.~") for component in pair) for pair in pairs)
    lines = "".join(f"{name}:{' '.join(sent[name].split())}\n" for name in sorted(sent))
    request = "\n".join([method, where.path or "/", query, lines, names, digest])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signing_key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing_key = hmac.digest(signing_key, part.encode(), "sha256")
    signature = hmac.digest(signing_key, text.encode(), "sha256").hex()
    authorization = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {name: value for name, value in sent.items() if name != "host"} | {"authorization": authorization}


def post(service: str, region: str, domain: str, metadata: Metadata, headers: Mapping[str, str], body: bytes) -> bytes:
    """The answer of a service that takes its requests at `/`."""
    url = os.environ.get(f"STACKWRIGHT_{service.upper()}_URL", f"https://{service}.{region}.{domain}/")
    signed = sign("POST", url, region, service, metadata.credentials(), headers, body)
    return read(send("POST", url, signed, body))


def waits(first: float = 2.0, most: float = 60.0) -> Iterator[float]:
    """Seconds to wait before each further try."""
    factor = float(os.environ.get("STACKWRIGHT_WAIT_FACTOR", "1"))
    wait = first
    while True:
        yield wait * factor
        wait = min(wait * 2, most)
