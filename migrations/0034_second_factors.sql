-- Second factors of principals: authenticator apps (TOTP) and passkeys. They belong to the account, whatever its organizations are.

create table second_factors (
    factor_id {id} not null primary key,
    principal_id {id} not null,
    kind {text} not null check (kind in ('totp', 'passkey')),
    name {text} not null,
    -- The seed of an authenticator app, sealed under the factor's id.
    sealed_secret {bytes},
    -- The newest time step a code was taken for: a code counts once.
    last_step {int},
    -- What a passkey is known by, it as the library that judges passkeys keeps it, and how often it says it was used.
    credential_id {bytes},
    passkey {json},
    sign_count {int} not null,
    created_at {time} not null,
    -- None while its owner has not shown that they have it.
    confirmed_at {time},
    last_used_at {time},
    constraint second_factors_totp check ((kind = 'totp') = (sealed_secret is not null)),
    constraint second_factors_passkey check (
        (kind = 'passkey') = (credential_id is not null) and (kind = 'passkey') = (passkey is not null)
    )
){clustered};
create index second_factors_principal on second_factors (principal_id, factor_id);
create unique index second_factors_credential on second_factors (credential_id) where credential_id is not null;
create index second_factors_waiting on second_factors (created_at, factor_id) where confirmed_at is null;

-- Keyed hashes of recovery codes; one that is used is gone.
create table recovery_codes (
    principal_id {id} not null,
    code_hash {bytes} not null,
    created_at {time} not null,
    primary key (principal_id, code_hash)
){clustered};

-- Challenges that were answered: none is answered twice. They are forgotten when nobody could answer them any more.
create table spent_challenges (
    challenge {bytes} not null primary key,
    expires_at {time} not null
){clustered};
create index spent_challenges_expires on spent_challenges (expires_at, challenge);

-- Whose password is too short to be the only factor.
create table short_passwords (
    principal_id {id} not null primary key
){clustered};
