-- What API keys have beyond service tokens: a rate, a hash of ours beside an adopted one, quarantine, notices of their end.

alter table credentials add column requests_per_minute {int} check (requests_per_minute > 0);
-- HMAC of an adopted key's whole text, from its first use on; the hash it came with stays as it was.
alter table credentials add column upgraded_hash {bytes};
-- Reported as leaked: refused until somebody decides.
alter table credentials add column quarantined_at {time};
-- Days before its end for which its owner was told last.
alter table credentials add column notice_days {int};
create index credentials_expiring on credentials (expires_at, organization_id, credential_id) where expires_at is not null and revoked_at is null;

-- How often a credential was used and refused, hour by hour.
create table credential_uses (
    organization_id {id} not null,
    credential_id {id} not null,
    hour {time} not null,
    uses {int} not null,
    refusals {int} not null,
    primary key (organization_id, credential_id, hour)
){clustered};
-- isolate: credential_uses
create index credential_uses_hour on credential_uses (hour);

-- From which networks a credential was used.
create table credential_networks (
    organization_id {id} not null,
    credential_id {id} not null,
    network {text} not null,
    first_used_at {time} not null,
    primary key (organization_id, credential_id, network)
){clustered};
-- isolate: credential_networks

-- When the whole rate of a credential is available again, in microseconds since 1970: what nodes took from it adds up here.
create table credential_rates (
    organization_id {id} not null,
    credential_id {id} not null,
    full_at {int} not null,
    primary key (organization_id, credential_id)
){clustered};
-- isolate: credential_rates

-- What happens to a key that was reported as leaked; nothing said is quarantine.
alter table organization_identity_settings add column leaked_keys {text} check (leaked_keys in ('notify', 'quarantine', 'revoke'));
