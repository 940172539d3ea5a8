-- What clients were given ends with them: without these columns it would be a session of its owner's own.
delete from sessions where client_id is not null;
drop index sessions_parent;
drop index sessions_client;
alter table sessions drop column parent_session_id;
alter table sessions drop column scope;
alter table sessions drop column client_id;
drop table oauth_consents;
drop table oauth_codes;
drop table oauth_client_homes;
drop table oauth_clients;
