-- Keys that sign our tokens. The private part is sealed, and destroyed when the key retires from signing.

create table signing_keys (
    kid {text} not null primary key,
    purpose {text} not null check (purpose in ('access', 'id', 'export', 'internal')),
    alg {text} not null check (alg in ('EdDSA', 'ES256', 'RS256')),
    state {text} not null check (state in ('pending', 'active', 'retiring', 'retired', 'revoked')),
    public_key {bytes} not null,
    sealed_private {bytes},
    created_at {time} not null,
    published_at {time} not null,
    activates_at {time} not null,
    retired_at {time},
    removed_at {time},
    revoked_at {time},
    revoke_reason {text},
    constraint signing_keys_private check (state in ('pending', 'active') or sealed_private is null)
){clustered};
create index signing_keys_state on signing_keys (purpose, state);
-- One key of a purpose signs at a time.
create unique index signing_keys_active on signing_keys (purpose) where state = 'active';
