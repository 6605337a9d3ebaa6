#!/bin/sh
# A storage volume for the data base, and its server as the entrypoint. usage: run.sh IMAGE
set -eu
export YA_RUNTIME_VOLUME_OVERRIDE='{"/var/lib/postgresql": {"storage": {"size": "1 GiB"}}}'
ya-runtime-dbg -t "$1" --start-arg start-entrypoint --exec '
  until pg_isready --quiet --username postgres; do sleep 0.5; done
  psql --username postgres --quiet --tuples-only --no-align <<END
CREATE TABLE numbers AS SELECT generate_series(1, 10000) AS n;
SELECT count(*), sum(n) FROM numbers;
END
  pg_dump --username postgres --table numbers --file /golem/output/numbers.sql
  df --output=fstype /var/lib/postgresql | tail -n 1
  grep -c . /golem/output/numbers.sql > /dev/null && echo dumped' -- --mem-gib 0.5 --storage-gib 2
