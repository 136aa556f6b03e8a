"""Outputs that AWS could return for a creation: an id and every declared output, the same for the same URN and inputs.

They are composed of names, types and the forms of `plausible_tables`; plausible, not true. In a preview, an output that
only AWS knows is unknown.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stackwright.testing.aws import plausible_tables as tables
from stackwright.testing.aws import wire
from stackwright.testing.aws.sdk_schema import Kind, Property, Resource, Type, members

_PORTS = {"postgres": 5432, "mysql": 3306, "mariadb": 3306, "aurora-mysql": 3306, "oracle": 1521, "sqlserver": 1433}
_CACHE_PORTS = {"redis": 6379, "valkey": 6379, "memcached": 11211}
_KINDS = {"application": "app", "network": "net", "gateway": "gwy"}
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")


def partition(region: str) -> str:
    """Return the partition in the ARNs of a region."""
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    return next((name for prefix, name in prefixes.items() if region.startswith(prefix)), "aws")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A resource for which outputs are generated."""

    resource: Resource
    urn: str
    account: str
    region: str
    inputs: Mapping[str, Any]
    #: The id, once there is one.
    known_id: str = ""
    seen: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        # Secrets must not appear in a name, an address or a digest.
        visible = {name: argument for name, argument in self.inputs.items() if not wire.holds_secret(argument)}
        object.__setattr__(self, "seen", visible)

    @property
    def name(self) -> str:
        """Return the last part of the URN."""
        return self.urn.rsplit("::", 1)[-1]

    @cached_property
    def _digest(self) -> str:
        return f"{self.urn}|{wire.canonical(self.seen)}"

    def digits(self, label: str, length: int, alphabet: str = "0123456789abcdef") -> str:
        """Return characters that look random and are always the same."""
        number = int.from_bytes(hashlib.sha512(f"{self._digest}|{label}".encode()).digest())
        characters = ""
        for _ in range(length):
            number, index = divmod(number, len(alphabet))
            characters += alphabet[index]
        return characters

    def uuid(self, label: str = "uuid") -> str:
        raw = self.digits(label, 32)
        return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))

    def fill(self, template: str) -> str:
        """Return a template of the tables, filled with its values."""
        return "".join(
            text + (self._placeholder(name) if name else "") for text, name, _, _ in string.Formatter().parse(template)
        )

    def _placeholder(self, name: str) -> str:
        argument = self.seen.get(name)
        if isinstance(argument, str | int) and not isinstance(argument, bool) and not wire.is_unknown(argument):
            return argument.lower() if name == "scope" and isinstance(argument, str) else str(argument)
        sized = re.fullmatch(r"(hex|base)(\d+)", name)
        if sized:
            alphabet = "0123456789abcdef" if sized[1] == "hex" else string.ascii_uppercase + string.digits
            return self.digits(name, int(sized[2]), alphabet)
        known: dict[str, Callable[[], str]] = {
            "id": lambda: self.id,
            "account": lambda: self.account,
            "region": lambda: self.region,
            "uuid": self.uuid,
            "number": lambda: self.digits("number", 10, string.digits),
            "path": lambda: "/",
            "port": lambda: str(self.port),
            "kind": lambda: _KINDS.get(str(self.seen.get("loadBalancerType")), "app"),
            "balancer": lambda: str(self.seen.get("loadBalancerArn", "")).partition("loadbalancer/")[2],
            "listener": lambda: str(self.seen.get("listenerArn", "")).partition("listener/")[2],
            "internal": lambda: "internal-" if self.seen.get("internal") else "",
        }
        return known[name]() if name in known else f"{self.name}-{self.digits(name, 7)}".lower()

    @property
    def port(self) -> int:
        if isinstance(self.seen.get("port"), int):
            return int(self.seen["port"])
        engine = str(self.seen.get("engine", ""))
        if "elasticache" in self.resource.token:
            return _CACHE_PORTS.get(engine, 6379)
        return next((port for name, port in _PORTS.items() if engine.removeprefix("aurora-").startswith(name)), 5432)

    @property
    def service(self) -> str:
        area = self.resource.token.split(":")[1].split("/")[0]
        return tables.SERVICES.get(area, area)

    @cached_property
    def id(self) -> str:
        """Return the id: from the tables, else in the form of the `pulumi import` example."""
        if self.known_id:
            return self.known_id
        hint, token = self.resource.import_hint, self.resource.token
        if token in tables.IDS:
            return self.fill(tables.IDS[token])
        if hint.example.startswith("arn:"):
            return self.arn
        prefixed = re.fullmatch(r"([a-z]{1,12})-[0-9a-zA-Z]{7,}", hint.example)
        if prefixed and any(digit in hint.example for digit in string.digits) and hint.property not in self.seen:
            return f"{prefixed[1]}-{self.digits('id', 17)}"
        if _UUID.fullmatch(hint.example):
            return self.uuid()
        if hint.property:
            return self._placeholder(hint.property)
        return f"{self.name}-{self.digits('id', 8)}".lower()

    @cached_property
    def arn(self) -> str:
        """Return the ARN: from the tables, else in the form of the example, else from service, kind and id."""
        prefix = f"arn:{partition(self.region)}:"
        if self.resource.token in tables.ARNS:
            # Paths and names of parameters begin with a slash already.
            return prefix + re.sub("//+", "/", self.fill(tables.ARNS[self.resource.token]))
        region = "" if self.service in tables.GLOBAL else self.region
        account = "" if self.service in tables.NO_ACCOUNT else self.account
        example = self.resource.import_hint.example.split(":", 5)
        last = self.seen.get("name") if isinstance(self.seen.get("name"), str) else self.digits("arn", 16)
        if len(example) == 6 and example[0] == "arn":
            kind = re.sub(r"[^:/]*$", "", example[5])
            return f"{prefix}{example[2]}:{region if example[3] else ''}:{account if example[4] else ''}:{kind}{last}"
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", self.resource.token.rsplit(":", 1)[-1]).lower()
        # An id that is itself the ARN would cause a recursion.
        tail = last if self.resource.import_hint.example.startswith("arn:") else self.id
        return f"{prefix}{self.service}:{region}:{account}:{kind}/{tail}"


def outputs(made: Made, previous: Mapping[str, Any] | None = None, *, preview: bool = False) -> wire.Values:
    """Return every output: inputs unchanged, previous values, and the rest plausible, or unknown in a preview."""
    all_outputs: wire.Values = {name: argument for name, argument in made.inputs.items() if not name.startswith("__")}
    for name, declared in made.resource.outputs.items():
        if name in all_outputs or not (declared.required or made.resource.computed(name)):
            continue
        known = _known(made, name)
        if known is not None:
            all_outputs[name] = known
        elif previous and name in previous:
            all_outputs[name] = _counted(made, name, previous[name], preview=preview)
        else:
            all_outputs[name] = wire.UNKNOWN if preview else _value(made, declared)
    if "tags" in made.inputs and wire.holds_secret(made.inputs["tags"]) and "tagsAll" in all_outputs:
        all_outputs["tagsAll"] = wire.secret(all_outputs["tagsAll"])
    return {
        name: wire.secret(output) if name in made.resource.secrets else output for name, output in all_outputs.items()
    }


def _known(made: Made, name: str) -> Any:
    """Return a value that is known without AWS."""
    if name == "tagsAll":
        tags = wire.unwrap(made.inputs.get("tags", {}))
        return tags if wire.is_unknown(tags) else wire.plain(tags)
    return made.region if name == "region" else None


def _counted(made: Made, name: str, before: Any, *, preview: bool) -> Any:
    if name not in tables.COUNTERS.get(made.resource.token, ()):
        return before
    return wire.UNKNOWN if preview else int(before) + 1


def _value(made: Made, declared: Property) -> Any:
    name = declared.name
    template = tables.OUTPUTS.get(made.resource.token, {}).get(name)
    if template is not None:
        filled = made.fill(template)
        return int(filled) if declared.type(Kind.INTEGER) else filled
    if name == made.resource.import_hint.property:
        return made.id
    special = _SPECIAL.get(name)
    if special is not None:
        return special(made)
    return _typed(made, declared.types[0], name, computed=made.resource.computed(name))


def _typed(made: Made, declared: Type, name: str, *, computed: bool) -> Any:
    match declared.kind:
        case Kind.STRING:
            return _string(made, name, computed=computed)
        case Kind.INTEGER | Kind.NUMBER:
            return made.port if name.lower().endswith("port") else 1 if name.lower().endswith("version") else 0
        case Kind.BOOLEAN:
            return False
        case Kind.ENUM:
            return declared.values[0]
        case Kind.LIST if computed and declared.items[0].kind is Kind.OBJECT:
            return [_typed(made, declared.items[0], name, computed=True)]
        case Kind.LIST if computed and re.search(r"(?:arn|id|address|name)s$", name, re.IGNORECASE):
            return [_typed(made, declared.items[0], name[:-1], computed=True)]
        case Kind.LIST:
            return []
        case Kind.OBJECT if declared.declared and computed:
            return {
                inner.name: _typed(made, inner.types[0], inner.name, computed=_shallow(inner))
                for inner in members(declared.declared).values()
            }
        case _:
            return {}


def _shallow(declared: Property) -> bool:
    """Return whether a property is not nested: objects in objects stay empty, as types may contain themselves."""
    return declared.types[0].kind not in {Kind.OBJECT, Kind.LIST}


def _string(made: Made, name: str, *, computed: bool) -> str:
    for pattern, make in _STRINGS:
        if pattern.search(name):
            return make(made, name)
    # An optional input that was not set is usually empty.
    return f"{made.name}-{name}-{made.digits(name, 8)}".lower() if computed else ""


def _id_of_another(made: Made, name: str) -> str:
    lowered = name.lower()
    prefix = next((prefix for ending, prefix in tables.ID_PREFIXES.items() if lowered.endswith(ending)), None)
    return f"{prefix}-{made.digits(name, 17)}" if prefix else made.digits(name, 17)


def _host(made: Made, name: str) -> str:
    return f"{made.name}.{made.digits(name, 12)}.{made.region}.{made.service}.amazonaws.com".lower()


def _address(made: Made, name: str) -> str:
    low = int(made.digits(name, 2), 16) % 254 + 1
    return f"203.0.113.{low}" if "public" in name.lower() else f"10.0.{int(made.digits(name + 'b', 2), 16)}.{low}"


_STRINGS: Sequence[tuple[re.Pattern[str], Callable[[Made, str], str]]] = (
    (re.compile(r"^arn$"), lambda made, _: made.arn),
    (re.compile(r"^.*Prefix$"), lambda _made, _: ""),
    (re.compile(r"^id$"), lambda made, _: made.id),
    (
        re.compile(r"Arn$"),
        lambda made, name: (
            f"arn:{partition(made.region)}:{made.service}:{made.region}:{made.account}:{name[:-3]}/{made.digits(name, 16)}"
        ),
    ),
    (re.compile(r"^(?:ownerId|registryId|.*[aA]ccountId|.*[oO]wner)$"), lambda made, _: made.account),
    (re.compile(r"[zZ]oneId$"), lambda made, name: f"Z{made.digits(name, 13, string.ascii_uppercase + string.digits)}"),
    (re.compile(r"[rR]egion$"), lambda made, _: made.region),
    (re.compile(r"[aA]vailabilityZone$"), lambda made, _: f"{made.region}a"),
    (
        re.compile(r"[iI]pv6CidrBlock$"),
        lambda made, name: f"2600:1f14:{made.digits(name, 4)}:{made.digits(name, 2)}00::/56",
    ),
    (re.compile(r"[cC]idrBlock$"), lambda _made, _: "10.0.0.0/16"),
    (re.compile(r"[iI]p$|[iI]pAddress$"), _address),
    (re.compile(r"[mM]acAddress$"), lambda made, name: ":".join(re.findall("..", "02" + made.digits(name, 10)))),
    (re.compile(r"[dD]ns$|[dD](?:ns|omain)Name$|[eE]ndpoint$|[aA]ddress$|[hH]ost(?:name)?$|[fF]qdn$"), _host),
    (re.compile(r"[uU]rl$"), lambda made, name: f"https://{_host(made, name)}/"),
    (re.compile(r"(?:Time|Date|Timestamp|At)$"), lambda _made, _: "2026-01-01T00:00:00Z"),
    (re.compile(r"^(?:status|.*Status|state)$"), lambda _made, _: "available"),
    (re.compile(r"[vV]ersion(?:Actual)?$"), lambda made, _: str(made.seen.get("engineVersion", "1"))),
    (re.compile(r"(?:[cC]hecksum|[eE]tag|[hH]ash|[sS]ha256|[mM]d5)$"), lambda made, name: made.digits(name, 32)),
    (re.compile(r"[iI]d$"), _id_of_another),
    (re.compile(r"^name$"), lambda made, _: f"{made.name}-{made.digits('name', 7)}"),
)


def _validation(made: Made) -> list[wire.Values]:
    """Return one record for each name of a certificate."""
    names = [made.seen.get("domainName"), *(made.seen.get("subjectAlternativeNames") or ())]
    return [
        {
            "domainName": name,
            "resourceRecordName": f"_{made.digits(f'record {bare}', 32)}.{bare}.",
            "resourceRecordType": "CNAME",
            "resourceRecordValue": f"_{made.digits(f'value {bare}', 32)}.acm-validations.aws.",
        }
        for name in dict.fromkeys(filter(None, names))
        # A wildcard is validated by the record of its domain.
        for bare in (str(name).removeprefix("*."),)
    ]


def _master_secrets(made: Made) -> list[wire.Values]:
    if not made.seen.get("manageMasterUserPassword"):
        return []
    prefix = f"arn:{partition(made.region)}:"
    secret = (
        f"secretsmanager:{made.region}:{made.account}:secret:rds!db-{made.uuid('secret')}-{made.digits('secret', 6)}"
    )
    key = (
        made.seen.get("masterUserSecretKmsKeyId") or f"{prefix}kms:{made.region}:{made.account}:key/{made.uuid('key')}"
    )
    return [{"kmsKeyId": key, "secretArn": prefix + secret, "secretStatus": "active"}]


def _name_servers(made: Made) -> list[str]:
    number = int(made.digits("servers", 3), 16) % 2000
    return [f"ns-{number}.awsdns-{number % 64:02}.{end}" for end in ("com", "net", "org", "co.uk")]


#: Outputs that are not a single value, by name: each name has one meaning in the whole SDK.
_SPECIAL: Mapping[str, Callable[[Made], Any]] = {
    "domainValidationOptions": _validation,
    "masterUserSecrets": _master_secrets,
    "nameServers": _name_servers,
    "arnSuffix": lambda made: made.arn.rpartition(":")[2].removeprefix("loadbalancer/"),
    "replicas": lambda _: [],
    "memberClusters": lambda made: [
        f"{made.seen.get('replicationGroupId', made.id)}-{number:03}"
        for number in range(1, int(made.seen.get("numCacheClusters") or 1) + 1)
    ],
}
