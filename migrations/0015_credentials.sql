-- Credentials of callers: service tokens and API keys. Only a hash is kept.

create table credentials (
    organization_id {id} not null references organizations (organization_id),
    credential_id {id} not null,
    principal_id {id} not null,
    -- The letter after ch in the token: k user key, s service token.
    kind {text} not null check (kind in ('k', 's')),
    -- The public part of the token.
    key_id {text} not null,
    -- 1 HMAC-SHA-256 with a pepper, 2 bcrypt (adopted), 3 SHA-256 (imported).
    alg {int} not null check (alg in (1, 2, 3)),
    pepper_version {int},
    hash {bytes} not null,
    name {text} not null,
    -- Null: everything its principal may.
    scopes {json},
    -- Null: from anywhere.
    addresses {json},
    not_before {time},
    expires_at {time},
    revoked_at {time},
    revoked_by {id},
    revoke_reason {text},
    successor_of {id},
    overlap_until {time},
    created_by {id},
    created_at {time} not null,
    last_used_at {time},
    last_used_address {text},
    use_count {int} not null,
    row_version {int} not null,
    primary key (organization_id, credential_id),
    constraint credentials_window check (expires_at > not_before)
){clustered};
-- isolate: credentials
create index credentials_principal on credentials (organization_id, principal_id, credential_id);

-- Directory: where the credential of a key id is. Key ids are unique and never used again.
create table credential_keys (
    key_id {text} not null primary key,
    organization_id {id} not null,
    credential_id {id} not null
){clustered};
