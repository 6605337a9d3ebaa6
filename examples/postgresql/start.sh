#!/bin/sh
# Makes the data base where there is none, and runs the server in the foreground.
set -eu
data=/var/lib/postgresql/data
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/var/lib/postgresql "$@"; }
mkdir -p /run/postgresql
chown postgres: /run/postgresql
[ -d "$data" ] || as_postgres initdb --pgdata "$data" --auth trust > /var/log/initdb.log
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D "$data" -c listen_addresses='*'
