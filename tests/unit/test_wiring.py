"""What group_vars hand to roles: filters over `stack`, and the lookups of roles per host."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar

from stackwright.ansible import playbooks
from stackwright.ansible.filter import pm2
from stackwright.ansible.playbooks import roles_of
from stackwright.infra.aws import cache_users
from stackwright.infra.aws.context import Context
from stackwright.model import inventory, wiring
from stackwright.model.environment import load
from stackwright.model.process import GENERATED_VARIABLES

ROOT = Path(__file__).resolve().parents[2]


class AnySecret(dict[str, str]):
    """A value for every name, from which the name can be told."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


@pytest.fixture(scope="module", params=["taaleem-local", "taaleem-single"])
def stack(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    environment = load(ROOT / "inventories" / request.param)
    return inventory.stack(environment, environment.hosts)


def first(stack: Mapping[str, Any], group: str) -> str:
    return str(stack["groups"][group][0])


def test_ports_are_open_to_the_groups_that_need_them(stack: Mapping[str, Any]) -> None:
    ports = [
        {"name": "https", "port": 443, "protocol": "tcp", "from": ["any"], "role": "nginx"},
        {"name": "postgresql", "port": 5432, "protocol": "tcp", "from": ["app"], "role": "postgresql"},
    ]
    rules = wiring.firewall_rules(ports, stack)
    apps = [f"{stack['hosts'][name]['address']}/32" for name in stack["groups"]["app"]]
    assert rules == [
        {"name": "https", "port": 443, "protocol": "tcp", "sources": ["any"]},
        {"name": "postgresql", "port": 5432, "protocol": "tcp", "sources": apps},
    ]


def test_two_roles_on_one_port_admit_the_clients_of_both(stack: Mapping[str, Any]) -> None:
    port = {"name": "x", "port": 1, "protocol": "tcp"}
    rules = wiring.firewall_rules([{**port, "from": ["app"]}, {**port, "from": ["ops"]}], stack)
    assert len(rules) == 1
    assert set(rules[0]["sources"]) == set(wiring.host_networks(stack, ["app", "ops"]))


def test_only_the_site_certificate_follows_the_issuer_of_the_environment(stack: Mapping[str, Any]) -> None:
    changed = {**stack, "certificates": {**stack["certificates"], "issuer": "acme"}}
    exports = [{"name": "nginx", "role": "nginx", "reload": []}, {"name": "redis", "role": "redis", "reload": []}]
    found = wiring.tls_certificates(exports, changed, first(stack, "edge"), "/project")
    assert [(each["name"], each["issuer"]) for each in found] == [("nginx", "acme"), ("redis", "internal")]
    assert found[0]["dns"] == stack["certificates"]["names"]
    assert "ip" not in found[0]


def test_the_database_certificate_carries_the_names_behind_the_proxy(stack: Mapping[str, Any]) -> None:
    exports = [{"name": "postgresql", "role": "postgresql"}]
    found = wiring.tls_certificates(exports, stack, first(stack, "database"), "/project")
    assert stack["database"]["primary_name"] in found[0]["dns"]
    assert stack["database"]["replica_name"] in found[0]["dns"]


def test_a_voters_certificate_carries_the_name_that_peers_ask_for(stack: Mapping[str, Any]) -> None:
    voter = first(stack, "consensus")
    names = {
        role: wiring.tls_certificates([{"name": role, "role": role}], stack, voter, "/project")[0]["dns"]
        for role in ("etcd", "postgresql")
    }
    assert stack["database"]["voter_name"] in names["etcd"]
    assert stack["database"]["voter_name"] not in names["postgresql"]


def _status(state: str, address: str, *members: str) -> dict[str, Any]:
    return {"state": state, "address": address, "members": [{"address": member} for member in members]}


def test_etcd_has_the_members_that_any_host_knows_until_they_are_removed() -> None:
    statuses = [
        _status("empty", ""),
        _status("healthy", "10.0.0.1", "10.0.0.1", "10.0.0.2"),
        _status("broken", "10.0.0.3"),
        _status("founding", "10.0.0.4"),
    ]
    assert wiring.etcd_member_addresses(statuses) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_a_member_of_etcd_keeps_its_ports_and_certificate_until_it_is_removed(stack: Mapping[str, Any]) -> None:
    """A host that is no voter any more, as ops1 when a third database host comes."""
    outgoing = first(stack, "ops")
    address = stack["hosts"][outgoing]["address"]
    groups = {**stack["groups"], "consensus": [name for name in stack["groups"]["consensus"] if name != outgoing]}
    changed = {**stack, "groups": groups}
    peer = {"name": "etcd-peer", "port": 2380, "protocol": "tcp", "from": ["consensus"], "role": "etcd"}
    assert f"{address}/32" in wiring.firewall_rules([peer], changed, [address])[0]["sources"]
    assert f"{address}/32" not in wiring.firewall_rules([peer], changed, [])[0]["sources"]
    other = {**peer, "name": "redis", "from": ["app"]}
    assert "10.9.9.9/32" not in wiring.firewall_rules([other], changed, ["10.9.9.9"])[0]["sources"]


def test_a_host_keeps_what_a_group_exports_that_it_is_about_to_leave() -> None:
    templar = Templar(loader=DataLoader(), variables={"group_names": ["ops"]})
    exports = lookup_loader.get("stackwright_exports", loader=DataLoader(), templar=templar)
    variables = {"group_names": ["ops"], "etcd_members": []}
    names = [
        {entry["name"] for entry in exports.run(["ports"], variables=variables, further_groups=groups)[0]}
        for groups in ([], ["consensus"])
    ]
    assert names[1] - names[0] == {"etcd-client", "etcd-peer"}


def test_the_database_names_lead_to_the_proxy_on_application_hosts_alone(stack: Mapping[str, Any]) -> None:
    local = [entry for entry in wiring.host_entries(stack, first(stack, "app")) if entry["address"] == "127.0.0.1"]
    assert local == [
        {"address": "127.0.0.1", "names": [stack["database"]["primary_name"], stack["database"]["replica_name"]]}
    ]
    for name in set(stack["hosts"]) - set(stack["groups"]["app"]):
        assert all(entry["address"] != "127.0.0.1" for entry in wiring.host_entries(stack, name))


def test_each_cache_user_gets_its_own_password_and_its_own_keys(stack: Mapping[str, Any]) -> None:
    instances = wiring.redis_instances(stack, first(stack, "cache"), AnySecret())
    assert [each["name"] for each in instances] == ["sessions", "cache", "rate-limit"]
    sessions = instances[0]
    assert sessions["admin_password"] == "<redis/sessions/operator>"
    assert sessions["users"][0]["passwords"] == ["<redis/sessions/emr>"]
    assert sessions["users"][0]["keys"] == ["*"]
    assert sessions["persistence"] == "aof"


def test_roles_of_the_database_come_from_where_they_are_needed(stack: Mapping[str, Any]) -> None:
    roles = {role["name"]: role for role in wiring.postgresql_roles(stack, AnySecret())}
    apps = wiring.host_networks(stack, ["app"])
    assert roles["emr"]["networks"] == apps
    assert roles["emr"]["password"] == "<postgresql/role/emr>"
    assert roles["pgbouncer"]["networks"] == apps
    assert roles["monitoring"]["member_of"] == ["pg_monitor"]


def test_a_reading_role_gets_select_on_what_is_and_what_will_be(stack: Mapping[str, Any]) -> None:
    granted = [each for each in wiring.postgresql_privileges(stack) if each["role"] == "reports"]
    assert [(each["type"], each["privileges"]) for each in granted] == [
        ("schema", ["USAGE"]),
        ("table", ["SELECT"]),
        ("default_privs", ["SELECT"]),
    ]
    assert granted[2]["owner"] == "emr"


@pytest.fixture(scope="module")
def in_cloud() -> Mapping[str, Any]:
    """A database that a cloud runs, for named application hosts."""
    environment = load(ROOT / "inventories/taaleem-windows-aws")
    names = ["postgresql", "postgresql_replica", *(f"redis_{each}" for each in environment.system.cache)]
    endpoints = {name: {"scheme": "x", "addresses": [f"{name}.test"], "port": 5432} for name in names}
    cloud = {"region": "eu-central-1", "buckets": {"uploads": "the-uploads"}}
    return inventory.stack(environment, environment.hosts, endpoints, cloud)


def test_an_application_keeps_uploads_in_a_folder_of_its_host(stack: Mapping[str, Any]) -> None:
    host = first(stack, "app")
    (application,) = wiring.pm2_applications(stack, host)
    assert application["environment"]["UPLOADS_DIR"] == "/var/lib/emr/uploads"
    assert not {"UPLOADS_BUCKET", "AWS_REGION"} & set(application["environment"])
    assert application["writable_paths"] == ["/var/lib/emr/uploads"]
    assert pm2.pm2_exports([application])["backups"] == [{"name": "uploads", "paths": ["/var/lib/emr/uploads"]}]


def test_in_a_cloud_it_keeps_them_in_the_bucket_and_nothing_on_its_host(in_cloud: Mapping[str, Any]) -> None:
    (application,) = wiring.pm2_applications(in_cloud, first(in_cloud, "app"))
    environment = application["environment"]
    assert (environment["UPLOADS_BUCKET"], environment["AWS_REGION"]) == ("the-uploads", "eu-central-1")
    assert "UPLOADS_DIR" not in environment
    assert application["writable_paths"] == []
    assert not pm2.pm2_exports([application])["backups"]


def test_an_application_without_uploads_is_told_of_no_place(
    stack: Mapping[str, Any], in_cloud: Mapping[str, Any]
) -> None:
    for each in (stack, in_cloud):
        without = {**each, "apps": {"emr": {**each["apps"]["emr"], "uploads": []}}}
        (application,) = wiring.pm2_applications(without, first(each, "app"))
        assert not {"UPLOADS_DIR", "UPLOADS_BUCKET", "AWS_REGION"} & set(application["environment"])
        assert application["writable_paths"] == []


def test_a_clouds_database_gets_what_the_system_declares_and_nobody_who_looks_up(in_cloud: Mapping[str, Any]) -> None:
    roles = {role["name"]: role for role in wiring.managed_postgresql_roles(in_cloud, AnySecret())}
    assert list(roles) == ["emr", "reports", "monitoring"]
    assert roles["emr"]["password"] == "<postgresql/role/emr>"
    assert roles["monitoring"]["member_of"] == ["pg_monitor"]
    assert roles["monitoring"]["databases"] == ["taaleem"]
    # Whom a role may come from is not said to a server that a cloud runs.
    assert {key for role in roles.values() for key in role} == {
        *("name", "password", "databases", "connection_limit", "member_of"),
    }
    assert wiring.managed_postgresql_databases(in_cloud) == wiring.postgresql_databases(in_cloud) != []
    assert wiring.managed_postgresql_privileges(in_cloud) == wiring.postgresql_privileges(in_cloud) != []


def test_a_pool_before_it_knows_the_applications_passwords_itself(in_cloud: Mapping[str, Any]) -> None:
    host = first(in_cloud, "app")
    expected = [{"name": "emr", "password": "<postgresql/role/emr>"}]
    assert wiring.pgbouncer_users(in_cloud, host, AnySecret()) == expected
    assert wiring.pgbouncer_users(in_cloud, first(in_cloud, "ops"), AnySecret()) == []
    pools = {host: [*in_cloud["database"]["pools"][host]] * 2}
    twice = {**in_cloud, "database": {**in_cloud["database"], "pools": pools}}
    assert wiring.pgbouncer_users(twice, host, AnySecret()) == expected


def test_a_database_of_ones_own_is_nobody_elses(stack: Mapping[str, Any]) -> None:
    """Without a look at any secret."""
    assert wiring.managed_postgresql_roles(stack, {}) == []
    assert wiring.managed_postgresql_databases(stack) == []
    assert wiring.managed_postgresql_privileges(stack) == []
    assert wiring.pgbouncer_users(stack, first(stack, "app"), {}) == []
    assert wiring.pgbouncer_users({**stack, "database": None}, first(stack, "app"), {}) == []


def test_no_secret_is_in_the_public_environment(stack: Mapping[str, Any]) -> None:
    host = first(stack, "app")
    public = wiring.pm2_applications(stack, host)[0]["environment"]
    secret = wiring.app_secrets(stack, "emr", AnySecret())
    assert not set(public) & set(secret)
    assert not [value for value in public.values() if "<" in value]
    assert set(secret) >= {"DATABASE_URL", "DATABASE_READ_URL", "SESSION_SECRET", "REDIS_SESSIONS_URL"}


def test_an_application_logs_in_to_its_own_cache_by_its_name(stack: Mapping[str, Any]) -> None:
    host = stack["hosts"][first(stack, "cache")]["fqdn"]
    found = wiring.app_secrets(stack, "emr", AnySecret())
    assert found["REDIS_SESSIONS_URL"] == f"rediss://emr:<redis/sessions/emr>@{host}:6379"
    # Another CA starts the instances again.
    assert found["REDIS_CA_SHA256"] == hashlib.sha256(b"<tls/ca_crt>").hexdigest()
    assert wiring.redis_instances(stack, first(stack, "cache"), AnySecret())[0]["users"][0]["name"] == "emr"


def test_an_application_logs_in_to_a_clouds_cache_as_the_user_that_pulumi_makes() -> None:
    environment = load(ROOT / "inventories/taaleem-production")
    names = ["postgresql", "postgresql_replica", *(f"redis_{each}" for each in environment.system.cache)]
    endpoints = {name: {"scheme": "x", "addresses": [f"{name}.test"], "port": 1} for name in names}
    found = wiring.app_secrets(inventory.stack(environment, environment.hosts, endpoints), "emr", AnySecret())
    assert {name: url for name, url in found.items() if name.startswith("REDIS_")} == {
        "REDIS_SESSIONS_URL": "rediss://taaleem-production-sessions-emr:<redis/sessions/emr>@redis_sessions.test:6379",
        "REDIS_CACHE_URL": "rediss://taaleem-production-cache-emr:<redis/cache/emr>@redis_cache.test:6380",
        "REDIS_RATE_LIMIT_URL": (
            "rediss://taaleem-production-rate-limit-emr:<redis/rate_limit/emr>@redis_rate_limit.test:6381"
        ),
    }
    context = Context(
        environment=environment.name,
        system="taaleem",
        environment_class="production",
        account="111122223333",
        region="eu-central-1",
    )
    made = [cache_users.user_name(context, purpose, "emr") for purpose in environment.system.cache]
    assert [url.split(":")[1].removeprefix("//") for name, url in found.items() if name.startswith("REDIS_")] == made


def test_pools_lead_to_the_verified_names(stack: Mapping[str, Any]) -> None:
    found = {each["name"]: each for each in wiring.pgbouncer_databases(stack, first(stack, "app"))}
    assert found["taaleem"]["host"] == stack["database"]["primary_name"]
    assert found["taaleem_replica"]["host"] == stack["database"]["replica_name"]
    assert (found["taaleem"]["port"], found["taaleem_replica"]["port"]) == (5000, 5001)


def test_every_instance_is_a_member_of_the_rollout(stack: Mapping[str, Any]) -> None:
    members = wiring.app_members(stack, "emr")
    counted = sum(len(each) for each in stack["apps"]["emr"]["instances_by_host"].values())
    assert len(members) == counted
    assert {"host", "name", "address", "port"} == set(members[0])


def test_cluster_mode_shares_one_port(stack: Mapping[str, Any]) -> None:
    app = {**stack["apps"]["emr"], "mode": "cluster"}
    host = first(stack, "app")
    found = wiring.pm2_applications({**stack, "apps": {"emr": app}}, host)[0]["instances"]
    workers = len(app["instances_by_host"][host])
    assert found == [{"name": "taaleem-emr", "port": 5005, "workers": workers, "environment": {"INSTANCE_ID": host}}]
    members = wiring.app_members({**stack, "apps": {"emr": app}}, "emr")
    assert [(each["host"], each["name"], each["port"]) for each in members] == [
        (host, "taaleem-emr", 5005) for host in stack["groups"]["app"]
    ]


def test_a_host_gets_the_roles_of_all_its_groups() -> None:
    roles = roles_of({"edge", "backup"}, ROOT / "playbooks")
    assert {"baseline", "tls", "firewall", "nginx", "log_rotation", "backup"} <= set(roles)
    assert "postgresql" not in roles


def test_what_roles_say_is_read_before_a_worker_asks_for_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(playbooks, "_files", {})
    playbooks.preload(DataLoader(), ROOT)
    nobody: Any = None  # whoever reads now fails
    for role in roles_of({"edge", "app", "database", "cache", "consensus", "ops", "backup"}, ROOT / "playbooks"):
        assert playbooks.role_file(nobody, ROOT / "roles" / role / "defaults/main.yml"), role
    other = tmp_path / "main.yml"
    other.write_text("a: 1\n")
    with pytest.raises(AttributeError):
        playbooks.role_file(nobody, other)


def test_an_edge_that_users_come_to_answers_no_load_balancer(stack: Mapping[str, Any]) -> None:
    assert wiring.nginx_balancer(stack, "/tls") == {}


def test_an_application_is_drained_from_every_upstream_of_its_sites(stack: Mapping[str, Any]) -> None:
    site = stack["edge"]["sites"][0]
    names = {upstream["name"] for upstream in site["upstreams"]}
    assert set(wiring.app_upstreams(stack, "emr")) == names
    sites = [
        {**site, "name": "portal", "upstreams": [{**site["upstreams"][0], "name": "portal"}]},
        {**site, "name": "api", "upstreams": [{**site["upstreams"][0], "name": "api"}]},
        {**site, "name": "elsewhere", "app": "other"},
    ]
    assert wiring.app_upstreams({**stack, "edge": {**stack["edge"], "sites": sites}}, "emr") == ["portal", "api"]


def test_a_migration_has_the_environment_of_the_application(stack: Mapping[str, Any]) -> None:
    host = first(stack, "app")
    assert wiring.migration_environment(stack, "emr", host) == {
        "NODE_ENV": "production",
        **wiring.app_environment(stack, "emr", host),
    }


def test_every_folder_of_uploads_is_given(stack: Mapping[str, Any]) -> None:
    apps = {"emr": {**stack["apps"]["emr"], "uploads": ["scans", "letters/out"]}}
    given = wiring.app_environment({**stack, "apps": apps}, "emr", first(stack, "app"))
    assert given["UPLOADS_DIR"] == "/var/lib/emr/scans"
    assert given["UPLOADS_DIRS"] == "/var/lib/emr/scans:/var/lib/emr/letters/out"


def test_an_application_alone_names_its_keys_as_it_likes(stack: Mapping[str, Any]) -> None:
    instance = stack["cache"]["instances"][0]
    user = instance["users"][0]
    shared = {**instance, "users": [user, {**user, "name": "second"}, instance["users"][-1]]}
    both = [
        wiring.redis_instances(
            {**stack, "cache": {**stack["cache"], "instances": [each]}}, instance["host"], AnySecret()
        )
        for each in (instance, shared)
    ]
    alone, together = (each[0]["users"][0] for each in both)
    assert (alone["keys"], alone["channels"]) == (["*"], ["*"])
    assert {"keys", "client|list"} <= set(alone["commands"])
    assert (together["keys"], together["channels"]) == (["taaleem:*"], ["taaleem:*"])
    assert "flushdb" not in together["commands"]


def test_no_application_may_set_a_variable_that_it_is_given(stack: Mapping[str, Any]) -> None:
    facts = stack["apps"]["emr"]
    given = {
        **wiring.app_environment(stack, "emr", first(stack, "app")),
        **wiring.app_secrets(stack, "emr", AnySecret()),
    }
    assert given.keys() - facts["environment"].keys() - facts["secrets"].keys() <= GENERATED_VARIABLES.keys()


def test_no_variable_is_generated_that_an_application_could_set_itself(
    stack: Mapping[str, Any], in_cloud: Mapping[str, Any]
) -> None:
    """What wiring and the process manager give an instance is refused in `environment`, and nothing else is."""
    generated: set[str] = set()
    for facts in (stack, in_cloud):
        host = first(facts, "app")
        (application,) = wiring.pm2_applications(facts, host)
        (entry, *_) = pm2.pm2_ecosystem(pm2.normalise(application), "/usr/bin/node")["apps"]
        generated |= set(entry["env"]) | set(wiring.app_secrets(facts, "emr", AnySecret()))
    declared = facts["apps"]["emr"]
    generated -= {*declared["environment"], *declared["secrets"], "NODE_ENV"}
    assert generated <= set(GENERATED_VARIABLES)
    assert {name for name, source in GENERATED_VARIABLES.items() if source != "the process manager"} <= generated


def test_limits_of_sessions_reach_the_pooler(stack: Mapping[str, Any]) -> None:
    host = first(stack, "app")
    assert [each["session"] for each in wiring.pgbouncer_databases(stack, host)] == [{}, {}]
    limits = {"statement_timeout_ms": 1000, "lock_timeout_ms": 0, "idle_in_transaction_timeout_ms": 5000}
    pools = {host: [{**pool, "session": limits} for pool in stack["database"]["pools"][host]]}
    databases = wiring.pgbouncer_databases({**stack, "database": {**stack["database"], "pools": pools}}, host)
    assert databases[0]["session"] == {"statement_timeout": 1000, "idle_in_transaction_session_timeout": 5000}


def test_a_rollout_restarts_the_pooler_where_there_is_one(stack: Mapping[str, Any]) -> None:
    assert [service["name"] for service in wiring.app_services(stack)] == ["PgBouncer", "process manager"]
    assert [service["name"] for service in wiring.app_services({**stack, "database": None})] == ["process manager"]


def test_caches_are_writable_and_not_backed_up(stack: Mapping[str, Any]) -> None:
    host = first(stack, "app")
    apps = {"emr": {**stack["apps"]["emr"], "cache_folders": [".next/cache"]}}
    application = wiring.pm2_applications({**stack, "apps": apps}, host)[0]
    assert application["cache_directory"] == "/var/cache/emr"
    paths = pm2.pm2_writable_paths(pm2.pm2_application(application), "/var/lib/pm2")
    assert "/var/cache/emr" in paths
    assert "/var/cache/emr" not in [
        path for each in pm2.pm2_exports([application])["backups"] for path in each["paths"]
    ]
    assert wiring.pm2_applications(stack, host)[0]["cache_directory"] is None
