-- How far the accounts of a run are open, while they are opened page by page: whoever is suspended behind that stays so.
alter table adoption_runs add column
    opened_to {id};
