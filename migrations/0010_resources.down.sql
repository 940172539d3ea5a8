drop table resource_kinds;
drop table resource_homes;
drop table resources;
