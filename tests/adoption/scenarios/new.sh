#!/usr/bin/env bash
# A new installation with nothing to take over: the tables, an organization, people with roles of the catalogue.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh" "$@"

say "1. The tables; the ERP next to them is not touched"
step 'charter migrate up >applied'
step 'charter adopt status'

say "2. The first organization, and who works there"
step 'charter organizations create --key bricks --name "Bricks Ltd" --enabled-modules '\''{"finance": true}'\'' >made'
step 'charter members add --org bricks --login ida@bricks.example --name Ida >made'
step 'charter members add --org bricks --login jon@bricks.example --name Jon >made'
step 'charter assignments assign --org bricks --role org_admin --subject member:ida@bricks.example >made'
step 'charter assignments assign --org bricks --role accountant --subject member:jon@bricks.example >made'

say "3. Who may do what"
may bricks ida@bricks.example admin.roles.update
may bricks jon@bricks.example admin.roles.update
may bricks jon@bricks.example finance.journal_entries.create
may bricks jon@bricks.example sales.customers.create

say "4. Nothing was taken over, and nothing can be taken back"
step 'charter adopt status'
step 'charter adopt rollback'
stops 2 'charter adopt verify --from "$ERP"'
step 'charter adopt shadow status'
