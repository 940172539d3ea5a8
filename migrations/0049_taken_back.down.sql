drop table adopted_closed;
alter table adopted_rows drop column recorded_at;
drop index adopted_removals_principal;
alter table adopted_removals drop column gives;
alter table adopted_removals drop column row_key;
