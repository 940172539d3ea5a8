drop table adopted_remembered;
