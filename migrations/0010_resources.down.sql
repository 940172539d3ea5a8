drop table resource_homes;
drop table resources;
