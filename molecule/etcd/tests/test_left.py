"""What a host keeps that was a voter for a while."""

testinfra_hosts = ["db3"]


def test_nothing_of_etcd_is_left(host):
    assert host.run("pgrep -x etcd").rc != 0
    for path in (
        "/var/lib/etcd/data",
        "/etc/etcd/etcd.env",
        "/etc/etcd/etcdctl.env",
        "/etc/systemd/system/etcd.service",
    ):
        assert not host.file(path).exists, path
    assert not host.service("etcd").is_enabled
