"""What an edge serves after three releases and a damaged one."""

ROOT = "/var/lib/stackwright/static/shop"


def test_the_newest_release_is_served(host):
    assert host.file(f"{ROOT}/current/public/name.txt").content_string == "three\n"
    assert host.file(f"{ROOT}/current/_next/static/three.js").content_string == "three\n"


def test_files_of_the_release_before_are_still_served(host):
    assert host.file(f"{ROOT}/current/_next/static/two.js").content_string == "two\n"


def test_older_releases_are_gone(host):
    assert not host.file(f"{ROOT}/current/_next/static/one.js").exists
    assert sorted(host.file(f"{ROOT}/releases").listdir()) == ["three", "two"]


def test_a_damaged_archive_changed_nothing_and_was_named(host):
    assert "not " + "0" * 64 in host.file("/root/refusal").content_string
    assert not host.file(f"{ROOT}/releases/four").exists


def test_the_web_server_may_read_but_not_write(host):
    owner = host.check_output(f"stat --format=%U {ROOT}/current/public/name.txt")
    assert owner == "root"
    assert host.run(f"su -s /bin/sh nobody -c 'cat {ROOT}/current/public/name.txt'").stdout == "three\n"
