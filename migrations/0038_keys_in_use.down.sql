drop table legacy_secrets;
drop table nodes;
alter table oauth_clients drop column previous_pepper_version;
alter table sessions drop column cookie_pepper;
