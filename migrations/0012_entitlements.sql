-- What an organization may use, and how much: subscriptions, entitlements with their source, limits, usage, events.

create table org_subscriptions (
    organization_id {id} not null references organizations (organization_id),
    subscription_id {id} not null,
    kind {text} not null check (kind in ('plan', 'addon', 'trial')),
    plan_key {text} not null,
    version {int} not null,
    quantity {int} not null check (quantity > 0),
    status {text} not null check (status in ('scheduled', 'active', 'ended')),
    starts_at {time},
    ends_at {time},
    grace_days {int} not null,
    read_only_days {int} not null,
    end_action {text} not null check (end_action in ('fallback_plan', 'expire')),
    fallback_plan_key {text},
    pinned {bool} not null,
    created_at {time} not null,
    updated_at {time} not null,
    primary key (organization_id, subscription_id),
    constraint org_subscriptions_window check (ends_at > starts_at),
    constraint org_subscriptions_plan foreign key (plan_key, version) references plans (plan_key, version)
){clustered};
-- isolate: org_subscriptions
create index org_subscriptions_ends on org_subscriptions (organization_id, status, ends_at);

create table org_entitlements (
    organization_id {id} not null references organizations (organization_id),
    module_key {text} not null,
    source {text} not null check (source in ('plan', 'addon', 'trial', 'override', 'migration')),
    -- Which subscription; empty for overrides and migration.
    source_id {text} not null,
    status {text} not null check (status in ('enabled', 'disabled', 'blocked', 'preview')),
    starts_at {time},
    ends_at {time},
    grace_until {time},
    read_only_until {time},
    reason {text} not null,
    row_version {int} not null,
    changed_by {id},
    changed_at {time} not null,
    primary key (organization_id, module_key, source, source_id),
    constraint org_entitlements_window check (ends_at > starts_at)
){clustered};
-- isolate: org_entitlements
create index org_entitlements_source on org_entitlements (organization_id, source, source_id);

create table org_subentitlements (
    organization_id {id} not null references organizations (organization_id),
    module_key {text} not null,
    submodule_key {text} not null,
    source {text} not null check (source in ('plan', 'addon', 'trial', 'override', 'migration')),
    source_id {text} not null,
    status {text} not null check (status in ('enabled', 'disabled', 'blocked', 'preview')),
    starts_at {time},
    ends_at {time},
    grace_until {time},
    read_only_until {time},
    reason {text} not null,
    row_version {int} not null,
    changed_by {id},
    changed_at {time} not null,
    primary key (organization_id, module_key, submodule_key, source, source_id),
    constraint org_subentitlements_window check (ends_at > starts_at)
){clustered};
-- isolate: org_subentitlements
create index org_subentitlements_source on org_subentitlements (organization_id, source, source_id);

create table org_previews (
    organization_id {id} not null references organizations (organization_id),
    module_key {text} not null,
    principal_id {id} not null,
    added_by {id},
    added_at {time} not null,
    primary key (organization_id, module_key, principal_id)
){clustered};
-- isolate: org_previews
create index org_previews_principal on org_previews (organization_id, principal_id);

create table org_limit_overrides (
    organization_id {id} not null references organizations (organization_id),
    limit_key {text} not null,
    override_id {id} not null,
    mode {text} not null check (mode in ('set', 'add')),
    value {int},
    enforcement {text} not null check (enforcement in ('hard', 'soft', 'report')),
    starts_at {time},
    ends_at {time},
    reason {text} not null,
    changed_by {id},
    changed_at {time} not null,
    primary key (organization_id, limit_key, override_id),
    constraint org_limit_overrides_window check (ends_at > starts_at)
){clustered};
-- isolate: org_limit_overrides

create table org_usage (
    organization_id {id} not null references organizations (organization_id),
    limit_key {text} not null,
    -- Start of the month of a counter; 1970-01-01 for a gauge.
    period_start {time} not null,
    used {int} not null,
    updated_at {time} not null,
    primary key (organization_id, limit_key, period_start)
){clustered};
-- isolate: org_usage

create table usage_events (
    organization_id {id} not null references organizations (organization_id),
    -- Chosen by the caller; the same event counts once.
    event_key {text} not null,
    limit_key {text} not null,
    amount {int} not null,
    at {time} not null,
    primary key (organization_id, event_key)
){clustered};
-- isolate: usage_events
create index usage_events_at on usage_events (organization_id, at);

create table entitlement_events (
    organization_id {id} not null references organizations (organization_id),
    seq {int} not null check (seq > 0),
    at {time} not null,
    actor {text} not null,
    cause {text} not null check (cause in ('api', 'sweeper', 'migration', 'plan_publish')),
    action {text} not null,
    module_key {text},
    submodule_key {text},
    limit_key {text},
    -- Texts, not documents: the chain hashes them byte for byte.
    before {text},
    after {text},
    reason {text} not null,
    correlation_id {id},
    prev_hash {bytes} not null,
    hash {bytes} not null,
    primary key (organization_id, seq)
){clustered};
-- isolate: entitlement_events
create index entitlement_events_module on entitlement_events (organization_id, module_key, seq);

create table org_entitlement_versions (
    organization_id {id} not null primary key references organizations (organization_id),
    version {int} not null
){clustered};
-- isolate: org_entitlement_versions
