drop table shadow_counts;
drop table shadow_flips;
drop table shadow_organizations;
