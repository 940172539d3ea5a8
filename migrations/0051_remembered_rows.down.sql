drop table adopted_remembered_rows;
