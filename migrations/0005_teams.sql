-- Teams: a tree of sets of members. A member of a team is a member of the teams above it.

create table teams (
    organization_id {id} not null references organizations (organization_id),
    team_id {id} not null,
    team_key {text} not null,
    name {text} not null,
    parent_id {id},
    created_at {time} not null,
    updated_at {time} not null,
    primary key (organization_id, team_id),
    constraint teams_parent foreign key (organization_id, parent_id) references teams (organization_id, team_id)
){clustered};
-- isolate: teams
create unique index teams_key on teams (organization_id, team_key);
create index teams_parent_id on teams (organization_id, parent_id);

create table team_members (
    organization_id {id} not null,
    team_id {id} not null,
    principal_id {id} not null,
    added_at {time} not null,
    primary key (organization_id, team_id, principal_id),
    constraint team_members_team foreign key (organization_id, team_id) references teams (organization_id, team_id),
    constraint team_members_member foreign key (organization_id, principal_id) references memberships (organization_id, principal_id)
){clustered};
-- isolate: team_members
create index team_members_principal on team_members (organization_id, principal_id, team_id);
