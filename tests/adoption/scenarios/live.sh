#!/usr/bin/env bash
# A live system: the ERP goes on taking orders while Charter, as a service, takes over its roles, answers beside it, and then alone.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh" "$@"

# orders: the ERP at work. Each order is written down once it is stored.
orders() {
  local id
  for ((id = 1; ; id++)); do
    echo "insert into orders values ($id, 1 + $id % 6, 100);" || return 0
    echo "$id" >>taken
    sleep 0.05
  done
}
orders > >(sql) 2>/dev/null &
running[orders]=$!

say "1. Look at it, and say what its roles become"
step 'charter adopt inspect --from "$ERP" --propose roles.toml'
step "sed -i 's/\"night shift\" = \"?\"/\"night shift\" = \"none\"/' roles.toml"

say "2. Start the service, which is told where the other system is"
export CHARTER_SHADOW_FROM=$ERP CHARTER_SHADOW_MAP=$PWD/roles.toml CHARTER_SHADOW_REFRESH=3s
serve

say "3. Plan, and take over through the service"
step 'charter adopt plan --from "$ERP" --map roles.toml --accept "night shift"'
step 'charter adopt apply --plan plan.json --from "$ERP" --no-backup "Ann Admin"'
step 'charter adopt verify --from "$ERP"'

say "4. The other system answers, and Charter is compared with it"
step 'charter adopt shadow start --every-organization --reason "two weeks of comparing"'
until_told allowed_by_legacy 'charter check --org toys-co --as bob@toys.example finance.journal_entries.create --json'
may toys-co bob@toys.example finance.journal_entries.create
may toys-co bob@toys.example admin.roles.update

say "5. Cut over: here after two answers, in earnest after days"
stops 1 'charter adopt shadow cut-over --org toys-co'
step 'charter adopt shadow cut-over --org toys-co --force --reason "a scenario has no days"'

say "6. An application asks with a key of its own"
step 'charter members add --org toys-co --login erp-server --kind service_account >made'
step 'charter roles create --org toys-co --key asker --name "May ask" --permissions '\''[{"permission": "admin.permissions.read"}]'\'' >made'
step 'charter assignments assign --org toys-co --role asker --subject member:erp-server >made'
charter service-tokens create --org toys-co --account erp-server --name erp --json >token.json
ask() {
  python3 -c '
import json, sys, urllib.request
token = json.load(open("token.json"))["token"]
question = {"subject": {"type": "user", "id": sys.argv[2]}, "action": {"name": "create"}, "resource": {"type": sys.argv[3], "id": "1"}}
request = urllib.request.Request(sys.argv[1] + "/access/v1/evaluation", json.dumps(question).encode(),
    {"authorization": "Bearer " + token, "content-type": "application/json"})
answer = json.load(urllib.request.urlopen(request))
print(sys.argv[2], "create", sys.argv[3] + ":", answer["decision"], answer["context"]["reason"])
' "$service" "$@"
}
ask bob@toys.example journal_entries
ask cid@toys.example journal_entries

say "7. Nothing was lost meanwhile"
step 'charter adopt verify --from "$ERP" --accept member:erp-server'
end orders
sleep 0.2
taken=$(wc -l <taken)
stored=$(sql <<<"select count(*) from orders;")
((taken > 10 && stored >= taken)) || { echo "$stored orders are stored of $taken"; exit 1; }
echo "every order that the ERP took meanwhile is stored"
end service
