alter table adopted_users drop column told_sum;
drop index adopted_changes_row;
drop table adopted_changes;
