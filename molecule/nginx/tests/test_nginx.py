import json
import re
import socket
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from stackwright.testing.edge_contract import Edge
from stackwright.testing.testinfra import security_score

ADDRESS = "10.231.14.11"
CERTIFICATE = "/etc/stackwright/tls/nginx/tls.crt"
CONFIG = "/usr/local/sbin/nginx-config"
DRAIN = "/usr/local/sbin/nginx-drain shop"


@pytest.fixture
def edge(host):
    ca = host.file("/etc/stackwright/tls/nginx/ca.crt").content_string
    return Edge(address=ADDRESS, ca=ca)


@pytest.fixture
def staging(host):
    """A copy of the staged configuration that a test may spoil."""
    host.run_expect([0], "rm -rf /tmp/staging && cp -a /etc/nginx/staging /tmp/staging")
    yield "/tmp/staging"
    host.run_expect([0], f"{CONFIG} apply --staging /etc/nginx/staging")


def status(host, staging="/etc/nginx/staging"):
    return json.loads(host.check_output(f"{CONFIG} status --staging {staging}"))


def master(host):
    return host.check_output("cat /run/nginx/nginx.pid")


def generation(host):
    return host.check_output(
        "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081/generation').read().decode())\""
    )


@contextmanager
def load(edge, request, threads=4):
    """Keep asking on new connections; the list gets every status, or the error's name."""
    results, running = [], [True]

    def ask():
        while running[0]:
            try:
                results.append(edge.ask(request).status)
            except OSError as error:
                results.append(type(error).__name__)

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(ask) for _ in range(threads)]
        try:
            yield results
        finally:
            running[0] = False
        for future in futures:
            future.result()


def test_everything_is_current(host):
    assert status(host) == {"running": True, "reload": False, "restart": False, "daemon_reload": False}


def test_it_starts_at_boot_and_comes_back(host):
    assert host.service("nginx").is_enabled
    before = master(host)
    host.run_expect([0], f"kill -KILL {before}")
    for _ in range(40):
        time.sleep(0.25)
        if host.run("systemctl is-active nginx.service").rc == 0 and master(host) != before:
            break
    assert master(host) != before
    assert status(host)["running"]


def test_exposure_is_small(host):
    assert security_score(host, "nginx.service") <= 3.5


def test_workers_are_unprivileged(host):
    users = host.check_output("ps -o user= --ppid $(cat /run/nginx/nginx.pid) | sort -u")
    assert users == "www-data"


def test_only_declared_ports_are_open(host):
    lines = host.check_output("ss -lntpH | grep nginx | awk '{print $4}' | sort -u").splitlines()
    assert set(lines) == {"0.0.0.0:80", "0.0.0.0:443", "[::]:80", "[::]:443", "127.0.0.1:8081"}


def test_status_is_for_this_host_alone(host):
    text = host.check_output(
        "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081/status').read().decode())\""
    )
    assert "Active connections" in text
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, 8081), 2)


def test_http2_is_offered(host):
    answer = host.run(
        f"openssl s_client -connect {ADDRESS}:443 -servername shop.test -alpn h2,http/1.1 </dev/null 2>&1 | grep -a ALPN"
    )
    assert "ALPN protocol: h2" in answer.stdout


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ("-tls1_1", False),
        ("-tls1_2", True),
        ("-tls1_3", True),
        ("-tls1_2 -cipher AES256-GCM-SHA384", False),
        ("-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384", False),
        ("-tls1_2 -cipher ECDHE+CHACHA20", True),
        ("-tls1_3 -groups X25519", True),
        ("-tls1_3 -groups secp521r1", False),
    ],
)
def test_tls_is_mozilla_intermediate(host, options, accepted):
    # Security level 0 lets the client offer what the server has to refuse.
    seclevel = "" if "-cipher" in options else "-cipher DEFAULT:@SECLEVEL=0"
    run = host.run(
        f"openssl s_client -connect {ADDRESS}:443 -servername shop.test {options} {seclevel} </dev/null 2>&1"
    )
    assert ("Verify return code" in run.stdout and "Cipher is (NONE)" not in run.stdout) is accepted, run.stdout[-600:]


def test_the_key_exchange_withstands_quantum_computers_where_openssl_can(host):
    group = "X25519MLKEM768"
    can = "OpenSSL 3.0" not in host.check_output("openssl version")
    command = f"openssl s_client -connect {ADDRESS}:443 -servername shop.test -tls1_3 -groups {group}"
    answer = host.run(f"{command} </dev/null 2>&1 | grep -a {group}").stdout
    assert (f"Negotiated TLS1.3 group: {group}" in answer) == can


def last_entries(host):
    time.sleep(1.5)  # the log is flushed once a second
    return [json.loads(line) for line in host.check_output("tail -n 20 /var/log/nginx/access.log").splitlines()]


def test_log_names_request_instance_and_times(host, edge):
    answer = edge.ask({"target": '/logged?q="quoted"\\', "headers": {"User-Agent": 'a"b\\c'}})
    entry = next(entry for entry in last_entries(host) if entry["uri"] == "/logged")
    assert entry["request_id"] == answer.headers["x-request-id"][0]
    assert entry["agent"] == 'a"b\\c'
    assert re.fullmatch(r"127\.0\.0\.1:500[5-8]", entry["upstream"])
    assert (entry["status"], entry["upstream_status"], entry["method"], entry["host"]) == (
        200,
        "200",
        "GET",
        "shop.test",
    )
    assert entry["seconds"] >= 0
    assert float(entry["upstream_seconds"]) >= 0


def test_health_is_not_logged(host, edge):
    assert edge.ask({"target": "/api/health", "headers": {"User-Agent": "unlogged"}}).status == 200
    assert not [entry for entry in last_entries(host) if entry["agent"] == "unlogged"]


def test_a_rotated_log_is_reopened(host, edge):
    log = "/var/log/nginx/access.log"
    # As nginx_exports.logs tells the role log_rotation.
    host.run_expect([0], f"mv {log} {log}.1 && install -o www-data -g adm -m 0640 /dev/null {log}")
    host.run_expect([0], "systemctl kill --signal=USR1 --kill-whom=main nginx.service")
    edge.ask({"target": "/after-rotation"})
    assert [entry for entry in last_entries(host) if entry["uri"] == "/after-rotation"]
    assert host.file(log).mode == 0o640


# --- configuration ---


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("sites/shop.conf", "no_such_directive on;", "no_such_directive"),
        ("upstreams.conf", "upstream gone { server no-such-host.invalid:1; }", "host not found"),
        (
            "sites/zz.conf",
            "server { listen 443 ssl; server_name z.test; ssl_certificate /none; ssl_certificate_key /none; }",
            "/none",
        ),
    ],
)
def test_a_bad_configuration_never_becomes_live(host, edge, staging, file, text, reason):
    before, running = host.check_output("readlink /etc/nginx/live"), generation(host)
    host.run_expect([0], f"printf '%s\\n' '{text}' >> {staging}/{file}")
    refused = host.run(f"{CONFIG} apply --staging {staging}")
    assert refused.rc == 5
    assert reason in refused.stderr
    assert staging in refused.stderr, "the message names the staged file"
    assert (host.check_output("readlink /etc/nginx/live"), generation(host)) == (before, running)
    assert host.check_output("ls /etc/nginx/trees | wc -l") == "1"
    # It would come back after a crash or a reboot, too.
    host.run_expect([0], "systemctl restart nginx.service")
    assert edge.ask({"target": "/x"}).status == 200


def test_a_change_that_fails_only_at_reload_is_taken_back(host, edge, staging):
    """`nginx -t` does not bind: a port that someone else has is noticed by the running master alone."""
    host.run_expect([0], "systemd-run --quiet --unit=squatter python3 -m http.server 8999")
    time.sleep(1)
    try:
        before, running = host.check_output("readlink /etc/nginx/live"), generation(host)
        host.run_expect([0], f"echo 'server {{ listen 8999; server_name z.test; }}' > {staging}/sites/zz.conf")
        refused = host.run(f"{CONFIG} apply --staging {staging}")
        assert refused.rc == 5, refused
        assert (host.check_output("readlink /etc/nginx/live"), generation(host)) == (before, running)
        assert edge.ask({"target": "/x"}).status == 200
    finally:
        host.run_expect([0], "systemctl stop squatter.service")


def test_a_run_that_died_before_its_reload_is_made_good(host, staging):
    """Files swapped, master never told: the next run notices, although nothing changed by then."""
    host.run_expect([0], f"echo '# later' >> {staging}/main.conf")
    pid = master(host)
    host.run_expect(
        [0],
        "mv /run/nginx/nginx.pid /run/nginx/away && "
        f"{CONFIG} apply --staging {staging}; mv /run/nginx/away /run/nginx/nginx.pid",
    )
    assert status(host, staging)["reload"] is True
    host.run_expect([0], f"{CONFIG} apply --staging {staging}")
    assert status(host, staging)["reload"] is False
    assert master(host) == pid


@pytest.mark.parametrize("change", ["echo '# by hand' >> {}", "rm {}"])
def test_a_live_file_changed_by_hand_is_noticed_and_put_back(host, edge, change):
    file = "/etc/nginx/live/proxy.conf"
    before, running = host.file(file).content, generation(host)
    host.run_expect([0], change.format(file))
    assert status(host)["reload"] is True
    host.run_expect([0], f"{CONFIG} apply --staging /etc/nginx/staging")
    assert status(host)["reload"] is False
    assert (host.file(file).content, generation(host)) == (before, running)
    assert edge.ask({"target": "/x"}).status == 200


def test_a_unit_changed_by_a_run_that_died_is_noticed(host):
    unit = "/etc/systemd/system/nginx.service.d/version.conf"
    host.run_expect([0], f"cp {unit} /tmp/version.conf && sed -i 's/echo [0-9a-f]*/echo 0123/' {unit}")
    try:
        report = status(host)
        assert report["restart"] is True
        assert report["daemon_reload"] is True
    finally:
        host.run_expect([0], f"cp -p /tmp/version.conf {unit} && systemctl daemon-reload")
    assert status(host)["restart"] is False


def test_a_reload_loses_no_request(host, edge, staging):
    pid = master(host)
    with load(edge, {"target": "/x"}) as results:
        for number in range(3):
            host.run_expect([0], f"echo '# {number}' >> {staging}/main.conf && {CONFIG} apply --staging {staging}")
    assert len(results) > 20
    assert set(results) == {200}, results
    assert master(host) == pid


def serial(host):
    return host.check_output(
        f"openssl s_client -connect {ADDRESS}:443 -servername shop.test </dev/null 2>/dev/null"
        " | openssl x509 -noout -serial"
    )


def test_a_renewed_certificate_is_served_after_a_reload(host):
    """What the role tls does: other files at the same paths, then `systemctl reload`."""
    folder = "/etc/stackwright/tls/nginx"
    host.run_expect([0], f"rm -rf /tmp/tls && cp -aL {folder} /tmp/tls")
    before, pid = serial(host), master(host)
    try:
        host.run_expect(
            [0],
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=new -days 1"
            f" -keyout {folder}/tls.key -out {folder}/tls.crt",
        )
        assert status(host)["reload"] is True
        host.run_expect([0], "systemctl reload nginx.service")
        assert serial(host) != before
        assert status(host)["reload"] is False
        # A certificate without its key: the old one stays.
        renewed = serial(host)
        host.run_expect([0], f"cp /tmp/tls/tls.crt {folder}/tls.crt")
        assert host.run("systemctl reload nginx.service").rc != 0
        assert serial(host) == renewed
    finally:
        host.run_expect([0], f"cp -a /tmp/tls/. {folder}/ && systemctl reload nginx.service")
    assert (serial(host), master(host)) == (before, pid)


# --- draining ---


@pytest.fixture
def undrained(host):
    yield
    host.run_expect([0], "rm -rf /var/lib/nginx-drain/shop && " + f"{CONFIG} apply")


def instances(edge, count=24):
    """Who answers. All at once: one after the other they may miss one that others keep busy."""
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(edge.ask, [{"target": "/x?wait=1"}] * count))
    return {answer.seen()["instance"] for answer in answers}


def drain(host, member, state, *options, expect=0):
    run = host.run(f"{DRAIN} 127.0.0.1:{member} {state} {' '.join(options)}")
    assert run.rc == expect, run
    return json.loads(run.stdout) if run.stdout else run.stderr


def test_a_drained_member_gets_nothing_and_comes_back(host, edge, undrained):
    pid = master(host)
    with load(edge, {"method": "POST", "target": "/x?wait=0.05", "body_bytes": 10}) as results:
        assert drain(host, 5005, "on") == {
            "member": "127.0.0.1:5005",
            "drained": True,
            "changed": True,
            "connections": 0,
        }
        # Nobody talks to it any more, so it may stop.
        host.run_expect([0], "systemctl restart instance@5005.service")
        assert instances(edge) == {5006, 5007, 5008}
        assert drain(host, 5005, "on")["changed"] is False
        time.sleep(1)
        assert drain(host, 5005, "off")["changed"] is True
        assert drain(host, 5005, "off")["changed"] is False
    assert set(results) == {200}, results
    assert instances(edge) == {5005, 5006, 5007, 5008}
    assert master(host) == pid


def test_a_converge_leaves_a_drained_member_alone(host, edge, undrained):
    drain(host, 5006, "on")
    assert status(host)["reload"] is False
    assert host.check_output(f"{CONFIG} apply --staging /etc/nginx/staging") == "current"
    host.run_expect([0], "systemctl restart nginx.service")
    assert instances(edge) == {5005, 5007, 5008}


def test_draining_waits_for_the_requests_that_run(host, edge, undrained):
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(edge.ask, {"target": "/x?wait=12"}) for _ in range(8)]
        time.sleep(1)
        assert drain(host, 5005, "on", "--wait", "1", expect=6)["connections"] >= 1
        assert drain(host, 5005, "on", "--wait", "30")["connections"] == 0
        assert {future.result().status for future in slow} == {200}


def test_the_last_live_member_stays(host, edge, undrained):
    for member in (5005, 5006, 5007):
        drain(host, member, "on")
    assert "last live member" in drain(host, 5008, "on", expect=4)
    assert edge.ask({"target": "/x"}).status == 200
    drain(host, 5008, "on", "--force")
    assert edge.ask({"target": "/x"}).status == 502


def test_drain_says_what_it_does_not_know(host):
    assert "it has: 127.0.0.1:5005" in drain(host, 1, "on", expect=3)
    unknown = host.run("/usr/local/sbin/nginx-drain nowhere 127.0.0.1:5005 on")
    assert unknown.rc == 3
    assert "there are: shop, " in unknown.stderr
    assert host.run(f"{DRAIN} 127.0.0.1:5005 sideways").rc == 2
    assert not host.file("/var/lib/nginx-drain/shop/127.0.0.1_1").exists


def test_a_member_that_is_gone_is_forgotten(host, staging, undrained):
    drain(host, 5005, "on")
    host.run_expect([0], f"sed -i '/upstream shop /,/^}}/{{/:5005 /d}}' {staging}/upstreams.conf")
    host.run_expect([0], f"{CONFIG} apply --staging {staging}")
    assert not host.file("/var/lib/nginx-drain/shop").exists


# --- instances that fail ---


def test_a_killed_instance_costs_no_get(host, edge):
    with load(edge, {"target": "/x"}, threads=8) as results:
        time.sleep(0.5)
        for port in (5005, 5006, 5007, 5008):
            host.run_expect([0], f"systemctl kill --signal=KILL instance@{port}.service")
            host.run_expect([0], f"sleep 0.2; systemctl restart instance@{port}.service")
            time.sleep(0.3)
    assert len(results) > 50
    assert set(results) == {200}, results


def test_a_silent_host_slows_few_requests(host, edge):
    """Packets to one member are dropped: no refusal that could be noticed at once."""
    host.run_expect(
        [0],
        "nft add table ip silent && nft 'add chain ip silent input { type filter hook input priority 0; }'"
        " && nft add rule ip silent input tcp dport 5005 drop",
    )
    time.sleep(5)  # kept connections end after 4 s; a request on one would wait for the read timeout
    try:
        started = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            statuses = list(pool.map(lambda _: edge.ask({"target": "/x"}).status, range(100)))
        assert set(statuses) == {200}
        # 25 of 100 would have waited 5 s each, 31 s on four threads.
        assert time.monotonic() - started < 22
    finally:
        host.run_expect([0], "nft delete table ip silent")


def test_all_instances_gone_is_a_bad_gateway_with_headers(host, edge):
    host.run_expect([0], "systemctl stop 'instance@*.service'")
    try:
        answer = edge.ask({"target": "/x"})
    finally:
        host.run_expect(
            [0], "systemctl start " + " ".join(f"instance@{port}.service" for port in (5005, 5006, 5007, 5008))
        )
    assert answer.status == 502
    assert answer.headers["x-frame-options"] == ["SAMEORIGIN"]
    for _ in range(20):
        if edge.ask({"target": "/x"}).status == 200:
            return
        time.sleep(0.25)
    raise AssertionError("no recovery")


# --- health checks ---


def members(host, upstream="shop"):
    states = json.loads(host.check_output(f"{CONFIG} members"))
    assert states["health_checks_running"]
    return {int(entry["member"].rpartition(":")[2]): entry for entry in states["upstreams"][upstream]}


def serving(host):
    return {port for port, entry in members(host).items() if entry["serving"]}


def wait_for_serving(host, ports, seconds):
    began = time.monotonic()
    while serving(host) != ports:
        assert time.monotonic() - began < seconds, members(host)
        time.sleep(0.2)
    return time.monotonic() - began


@pytest.fixture
def well(host):
    """All members serve, before and after."""
    everyone = {5005, 5006, 5007, 5008}
    # A new process looks at once, and does not remember who flapped.
    host.run_expect([0], "systemctl restart nginx-health.service")
    wait_for_serving(host, everyone, 15)
    yield everyone
    host.run_expect([0], "rm -f /run/instance/*.status; systemctl kill --signal=CONT 'instance@*.service'")
    host.run_expect([0], "systemctl restart nginx-health.service")
    wait_for_serving(host, everyone, 15)


def answer_with(host, port, status):
    host.run_expect([0], f"printf {status} > /run/instance/{port}.status")


def test_members_that_answer_503_or_hang_leave_within_ten_seconds_and_return(host, edge, well):
    pid = master(host)
    answer_with(host, 5005, 503)
    host.run_expect([0], "systemctl kill --signal=STOP instance@5006.service")
    with load(edge, {"target": "/x"}, threads=4) as results:
        left = wait_for_serving(host, {5007, 5008}, 10)
    # The few that wait for the member that hangs end with the client's patience; an answer of 503 costs no GET.
    answered = Counter(results)
    assert set(answered) <= {200, "TimeoutError"}, answered
    assert answered["TimeoutError"] <= 4, answered
    reasons = {port: entry["unready"]["reason"] for port, entry in members(host).items() if entry["unready"]}
    assert reasons == {5005: "answers 503", 5006: "does not answer within 2 s"}
    with load(edge, {"method": "POST", "target": "/x", "body_bytes": 10}) as results:
        time.sleep(2)
    assert set(results) == {200}, results
    host.run_expect([0], "rm /run/instance/5005.status; systemctl kill --signal=CONT instance@5006.service")
    with load(edge, {"method": "POST", "target": "/x", "body_bytes": 10}) as results:
        returned = wait_for_serving(host, well, 20)
    assert set(results) == {200}, results
    print(f"left within {left:.1f} s, returned within {returned:.1f} s; GETs meanwhile: {answered}")
    assert master(host) == pid


def test_if_all_members_fail_all_stay(host, edge, well):
    for port in well:
        answer_with(host, port, 503)
    began = time.monotonic()
    while not all(entry["unready"] for entry in members(host).values()):
        assert time.monotonic() - began < 20
        time.sleep(0.2)
    time.sleep(2)
    assert serving(host) == well
    assert edge.ask({"target": "/x"}).status == 503
    # The first that is ready serves alone.
    host.run_expect([0], "rm /run/instance/5007.status")
    host.run_expect([0], "systemctl restart nginx-health.service")
    wait_for_serving(host, {5007}, 10)
    assert edge.ask({"target": "/x"}).status == 200


def test_a_state_of_health_survives_restarts_and_is_not_an_operators_drain(host, edge, well, undrained):
    answer_with(host, 5005, 503)
    wait_for_serving(host, {5006, 5007, 5008}, 10)
    drain(host, 5006, "on")
    assert status(host)["reload"] is False
    host.run_expect([0], "systemctl stop nginx-health.service && systemctl restart nginx.service")
    assert host.check_output(f"{CONFIG} apply --staging /etc/nginx/staging") == "current"
    states = json.loads(host.check_output(f"{CONFIG} members"))
    assert states["health_checks_running"] is False
    flags = [(entry["serving"], entry["drained"], bool(entry["unready"])) for entry in states["upstreams"]["shop"]]
    assert flags == [(False, False, True), (False, True, False), (True, False, False), (True, False, False)]
    assert instances(edge) == {5007, 5008}
    # What is ready again returns; what an operator drained stays out.
    host.run_expect([0], "rm /run/instance/5005.status; systemctl start nginx-health.service")
    wait_for_serving(host, {5005, 5007, 5008}, 20)
    drain(host, 5006, "off")


def test_the_health_checks_have_no_privileges(host):
    assert host.check_output("ps -o user= -C nginx-health") == "nginx-health"
    assert security_score(host, "nginx-health.service") <= 2
    assert host.service("nginx-health").is_enabled
    assert host.service("nginx-health-apply.path").is_enabled
