"""Arguments of a cache, checked for what ElastiCache would refuse before any resource exists."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.context import Context
from stackwright.model.aws.stackfile import RETENTION_DAYS

#: Engine -> version -> parameter group family: versions that support users with IAM, of families that the API reference
#: of CreateCacheParameterGroup names. To support another version, add a line.
FAMILIES: Mapping[str, Mapping[str, str]] = {
    "redis": {"7.0": "redis7", "7.1": "redis7"},
    "valkey": {"7.2": "valkey7", "8.0": "valkey8", "8.1": "valkey8", "8.2": "valkey8"},
}
NEWEST: Mapping[str, str] = {"redis": "7.1", "valkey": "8.1"}
EVICTIONS = ("noeviction", "allkeys-lru", "volatile-lru", "volatile-ttl")
#: ElastiCache keeps no append-only file (Redis 2.8.22 and newer): replicas and daily snapshots provide `append_only`.
APPEND_ONLY, SNAPSHOT, NOTHING = "append_only", "snapshot", "none"
PERSISTENCE = (APPEND_ONLY, SNAPSHOT, NOTHING)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Quotas of ElastiCache.
MOST_REPLICAS, MOST_SNAPSHOT_DAYS = 5, 35
_PURPOSE = re.compile(r"[a-z]([a-z0-9_]{0,30}[a-z0-9])?")
_USER = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
_NODE_TYPE = re.compile(r"cache\.[a-z0-9]+\.[a-z0-9]+")
_SECRET = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
#: What EC2 accepts as the description of a rule.
_REASON = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,200}")
#: ACL rules that set or remove a password, which ElastiCache refuses in an access string.
_PASSWORDS = re.compile(r"[><#!].*|nopass|resetpass|reset")


@dataclass(frozen=True, kw_only=True)
class CacheUserArgs:
    """The user of an application."""

    name: str
    #: Name of the secret from which a client reads the password.
    secret: str
    #: In ACL syntax; defaults to the system's own keys and channels, without commands that harm others.
    access_string: str | None = None


@dataclass(frozen=True, kw_only=True)
class CacheGroupArgs:
    """The store of one purpose."""

    node_type: str
    users: Sequence[CacheUserArgs]
    #: Defaults to 6379.
    port: int | None = None
    #: `noeviction`, `allkeys-lru`, `volatile-lru` or `volatile-ttl`; defaults to `noeviction`.
    eviction: str | None = None
    #: `append_only`, `snapshot` or `none`; defaults to `none`. The first two are the same here: daily snapshots.
    persistence: str | None = None
    #: Replicas of the primary, each in another zone as long as there is one; defaults to 1 where data is kept, else 0.
    replicas: int | None = None
    #: Defaults for a persistent store to 7 where data is kept, else 1.
    snapshot_days: int | None = None
    #: Name of the snapshot to create the store from; it only has an effect when the store is created.
    snapshot: str | None = None


@dataclass(frozen=True, kw_only=True)
class CacheArgs:
    """The stores of an environment.

    Raises ValueError with every problem at once.
    """

    context: Context
    vpc_id: pulumi.Input[str]
    #: In at least two zones if there are replicas.
    subnet_ids: Sequence[pulumi.Input[str]]
    #: Reason -> security group of the clients that may connect to every port.
    clients: Mapping[str, pulumi.Input[str]]
    #: By purpose, such as `sessions`.
    groups: Mapping[str, CacheGroupArgs]
    #: Encrypts data, snapshots and logs; its policy must admit ElastiCache (`EncryptionKey` with `elasticache`).
    kms_key_arn: pulumi.Input[str]
    #: Encrypts the logs; its policy must admit CloudWatch Logs (`logs`). Defaults to `kms_key_arn`.
    log_kms_key_arn: pulumi.Input[str] | None = None
    #: `valkey` or `redis`; defaults to `valkey`.
    engine: str | None = None
    #: Defaults to the newest version that is known here.
    engine_version: str | None = None
    #: Day of the week, such as `Sun`; AWS makes changes in the hour from `maintenance_time`.
    maintenance_day: str | None = None
    #: In UTC; defaults to 04:00.
    maintenance_time: str | None = None
    #: In UTC; snapshots begin in the hour from this time. Defaults to 02:00.
    snapshot_time: str | None = None
    #: Defaults to 30.
    log_days: int | None = None

    def __post_init__(self) -> None:
        problems = [
            *_engine_problems(self.chosen_engine, self.engine_version),
            *_client_problems(self.clients),
            *_time_problems(self),
        ]
        if self.chosen_log_days not in RETENTION_DAYS:
            problems.append(f"log_days is {self.log_days}, accepted: {', '.join(map(str, RETENTION_DAYS))}")
        if not self.groups:
            problems.append("groups is empty, accepted: at least one purpose")
        for purpose, group in self.groups.items():
            if not _PURPOSE.fullmatch(purpose):
                problems.append(f"groups has {purpose!r}, accepted: at most 32 of a-z, 0-9 and _, such as rate_limit")
            problems += [f"groups[{purpose}].{problem}" for problem in _group_problems(self.context, group)]
        needed = 2 if any(self.replicas(group) for group in self.groups.values()) else 1
        if len(self.subnet_ids) < needed:
            problems.append(f"subnet_ids has {len(self.subnet_ids)}, accepted: {needed} or more, each in another zone")
        if problems:
            raise ValueError("\n".join(f"CacheArgs.{problem}" for problem in problems))

    @property
    def chosen_engine(self) -> str:
        """`engine`, or by default Valkey, the successor of Redis under a free licence, which costs less."""
        return "valkey" if self.engine is None else self.engine

    @property
    def chosen_version(self) -> str:
        """`engine_version`, or by default the newest version that is known here."""
        return NEWEST[self.chosen_engine] if self.engine_version is None else self.engine_version

    @property
    def family(self) -> str:
        """The parameter group family."""
        return FAMILIES[self.chosen_engine][self.chosen_version]

    @property
    def chosen_log_days(self) -> int:
        """`log_days`, or by default 30."""
        return 30 if self.log_days is None else self.log_days

    @property
    def log_key_arn(self) -> pulumi.Input[str]:
        """`log_kms_key_arn`, or by default `kms_key_arn`."""
        return self.kms_key_arn if self.log_kms_key_arn is None else self.log_kms_key_arn

    @property
    def maintenance_window(self) -> str:
        """The maintenance window in ElastiCache's format: `sun:04:00-sun:05:00`."""
        day = (self.maintenance_day or "Sun").lower()
        start = self.maintenance_time or "04:00"
        after = DAYS[(DAYS.index(day.title()) + 1) % len(DAYS)].lower() if start.startswith("23") else day
        return f"{day}:{start}-{after}:{_hour_later(start)}"

    @property
    def snapshot_window(self) -> str:
        """The snapshot window in ElastiCache's format: `02:00-03:00`."""
        start = self.snapshot_time or "02:00"
        return f"{start}-{_hour_later(start)}"

    def replicas(self, group: CacheGroupArgs) -> int:
        """Return `replicas`, or the default of the environment class."""
        return int(self.context.keeps_data) if group.replicas is None else group.replicas

    def snapshot_days(self, group: CacheGroupArgs) -> int:
        """Return `snapshot_days`, or the default of the persistence and the environment class."""
        if group.snapshot_days is not None:
            return group.snapshot_days
        if not persists(group):
            return 0
        return 7 if self.context.keeps_data else 1


def persists(group: CacheGroupArgs) -> bool:
    """Return whether the data must persist."""
    return group.persistence is not None and group.persistence != NOTHING


def port(group: CacheGroupArgs) -> int:
    """Return `port`, or the default port of Redis."""
    return 6379 if group.port is None else group.port


def slug(reason: str) -> str:
    """Return the reason as a part of a resource name."""
    return re.sub(r"[^a-z0-9]+", "-", reason.lower()).strip("-")


def _hour_later(time: str) -> str:
    hours, minutes = time.split(":")
    return f"{(int(hours) + 1) % 24:02d}:{minutes}"


def _engine_problems(engine: str, version: str | None) -> Iterator[str]:
    if engine not in FAMILIES:
        yield f"engine is {engine!r}, accepted: {', '.join(FAMILIES)}"
    elif version is not None and version not in FAMILIES[engine]:
        yield f"engine_version is {version!r}, accepted for {engine}: {', '.join(FAMILIES[engine])}"


def _client_problems(clients: Mapping[str, pulumi.Input[str]]) -> Iterator[str]:
    if not clients:
        yield "clients is empty, accepted: the security group of at least one who connects"
    for reason in clients:
        if not _REASON.fullmatch(reason) or not slug(reason):
            yield f"clients has {reason!r}, accepted: a reason of at most 200 plain characters"
    if len({slug(reason) for reason in clients}) < len(clients):
        yield f"clients has {', '.join(clients)}, accepted: reasons that differ in a letter or a digit"


def _time_problems(args: CacheArgs) -> Iterator[str]:
    if args.maintenance_day is not None and args.maintenance_day not in DAYS:
        yield f"maintenance_day is {args.maintenance_day!r}, accepted: {', '.join(DAYS)}"
    for key in ("maintenance_time", "snapshot_time"):
        value = getattr(args, key)
        if value is not None and not _TIME.fullmatch(value):
            yield f"{key} is {value!r}, accepted: a time such as 04:00, in UTC"


def _group_problems(context: Context, group: CacheGroupArgs) -> Iterator[str]:
    if not _NODE_TYPE.fullmatch(group.node_type):
        yield f"node_type is {group.node_type!r}, accepted: a node such as cache.t4g.small"
    if not 1024 <= port(group) <= 65_535:
        yield f"port is {group.port}, accepted: 1024 to 65535"
    if group.eviction is not None and group.eviction not in EVICTIONS:
        yield f"eviction is {group.eviction!r}, accepted: {', '.join(EVICTIONS)}"
    if group.persistence is not None and group.persistence not in PERSISTENCE:
        yield f"persistence is {group.persistence!r}, accepted: {', '.join(PERSISTENCE)}"
    if group.replicas is not None and not 0 <= group.replicas <= MOST_REPLICAS:
        yield f"replicas is {group.replicas}, accepted: 0 to {MOST_REPLICAS}"
    if group.persistence == APPEND_ONLY and group.replicas == 0 and context.environment_class == "production":
        yield "replicas is 0, accepted: 1 or more for append_only in production, as AWS keeps no append-only file"
    yield from _snapshot_problems(context, group)
    yield from _user_problems(group.users)


def _snapshot_problems(context: Context, group: CacheGroupArgs) -> Iterator[str]:
    days = group.snapshot_days
    if days is None:
        return
    if not 0 <= days <= MOST_SNAPSHOT_DAYS:
        yield f"snapshot_days is {days}, accepted: 0 to {MOST_SNAPSHOT_DAYS}"
    if days == 0 and persists(group) and context.keeps_data:
        yield f"snapshot_days is 0, accepted: 1 to {MOST_SNAPSHOT_DAYS} for what persists where data is kept"
    if days and not persists(group):
        yield f"snapshot_days is {days}, accepted: 0, or a persistence other than none"


def _user_problems(users: Sequence[CacheUserArgs]) -> Iterator[str]:
    if not users:
        yield "users is empty, accepted: at least one, as nobody else can log in"
    names = [user.name for user in users]
    if len(set(names)) < len(names):
        yield f"users is {', '.join(names)}, accepted: each name once"
    for user in users:
        argument = f"users[{user.name}]"
        if not _USER.fullmatch(user.name) or "--" in user.name or user.name == "default":
            yield f"{argument}.name is {user.name!r}, accepted: at most 32 of a-z, 0-9 and -, and not default"
        if not _SECRET.fullmatch(user.secret):
            yield f"{argument}.secret is {user.secret!r}, accepted: the name of a secret such as redis/sessions/emr"
        words = [] if user.access_string is None else user.access_string.split()
        if user.access_string is not None and (not words or words[0] not in ("on", "off")):
            yield f"{argument}.access_string is {user.access_string!r}, accepted: an ACL that begins with on or off"
        # Not shown: it may be a password.
        if any(_PASSWORDS.fullmatch(word) for word in words):
            yield f"{argument}.access_string says or lifts a password, accepted: keys, channels and commands"
