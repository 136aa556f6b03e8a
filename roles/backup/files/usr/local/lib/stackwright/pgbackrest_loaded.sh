#!/bin/sh
# Managed by stackwright. CERTIFICATE KEY CA STATE: gives PostgreSQL's user its own copy of the pair and notes what is loaded.
set -eu
tls="$4/tls"
install -d -o postgres -g postgres -m 0700 "$tls"
install -o postgres -g postgres -m 0600 "$1" "$tls/tls.crt.new"
install -o postgres -g postgres -m 0600 "$2" "$tls/tls.key.new"
install -o postgres -g postgres -m 0600 "$3" "$tls/ca.crt.new"
for each in tls.crt tls.key ca.crt; do mv "$tls/$each.new" "$tls/$each"; done
sha256sum "$1" "$2" "$3" /etc/pgbackrest/pgbackrest.conf > /run/pgbackrest/loaded.sha256
# A reload does not load the unit and the program: what was noted about them at the start stands.
[ -e /run/pgbackrest/unit.sha256 ] ||
  sha256sum /etc/systemd/system/pgbackrest.service /usr/bin/pgbackrest > /run/pgbackrest/unit.sha256
