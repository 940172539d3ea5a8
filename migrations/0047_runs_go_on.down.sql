drop table adopted_passwords;
alter table adoption_runs drop column opened_to;
