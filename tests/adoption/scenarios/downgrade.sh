#!/usr/bin/env bash
# The way back in steps: by one run, to a named run, and Charter's own tables by one migration and to a named one, and forward again.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh" "$@"

states() { charter adopt status | grep '^run'; }

say "1. Three runs, as the ERP goes on"
step 'charter adopt inspect --from "$ERP" --propose roles.toml >looked'
step "sed -i 's/\"night shift\" = \"?\"/\"night shift\" = \"none\"/' roles.toml"
take_over() {
  charter adopt plan --from "$ERP" --map roles.toml --accept "night shift" >planned
  charter adopt apply --from "$ERP" --no-backup Ann | grep -E '^run|were new'
}
take_over
sql <<<"insert into users values (7, 'gus@toys.example', 'Gus', 'Accountant', true, 1, null);"
take_over
sql <<<"insert into users values (8, 'hal@toys.example', 'Hal', 'Accountant', true, 1, null);"
take_over
step states
may toys-co bob@toys.example finance.journal_entries.create
may toys-co gus@toys.example finance.journal_entries.create
may toys-co hal@toys.example finance.journal_entries.create

say "2. Back by one run"
step 'charter adopt rollback --from "$ERP"'
step states
may toys-co gus@toys.example finance.journal_entries.create
may toys-co hal@toys.example finance.journal_entries.create

say "3. Forward again, and back to a named run"
take_over
step 'charter adopt rollback --to run-1 --from "$ERP"'
step states
may toys-co bob@toys.example finance.journal_entries.create
may toys-co gus@toys.example finance.journal_entries.create
stops 2 'charter adopt rollback --to run-9'

say "4. Charter's own tables back by one migration: without --yes it says what would go"
newest=$(charter migrate status --json | python3 -c 'import json, sys; print(max(it["number"] for it in json.load(sys.stdin)["migrations"]))')
back=$((newest - 1))
step 'charter migrate down --to "$back"'
step 'charter migrate down --to "$back" --yes'
step 'charter migrate up'
may toys-co bob@toys.example finance.journal_entries.create

say "5. To a named one, before which there was no adoption: what was taken over goes first"
step 'charter adopt rollback --from "$ERP"'
step 'charter migrate down --to 41 --yes | tail -n 1'
step 'charter migrate status | grep adoption'
step 'charter migrate up | head -n 1'
take_over
may toys-co hal@toys.example finance.journal_entries.create
