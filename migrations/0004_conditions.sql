-- Conditions: named predicates of an organization, referred to by grants, blocks, assignments and roles.

create table conditions (
    organization_id {id} not null references organizations (organization_id),
    condition_key {text} not null,
    condition {json} not null,
    created_at {time} not null,
    updated_at {time} not null,
    primary key (organization_id, condition_key)
){clustered};
-- isolate: conditions
