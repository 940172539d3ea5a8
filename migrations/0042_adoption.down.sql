drop index sessions_supporter;
drop table removed_organizations;
drop table adopted_rows;
drop table adopted_users;
drop table adopted_organizations;
drop table adoption_steps;
drop table adoption_runs;
