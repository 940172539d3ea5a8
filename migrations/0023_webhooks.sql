-- Webhooks of an organization, and what is delivered to them. Events come from the audit trail: each webhook knows how far it has read it.

create table webhooks (
    organization_id {id} not null references organizations (organization_id),
    webhook_id {id} not null,
    name {text} not null,
    url {text} not null,
    -- Patterns of event types, such as grant.*.
    events {json} not null,
    status {text} not null check (status in ('active', 'disabled')),
    disabled_reason {text},
    -- Sealed; the second one signs as well until its time is over.
    secret {bytes} not null,
    previous_secret {bytes},
    previous_until {time},
    -- The number of the last event of the trail that was looked at.
    cursor_seq {int} not null,
    -- Since when no delivery succeeded; null while they do.
    failing_since {time},
    created_by {id},
    created_at {time} not null,
    updated_at {time} not null,
    row_version {int} not null,
    primary key (organization_id, webhook_id)
){clustered};
-- isolate: webhooks

create table webhook_deliveries (
    organization_id {id} not null,
    delivery_id {id} not null,
    webhook_id {id} not null,
    -- The id and type of the message: the same when it is repeated.
    message_id {text} not null,
    event_type {text} not null,
    -- Text, not a document: the signature is over its bytes.
    payload {text} not null,
    status {text} not null check (status in ('waiting', 'delivered', 'failed')),
    attempts {int} not null,
    -- While it is under way: the instant from which another sender may take it.
    next_attempt_at {time} not null,
    created_at {time} not null,
    finished_at {time},
    last_status {int},
    last_error {text},
    primary key (organization_id, delivery_id),
    foreign key (organization_id, webhook_id) references webhooks (organization_id, webhook_id)
){clustered};
-- isolate: webhook_deliveries
create index webhook_deliveries_webhook on webhook_deliveries (organization_id, webhook_id, delivery_id);
-- Read by a job of the installation, and therefore not beginning with the organization.
create index webhook_deliveries_due on webhook_deliveries (next_attempt_at, organization_id, webhook_id, delivery_id)
    where status = 'waiting';
create index webhook_deliveries_finished on webhook_deliveries (finished_at) where finished_at is not null;
