-- Which version of the pepper made the name of a secret of a former system. Zero is one that was made before this was written down.
alter table legacy_secrets add column
    named_by {int} not null default 0;
