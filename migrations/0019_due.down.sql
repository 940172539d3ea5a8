drop index usage_events_oldest;
drop index org_subscriptions_ending;
drop index org_subscriptions_beginning;
