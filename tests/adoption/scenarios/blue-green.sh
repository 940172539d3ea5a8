#!/usr/bin/env bash
# Blue asks its own tables, green asks Charter. Both work on one database while people are led from one to the other, and back.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh" "$@"

# blue LOGIN: the rule that blue has in its code.
blue() {
  local may
  may=$(sql <<<"select count(*) from users where email = '$1' and is_active = true and lower(role) in ('accountant', 'org_admin');")
  if [[ $may == 1 ]]; then echo "blue:  $1 may write journals"; else echo "blue:  $1 may not write journals"; fi
}

# green LOGIN: green asks.
green() {
  local code=0
  charter check --org toys-co --as "$1" finance.journal_entries.create >answer 2>&1 || code=$?
  case $code in
    0) echo "green: $1 may write journals" ;;
    1) echo "green: $1 may not write journals" ;;
    *) echo "green: no answer about $1" ;;
  esac
}

# both: what either says of people whom it matters for.
both() {
  for login in ann@toys.example bob@toys.example cid@toys.example dan@toys.example; do
    blue "$login"
    green "$login"
  done
}

say "1. Blue works alone"
blue bob@toys.example
green bob@toys.example

say "2. Green is made ready: blue's people are taken over, and blue does not notice"
step 'charter adopt inspect --from "$ERP" --propose roles.toml >looked'
step "sed -i 's/\"night shift\" = \"?\"/\"night shift\" = \"none\"/' roles.toml"
step 'charter adopt plan --from "$ERP" --map roles.toml --accept "night shift" >planned'
step 'charter adopt apply --plan plan.json --from "$ERP" --no-backup Ann | tail -n 1'
green bob@toys.example

say "3. First point: green is proved, nobody is on it. The way back: roll back, and nothing was"
step 'charter adopt verify --from "$ERP"'
step 'charter adopt rollback --from "$ERP"'
blue bob@toys.example
green bob@toys.example
step 'charter adopt apply --plan plan.json --from "$ERP" --no-backup Ann | tail -n 1'
step both

say "4. Second point: people are on both. Blue's administrators still change roles, so verify before each step"
step 'charter adopt verify --from "$ERP"'
sql <<<"insert into users values (7, 'gus@toys.example', 'Gus', 'Accountant', true, 1, null);"
stops 1 'charter adopt verify --from "$ERP"'
step 'charter adopt plan --from "$ERP" --map roles.toml --accept "night shift" >planned'
step 'charter adopt apply --plan plan.json --from "$ERP" --no-backup Ann | tail -n 1'
step 'charter adopt verify --from "$ERP"'
blue gus@toys.example
green gus@toys.example

say "5. Third point: all are on green, and roles are changed there. The way back says what would be let go"
step 'charter assignments assign --org toys-co --role accountant --subject member:cid@toys.example >made'
green cid@toys.example
stops 1 'charter adopt verify --from "$ERP"'
stops 2 'charter adopt rollback --to run-1 --from "$ERP"'

say "6. Back to blue all the same: what was changed on green is let go on purpose"
step 'charter adopt rollback --to run-1 --from "$ERP" --discard'
step both
sql <<<"select count(*) || ' users are in the ERP, as ever' from users;"
