-- The vault: keys that seal what is sensitive, versions of the pepper, and leases by which one node at a time does a job.

create table vault_keys (
    key_number {int} not null primary key check (key_number > 0),
    -- Which key-encryption key of the configuration sealed it; nothing can be learned from it.
    kek_id {text} not null,
    -- The key, sealed; null once it is destroyed.
    wrapped_key {bytes},
    created_at {time} not null,
    -- From here on it seals; by then every node has read it.
    activates_at {time} not null,
    -- How long the keys before it are kept when nothing is sealed by them any more.
    keep_seconds {int} not null,
    -- Values that could not be opened when they were last to be sealed again.
    unreadable {int} not null,
    -- When nothing was left that it sealed.
    retired_at {time},
    destroy_at {time},
    destroyed_at {time}
){clustered};

create table vault_peppers (
    pepper_version {int} not null primary key check (pepper_version > 0),
    -- Null for the one of the configuration, and once it is ended.
    sealed_pepper {bytes},
    -- Keyed hash of a fixed text: tells the right pepper from another.
    proof {bytes} not null,
    created_at {time} not null,
    activates_at {time} not null,
    -- When every keyed index was made with it.
    indexed_at {time},
    ended_at {time}
){clustered};

create table leases (
    lease {text} not null primary key,
    holder {id} not null,
    -- From here on another may take it.
    until {time} not null
){clustered};
