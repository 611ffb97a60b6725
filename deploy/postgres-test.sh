#!/usr/bin/env bash
# Runs a command with a throw-away PostgreSQL server, whose URL it finds in
# QBRIDGE_TEST_POSTGRES:  deploy/postgres-test.sh make test
# The server comes from local binaries and runs as an ordinary user; nothing of it
# remains. With QBRIDGE_TEST_POSTGRES set already, the command simply runs.
set -euo pipefail
if [ -n "${QBRIDGE_TEST_POSTGRES:-}" ]; then exec "$@"; fi
bin=$(ls -d /usr/lib/postgresql/*/bin /usr/local/pgsql/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -n "$bin" ] || bin=$(dirname "$(command -v postgres 2>/dev/null || echo .)")
if [ ! -x "$bin/initdb" ]; then
  echo "no PostgreSQL server binaries: install PostgreSQL, or set QBRIDGE_TEST_POSTGRES" >&2
  exit 2
fi
dir=$(mktemp -d)
as() { if [ "$(id -u)" = 0 ]; then su postgres -s /bin/bash -c "$*"; else bash -c "$*"; fi; }
[ "$(id -u)" = 0 ] && chown postgres "$dir"
stop() { as "$bin/pg_ctl -D $dir/data -m immediate stop" >/dev/null 2>&1 || true; rm -rf "$dir"; }
trap stop EXIT
port=$(( 20000 + RANDOM % 20000 ))
as "$bin/initdb -D $dir/data -U postgres -A trust -E UTF8 --no-sync" >/dev/null
as "$bin/pg_ctl -D $dir/data -w -l $dir/log -o '-p $port -c listen_addresses=127.0.0.1 -k $dir -c fsync=off -c max_connections=300' start" >/dev/null
if [ -n "${RESTARTABLE:-}" ]; then # for a test that runs alone
  su=$([ "$(id -u)" = 0 ] && echo "su postgres -s /bin/bash -c" || echo "bash -c")
  export QBRIDGE_TEST_POSTGRES_RESTART="$su '$bin/pg_ctl -D $dir/data -m immediate -w -l $dir/log restart' >/dev/null"
fi
export QBRIDGE_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
"$@"
