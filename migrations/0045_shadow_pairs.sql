-- What was compared since answers differed last, or since the comparison began: how many answers, and of whom about what.
alter table shadow_organizations add column quiet_compared {int} not null default 0;
alter table shadow_organizations add column quiet_pairs {int} not null default 0;

create table shadow_pairs (
    organization_id {id} not null references organizations (organization_id),
    principal_id {id} not null,
    permission {text} not null,
    primary key (organization_id, principal_id, permission)
){clustered};
-- isolate: shadow_pairs
