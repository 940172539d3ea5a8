alter table adoption_runs drop column removals_noted;
drop table adopted_kept_away;
drop table adopted_removals;
