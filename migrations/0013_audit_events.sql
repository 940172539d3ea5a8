-- The audit trail: one chain of events per organization. Rows are only ever added; the application role may neither change nor delete them.

create table audit_events (
    organization_id {id} not null references organizations (organization_id),
    seq {int} not null check (seq > 0),
    at {time} not null,
    actor_kind {text} not null check (actor_kind in ('principal', 'operator', 'system', 'nobody')),
    actor_id {id},
    actor_login {text},
    action {text} not null,
    target_kind {text} not null,
    target {text} not null,
    outcome {text} not null check (outcome in ('done', 'denied', 'failed')),
    reason {text} not null,
    -- Texts, not documents: the chain hashes them byte for byte.
    before {text},
    after {text},
    request_id {id},
    address {text},
    previous_hash {bytes} not null,
    hash {bytes} not null,
    primary key (organization_id, seq)
){strict};
-- isolate: audit_events
create index audit_events_at on audit_events (organization_id, at, seq);
create index audit_events_action on audit_events (organization_id, action, seq);
create index audit_events_actor on audit_events (organization_id, actor_id, seq);
create index audit_events_target on audit_events (organization_id, target_kind, target, seq);
create index audit_events_request on audit_events (organization_id, request_id);

-- The end of each chain, locked by whoever adds to it.
create table audit_heads (
    organization_id {id} not null primary key references organizations (organization_id),
    seq {int} not null,
    hash {bytes} not null
){clustered};
-- isolate: audit_heads

-- Identical denials counted in a window of time, until they are written to the trail as one event.
create table denial_counts (
    organization_id {id} not null references organizations (organization_id),
    window_start {time} not null,
    principal_id {id} not null,
    permission {text} not null,
    resource {text} not null,
    reason {text} not null,
    count {int} not null,
    first_at {time} not null,
    last_at {time} not null,
    primary key (organization_id, window_start, principal_id, permission, resource, reason)
){clustered};
-- isolate: denial_counts
