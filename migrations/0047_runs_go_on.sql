-- How far the accounts of a run are open, while they are opened page by page: whoever is suspended behind that stays so.
alter table adoption_runs add column
    opened_to {id};

-- Passwords of accounts that a run replaced because the other system has another by now: what was kept before.
create table adopted_passwords (
    run_no {int} not null references adoption_runs (run_no),
    principal_id {id} not null,
    hash_before {text},
    changed_at_before {time},
    changed_at {time} not null,
    primary key (run_no, principal_id)
){clustered};
create index adopted_passwords_principal on adopted_passwords (principal_id, changed_at);
