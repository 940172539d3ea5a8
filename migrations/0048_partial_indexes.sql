-- Most assignments, grants and blocks are a person's and have no condition: they need no place in the indexes of teams and of conditions.
drop index assignments_team_id;
drop index assignments_condition_key;
drop index grants_team_id;
drop index grants_condition_key;
drop index blocks_team_id;
drop index blocks_condition_key;
drop index role_permissions_condition_key;
create index assignments_team_id on assignments (organization_id, team_id, assignment_id) where team_id is not null;
create index assignments_condition_key on assignments (organization_id, condition_key) where condition_key is not null;
create index grants_team_id on grants (organization_id, team_id, grant_id) where team_id is not null;
create index grants_condition_key on grants (organization_id, condition_key) where condition_key is not null;
create index blocks_team_id on blocks (organization_id, team_id, block_id) where team_id is not null;
create index blocks_condition_key on blocks (organization_id, condition_key) where condition_key is not null;
create index role_permissions_condition_key on role_permissions (organization_id, condition_key) where condition_key is not null;
