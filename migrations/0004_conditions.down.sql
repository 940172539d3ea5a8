drop table conditions;
