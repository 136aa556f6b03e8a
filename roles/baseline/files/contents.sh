#!/bin/sh
# Print what an empty server has not: a line for each package, listener and folder of data. Changes nothing; run as root.
set -eu

dpkg-query --show --showformat='${db:Status-Abbrev}package ${Package} ${Version} is installed\n' \
  nginx 'nginx-*' apache2 caddy lighttpd haproxy keepalived \
  'postgresql-[0-9]*' patroni pgbouncer pgbackrest etcd-server etcd redis-server valkey-server \
  mariadb-server 'mysql-server*' nodejs docker.io docker-ce podman containerd.io k3s firewalld 2>/dev/null |
  sed -n 's/^ii *//p' || true

# What listens on a fresh server: SSH, and what installers and images of clouds bring.
ss -Htlnp | awk '
  {
    name = $NF; sub(/^users:\(\("/, "", name); sub(/".*/, "", name)
    port = $4; sub(/.*:/, "", port)
    address = $4; sub(/:[0-9]+$/, "", address)
    if ($NF !~ /^users:/) name = "a program of another namespace"
    if (name ~ /^(sshd|systemd|systemd-resolve|rpcbind)$/) next
    if (address ~ /^(127\.|\[::1\]|\[::ffff:127\.)/ &&
        port !~ /^(80|443|2379|2380|5000|5001|5432|6379|6380|6381|6432|8008|8081|8432|8500)$/) next
    print "port " port " of " address " is bound by " name
  }' | sort -u

for path in /var/lib/postgresql/*/*/PG_VERSION /var/lib/etcd/* /var/lib/redis/*.rdb /var/lib/redis/appendonlydir \
  /var/lib/pgbackrest/backup /etc/nginx/sites-enabled/* /etc/haproxy/haproxy.cfg /etc/pm2/* /etc/patroni/config.yml; do
  [ ! -e "$path" ] || echo "$path is there"
done
