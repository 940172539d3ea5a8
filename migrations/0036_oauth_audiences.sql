-- What access tokens may be for besides Charter itself (RFC 8707): what a client is registered for, what a code was asked for, and what a
-- session of a client may get tokens for. Nothing is Charter itself.
alter table oauth_clients add column
    audiences {json} not null default '[]';
alter table oauth_codes add column
    audiences {json} not null default '[]';
alter table sessions add column
    audiences {json} not null default '[]';
