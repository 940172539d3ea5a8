-- Blocks: denials that nothing overrides. A principal may be blocked before becoming a member, hence no reference to memberships.

create table blocks (
    organization_id {id} not null references organizations (organization_id),
    block_id {id} not null,
    subject_kind {text} not null check (subject_kind in ('principal', 'team', 'role', 'everyone')),
    principal_id {id},
    team_id {id},
    role_key {text},
    pattern {text} not null,
    resource_kind {text},
    resource_id {text},
    starts_at {time},
    ends_at {time},
    condition_key {text},
    reason {text} not null,
    conflict_key {text},
    given_by {id},
    given_at {time} not null,
    primary key (organization_id, block_id),
    constraint blocks_window check (ends_at > starts_at),
    constraint blocks_subject check (
        (subject_kind = 'principal') = (principal_id is not null)
        and (subject_kind = 'team') = (team_id is not null)
        and (subject_kind = 'role') = (role_key is not null)
    ),
    constraint blocks_reach check (resource_id is null or resource_kind is not null),
    constraint blocks_team foreign key (organization_id, team_id) references teams (organization_id, team_id),
    constraint blocks_condition foreign key (organization_id, condition_key) references conditions (organization_id, condition_key)
){clustered};
-- isolate: blocks
create index blocks_principal on blocks (organization_id, principal_id, block_id);
create index blocks_team_id on blocks (organization_id, team_id, block_id);
create index blocks_role on blocks (organization_id, role_key, block_id);
create index blocks_condition_key on blocks (organization_id, condition_key);
create index blocks_resource on blocks (organization_id, resource_kind, resource_id, block_id);
