drop table email_changes;
alter table principals drop column email_verified_at;
