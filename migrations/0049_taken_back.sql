-- What an assignment or a grant gave that people removed: the role or the permission, and the patterns of a role that is not shipped.
alter table adopted_removals add column
    row_key {text} not null default '';
alter table adopted_removals add column
    gives {json} not null default '[]';
create index adopted_removals_principal on adopted_removals (principal_id, kind);

-- When a run wrote the row that it recorded: one of the same key that was made at another moment is people's.
alter table adopted_rows add column
    recorded_at {time};

-- Organizations that a rollback closed: the next run opens these, and no others.
create table adopted_closed (
    organization_id {id} not null primary key,
    closed_at {time} not null
){clustered};
-- isolate: adopted_closed
