drop table leases;
drop table vault_peppers;
drop table vault_keys;
