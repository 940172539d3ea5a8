drop table short_passwords;
drop table spent_challenges;
drop table recovery_codes;
drop table second_factors;
