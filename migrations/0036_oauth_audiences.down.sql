-- What was for other services ends: without these columns it would be for Charter itself.
delete from oauth_codes where audiences <> '[]';
delete from sessions where audiences <> '[]';
alter table sessions drop column audiences;
alter table oauth_codes drop column audiences;
alter table oauth_clients drop column audiences;
