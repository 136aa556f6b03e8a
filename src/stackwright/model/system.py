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
"""Hours that divide a day: others would make gaps of two lengths."""


@schema
class Runtime:
    """What runs the application."""

    name: Literal["nodejs"]
    version: Literal["24"]
    """Major version: those of the runtime bundle (`tools/runtime/package.json`), which pins the release."""


@schema
class Restarts:
    """When an instance is started again, and when that is given up."""

    limit: Positive = 10
    """Restarts in a row, each sooner than `min_uptime_seconds`, after which an instance stays down."""
    min_uptime_seconds: Seconds = 10


@schema
class Process:
    """How the application runs, in words of no operating system and no process manager."""

    name: Name
    """What operators see in the list of processes."""
    command: Annotated[tuple[Line, ...], Field(min_length=1)]
    """Program of the release and its arguments."""
    mode: Literal["fork", "cluster"] = "fork"
    """`fork`: one port per instance, so that each can be drained and checked; `cluster`: all share the first port."""
    instances: Positive | Literal["per_cpu"] = "per_cpu"
    """Per host; `per_cpu` starts one per CPU, as many as memory and ports allow."""
    first_port: AppPort
    """Instance n listens on this port + n."""
    max_instances: Annotated[int, Field(ge=1, le=200)] = 4
    """Ports that are kept for instances of one host."""
    memory_mb: MegaBytes
    """An instance that grows beyond it is restarted."""
    restarts: Restarts = Field(default_factory=Restarts)
    start_timeout_seconds: Seconds = 60
    """From start to the first good answer of `ready`."""
    kill_seconds: Annotated[int, Field(ge=2, le=3600)] = 30
    """How long an instance may finish its requests once the edge sends no more and it is asked to stop."""
    log_date_format: Line = "YYYY-MM-DD HH:mm:ss Z"
    watch: Literal[False] = False
    """Restarting on changed files is for development machines only."""


@schema
class Health:
    """How the edge and a deployment see whether an instance works."""

    path: UrlPath
    """Answers 200 while the process is alive; not written to the access log."""
    ready_path: UrlPath
    """Answers 200 while the instance can serve (database and cache answer). Every edge asks for it."""
    interval_seconds: Seconds = 2
    """From one check of an edge to the next."""
    timeout_seconds: Seconds = 2
    """A check without an answer by then has failed."""
    failures: Positive = 3
    """Failed checks in a row after which an instance gets no more requests; if all fail, all stay."""
    retry_after_seconds: Seconds = 10
    """How long a failed instance is left alone; the next check that succeeds puts it back. Longer for one that flaps."""


@schema
class DatabaseSession:
    """Limits of the sessions behind PgBouncer, where a client cannot set its own: it shares them with others."""

    statement_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    """A statement that takes longer is cancelled; 0: never."""
    lock_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    """A statement that waits longer for a lock is cancelled; 0: never."""
    idle_in_transaction_timeout_ms: Annotated[int, Field(ge=0, le=86_400_000)] = 0
    """A session idle in a transaction for longer is ended; 0: never (PgBouncer closes the client after a minute)."""


@schema
class AppDatabase:
    """What the application asks of the database."""

    name: Identifier
    role: Identifier
    """Owner of the data: migrations and the application."""
    pool: Annotated[int, Field(ge=1, le=500)] = 20
    """Connections that one instance opens to PgBouncer."""
    pool_timeout_seconds: Seconds = 20
    read_from_replica: bool = True
    """Offer the application a second address, of the replica, for reads that may be stale."""
    session: DatabaseSession = Field(default_factory=DatabaseSession)


@schema
class StaticPath:
    """Files that the edge serves from its own disk."""

    url: UrlPath
    folder: ReleasePath
    """Inside the release."""
    max_age_days: Annotated[int, Field(ge=0, le=3650)]
    immutable: bool = False


@schema
class App:
    """An application: an artifact, its processes and what they need."""

    runtime: Runtime
    artifact: ProjectPath
    """Description of the release, as `make artifact` writes it: which archives, with which checksums."""
    process: Process
    health: Health
    migrate: tuple[str, ...] = ()
    """Script of the release and its arguments: run once per release, before the first instance gets it, while the old one serves."""
    environment: dict[Variable, str | int | bool] = Field(default_factory=dict)
    secrets: dict[Variable, str] = Field(default_factory=dict)
    """Variable of the environment -> name of a secret. `app/<app>/<word>` is generated for the application."""
    database: AppDatabase | None = None
    cache: tuple[Purpose, ...] = ()
    uploads: tuple[ReleasePath, ...] = ()
    """Folders that outlive a release: of each host, and backed up there. In size C there is one, and it is a bucket."""
    cache_folders: tuple[ReleasePath, ...] = ()
    """Folders of the release that the program may write, such as `.next/cache`; each release begins with empty ones on each host."""
    static: tuple[StaticPath, ...] = ()
    keep_releases: Annotated[int, Field(ge=2, le=50)] = 5


@schema
class Hsts:
    """Strict-Transport-Security."""

    max_age_days: Annotated[int, Field(ge=0, le=3650)] = 365
    include_subdomains: bool = True
    preload: bool = True


@schema
class Tls:
    """What the edge offers to browsers."""

    min_version: Literal["1.2", "1.3"] = "1.2"
    http2: bool = True
    redirect_http: bool = True
    hsts: Hsts | None = Field(default_factory=Hsts)


@schema
class Compression:
    """Compression of answers."""

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
    """How much one client address may ask of a part of the site; more is answered 429.

    All who share a router are one address, a clinic for example; of IPv6 a /64 is one. What one user may do is for the
    application to limit, which knows the user.
    """

    name: Identifier
    path: UrlPath
    """This path and all below it."""
    requests: Positive
    per: Literal["second", "minute"]
    burst: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Requests above the rate that are served at once."""
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"], ...] = ()
    """Only these count; none named: all."""


@schema
class Balance:
    """How the edge chooses an instance."""

    method: Literal["least_conn", "round_robin", "ip_hash", "weighted"] = "least_conn"
    weights: dict[Name, Annotated[int, Field(ge=1, le=100)]] = Field(default_factory=dict)
    """Host -> weight, for `weighted`; hosts not named weigh 1."""
    keepalive: Annotated[int, Field(ge=0, le=4096)] = 32
    """Idle connections that each worker keeps to the instances."""


@schema
class Site:
    """A web site at the edge."""

    app: Name
    host_names: Annotated[tuple[Literal["domain", "aliases"], ...], Field(min_length=1)] = ("domain", "aliases")
    """Which names of the environment this site answers to."""
    subdomain: Name | None = None
    """Answer to `<subdomain>.<domain>` instead of `host_names`."""
    balance: Balance = Field(default_factory=Balance)
    tls: Tls = Field(default_factory=Tls)
    headers: dict[HeaderName, HeaderValue] = Field(default_factory=dict)
    """Added to every answer, of the application, of static files and of errors."""
    compression: Compression = Field(default_factory=Compression)
    body_limit_mb: Annotated[int, Field(ge=1, le=10_240)] = 50
    timeouts: Timeouts = Field(default_factory=Timeouts)
    websocket: bool = True
    unbuffered: tuple[UrlPath, ...] = ()
    """Paths whose answers are streams (server-sent events): passed on as they come."""
    rate_limits: tuple[RateLimit, ...] = ()
    connections_per_client: Annotated[int, Field(ge=0, le=65_535)] = 500
    """Requests of one client address at once, without streams; a clinic is one address. 0: no limit."""
    streams_per_client: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """WebSockets and event streams of one client address at once; half of what one worker of the edge can hold if not given. 0: no limit."""


@schema
class DatabaseRole:
    """Who may log in to the databases."""

    name: Identifier
    privileges: Literal["owner", "write", "read", "monitor"]
    databases: tuple[Identifier, ...] = ()
    """`monitor` needs none."""
    connection_limit: Annotated[int, Field(ge=-1, le=5000)] = -1
    """-1: no limit but the server's."""


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
    """One store of a purpose; its own process, so that one purpose cannot evict another's data."""

    port: AppPort
    memory_mb: MegaBytes
    eviction: Literal["noeviction", "allkeys-lru", "volatile-lru", "volatile-ttl"]
    persistence: Literal["append_only", "snapshot", "none"] = "none"


@schema
class LogLimits:
    """When a log is rotated, and how many old ones stay."""

    rotate_mb: Annotated[int, Field(ge=1, le=10_240)] = 10
    keep: Annotated[int, Field(ge=1, le=365)] = 7


@schema
class BackupSchedule:
    """When backups are made and how long they are kept."""

    full_day: Weekday = "Sun"
    """A full backup of the database on this day, differential ones on the others."""
    time: TimeOfDay = "02:30"
    keep_full: Positive = 2
    keep_differential: Positive = 7
    files_every_hours: EvenHours = 6
    """Uploads and the session store."""
    files_keep_days: Days = 30
    archive_timeout_seconds: Seconds = 60
    """The most that a lost server may cost, in seconds of written data."""


@schema
class System:
    """A system: the same in every environment."""

    name: Name
    title: Line
    apps: Annotated[dict[Name, App], Field(min_length=1)]
    sites: Annotated[dict[Name, Site], Field(min_length=1)]
    database: DatabaseTier | None = None
    cache: dict[Purpose, CacheInstance] = Field(default_factory=dict)
    logs: LogLimits = Field(default_factory=LogLimits)
    backups: BackupSchedule = Field(default_factory=BackupSchedule)
