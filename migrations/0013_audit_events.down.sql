drop table denial_counts;
drop table audit_heads;
drop table audit_events;
