-- Answers already given, so that a request sent twice is done once.

create table idempotency_keys (
    organization_id {id} not null references organizations (organization_id),
    caller {text} not null,
    idempotency_key {text} not null,
    request_hash {bytes} not null,
    status {int} not null,
    response {text} not null,
    created_at {time} not null,
    primary key (organization_id, caller, idempotency_key)
){strict};
-- isolate: idempotency_keys
create index idempotency_keys_created on idempotency_keys (organization_id, created_at);
