-- What was for other resources ends: without these columns it would be for Charter itself.
delete from oauth_codes where resources <> '[]';
delete from sessions where resources <> '[]';
alter table sessions drop column resources;
alter table oauth_codes drop column resources;
alter table oauth_clients drop column resources;
