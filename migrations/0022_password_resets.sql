-- Forgotten passwords. First what was asked: the same row whether or not there is such an account. Then, where there is one, a job adds
-- the keyed hash of the token that was mailed.

create table password_resets (
    reset_id {id} not null primary key,
    -- Keyed hash of the login, to count how often it was asked.
    login_hash {bytes} not null,
    -- The login, sealed; null once the job has looked at it.
    login {bytes},
    principal_id {id},
    token_hash {bytes},
    -- Keyed hash of the account and of its password hash when the token was made: with another password the token is worth nothing.
    bound_to {bytes},
    asked_at {time} not null,
    expires_at {time} not null,
    used_at {time}
){clustered};
create unique index password_resets_token on password_resets (token_hash) where token_hash is not null;
create index password_resets_asked on password_resets (login_hash, asked_at);
create index password_resets_waiting on password_resets (asked_at, reset_id) where login is not null;
create index password_resets_expires on password_resets (expires_at, reset_id);
