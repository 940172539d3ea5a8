-- What people remove by hand of what runs of adoption gave, so that the next run does not give it again without a word; and what a run was told
-- to keep away for good.

create table adopted_removals (
    organization_id {id} not null references organizations (organization_id),
    kind {text} not null check (kind in ('assignment', 'grant', 'membership')),
    -- Of a membership, the account.
    row_id {id} not null,
    principal_id {id} not null,
    removed_at {time} not null,
    primary key (organization_id, principal_id, kind, row_id)
){clustered};
-- isolate: adopted_removals

create table adopted_kept_away (
    run_no {int} not null references adoption_runs (run_no),
    organization_id {id} not null,
    principal_id {id} not null,
    kind {text} not null check (kind in ('assignment', 'grant', 'membership')),
    -- The role or the permission; empty for the membership.
    row_key {text} not null,
    -- What a role that is not shipped would give, and a grant: a list of patterns.
    gives {json} not null,
    primary key (run_no, organization_id, principal_id, kind, row_key)
){clustered};
create index adopted_kept_away_organization on adopted_kept_away (organization_id, run_no);

-- Whether removals were noted from the beginning of the run on. Of those before, nobody knows what people took away since.
alter table adoption_runs add column removals_noted {int} not null default 0;
