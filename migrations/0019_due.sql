-- What falls due in any organization is found by its instant, whatever the number of organizations. Jobs of the installation read these
-- indexes; like that of the poll for changes they do not begin with the organization.

create index org_subscriptions_beginning on org_subscriptions (starts_at, organization_id, subscription_id) where status = 'scheduled';
create index org_subscriptions_ending on org_subscriptions (ends_at, organization_id, subscription_id) where status <> 'ended';
create index usage_events_oldest on usage_events (at);
