-- Roles an organization made itself; the shipped ones live in the catalogue. A parent may be of either sort, so it is a plain key.

create table roles (
    organization_id {id} not null references organizations (organization_id),
    role_key {text} not null,
    name {text} not null,
    level {text} not null check (level in ('viewer', 'developer', 'manager', 'admin')),
    created_at {time} not null,
    updated_at {time} not null,
    primary key (organization_id, role_key)
){clustered};
-- isolate: roles

create table role_parents (
    organization_id {id} not null,
    role_key {text} not null,
    position {int} not null,
    parent_key {text} not null,
    primary key (organization_id, role_key, position),
    constraint role_parents_role foreign key (organization_id, role_key) references roles (organization_id, role_key)
){clustered};
-- isolate: role_parents
create index role_parents_parent on role_parents (organization_id, parent_key);

create table role_permissions (
    organization_id {id} not null,
    role_key {text} not null,
    position {int} not null,
    pattern {text} not null,
    condition_key {text},
    primary key (organization_id, role_key, position),
    constraint role_permissions_role foreign key (organization_id, role_key) references roles (organization_id, role_key),
    constraint role_permissions_condition foreign key (organization_id, condition_key)
        references conditions (organization_id, condition_key)
){clustered};
-- isolate: role_permissions
create index role_permissions_condition_key on role_permissions (organization_id, condition_key);
