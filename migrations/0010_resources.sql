-- Resources an application registered, with owner and attributes.

create table resources (
    organization_id {id} not null references organizations (organization_id),
    resource_kind {text} not null,
    resource_id {text} not null,
    owner_id {id},
    attributes {json} not null,
    created_at {time} not null,
    updated_at {time} not null,
    primary key (organization_id, resource_kind, resource_id)
){clustered};
-- isolate: resources
create index resources_owner on resources (organization_id, owner_id, resource_kind, resource_id);

-- Directory: the organizations a resource is registered in, written in the same transaction. It answers whether an id belongs elsewhere.
create table resource_homes (
    resource_kind {text} not null,
    resource_id {text} not null,
    organization_id {id} not null,
    primary key (resource_kind, resource_id, organization_id)
){clustered};

-- The types of which anything is registered anywhere: a check of another type need not ask the directory.
create table resource_kinds (
    resource_kind {text} not null primary key
){clustered};
