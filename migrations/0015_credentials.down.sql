drop table credential_keys;
drop table credentials;
