"""Certificates as a client, a service and an intruder on the host see them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stackwright.testing.testinfra import security_score

STORE = "/etc/stackwright/tls"
ACCOUNT = "/var/lib/stackwright/acme-account"
testinfra_hosts = ["tls1"]


def served(host: Any, port: int, name: str) -> str:
    """Fingerprint of the certificate that a service answers with, verified against the system store and the name."""
    command = f"echo | openssl s_client -connect 127.0.0.1:{port} -servername {name}"
    output = host.run(f"{command} 2>/dev/null | openssl x509 -noout -fingerprint -sha256")
    return str(output.stdout.strip())


def on_disk(host: Any, name: str) -> str:
    return str(host.check_output(f"openssl x509 -in {STORE}/{name}/tls.crt -noout -fingerprint -sha256").strip())


def until(probe: Any, seconds: int = 60) -> None:
    for _ in range(seconds * 2):
        if probe():
            return
        time.sleep(0.5)
    raise AssertionError("did not come to pass in time")


def config(host: Any) -> dict[str, Any]:
    return dict(json.loads(host.check_output("cat /etc/stackwright/tls.json")))


def write_config(host: Any, values: dict[str, Any]) -> None:
    host.check_output(f"cat > /etc/stackwright/tls.json <<'END'\n{json.dumps(values)}\nEND")


@pytest.fixture(autouse=True)
def root(host: Any) -> Any:
    with host.sudo():
        yield


@pytest.mark.parametrize("name", ["web", "idle", "given", "public", "balanced"])
def test_the_pair_lies_where_services_expect_it(host: Any, name: str) -> None:
    host.check_output(f"id probe-{name} || useradd --system --groups tls-{name} probe-{name}")
    assert host.run(f"runuser -u probe-{name} -- head -c 1 {STORE}/{name}/tls.key").rc == 0
    assert host.run(f"runuser -u nobody -- head -c 1 {STORE}/{name}/tls.key").rc != 0
    assert host.run(f"runuser -u nobody -- head -c 1 {STORE}/{name}/tls.crt").rc != 0
    assert host.check_output(f"stat -L -c '%U %G %a' {STORE}/{name} {STORE}/{name}/tls.key").splitlines() == [
        f"root tls-{name} 750",
        f"root tls-{name} 640",
    ]


def test_the_system_trusts_the_environments_ca(host: Any) -> None:
    until(lambda: served(host, 8443, "tls1") == on_disk(host, "web"))
    # Not the exit code: the service hangs up without a word.
    verified = "-verify_return_error 2>&1 | grep -c 'Verification: OK'"
    for expected in ("hostname tls1", "hostname tls1.molecule.internal", "ip ::1"):
        host.check_output(f"echo | openssl s_client -connect 127.0.0.1:8443 -verify_{expected} {verified}")
    wrong = host.run(f"echo | openssl s_client -connect 127.0.0.1:8443 -verify_hostname other {verified}")
    assert wrong.stdout.strip() == "0"


def test_it_serves_both_ends_of_a_connection(host: Any) -> None:
    text = host.check_output(f"openssl x509 -in {STORE}/web/tls.crt -noout -text")
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text
    assert "CA:FALSE" in text


def test_no_key_of_the_ca_reached_the_host(host: Any) -> None:
    search = host.run("grep -rlE 'BEGIN (EC |RSA )?PRIVATE KEY' /etc/stackwright /var/lib/stackwright /tmp /root")
    allowed = (f"{STORE}/.versions/", ACCOUNT)
    assert [path for path in search.stdout.split() if not path.startswith(allowed)] == []
    anchors = host.check_output(
        "openssl x509 -in /usr/local/share/ca-certificates/stackwright-molecule.crt -noout -pubkey"
    )
    for path in search.stdout.split():
        assert host.run(f"openssl pkey -in {path} -pubout").stdout.strip() != anchors.strip()


def test_a_certificate_from_the_acme_server_replaces_the_placeholder(host: Any) -> None:
    """At once, although the web server came after the first attempt."""
    assert "Pebble" in host.check_output(f"openssl x509 -in {STORE}/public/tls.crt -noout -issuer")
    journal = host.check_output("journalctl --unit=tls-acme.service --output=cat")
    assert "nothing answers on port 80 of this host" in journal
    assert "unauthorized" not in journal
    until(lambda: served(host, 443, "www.molecule.internal") == on_disk(host, "public"))
    names = host.check_output(f"openssl x509 -in {STORE}/public/tls.crt -noout -ext subjectAltName")
    assert "DNS:molecule.internal" in names
    assert "DNS:www.molecule.internal" in names
    assert host.run("systemctl is-failed tls-acme.service").stdout.strip() == "inactive"


def test_the_acme_certificate_is_renewed_and_its_user_reloaded(host: Any) -> None:
    before = on_disk(host, "public")
    pid = host.check_output("systemctl show --value -p MainPID edge.service")
    host.check_output("echo 'force-renewal = true' >> /etc/stackwright/acme.ini")
    host.check_output("sed -i '/^keep-until-expiring/d' /etc/stackwright/acme.ini")
    host.check_output("systemctl start tls-acme.service")
    host.check_output("sed -i 's/^force-renewal.*/keep-until-expiring = true/' /etc/stackwright/acme.ini")
    after = on_disk(host, "public")
    assert after != before
    until(lambda: served(host, 443, "www.molecule.internal") == after)
    assert host.check_output("systemctl show --value -p MainPID edge.service") == pid


def test_the_secret_of_the_account_is_not_on_a_command_line(host: Any) -> None:
    assert host.check_output("stat -c '%U %a' /etc/stackwright/acme.ini") == "root 600"
    # In brackets, so that sudo's record of this very command does not count.
    assert host.run("journalctl --no-pager | grep -c 'zWNDZM6eQGHWpSRTPal[5]'").stdout.strip() == "0"
    assert host.run(f"grep -rl zWNDZM6eQGHWpSRTPal5 {ACCOUNT}").rc != 0


def test_a_unit_that_cannot_take_up_its_certificate_is_asked_again(host: Any) -> None:
    """What `side_effect` did: broken, the role went on where a second attempt follows, and failed by name where none does."""
    assert "No such file" in host.file("/root/broken-reload").content_string
    assert "web.service" in host.file("/root/refused-reload").content_string
    assert host.file("/var/lib/stackwright/tls/loaded/web@web.service").content_string == (
        host.check_output(f"basename $(readlink {STORE}/web)")
    )


def test_an_interrupted_swap_is_completed_and_the_service_reloaded(host: Any) -> None:
    """The link is turned, the run dies before the reload: the next run has to notice by itself."""
    until(lambda: served(host, 8443, "tls1") == on_disk(host, "web"))
    host.check_output("stackwright-tls reload")
    loaded = on_disk(host, "web")
    pid = host.check_output("systemctl show --value -p MainPID web.service")
    version = host.check_output(f"readlink {STORE}/web")
    folder = version.rpartition("/")[0]
    host.check_output(
        f"cd {STORE}/{folder} && cp -a {STORE}/{version} other && "
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=x "
        "-keyout other/tls.key -out other/tls.crt && "
        f"ln -sfn {folder}/other {STORE}/web"
    )
    assert served(host, 8443, "tls1") == loaded
    assert "web.service" in host.check_output("stackwright-tls reload --dry-run")
    assert "web.service" in host.check_output("stackwright-tls reload")
    until(lambda: served(host, 8443, "tls1") == on_disk(host, "web"), 10)
    assert host.check_output("systemctl show --value -p MainPID web.service") == pid
    assert "web.service" not in host.check_output("stackwright-tls reload")
    # What does not come from the CA is no certificate of this environment.
    requests = json.loads(host.check_output("stackwright-tls request --dry-run"))["requests"]
    assert [request["name"] for request in requests] == ["web"]
    assert "it is of another CA" in requests[0]["reasons"]
    host.check_output(f"ln -sfn {version} {STORE}/web && rm -rf {STORE}/{folder}/other")
    host.check_output("stackwright-tls reload")


def test_new_names_and_a_new_lifetime_ask_for_a_new_certificate(host: Any) -> None:
    original = config(host)
    changed = json.loads(json.dumps(original))
    changed["certificates"][0]["dns"].append("more.molecule.internal")
    changed["certificates"][1]["reload"] = []
    changed["validity_days"] = 30
    write_config(host, changed)
    requests = json.loads(host.run("stackwright-tls request --dry-run").stdout)["requests"]
    write_config(host, original)
    reasons = {request["name"]: request["reasons"] for request in requests}
    assert reasons["web"] == ["other names are wanted", "another lifetime is wanted"]
    assert reasons["idle"] == ["another lifetime is wanted"]
    assert json.loads(host.check_output("stackwright-tls request --dry-run"))["requests"] == []


def test_less_than_a_third_left_is_renewed_and_less_than_a_fifth_fails_the_check(host: Any) -> None:
    """Time is moved by a library under the one call, not on the machine."""
    host.check_output("dpkg -s faketime >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends faketime")
    fresh = host.run("faketime '+55 days' stackwright-tls request --dry-run")
    assert json.loads(fresh.stdout)["requests"] == []
    due = json.loads(host.check_output("faketime '+62 days' stackwright-tls request --dry-run"))["requests"]
    assert {request["name"] for request in due} == {"web", "idle"}
    assert due[0]["reasons"] == ["less than a third of its life is left"]
    late = host.run("faketime '+80 days' stackwright-tls check")
    assert late.rc == 1
    assert "web: ends" in late.stderr


def test_the_expiry_check_fails_visibly(host: Any) -> None:
    """The scenario's CA lives two days; what is handed over ends in 30."""
    original = config(host)
    write_config(host, {**original, "warning_percent": 100, "ca_certificate": ""})
    assert host.run("systemctl start tls-expiry-check.service").rc != 0
    assert "converge the host to renew it" in host.check_output("journalctl -u tls-expiry-check -n 20 --no-pager")
    assert host.run("systemctl is-failed tls-expiry-check.service").stdout.strip() == "failed"
    write_config(host, original)
    assert host.run("systemctl start tls-expiry-check.service").rc == 0
    for unit in ("tls-expiry-check.timer", "tls-acme.timer"):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "other"}, "the private key does not belong to the certificate"),
        ({"dns": ["elsewhere.internal"]}, "does not cover DNS:elsewhere.internal"),
        ({"ca": "web"}, "the chain does not lead to its CA"),
        ({"time": "+60 days"}, "not now"),
    ],
)
def test_files_that_would_not_serve_are_refused(host: Any, change: dict[str, Any], message: str) -> None:
    key = "web" if "key" in change else "given"
    ca = "web/ca.crt" if "ca" in change else "given/tls.crt"
    delivery = {
        "given": {
            "certificate": host.check_output(f"cat {STORE}/given/tls.crt"),
            "key": host.check_output(f"cat {STORE}/{key}/tls.key"),
            "ca": host.check_output(f"cat {STORE}/{ca}"),
        }
    }
    original = config(host)
    changed = json.loads(json.dumps(original))
    for certificate in changed["certificates"]:
        if certificate["name"] == "given":
            certificate["dns"] = change.get("dns", certificate["dns"])
    write_config(host, changed)
    prefix = f"faketime '{change['time']}' " if "time" in change else ""
    before = on_disk(host, "given")
    refused = host.run(f"{prefix}stackwright-tls install <<'END'\n{json.dumps(delivery)}\nEND")
    write_config(host, original)
    assert refused.rc == 1
    assert message in refused.stderr
    assert on_disk(host, "given") == before


def test_a_second_ca_and_a_dropped_one_reach_services_without_a_new_certificate(host: Any) -> None:
    """Both ways of a CA's replacement: what signs stays, what is trusted changes, and who reads it is reloaded."""
    original = config(host)
    host.check_output("stackwright-tls reload")
    leaf, key = on_disk(host, "web"), host.check_output(f"sha256sum < {STORE}/web/tls.key")
    changed_at = host.check_output(f"stat -L -c %Y {STORE}/web/ca.crt")
    second = host.check_output(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=second -keyout /dev/null"
    )
    two_cas = original["ca_certificate"].strip() + "\n" + second.strip() + "\n"
    try:
        for bundle, count in ((two_cas, "2"), (original["ca_certificate"], "1")):
            write_config(host, {**original, "ca_certificate": bundle})
            assert json.loads(host.check_output("stackwright-tls request --dry-run"))["requests"] == []
            changes = json.loads(host.check_output("echo '{}' | stackwright-tls install"))["changed"]
            assert "web: CA certificates replaced" in changes
            assert host.check_output(f"grep -c BEGIN {STORE}/web/ca.crt") == count
            assert host.check_output("grep -c BEGIN /usr/local/share/ca-certificates/stackwright-molecule.crt") == count
            assert (on_disk(host, "web"), host.check_output(f"sha256sum < {STORE}/web/tls.key")) == (leaf, key)
            assert "web.service" in host.check_output("stackwright-tls reload")
            assert host.check_output("echo '{}' | stackwright-tls install") == '{"changed": []}'
    finally:
        write_config(host, original)
        host.check_output("echo '{}' | stackwright-tls install")
    assert int(host.check_output(f"stat -L -c %Y {STORE}/web/ca.crt")) >= int(changed_at)


def test_what_is_no_longer_wanted_disappears(host: Any) -> None:
    original = config(host)
    fewer = {
        **original,
        "certificates": [certificate for certificate in original["certificates"] if certificate["name"] != "idle"],
    }
    host.check_output(f"cp -a {STORE} /root/store")
    host.check_output("gpasswd -d probe-idle tls-idle || true")
    host.check_output("getent group tls-of-others || groupadd --system tls-of-others")
    write_config(host, fewer)
    changes = json.loads(host.check_output("echo '{}' | stackwright-tls install"))["changed"]
    assert "group tls-idle: removed" in changes
    # One that is somebody else's stays, whatever it is called.
    assert host.group("tls-of-others").exists
    assert not host.file(f"{STORE}/idle").exists
    assert not host.file(f"{STORE}/.versions/idle").exists
    assert host.file(f"{STORE}/web/tls.key").exists
    host.check_output(f"groupadd --system tls-idle && rm -rf {STORE} && mv /root/store {STORE}")
    write_config(host, original)
    host.check_output("echo '{}' | stackwright-tls install")


def test_changed_modes_are_repaired(host: Any) -> None:
    host.check_output(f"chmod 0644 {STORE}/web/tls.key && chown root:root {STORE}/web/tls.key")
    assert "mode repaired" in host.check_output("echo '{}' | stackwright-tls install")
    assert host.check_output(f"stat -L -c '%G %a' {STORE}/web/tls.key") == "tls-web 640"
    assert host.check_output("echo '{}' | stackwright-tls install") == '{"changed": []}'


def test_the_units_may_do_little_else(host: Any) -> None:
    assert security_score(host, "tls-expiry-check.service") <= 3.0
    assert security_score(host, "tls-acme.service") <= 4.0


def test_a_certificate_that_no_ca_signs_for_is_the_hosts_own(host: Any) -> None:
    text = host.check_output(f"openssl x509 -in {STORE}/balanced/tls.crt -noout -issuer -subject -ext subjectAltName")
    issuer, subject = (line.partition("=")[2] for line in text.splitlines()[:2])
    assert issuer == subject
    assert "DNS:www.molecule.internal" in text
    assert "still" not in host.run("/usr/local/sbin/stackwright-tls check").stderr


def test_a_ca_of_others_is_a_file_and_trusted_by_nobody_else(host: Any) -> None:
    assert host.file("/etc/stackwright/ca/database.crt").mode == 0o644
    host.check_output("openssl x509 -in /etc/stackwright/ca/database.crt -noout")
    assert not host.file("/usr/local/share/ca-certificates/database.crt").exists
