#!/usr/bin/env bash
# The ERP answers and Charter is compared with it; a difference is seen, and the organization goes on, back, and out.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh" "$@"

write=finance.journal_entries.create

say "1. Take over, and start Charter with a way to ask the ERP"
charter adopt inspect --from "$ERP" --propose roles.toml >looked
sed -i 's/"night shift" = "?"/"night shift" = "none"/' roles.toml
charter adopt plan --from "$ERP" --map roles.toml --accept "night shift" >planned
charter adopt apply --plan plan.json --from "$ERP" --no-backup Ann | tail -n 1
export CHARTER_SHADOW_FROM=$ERP CHARTER_SHADOW_MAP=$PWD/roles.toml CHARTER_SHADOW_REFRESH=3s
serve

say "2. The ERP answers"
step 'charter adopt shadow start --every-organization'
until_told denied_by_legacy "charter check --org toys-co --as cid@toys.example $write --explain --json || true"
stops 1 "charter check --org toys-co --as cid@toys.example $write"

say "3. Cid becomes an accountant there, and not here: both answers and both reasons"
sql <<<"update users set role = 'Accountant' where id = 3;"
until_told allowed_by_legacy "charter check --org toys-co --as cid@toys.example $write --explain --json || true"
step "charter check --org toys-co --as cid@toys.example $write"
step "charter check --org toys-co --as cid@toys.example $write --explain"
until_told loss 'charter adopt shadow flips --org toys-co'
step 'charter adopt shadow flips --org toys-co'

say "4. So nothing is cut over, unless somebody insists"
stops 1 'charter adopt shadow cut-over --org toys-co --after 3d --compared 1000'
step 'charter adopt shadow cut-over --org toys-co --force --reason "Cid is no accountant"'
stops 1 "charter check --org toys-co --as cid@toys.example $write"

say "5. Back to the ERP's answers, and out of it: Charter answers alone, which takes --force where it was not cut over"
step 'charter adopt shadow back --org toys-co'
stops 1 'charter adopt shadow stop --org toys-co'
step 'charter adopt shadow stop --org toys-co --force'
step 'charter adopt shadow status'

say "6. Answers that the ERP recorded, compared line by line"
cat >answers.jsonl <<'LINES'
{"organization": 1, "user": 2, "permission": "finance.journal_entries.create", "allow": true}
{"organization": 1, "user": 3, "permission": "finance.journal_entries.create", "allow": true}
LINES
stops 1 'charter adopt shadow --log-file answers.jsonl'
end service
