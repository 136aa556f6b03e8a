"""Checks between the keys of `inventories/<env>/stack.yml`, and between the file and its system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

from cryptography import x509
from pydantic import ValidationError

from stackwright.model import (
    addressing,
    checks_apps,
    checks_backups,
    checks_os,
    checks_postgresql,
    checks_system,
    files,
    naming,
    reserved,
    site_certificate,
    source,
    topology,
)
from stackwright.model.aws import checks as checks_aws
from stackwright.model.errors import KeyPath, ModelError, Problem, nearest
from stackwright.model.files import Parsed, Place
from stackwright.model.plan import plan_hosts
from stackwright.model.stackfile import CertificateFiles, Network, Server, StackFile
from stackwright.model.system import System

#: Providers that offer a load balancer, a database and a cache as managed services, which size C uses.
CLOUDS: tuple[str, ...] = ("aws",)


def problems(location: Place, parsed: Parsed[StackFile], stack: StackFile, system: System | None) -> Iterator[Problem]:
    """Yield every problem of the file."""
    yield from _place(location, parsed, system)
    yield from _names(parsed, stack)
    yield from _network(parsed, stack.network)
    yield from _edge(parsed, stack)
    yield from _neighbours(location, parsed, stack)
    yield from _servers(location, parsed, stack)
    yield from _sizes(parsed, stack)
    yield from _topology(location, parsed, stack, system)
    yield from _certificates(location, parsed, stack, system)
    yield from _admins(parsed, stack)
    yield from checks_apps.stack_problems(parsed, stack, system)
    yield from checks_backups.problems(parsed, stack, system)
    yield from checks_os.problems(parsed, stack)
    yield from checks_postgresql.parameter_problems(parsed, stack, system)
    yield from checks_aws.problems(location, parsed, stack, system)
    if system is not None:
        yield from _overrides(location, parsed, stack, system)
        yield from _packaged(parsed, stack, system)
        yield from _site_names(parsed, stack, system)
        yield from _pooler(parsed, stack, system)
        yield from _ssh_ports(parsed, stack, system)


def _place(location: Place, parsed: Parsed[StackFile], system: System | None) -> Iterator[Problem]:
    if not naming.ENVIRONMENT_NAME.fullmatch(location.name):
        message = "the folder's name is the environment's, and is no name"
        accepted = "lower-case letters, digits and hyphens, a letter first, at most 39"
        yield parsed.problem((), message, value=location.name, accepted=accepted)
    if system is not None and system.name != parsed.need().system:
        message = f"is called {system.name} in its own file"
        yield parsed.problem(("system",), message, value=parsed.need().system, accepted="the same name in both")


def _names(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    seen = {stack.domain}
    for position, alias in enumerate(stack.aliases):
        if alias in seen:
            yield parsed.problem(("aliases", position), "is named twice", value=alias, accepted="each name once")
        seen.add(alias)


def _site_names(parsed: Parsed[StackFile], stack: StackFile, system: System) -> Iterator[Problem]:
    """Check that each site has at least one name, and that each name belongs to one site."""
    for name, site in system.sites.items():
        names = naming.site_names(site, stack.domain, stack.aliases)
        if not names:
            message = f"leaves site {name} without a name, which answers to `aliases` alone"
            yield parsed.problem(("aliases",), message, accepted="at least one alias")
        for host_name in names:
            if site.subdomain is not None and host_name in stack.aliases:
                path: KeyPath = ("aliases", stack.aliases.index(host_name))
                message = f"is the subdomain of site {name}"
                yield parsed.problem(path, message, value=host_name, accepted="names that no site has by its subdomain")
            if len(host_name) > 253:
                message = f"is too long for the subdomain of site {name}"
                yield parsed.problem(("domain",), message, value=stack.domain, accepted="253 characters with it")


def _network(parsed: Parsed[StackFile], network: Network) -> Iterator[Problem]:
    tiers, cidrs = list(network.subnets), list(network.subnets.values())
    for tier, cidr in network.subnets.items():
        if not addressing.within(network.cidr, cidr):
            accepted = f"a part of {network.cidr}"
            yield parsed.problem(("network", "subnets", tier), "is outside the network", value=cidr, accepted=accepted)
    for first, second in addressing.overlaps(cidrs):
        message = f"overlaps the subnet of {tiers[first]}, {cidrs[first]}"
        accepted = "subnets that share no address"
        yield parsed.problem(("network", "subnets", tiers[second]), message, value=cidrs[second], accepted=accepted)


def _edge(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    path = ("edge", "proxy_protocol")
    if stack.edge.proxy_protocol and "edge" in topology.managed(stack):
        message = f"is what no load balancer of {stack.provider} speaks here: it passes HTTP on"
        yield parsed.problem(path, message, value=True, accepted="false")
    elif stack.edge.proxy_protocol and not stack.edge.trusted_proxies:
        message = "needs `trusted_proxies`: without them every client could choose its address"
        yield parsed.problem(path, message, value=True, accepted="`trusted_proxies` with the balancers' networks")


def _neighbours(location: Place, parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    """Check that local environments, which run next to each other, have separate networks."""
    if stack.provider != "local":
        return
    for file in sorted(location.file.parent.parent.glob("*/stack.yml")):
        cidr = _local_network(file) if file != location.file else None
        if cidr is not None and addressing.overlaps([stack.network.cidr, cidr]):
            message = f"overlaps {cidr} of {location.shown(file)}"
            accepted = "a network that no other local environment has"
            yield parsed.problem(("network", "cidr"), message, value=stack.network.cidr, accepted=accepted)


def _local_network(file: Path) -> str | None:
    """Return the network of another environment if it is local; problems of its file are not reported here."""
    try:
        stack = files.parse(source.read(file), StackFile).value
    except ModelError:
        return None
    return stack.network.cidr if stack is not None and stack.provider == "local" else None


#: The release of PostgreSQL that a distribution packages; no other release is installed.
_POSTGRESQL = {"debian-12": "15", "debian-13": "17", "ubuntu-24.04": "16"}


def _packaged(parsed: Parsed[StackFile], stack: StackFile, system: System) -> Iterator[Problem]:
    if system.database is None or "database" in topology.managed(stack):
        return
    version = system.database.version
    host_systems: list[tuple[KeyPath, str]] = [
        (("hosts", position, "os"), server.os)
        for position, server in enumerate(stack.hosts)
        if "database" in server.groups
    ]
    tier = "server" if "server" in topology.created(stack) else "database"
    tier_path: KeyPath = ("tier_os", tier) if tier in stack.tier_os else ("os",)
    for path, name in host_systems or [(tier_path, topology.os_of(stack, tier))]:
        # That data tiers do not run on Windows is reported by another check.
        if not topology.is_windows(name) and _POSTGRESQL[name] != version:
            message = f"packages PostgreSQL {_POSTGRESQL[name]}, and the system wants {version}"
            fitting = [distribution for distribution, release in _POSTGRESQL.items() if release == version]
            yield parsed.problem(path, message, value=name, accepted=", ".join(fitting) or "none; change the system")


#: Distributions whose PgBouncer lacks prepared statements, which drivers of applications use.
_OLD_POOLERS = ("debian-12",)


def _pooler(parsed: Parsed[StackFile], stack: StackFile, system: System) -> Iterator[Problem]:
    if not any(app.database for app in system.apps.values()):
        return
    host_systems: list[tuple[KeyPath, str]] = [
        (("hosts", position, "os"), server.os) for position, server in enumerate(stack.hosts) if "app" in server.groups
    ]
    tier = "server" if "server" in topology.created(stack) else "app"
    tier_path: KeyPath = ("tier_os", tier) if tier in stack.tier_os else ("os",)
    for path, name in host_systems or [(tier_path, topology.os_of(stack, tier))]:
        if name in _OLD_POOLERS:
            message = "packages a PgBouncer without prepared statements, for hosts of applications with a database"
            accepted = ", ".join(distribution for distribution in _POSTGRESQL if distribution not in _OLD_POOLERS)
            yield parsed.problem(path, message, value=name, accepted=accepted)


def _servers(location: Place, parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    names: set[str] = set()
    addresses: dict[str, str] = {}
    for position, server in enumerate(stack.hosts):
        path: KeyPath = ("hosts", position)
        if server.name in names:
            yield parsed.problem((*path, "name"), "is a host twice", value=server.name, accepted="each name once")
        names.add(server.name)
        owner = reserved.host(server.name)
        if owner is not None:
            message = f"is taken by {owner}"
            yield parsed.problem((*path, "name"), message, value=server.name, accepted="a name that nothing else has")
        if server.address in addresses:
            message = f"is the address of {addresses[server.address]} too"
            yield parsed.problem((*path, "address"), message, value=server.address, accepted="an address of its own")
        addresses.setdefault(server.address, server.name)
        yield from _server_address(parsed, stack.network, path, server)
        yield from _host_key(location, parsed, path, server)


def _ssh_ports(parsed: Parsed[StackFile], stack: StackFile, system: System) -> Iterator[Problem]:
    """Check that no service of a host uses the port of SSH, which SSH keeps."""
    taken = {80: "the edge", 443: "the edge", **checks_system.taken_ports(system)}
    for position, server in enumerate(stack.hosts):
        if server.port in taken:
            path: KeyPath = ("hosts", position, "port")
            message = f"is taken by {taken[server.port]}"
            yield parsed.problem(path, message, value=server.port, accepted="a port that nothing else has, such as 22")


def _server_address(parsed: Parsed[StackFile], network: Network, path: KeyPath, server: Server) -> Iterator[Problem]:
    cidrs = [cidr for tier, cidr in network.subnets.items() if tier in server.groups] or [network.cidr]
    if not any(addressing.usable(cidr, server.address) for cidr in cidrs):
        accepted = f"a host address in {' or '.join(cidrs)}"
        yield parsed.problem((*path, "address"), "is outside its subnet", value=server.address, accepted=accepted)


def _host_key(location: Place, parsed: Parsed[StackFile], path: KeyPath, server: Server) -> Iterator[Problem]:
    if (server.host_key is None) == (server.host_key_file is None):
        message = f"{server.name} has {'no' if server.host_key is None else 'two'} host keys"
        yield parsed.problem(path, message, accepted="`host_key: ssh-ed25519 AAAA...` or `host_key_file: <path>`")
    if server.host_key_file is None:
        return
    field_path = (*path, "host_key_file")
    file = location.root / server.host_key_file
    if leaves(location.root, file):
        accepted = "a file of the project"
        yield parsed.problem(
            field_path, "is a path that leaves the project", value=server.host_key_file, accepted=accepted
        )
    elif file.is_file() and not _is_public_key(file):
        accepted = "one line such as `ssh-ed25519 AAAA...`"
        yield parsed.problem(field_path, "holds no OpenSSH public key", value=server.host_key_file, accepted=accepted)


def _is_public_key(file: Path) -> bool:
    try:
        files.public_key(file.read_text(encoding="utf-8").strip())
    except (ValidationError, OSError, UnicodeDecodeError):
        return False
    return True


def leaves(root: Path, path: Path) -> bool:
    """Return whether `path` is outside the project once links are resolved."""
    return not path.resolve().is_relative_to(root.resolve())


def _sizes(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    for tier in stack.sizes:
        if stack.provider == "bare_metal":
            message = "is the size of hosts that are created; these exist already"
            yield parsed.problem(("sizes", tier), message, accepted="`cpus` and `memory_mb` of each of `hosts`")
        elif stack.topology is not None and (stack.topology.size == "A") != (tier == "server"):
            message = f"is the size of hosts that topology {stack.topology.size} has not"
            accepted = "server" if stack.topology.size == "A" else ", ".join(topology.TIERS)
            yield parsed.problem(("sizes", tier), message, accepted=accepted)


def _topology(location: Place, parsed: Parsed[StackFile], stack: StackFile, system: System | None) -> Iterator[Problem]:
    host_problems = list(_who_makes_hosts(parsed, stack))
    yield from host_problems
    if host_problems:
        return
    try:
        hosts = plan_hosts(location, stack, system)
    except ValueError:
        return  # `plan` reports it
    yield from _without_work(parsed, stack, system)
    groups = topology.groups(hosts)
    path: KeyPath = ("hosts",) if stack.hosts else ("topology",)
    for tier in needed_tiers(stack, system):
        if not groups[tier]:
            message = f"no host is in the group {tier}, which system {stack.system} needs"
            yield parsed.problem(path, message, accepted=f"at least one host for {tier}")
    yield from _promised(parsed, stack, groups)
    voters = topology.voters(hosts)
    if voters and len(voters) % 2 == 0:
        message = f"an even number of voters elects the database's leader: {', '.join(voters)}"
        accepted = "an odd number: one more host in `ops`, or the group `consensus` on an odd number of hosts"
        yield parsed.problem(path, message, accepted=accepted)


def _who_makes_hosts(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    if stack.provider == "bare_metal" and not stack.hosts:
        yield parsed.problem(("hosts",), "is missing: bare_metal adopts servers", accepted="a list of servers")
        return
    if stack.provider == "bare_metal":
        return
    if stack.hosts:
        message = f"lists servers that exist, and {stack.provider} creates its own"
        yield parsed.problem(("hosts",), message, accepted="`topology`, or `provider: bare_metal`")
    if stack.topology is None:
        yield parsed.problem(("topology",), "is missing", accepted="a mapping such as {size: B, app: 2}")
        return
    if stack.topology.size == "C" and stack.provider not in CLOUDS:
        message = f"leaves the data to a cloud, and {stack.provider} is none"
        yield parsed.problem(("topology", "size"), message, value="C", accepted="A, B")
    if stack.topology.size == "A":
        for tier in topology.told(stack.topology):
            message = "counts hosts, and size A is one server"
            yield parsed.problem(("topology", tier), message, accepted="no counts, or size B")


def needed_tiers(stack: StackFile, system: System | None) -> tuple[str, ...]:
    """Return the tiers that a system requires and that no cloud manages; backups go to `ops`."""
    if system is None:
        return ()
    managed = topology.managed(stack)
    # The cloud backs up its own database, and files are backed up in its object store.
    elsewhere = {*managed, *({"ops"} if "database" in managed else set())} - {"edge"}
    return tuple(tier for tier in topology.needed(system) if tier not in elsewhere)


def _without_work(parsed: Parsed[StackFile], stack: StackFile, system: System | None) -> Iterator[Problem]:
    """Reject keys of tiers that the system does not use: they would have no effect. An ops host is always allowed."""
    idle = {*topology.TIERS} - {*topology.needed(system), "ops"}
    paths: list[KeyPath] = [("topology", tier) for tier in topology.told(stack.topology)] if stack.topology else []
    paths += [(key, tier) for key in ("sizes", "tier_os") for tier in getattr(stack, key)]
    paths += [("network", "subnets", tier) for tier in stack.network.subnets]
    tiers = {path: str(path[-1]) for path in paths}
    for position, server in enumerate(stack.hosts):
        for index, group in enumerate(server.groups):
            tiers["hosts", position, "groups", index] = "database" if group == "consensus" else group
    for field in fields(stack.database):
        if getattr(stack.database, field.name) not in (None, {}):
            tiers["database", field.name] = "database"
    for path, tier in tiers.items():
        if tier in idle:
            message = f"has no effect: system {stack.system} has no {tier}"
            yield parsed.problem(path, message, accepted=f"no {tier} here, or a top-level `{tier}` in the system")


def _promised(parsed: Parsed[StackFile], stack: StackFile, groups: dict[str, tuple[str, ...]]) -> Iterator[Problem]:
    """Check that the existing servers are as many as the topology states, if it does."""
    if not stack.hosts or stack.topology is None:
        return
    for tier, number in topology.told(stack.topology).items():
        if len(groups[tier]) != number:
            message = f"wants {number} hosts in {tier}, and {len(groups[tier])} of `hosts` are"
            yield parsed.problem(("topology", tier), message, value=number, accepted="as many as `hosts` has")


def _certificates(
    location: Place, parsed: Parsed[StackFile], stack: StackFile, system: System | None
) -> Iterator[Problem]:
    certificates, path, clean = stack.certificates, ("certificates",), True
    if certificates.issuer == "acme" and certificates.email is None:
        message = "is missing: the authority warns this address before a certificate ends"
        yield parsed.problem((*path, "email"), message, accepted="an e-mail address")
    if (certificates.issuer == "files") != (certificates.files is not None):
        message = "goes with `issuer: files`, and only with it"
        yield parsed.problem((*path, "files"), message, accepted="{certificate: <path>, key: <path>}")
    named: dict[KeyPath, str | None] = {
        (*path, "files", "certificate"): certificates.files.certificate if certificates.files else None,
        (*path, "files", "key"): certificates.files.key if certificates.files else None,
        (*path, "directory_ca"): certificates.directory_ca,
        (*path, "eab", "hmac_key_file"): certificates.eab.hmac_key_file if certificates.eab else None,
        ("access", "ssh_private_key"): stack.access.ssh_private_key,
        ("aws", "database", "ca_file"): stack.aws.database.ca_file if stack.aws else None,
    }
    for key_path, name in named.items():
        file_problems = list(_file(location, parsed, key_path, name))
        yield from file_problems
        clean &= not file_problems or key_path[0] != "certificates"
        if name is not None and not file_problems and str(key_path[-1]) in ("directory_ca", "ca_file"):
            yield from _certificate_file(location, parsed, key_path, name)
    if clean and certificates.files is not None and system is not None:
        yield from _site_certificate(location, parsed, stack, certificates.files, system)


def _site_certificate(
    location: Place, parsed: Parsed[StackFile], stack: StackFile, files: CertificateFiles, system: System
) -> Iterator[Problem]:
    names = {name for site in system.sites.values() for name in naming.site_names(site, stack.domain, stack.aliases)}
    for fault in site_certificate.faults(location.root / files.certificate, location.root / files.key, names):
        path = ("certificates", "files", fault.file)
        value = files.certificate if fault.file == "certificate" else files.key
        yield parsed.problem(path, fault.message, value=value, accepted=fault.accepted)


def _certificate_file(location: Place, parsed: Parsed[StackFile], path: KeyPath, name: str) -> Iterator[Problem]:
    try:
        x509.load_pem_x509_certificates((location.root / name).read_bytes())
    except (ValueError, OSError):
        accepted = "a file with certificates in PEM"
        yield parsed.problem(path, "holds no certificate", value=name, accepted=accepted)


def _file(location: Place, parsed: Parsed[StackFile], path: KeyPath, name: str | None) -> Iterator[Problem]:
    """Check that a file exists that is needed before anything starts."""
    if name is None:
        return
    if leaves(location.root, location.root / name):
        yield parsed.problem(path, "is a path that leaves the project", value=name, accepted="a file of the project")
    elif not (location.root / name).is_file():
        message = "is a secret that is missing: the file does not exist" if "key" in str(path[-1]) else "does not exist"
        yield parsed.problem(path, message, value=name, accepted="a file, named from the project's root")


def _admins(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    names = [admin.name for admin in stack.access.admins]
    for position, name in enumerate(names):
        if name in names[:position]:
            path = ("access", "admins", position, "name")
            yield parsed.problem(path, "is named twice", value=name, accepted="each name once")


def _overrides(location: Place, parsed: Parsed[StackFile], stack: StackFile, system: System) -> Iterator[Problem]:
    for key, known in (("apps", system.apps), ("sites", system.sites), ("cache", system.cache)):
        for name in getattr(stack, key):
            if name not in known:
                yield _unknown(parsed, (key, name), f"is not in system {system.name}", known)
    for name, override in stack.apps.items():
        limit = system.apps[name].process.max_instances if name in system.apps else None
        if limit is not None and isinstance(override.instances, int) and override.instances > limit:
            path, accepted = ("apps", name, "instances"), f"at most max_instances of the system, {limit}"
            yield parsed.problem(path, "is out of range", value=override.instances, accepted=accepted)
        if override.artifact is not None and leaves(location.root, location.root / override.artifact):
            message, accepted = "is a path that leaves the project", "a file of the project"
            yield parsed.problem(("apps", name, "artifact"), message, value=override.artifact, accepted=accepted)
    yield from _weights(location, parsed, stack, system)


def _weights(location: Place, parsed: Parsed[StackFile], stack: StackFile, system: System) -> Iterator[Problem]:
    try:
        hosts = plan_hosts(location, stack, system) if stack.hosts or stack.topology else ()
    except ValueError:
        return
    known = [host.name for host in hosts if "app" in host.groups]
    for name, override in stack.sites.items():
        for host in override.weights:
            if known and host not in known:
                yield _unknown(parsed, ("sites", name, "weights", host), "is no application host", known)


def _unknown(parsed: Parsed[StackFile], path: KeyPath, message: str, known: Iterable[str]) -> Problem:
    names = list(known)
    suggestion = nearest(str(path[-1]), names)
    return parsed.problem(path, message, accepted=", ".join(names), suggestion=suggestion)
