"""A rotation, watched: no password in what Ansible prints at its most talkative, in process lists or in the server's log."""

import os
import re
import subprocess
from pathlib import Path

import testinfra
from managed_server import PASSWORDS, connect, inside

testinfra_hosts = ["rds1"]
SCENARIO = Path(__file__).resolve().parents[1]
SECRET = re.compile(r"secret-of-[a-z]+-in-molecule")
WATCH = "while :; do ps -eo args >> /run/watched; sleep 0.03; done"

ROTATION = """
- hosts: database_admin
  become: true
  vars:
    managed_postgresql_roles:
      - {name: emr, password: secret-of-tomorrow-in-molecule, databases: [taaleem], connection_limit: 10}
      - {name: reports, password: %s, databases: [taaleem], connection_limit: 2}
      - {name: monitoring, password: secret-of-monitoring-in-molecule, databases: [taaleem], member_of: [pg_monitor]}
      - {name: archivist}
  roles: [managed_postgresql]
"""


def rotate(password, tmp_path):
    playbook = tmp_path / "rotation.yml"
    playbook.write_text(ROTATION % password)
    done = subprocess.run(
        ["ansible-playbook", "-vvv", "--diff", "--inventory", os.environ["MOLECULE_INVENTORY_FILE"], str(playbook)],
        text=True,
        capture_output=True,
        check=False,
        cwd=SCENARIO.parents[1],
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    return output


def test_a_rotated_password_is_told_nowhere(host, tmp_path):
    ops = testinfra.get_host(f"ansible://ops1?ansible_inventory={os.environ['MOLECULE_INVENTORY_FILE']}", sudo=True)
    for watched in (host, ops):
        watched.check_output(f"systemd-run --quiet --unit=watched sh -c '{WATCH}'")
    try:
        output = rotate("secret-of-rotation-in-molecule", tmp_path)
    finally:
        seen = "".join(
            machine.check_output("systemctl stop watched; cat /run/watched; rm /run/watched") for machine in (host, ops)
        )
    assert re.search(r"ops1 +: ok=\d+ +changed=1 ", output), output[-600:]
    assert not SECRET.search(output), SECRET.search(output)
    assert "SCRAM-SHA-256$" not in output
    assert "postgres: " in seen
    assert "python3" in seen
    assert not SECRET.search(seen), SECRET.search(seen)
    assert connect(ops, "SELECT 1", user="reports", password="secret-of-rotation-in-molecule").stdout == "1\n"
    assert connect(ops, "SELECT 1", user="reports").rc != 0
    back = rotate(PASSWORDS["reports"], tmp_path)
    assert "changed=1 " in back
    assert "changed=0 " in rotate(PASSWORDS["reports"], tmp_path)


def test_the_log_of_all_statements_has_no_password(host):
    log = host.file("/var/log/postgresql/postgresql-17-main.log").content_string
    assert "PASSWORD 'SCRAM-SHA-256$" in log
    assert not SECRET.search(log), SECRET.search(log)


def test_every_password_is_a_scram_verifier_and_nobody_became_more(host):
    logins = "SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_authid WHERE rolcanlogin AND NOT rolsuper"
    assert inside(host, logins) == "dbadmin,emr,monitoring,persons,reports"
    assert inside(host, f"{logins} AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'") == ""
    beyond = "SELECT string_agg(rolname, ',') FROM pg_roles WHERE rolsuper OR rolreplication OR rolbypassrls"
    assert inside(host, beyond) == "postgres"
    assert inside(host, "SELECT count(*) FROM pg_roles WHERE rolname = 'former'") == "0"


def test_what_others_made_was_left_alone(host):
    assert inside(host, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'clouds'") == "clouds"
    owners = "SELECT string_agg(datname || '=' || pg_get_userbyid(datdba), ',' ORDER BY datname) FROM pg_database"
    assert inside(host, f"{owners} WHERE datname IN ('taaleem', 'archive')") == "archive=archivist,taaleem=emr"
    assert inside(host, "SHOW server_encoding") == "UTF8"
