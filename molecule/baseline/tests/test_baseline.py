"""What an operator or an intruder would notice of a host's baseline."""

from __future__ import annotations

import json
from typing import Any

ADDRESS = "10.231.11.11"


def ssh(host: Any, user: str, *options: str) -> Any:
    """Log in to the host from itself, with a key that only admins have."""
    words = " ".join(f"-o {option}" for option in ("StrictHostKeyChecking=no", "BatchMode=yes", *options))
    # testinfra takes ssh's own 255 for a lost connection to the host under test.
    return host.run(f"ssh -i /root/probe {words} {user}@{ADDRESS} id -un || exit 9")


def with_probe_key(host: Any, user: str) -> None:
    host.check_output("test -f /root/probe || ssh-keygen -q -t ed25519 -N '' -f /root/probe")
    home = host.check_output(f"getent passwd {user} | cut -d: -f6")
    host.check_output(f"mkdir -p {home}/.ssh && cat /root/probe.pub >> {home}/.ssh/authorized_keys")


def without_probe_key(host: Any, user: str) -> None:
    home = host.check_output(f"getent passwd {user} | cut -d: -f6")
    host.check_output(f"sed -i '/root@/d' {home}/.ssh/authorized_keys")


def test_admins_log_in_by_key_and_become_root(host: Any) -> None:
    with host.sudo():
        with_probe_key(host, "alice")
        assert ssh(host, "alice").stdout.strip() == "alice"
        without_probe_key(host, "alice")
        assert host.check_output("runuser -u alice -- sudo -n id -un") == "root"


def test_root_is_closed_even_with_a_key(host: Any) -> None:
    with host.sudo():
        with_probe_key(host, "root")
        refused = ssh(host, "root")
        without_probe_key(host, "root")
        assert refused.rc == 9
        assert "Permission denied" in refused.stderr


def test_only_admins_are_admitted_even_with_a_key(host: Any) -> None:
    """Such as the first user of a rented server, who has sudo."""
    with host.sudo():
        host.check_output("id debian >/dev/null 2>&1 || useradd --create-home --password '*' debian")
        with_probe_key(host, "debian")
        refused = ssh(host, "debian")
        without_probe_key(host, "debian")
        assert refused.rc == 9
        assert "Permission denied" in refused.stderr


def test_passwords_are_not_even_asked_for(host: Any) -> None:
    with host.sudo():
        refused = ssh(host, "alice", "PubkeyAuthentication=no")
        assert refused.rc == 9
        assert "Permission denied (publickey)" in refused.stderr


def test_old_key_exchanges_are_refused(host: Any) -> None:
    with host.sudo():
        assert ssh(host, "alice", "KexAlgorithms=diffie-hellman-group14-sha256").rc == 9
        assert "no matching cipher" in ssh(host, "alice", "Ciphers=aes128-cbc").stderr


def test_names_resolve_after_a_restart_that_wrote_the_file_anew(host: Any) -> None:
    """podman did, and cloud-init tried to: see side_effect.yml."""
    with host.sudo():
        assert "datasource" in host.check_output("cloud-init query --all")
        assert "update_etc_hosts" in host.check_output("cat /var/log/cloud-init.log")
    assert host.check_output("hostname") == "host1"
    assert host.check_output("getent hosts host1.molecule.internal").split()[0] == ADDRESS
    assert host.check_output("getent hosts database-primary.molecule.internal").split()[0] == "127.0.0.1"


def test_names_come_back_whoever_takes_them_away(host: Any) -> None:
    """A provider's user data may outrank what cloud-init was told, and DHCP clients have hooks."""
    with host.sudo():
        host.check_output("printf '127.0.0.1 localhost\\n127.0.1.1 host1\\n' > /etc/hosts")
        ask = "{ getent ahostsv4 host1.molecule.internal; getent ahostsv4 host1; } | cut -d' ' -f1 | sort -u"
        # The first answers may be of the file that is being replaced.
        host.check_output(f'for i in $(seq 50); do [ "$({ask})" = {ADDRESS} ] && exit 0; sleep 0.1; done; exit 1')
    assert host.check_output("grep -c 'BEGIN stackwright' /etc/hosts") == "1"


def test_time_is_watched(host: Any) -> None:
    with host.sudo():
        assert host.service("chrony.service").is_running
        assert "Leap status" in host.check_output("chronyc -n tracking")
    assert host.check_output("date +%Z") == "UTC"


def test_security_updates_spare_databases(host: Any) -> None:
    with host.sudo():
        log = host.run("unattended-upgrade --dry-run --debug").stdout
        assert "Debian-Security" in log
        assert "postgresql-" in log
        settings = host.check_output("apt-config dump Unattended-Upgrade")
        assert settings.count("Origins-Pattern:: ") == 1
        assert host.service("apt-daily-upgrade.timer").is_enabled
        script = "do q(/etc/needrestart/needrestart.conf); print join q( ), sort keys %{$nrconf{override_rc}}"
        overridden = host.check_output(f"perl -e 'our %nrconf; {script}'")
        assert "^postgresql" in overridden
        assert "^redis" in overridden


def test_the_journal_is_bounded_and_kept(host: Any) -> None:
    with host.sudo():
        shown = host.check_output("systemd-analyze cat-config systemd/journald.conf")
        assert "SystemMaxUse=500M" in shown
        assert host.run("ls /var/log/journal/*/system.journal").rc == 0


def test_limits_reach_services_and_sessions(host: Any) -> None:
    with host.sudo():
        assert host.check_output("systemd-run --quiet --wait --pipe sh -c 'ulimit -n'") == "16384"
        assert host.check_output("su - alice -c 'ulimit -n'") == "16384"


def test_kernel_settings_are_in_force_unless_the_machine_below_keeps_them(host: Any) -> None:
    with host.sudo():
        lines = host.check_output("grep -v ^# /etc/sysctl.d/zz-stackwright.conf").splitlines()
        settings = dict(line.split(" = ", 1) for line in lines)
        assert settings["net.ipv4.ip_local_port_range"] == "20000 60999"
        assert settings["vm.overcommit_memory"] == "1"
        for name, value in settings.items():
            running = host.run(f"sysctl -n {name}")
            if running.rc == 0 and running.stdout.split() != value.split():
                assert host.run(f"sysctl -w {name}='{value}'").rc != 0, name


def test_no_unit_failed(host: Any) -> None:
    with host.sudo():
        failed = json.loads(host.check_output("systemctl list-units --failed --output=json"))
        assert [unit["unit"] for unit in failed] == []


def test_any_user_may_list_the_pending_updates(host: Any) -> None:
    with host.sudo("nobody"):
        updates = json.loads(host.check_output("/usr/local/bin/pending-updates"))
    assert all(set(update) == {"package", "installed", "candidate", "security", "excluded"} for update in updates)
