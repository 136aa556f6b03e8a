"""No line may be lost: between rename and reopening, when the disk is full, after an interruption."""

from __future__ import annotations

import time
from typing import Any

from stackwright.testing.testinfra import security_score

LINE = 500


def rotate(host: Any) -> Any:
    return host.run("systemctl start stackwright-logrotate.service")


def numbers(host: Any, folder: str, log: str) -> list[int]:
    """Numbers of all lines that the rotated files and the log in use hold, oldest first."""
    files = host.check_output(f"ls -1v {folder}/{log}* | tac").splitlines()
    text = "".join(host.check_output(f"zcat -f {path} | cut -d' ' -f1") + "\n" for path in files)
    return [int(number) for number in text.split()]


def grow(host: Any, path: str, size: int) -> None:
    for _ in range(120):
        stat = host.run(f"stat -c %s {path}")
        if stat.rc == 0 and int(stat.stdout) >= size:
            return
        time.sleep(0.25)
    raise AssertionError(f"{path} did not reach {size} bytes")


def restart(host: Any, unit: str, files: str) -> None:
    host.check_output(f"systemctl stop {unit}; rm -f {files}; systemctl start {unit}")


def test_not_one_line_is_lost_over_rotations(host: Any) -> None:
    with host.sudo():
        restart(host, "writer.service", "/var/log/writer/*")
        for _ in range(3):
            grow(host, "/var/log/writer/access.log", 2**20)
            assert rotate(host).rc == 0
        host.check_output("systemctl stop writer.service")
        logged = numbers(host, "/var/log/writer", "access.log")
        assert logged == list(range(len(logged)))
        names = host.check_output("ls /var/log/writer").split()
        assert names == ["access.log", "access.log.1", "access.log.2.gz", "access.log.3.gz"]
        assert host.check_output("stat -c '%U %G %a' /var/log/writer/access.log") == "writer adm 640"


def test_only_so_many_are_kept(host: Any) -> None:
    with host.sudo():
        restart(host, "writer.service", "/var/log/writer/*")
        for _ in range(5):
            grow(host, "/var/log/writer/access.log", 2**20)
            assert rotate(host).rc == 0
        host.check_output("systemctl stop writer.service")
        assert len(host.check_output("ls /var/log/writer").split()) == 4


def test_below_the_size_nothing_happens(host: Any) -> None:
    with host.sudo():
        host.check_output("head -c 3000000 /dev/zero > /var/log/large.log")
        assert rotate(host).rc == 0
        assert host.check_output("ls -1 /var/log/large.log*") == "/var/log/large.log"
        host.check_output("head -c 6000000 /dev/zero > /var/log/large.log")
        assert rotate(host).rc == 0
        assert host.check_output("ls -1 /var/log/large.log*").split() == ["/var/log/large.log", "/var/log/large.log.1"]
        host.check_output("rm /var/log/large.log*")


def test_a_full_disk_loses_nothing_and_is_recovered_from(host: Any) -> None:
    with host.sudo():
        restart(host, "cramped.service", "/srv/cramped/*")
        grow(host, "/srv/cramped/cramped.log", 2**20)
        assert rotate(host).rc == 0
        # The second rotation would have to compress, and there is no room.
        for _ in range(120):
            if host.run("test $(df --output=avail /srv/cramped | tail -n 1) -eq 0").rc == 0:
                break
            time.sleep(0.25)
        assert host.run("touch /srv/cramped/probe && head -c 9000 /dev/zero > /srv/cramped/probe").rc != 0
        host.check_output("rm -f /srv/cramped/probe")
        rotate(host)
        assert host.run("test -s /srv/cramped/cramped.log.1").rc == 0
        host.check_output("mount -o remount,size=20m /srv/cramped")
        time.sleep(1)
        assert rotate(host).rc == 0
        host.check_output("systemctl stop cramped.service")
        logged = numbers(host, "/srv/cramped", "cramped.log")
        assert logged == list(range(len(logged)))
        assert len(logged) * LINE > 2 * 2**20
        assert host.run("ls /srv/cramped/*.gz").rc == 0
        host.check_output("rm -f /srv/cramped/*; mount -o remount,size=2m /srv/cramped")


def test_an_interrupted_rotation_is_made_good(host: Any) -> None:
    """Killed between rename and signal, logrotate leaves a writer that fills the former file for ever."""
    with host.sudo():
        restart(host, "writer.service", "/var/log/writer/*")
        grow(host, "/var/log/writer/access.log", 2**18)
        host.check_output("mv /var/log/writer/access.log /var/log/writer/access.log.1")
        host.check_output("touch /var/lib/stackwright/logrotate/pending/writer")
        assert rotate(host).rc == 0
        grow(host, "/var/log/writer/access.log", 1)
        host.check_output("systemctl stop writer.service")
        assert host.check_output("ls /var/lib/stackwright/logrotate/pending") == ""
        logged = numbers(host, "/var/log/writer", "access.log")
        assert logged == list(range(len(logged)))


def test_a_writer_that_does_not_reopen_is_told_of(host: Any) -> None:
    with host.sudo():
        host.check_output("systemctl stop writer.service; touch /var/lib/stackwright/logrotate/pending/writer")
        assert rotate(host).rc != 0
        assert "writer.service" in host.check_output("journalctl -u stackwright-logrotate.service -n 20 --no-pager")
        host.check_output("systemctl start writer.service")
        assert rotate(host).rc == 0


def test_the_packages_entry_no_longer_rotates_the_same_files(host: Any) -> None:
    with host.sudo():
        assert not host.file("/etc/logrotate.d/writer").exists
        assert "/etc/logrotate.d/writer" in host.check_output("dpkg-divert --list '*writer*'")
        duplicates = host.run("logrotate -d /etc/logrotate.conf /etc/stackwright/logrotate.conf")
        assert "duplicate" not in duplicates.stderr


def test_the_clock_looks_every_few_minutes(host: Any) -> None:
    assert host.service("stackwright-logrotate.timer").is_running
    assert host.service("stackwright-logrotate.timer").is_enabled


def test_the_unit_may_do_little_else(host: Any) -> None:
    assert security_score(host, "stackwright-logrotate.service") <= 4.0
