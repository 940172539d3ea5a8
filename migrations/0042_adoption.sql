-- Adoption: what was taken over from another system, by which run, step by step. A run is carried out, gone on with and taken back by these rows.

create table adoption_runs (
    run_no {int} not null primary key check (run_no > 0),
    -- The other system, by the name the operator gave it.
    source_key {text} not null,
    system {text} not null,
    engine {text} not null check (engine in ('sqlite', 'postgres', 'file')),
    state {text} not null check (state in ('applying', 'applied', 'failed', 'undoing', 'undone')),
    plan_hash {text} not null,
    plan {json} not null,
    -- What the other system's rows came to when the plan was made.
    facts_fingerprint {text} not null,
    error {text},
    started_at {time} not null,
    ended_at {time},
    -- When its equivalence held first: until then the accounts it brings are suspended.
    opened_at {time}
){clustered};
create index adoption_runs_source on adoption_runs (source_key, run_no);

create table adoption_steps (
    run_no {int} not null references adoption_runs (run_no),
    step {text} not null check (step in ('before', 'schema', 'data', 'equivalence')),
    state {text} not null check (state in ('running', 'done', 'failed', 'undone')),
    row_count {int} not null,
    checksum {text},
    detail {json} not null,
    error {text},
    started_at {time} not null,
    ended_at {time},
    primary key (run_no, step)
){clustered};

-- Which organization of the other system is which here.
create table adopted_organizations (
    source_key {text} not null,
    legacy_id {text} not null,
    organization_id {id} not null,
    run_no {int} not null references adoption_runs (run_no),
    primary key (source_key, legacy_id)
){clustered};
create index adopted_organizations_run on adopted_organizations (run_no, source_key, legacy_id);
create index adopted_organizations_organization on adopted_organizations (organization_id);

-- Which user of the other system is which account here.
create table adopted_users (
    source_key {text} not null,
    legacy_id {text} not null,
    principal_id {id} not null,
    run_no {int} not null references adoption_runs (run_no),
    primary key (source_key, legacy_id)
){clustered};
create index adopted_users_run on adopted_users (run_no, source_key, legacy_id);
create index adopted_users_principal on adopted_users (principal_id);

-- What else a run wrote that the range of its ids does not tell: into which organizations, memberships of accounts that were there before it,
-- roles, and what modules are on.
create table adopted_rows (
    run_no {int} not null references adoption_runs (run_no),
    kind {text} not null check (kind in ('organization', 'membership', 'role', 'entitlement')),
    organization_id {id} not null,
    row_key {text} not null,
    primary key (run_no, kind, organization_id, row_key)
){clustered};
create index adopted_rows_organization on adopted_rows (organization_id);

-- Organizations that a rollback removed, for a day: nodes that remember them read here that they are gone.
create table removed_organizations (
    organization_id {id} not null primary key,
    organization_key {text} not null,
    removed_at {time} not null
){clustered};
create index removed_organizations_removed_at on removed_organizations (removed_at, organization_id);

-- Whoever is removed may have begun sessions of support.
create index sessions_supporter on sessions (supporter_id) where supporter_id is not null;
