drop table role_permissions;
drop table role_parents;
drop table roles;
