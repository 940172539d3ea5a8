drop table logins;
drop table principals;
