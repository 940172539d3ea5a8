-- Sign-in sessions, keyed by what a token carries. A session may begin before an organization is chosen.

create table sessions (
    session_id {id} not null primary key,
    principal_id {id} not null,
    organization_id {id},
    -- Methods proved at sign-in (RFC 8176), joined by spaces.
    amr {text} not null,
    authenticated_at {time} not null,
    created_at {time} not null,
    expires_at {time} not null,
    idle_expires_at {time} not null,
    ended_at {time},
    end_reason {text},
    -- Refresh tokens carry this counter; one that is behind ends the session.
    refresh_counter {int} not null,
    refreshed_at {time},
    address {text},
    user_agent {text}
){clustered};
create index sessions_principal on sessions (principal_id, created_at, session_id);
create index sessions_expires on sessions (expires_at, session_id);
-- Read by each node's poll for sessions that were ended elsewhere.
create index sessions_ended on sessions (ended_at, session_id) where ended_at is not null;
