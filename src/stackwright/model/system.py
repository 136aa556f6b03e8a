"""What a system is: its applications, sites, data and limits. The schema of `systems/<name>.yml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from stackwright.model.schema_types import (
    AppPort,
    Days,
    Extension,
    HeaderName,
    HeaderValue,
    Identifier,
    Line,
    MaxConnections,
    MegaBytes,
    Name,
    Positive,
    ProjectPath,
    ReleasePath,
    Seconds,
    TimeOfDay,
    UrlPath,
    Variable,
    schema,
)

Purpose = Literal["sessions", "cache", "rate_limit"]
Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
EvenHours = Literal[1, 2, 3, 4, 6, 8, 12, 24]
"""Hours that divide a day evenly; other numbers would make gaps of two lengths."""


@schema
class Runtime:
    """The runtime that runs the application."""

    name: Literal["nodejs"]
    version: Literal["24"]
    """Major version; must be one of the runtime bundle (`tools/runtime/package.json`), which pins the release."""


@schema
class Restarts:
    """When an instance is restarted, and when restarts stop."""

    limit: Positive = 10
    """Consecutive restarts, each sooner than `min_uptime_seconds`, after which an instance stays stopped."""
    min_uptime_seconds: Seconds = 10


@schema
class Process:
    """How the application runs, independent of operating system and process manager."""

    name: Name
    """Name in the list of processes."""
    command: Annotated[tuple[Line, ...], Field(min_length=1)]
    """Program of the release, and its arguments."""
    mode: Literal["fork", "cluster"] = "fork"
    """`fork`: one port per instance, so that each can be drained and checked; `cluster`: all share the first port."""
    instances: Positive | Literal["per_cpu"] = "per_cpu"
    """Number per host; `per_cpu` starts one per CPU, as far as memory and ports allow."""
    first_port: AppPort
    """Instance n listens on this port + n."""
    max_instances: Annotated[int, Field(ge=1, le=200)] = 4
    """Number of ports reserved for the instances of one host."""
    memory_mb: MegaBytes
    """An instance that uses more memory is restarted."""
    restarts: Restarts = Field(default_factory=Restarts)
    start_timeout_seconds: Seconds = 60
    """Time from start to the first successful response of `ready`."""
    kill_seconds: Annotated[int, Field(ge=2, le=3600)] = 30
    """Time that an instance has to finish its requests once the edge sends no more and it is asked to stop."""
    log_date_format: Line = "YYYY-MM-DD HH:mm:ss Z"
    watch: Literal[False] = False
    """Restarts on changed files are for development machines only."""


@schema
class Health:
    """How the edge and a deployment check whether an instance works."""

    path: UrlPath
    """Responds with 200 while the process is alive; not written to the access log."""
    ready_path: UrlPath
    """Responds with 200 while the instance can serve (database and cache respond). Every edge checks it."""
    interval_seconds: Seconds = 2
    """Interval between two checks of an edge."""
    timeout_seconds: Seconds = 2
    """A check without a response within this time has failed."""
    failures: Positive = 3
    """Consecutive failed checks after which an instance gets no more requests; if all instances fail, all stay."""
    retry_after_seconds: Seconds = 10
    """Time until a failed instance is checked again; a successful check puts it back. Longer for one that flaps."""


@schema
class DatabaseSession:
    """Limits of the sessions behind PgBouncer, where a client cannot set its own as it shares them with others."""

    statement_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    """A statement that takes longer is cancelled; 0: no limit."""
    lock_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    """A statement that waits longer for a lock is cancelled; 0: no limit."""
    idle_in_transaction_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    """A session idle in a transaction for longer is ended; 0: no limit (PgBouncer closes the client after a minute)."""


@schema
class AppDatabase:
    """What the application needs from the database."""

    name: Identifier
    role: Identifier
    """Owner of the data, used by migrations and by the application."""
    pool: Annotated[int, Field(ge=1, le=500)] = 20
    """Connections that one instance opens to PgBouncer."""
    pool_timeout_seconds: Seconds = 20
    read_from_replica: bool = True
    """Give the application a second address, that of the replica, for reads that may be stale."""
    session: DatabaseSession = Field(default_factory=DatabaseSession)


@schema
class StaticPath:
    """Files that the edge serves from its own disk."""

    url: UrlPath
    folder: ReleasePath
    """Directory inside the release."""
    max_age_days: Annotated[int, Field(ge=0, le=3650)]
    immutable: bool = False


@schema
class App:
    """An application: an artifact, its processes and what they need."""

    runtime: Runtime
    artifact: ProjectPath
    """Description of the release, as `make artifact` writes it: its archives and their checksums."""
    process: Process
    health: Health
    migrate: tuple[str, ...] = ()
    """Release script and its arguments; runs once per release, before its first instance, while the old one serves."""
    environment: dict[Variable, str | int | bool] = Field(default_factory=dict)
    secrets: dict[Variable, str] = Field(default_factory=dict)
    """Environment variable -> name of a secret. `app/<app>/<word>` is generated for the application."""
    database: AppDatabase | None = None
    cache: tuple[Purpose, ...] = ()
    uploads: tuple[ReleasePath, ...] = ()
    """Directories that outlive a release: on each host, backed up there. In size C there is one, and it is a bucket."""
    cache_folders: tuple[ReleasePath, ...] = ()
    """Directories of the release that the program may write, like `.next/cache`; empty per host in each release."""
    static: tuple[StaticPath, ...] = ()
    keep_releases: Annotated[int, Field(ge=2, le=50)] = 5


@schema
class Hsts:
    """Settings of the header Strict-Transport-Security."""

    max_age_days: Annotated[int, Field(ge=0, le=3650)] = 365
    include_subdomains: bool = True
    preload: bool = True


@schema
class Tls:
    """TLS settings of the edge."""

    min_version: Literal["1.2", "1.3"] = "1.2"
    http2: bool = True
    redirect_http: bool = True
    hsts: Hsts | None = Field(default_factory=Hsts)


@schema
class Compression:
    """Compression of responses."""

    gzip: bool = True
    brotli: bool = True
    min_bytes: Annotated[int, Field(ge=0)] = 1024
    types: tuple[str, ...] = (
        "text/plain",
        "text/css",
        "text/xml",
        "text/javascript",
        "application/json",
        "application/javascript",
        "application/xml",
        "application/rss+xml",
        "image/svg+xml",
    )


@schema
class Timeouts:
    """How long the edge waits for an instance and for a client."""

    connect_seconds: Seconds = 75
    read_seconds: Seconds = 300
    send_seconds: Seconds = 300
    client_header_seconds: Seconds = 15
    client_body_seconds: Seconds = 60
    keepalive_seconds: Seconds = 65


@schema
class RateLimit:
    """Limit on the requests of one client address to a part of the site; requests above it get status 429.

    All clients behind one router, such as a clinic, share one address; an IPv6 /64 counts as one address. Limits per
    user belong in the application, which knows the user.
    """

    name: Identifier
    path: UrlPath
    """This path and all paths below it."""
    requests: Positive
    per: Literal["second", "minute"]
    burst: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Requests above the rate that are served at once."""
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], ...] = ()
    """Methods that count; empty for all."""


@schema
class Balance:
    """How the edge chooses an instance."""

    method: Literal["least_conn", "round_robin", "ip_hash", "weighted"] = "least_conn"
    weights: dict[Name, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)
    """Host -> weight, for `weighted`; hosts that are not listed have weight 1."""
    keepalive: Annotated[int, Field(ge=0, le=4096)] = 32
    """Idle connections to the instances that each worker keeps open."""


@schema
class Site:
    """A web site at the edge."""

    app: Name
    host_names: Annotated[tuple[Literal["domain", "aliases"], ...], Field(min_length=1)] = ("domain", "aliases")
    """Names of the environment that this site responds to."""
    subdomain: Name | None = None
    """Respond to `<subdomain>.<domain>` instead of `host_names`."""
    balance: Balance = Field(default_factory=Balance)
    tls: Tls = Field(default_factory=Tls)
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Headers added to every response: of the application, of static files, and of errors."""
    compression: Compression = Field(default_factory=Compression)
    body_limit_mb: Annotated[int, Field(ge=1, le=10_240)] = 50
    timeouts: Timeouts = Field(default_factory=Timeouts)
    websocket: bool = True
    unbuffered: tuple[UrlPath, ...] = ()
    """Paths whose responses are streams (server-sent events) and are passed on without buffering."""
    rate_limits: tuple[RateLimit, ...] = ()
    connections_per_client: Annotated[int, Field(ge=0, le=65_535)] = 500
    """Concurrent requests of one client address, without streams; a clinic is one address. 0: no limit."""
    streams_per_client: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """WebSockets and event streams per client address at once; default: half of an edge worker's limit. 0: no limit."""


@schema
class DatabaseRole:
    """A role that may log in to the databases."""

    name: Identifier
    privileges: Literal["owner", "write", "read", "monitor"]
    databases: tuple[Identifier, ...] = ()
    """Databases that the role may use; `monitor` needs none."""
    connection_limit: Annotated[int, Field(ge=-1, le=5000)] = -1
    """Maximum number of connections; -1 for no limit but the server's."""


@schema
class DatabaseTier:
    """The relational database."""

    engine: Literal["postgresql"] = "postgresql"
    version: Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")] = "17"
    max_connections: MaxConnections = 100
    databases: tuple[Identifier, ...]
    extensions: tuple[Extension, ...] = ()
    roles: tuple[DatabaseRole, ...]


@schema
class CacheInstance:
    """A store for one purpose, in its own process so that one purpose cannot evict another's data."""

    port: AppPort
    memory_mb: MegaBytes
    eviction: Literal["noeviction", "allkeys-lru", "volatile-lru", "volatile-ttl"]
    persistence: Literal["append_only", "snapshot", "none"] = "none"


@schema
class LogLimits:
    """When a log is rotated, and how many old logs are kept."""

    rotate_mb: Annotated[int, Field(ge=1, le=10_240)] = 10
    keep: Annotated[int, Field(ge=1, le=365)] = 7


@schema
class BackupSchedule:
    """When backups are made and how long they are kept."""

    full_day: Weekday = "Sun"
    """Weekday of the full backup of the database; on other days it is differential."""
    time: TimeOfDay = "02:30"
    keep_full: Positive = 2
    keep_differential: Positive = 7
    files_every_hours: EvenHours = 6
    """Interval of the backups of uploads and of the session store."""
    files_keep_days: Days = 30
    archive_timeout_seconds: Seconds = 60
    """The most that can be lost with a server, in seconds of written data."""


@schema
class System:
    """A system, which is the same in every environment."""

    name: Name
    title: Line
    apps: Annotated[dict[Name, App], Field(min_length=1)]
    sites: Annotated[dict[Name, Site], Field(min_length=1)]
    database: DatabaseTier | None = None
    cache: dict[Purpose, CacheInstance] = Field(default_factory=dict)
    logs: LogLimits = Field(default_factory=LogLimits)
    backups: BackupSchedule = Field(default_factory=BackupSchedule)
