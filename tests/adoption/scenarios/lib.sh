# What the scenarios share. Called as SCENARIO PROGRAM ADDRESS: the program of Charter, and the address of an empty database for the ERP
# (sqlite:/path/of/a/file or postgres://...). Everything else goes into a temporary folder, which is gone at the end.
# shellcheck shell=bash
set -euo pipefail

(($# == 2)) || { printf 'usage: %s PROGRAM ADDRESS\n' "$0" >&2; exit 2; }
scenarios=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
program=$(realpath -- "$1")
ERP=$2
work=$(mktemp -d)
declare -A running=()

# shellcheck disable=SC2317 # called by the trap
clean_up() {
  local status=$? pid
  trap - EXIT
  for pid in "${running[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${running[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf -- "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cd -- "$work"
for variable in "${!CHARTER_@}"; do unset "$variable"; done
# Warnings about the account of the database are for its operator.
export CHARTER_LOG=error

# On PostgreSQL Charter's tables stand beside those of the ERP, in a schema of their own; on SQLite in a file of their own, in the data folder.
case $ERP in
  postgres*) engine=postgres; export CHARTER_DATABASE=$ERP CHARTER_DATABASE_SCHEMA=charter ;;
  sqlite:*) engine=sqlite ;;
  *) printf '%s: sqlite:... or postgres://... is expected\n' "$ERP" >&2; exit 2 ;;
esac

find_psql() {
  local dir
  command -v psql && return
  for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin; do
    if [[ -x $dir/psql ]]; then printf '%s\n' "$dir/psql"; return; fi
  done
  echo 'psql is not installed' >&2
  return 1
}
if [[ $engine == postgres ]]; then psql=$(find_psql); fi

# sql: runs the statements of its input, one a line or many, as the ERP itself would, and prints the rows of the last.
sql() {
  if [[ $engine == postgres ]]; then
    "$psql" -X -q -At -v ON_ERROR_STOP=1 "$ERP"
  else
    local path=${ERP#sqlite:}
    python3 -c '
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("pragma journal_mode = wal")
statement = ""
for line in iter(sys.stdin.readline, ""):
    statement += line
    if sqlite3.complete_statement(statement):
        for row in database.execute(statement):
            print("|".join(str(value) for value in row))
        statement = ""
' "${path#//}"
  fi
}

charter() { "$program" "$@"; }

say() { printf '\n== %s\n' "$*"; }

# step COMMAND: shows it as one would type it, and runs it.
step() {
  printf '$ %s\n' "$1"
  eval "$1" 2>&1
}

# stops CODE COMMAND: the same for a command that has to end with this code.
stops() {
  local code=0
  printf '$ %s\n' "$2"
  eval "$2" 2>&1 || code=$?
  printf '[exit code %s]\n' "$code"
  [[ $code == "$1" ]] || exit 1
}

# may ORGANIZATION LOGIN PERMISSION: what Charter answers.
may() {
  local code=0
  charter check --org "$1" --as "$2" "$3" >answer 2>&1 || code=$?
  case $code in
    0) echo "Charter: $2 may $3" ;;
    1) echo "Charter: $2 may not $3" ;;
    *) echo "Charter: no answer about $2" ;;
  esac
}

# serve: Charter as a service, on a port of the loopback address that is free.
serve() {
  # It is read before the service writes to it.
  : >service.log
  # Not by the function: what is ended has to be the service itself.
  "$program" serve --listen 127.0.0.1:0 >>service.log 2>&1 &
  running[service]=$!
  for _ in $(seq 600); do
    service=$(sed -nE 's/^.*listens on (http[^ ]*).*$/\1/p' service.log)
    if [[ -n $service ]]; then return; fi
    kill -0 "${running[service]}" 2>/dev/null || break
    sleep 0.1
  done
  cat service.log
  exit 1
}

# end NAME: ends something that runs beside, and waits for it.
end() {
  kill "${running[$1]}"
  wait "${running[$1]}" || true
  unset "running[$1]"
}

# until_told TEXT COMMAND: runs a command until it tells a text; what is read again and again takes its time.
until_told() {
  for _ in $(seq 300); do
    if eval "$2" 2>&1 | grep -qF -- "$1"; then return; fi
    sleep 0.2
  done
  echo "never told: $1"
  eval "$2"
  exit 1
}

say "An ERP with organizations, users and orders"
sql <"$scenarios/erp.sql"
sql <<<"select count(*) || ' users in ' || count(distinct organization_id) || ' organizations' from users;"
