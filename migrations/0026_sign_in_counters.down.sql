drop table sign_in_counters;
