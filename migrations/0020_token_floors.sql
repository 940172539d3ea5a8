-- Instants before which no token counts: for everybody, for an organization, for a principal. And at most one key of a purpose waits
-- to sign.

create table token_floors (
    scope {text} not null check (scope in ('installation', 'organization', 'principal')),
    -- Zero for the installation.
    subject_id {id} not null,
    not_before {time} not null,
    reason {text} not null,
    set_at {time} not null,
    primary key (scope, subject_id)
){clustered};
create index token_floors_set on token_floors (set_at, scope, subject_id);
-- `state` is in it so that SQLite, which names columns where it means an index, can tell it from `signing_keys_active`.
create unique index signing_keys_pending on signing_keys (purpose, state) where state = 'pending';
