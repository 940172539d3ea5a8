drop table shadow_pairs;
alter table shadow_organizations drop column quiet_pairs;
alter table shadow_organizations drop column quiet_compared;
