alter table legacy_secrets drop column named_by;
