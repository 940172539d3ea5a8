alter table organization_identity_settings drop column leaked_keys;
drop table credential_rates;
drop table credential_networks;
drop table credential_uses;
drop index credentials_expiring;
alter table credentials drop column notice_days;
alter table credentials drop column quarantined_at;
alter table credentials drop column upgraded_hash;
alter table credentials drop column requests_per_minute;
