drop table organization_revisions;
drop table organization_keys;
drop table organizations;
