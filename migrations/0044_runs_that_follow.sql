-- A run of adoption follows what changed in the other system since the one before it: what it changed or removed stands here as it was, so
-- that taking the run back puts it back.

create table adopted_changes (
    run_no {int} not null references adoption_runs (run_no),
    kind {text} not null check (kind in ('assignment', 'grant', 'membership', 'account', 'role', 'entitlement', 'organization')),
    -- Zero for what belongs to the installation.
    organization_id {id} not null,
    row_key {text} not null,
    before {json} not null,
    -- What the run made of it; null for what it removed.
    after {json},
    changed_at {time} not null,
    primary key (run_no, kind, organization_id, row_key)
){clustered};
create index adopted_changes_row on adopted_changes (kind, organization_id, row_key, run_no);

-- What stands for the login and the name that the other system gave an account: whoever changed them here since is found by it. None was kept before.
alter table adopted_users add column
    told_sum {int};
