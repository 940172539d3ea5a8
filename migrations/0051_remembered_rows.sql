-- Roles and modules that a run gave an organization of another system, that people removed or changed, and whose run was taken back: the next plan of the
-- source asks about each of them.
create table adopted_remembered_rows (
    source_key {text} not null,
    kind {text} not null check (kind in ('role', 'entitlement')),
    -- The organization, by its id there: here it may be gone.
    legacy_id {text} not null,
    -- The role or the module.
    row_key {text} not null,
    remembered_at {time} not null,
    primary key (source_key, kind, legacy_id, row_key)
){clustered};
