-- Sessions of browsers: a keyed hash of the cookie leads to the session.

alter table sessions add column cookie_hash {bytes};
create unique index sessions_cookie on sessions (cookie_hash) where cookie_hash is not null;
