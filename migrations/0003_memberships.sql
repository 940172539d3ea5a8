-- Memberships: principals in organizations. No reference to principals, which are keyed by their own id alone.

create table memberships (
    organization_id {id} not null references organizations (organization_id),
    principal_id {id} not null,
    status {text} not null default 'active' check (status in ('active', 'suspended', 'deactivated')),
    starts_at {time},
    ends_at {time},
    attributes {json} not null,
    created_at {time} not null,
    updated_at {time} not null,
    primary key (organization_id, principal_id),
    constraint memberships_window check (ends_at > starts_at)
){clustered};
-- isolate: memberships

-- Directory: the organizations of a principal, written in the same transaction as the membership.
create table principal_memberships (
    principal_id {id} not null,
    organization_id {id} not null,
    primary key (principal_id, organization_id)
){clustered};
