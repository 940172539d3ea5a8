drop index signing_keys_pending;
drop table token_floors;
