#!/usr/bin/env bash
# Staging: a copy of the real thing is taken over, looked at, given back, and taken over again; both times the proof says the same.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh" "$@"

say "1. A plan by which somebody gains wants names"
step 'charter adopt inspect --from "$ERP" --propose roles.toml >looked'
step "sed -i 's/\"night shift\" = \"?\"/\"night shift\" = \"packing_operator\"/' roles.toml"
stops 1 'charter adopt plan --from "$ERP" --map roles.toml'
step 'charter adopt plan --from "$ERP" --map roles.toml --accept "night shift" --approved-by Ann --approved-by Bob --differences who.jsonl'
step 'wc -l <who.jsonl'

say "2. Take over, with a backup and the proof in a file"
echo 'what pg_dump or a copy of the file would be' >erp.backup
step 'charter adopt apply --plan plan.json --from "$ERP" --backup erp.backup --proof first.json'
step 'charter adopt status'
may toys-co bob@toys.example finance.journal_entries.create
may toys-co dan@toys.example finance.journal_entries.create

say "3. Reset"
step 'charter adopt rollback --from "$ERP"'
may toys-co bob@toys.example finance.journal_entries.create

say "4. The same plan again"
step 'charter adopt apply --plan plan.json --from "$ERP" --backup erp.backup --proof second.json'
may toys-co bob@toys.example finance.journal_entries.create

say "5. Both proofs are signed, and say the same but for the run, its times and what was new"
# without_run FILE: a proof without what names one run.
without_run() {
  python3 -c '
import json, sys
proof = json.load(open(sys.argv[1]))
for name in ("run", "run_started_at", "started_at", "ended_at", "rows_new"):
    del proof[name]
json.dump(proof, sys.stdout, indent=1)
' "$1"
}
step 'charter adopt check-proof first.json | head -n 1'
step 'diff <(without_run first.json) <(without_run second.json) && echo alike'

say "6. The whole staging can go: Charter's tables were its own"
step 'charter migrate down --to 0 --yes >gone'
sql <<<"select count(*) || ' users are left in the ERP' from users;"
