#!/usr/bin/env bash
# Blue asks its own tables, green asks Charter. Both work on one database while people are led from one to the other, and back.
set -euo pipefail
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh" "$@"

# The rule that blue has in its code.
blue() {
  local role
  role=$(sql <<<"select lower(role) from users where email = '$1' and is_active = true;")
  if [[ $role == accountant || $role == org_admin ]]; then echo "blue: $1 may write journals"; else echo "blue: $1 may not write journals"; fi
}
# Green asks.
green() {
  local code=0
  charter check --org toys-co --as "$1" finance.journal_entries.create >answer 2>&1 || code=$?
  case $code in
    0) echo "green: $1 may write journals" ;;
    1) echo "green: $1 may not write journals" ;;
    *) echo "green: no answer about $1" ;;
  esac
}
