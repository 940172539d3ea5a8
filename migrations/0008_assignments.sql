-- Assignments: a role given to a principal or a team. The role is a plain key, as it may be a shipped one.

create table assignments (
    organization_id {id} not null references organizations (organization_id),
    assignment_id {id} not null,
    role_key {text} not null,
    principal_id {id},
    team_id {id},
    starts_at {time},
    ends_at {time},
    condition_key {text},
    reason {text} not null,
    given_by {id},
    given_at {time} not null,
    primary key (organization_id, assignment_id),
    constraint assignments_window check (ends_at > starts_at),
    constraint assignments_subject check ((principal_id is null) <> (team_id is null)),
    constraint assignments_member foreign key (organization_id, principal_id) references memberships (organization_id, principal_id),
    constraint assignments_team foreign key (organization_id, team_id) references teams (organization_id, team_id),
    constraint assignments_condition foreign key (organization_id, condition_key)
        references conditions (organization_id, condition_key)
){clustered};
-- isolate: assignments
create index assignments_role on assignments (organization_id, role_key, assignment_id);
create index assignments_principal on assignments (organization_id, principal_id, assignment_id);
create index assignments_team_id on assignments (organization_id, team_id, assignment_id);
create index assignments_condition_key on assignments (organization_id, condition_key);
