drop table principal_memberships;
drop table memberships;
