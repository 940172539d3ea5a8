-- Users of another system whom people stopped, or from whom they took something, of what a run gave that was taken back: its next plan asks about
-- each of them.
create table adopted_remembered (
    source_key {text} not null,
    legacy_id {text} not null,
    remembered_at {time} not null,
    primary key (source_key, legacy_id)
){clustered};
