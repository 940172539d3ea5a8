drop table setup_codes;
drop table settings;
