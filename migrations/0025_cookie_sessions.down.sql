drop index sessions_cookie;
alter table sessions drop column cookie_hash;
