alter table sessions drop column support_reason;
alter table sessions drop column supporter_login;
alter table sessions drop column supporter_id;
