-- Grants: rights and denials outside roles, with a reach and a window.

create table grants (
    organization_id {id} not null references organizations (organization_id),
    grant_id {id} not null,
    principal_id {id},
    team_id {id},
    pattern {text} not null,
    resource_kind {text},
    resource_id {text},
    effect {text} not null check (effect in ('allow', 'deny')),
    starts_at {time},
    ends_at {time},
    condition_key {text},
    reason {text} not null,
    given_by {id},
    given_at {time} not null,
    primary key (organization_id, grant_id),
    constraint grants_window check (ends_at > starts_at),
    constraint grants_subject check ((principal_id is null) <> (team_id is null)),
    constraint grants_reach check (resource_id is null or resource_kind is not null),
    constraint grants_member foreign key (organization_id, principal_id) references memberships (organization_id, principal_id),
    constraint grants_team foreign key (organization_id, team_id) references teams (organization_id, team_id),
    constraint grants_condition foreign key (organization_id, condition_key) references conditions (organization_id, condition_key)
){clustered};
-- isolate: grants
create index grants_principal on grants (organization_id, principal_id, grant_id);
create index grants_team_id on grants (organization_id, team_id, grant_id);
create index grants_condition_key on grants (organization_id, condition_key);
create index grants_resource on grants (organization_id, resource_kind, resource_id, grant_id);
