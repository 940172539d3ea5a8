-- Clients that know nothing but RS256 take no ID token afterwards; its keys go, so that one signs for each purpose.
delete from signing_keys where alg = 'RS256';
drop index signing_keys_active;
create unique index signing_keys_active on signing_keys (purpose) where state = 'active';
alter table oauth_clients drop column id_token_alg;
