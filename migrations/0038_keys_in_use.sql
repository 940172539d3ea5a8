-- Who uses which keys: the versions of the pepper under cookies and former secrets, the nodes that run and what keys they have read, and
-- how often tokens of a former system were taken.

-- None was written down before; such a cookie or secret is hashed anew when it is shown next.
alter table sessions add column
    cookie_pepper {int};
alter table oauth_clients add column
    previous_pepper_version {int};

create table nodes (
    node_id {id} not null primary key,
    version {text} not null,
    started_at {time} not null,
    -- From a minute after this on it does not count as running.
    seen_at {time} not null,
    -- What stands for the signing keys as it read them last.
    signing_keys {text} not null
){clustered};

create table legacy_secrets (
    -- Keyed hash: nothing can be learned from it.
    secret_id {text} not null primary key,
    taken_at {time} not null,
    accepted {int} not null,
    last_accepted_at {time},
    ended_at {time}
){clustered};
