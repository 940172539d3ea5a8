-- Some clients know no other signature of ID tokens than RS256.
alter table oauth_clients add column
    id_token_alg {text} not null default 'ES256' check (id_token_alg in ('ES256', 'RS256'));
-- One key signs at a time of those that sign the same in the same way.
drop index signing_keys_active;
create unique index signing_keys_active on signing_keys (purpose, alg) where state = 'active';
