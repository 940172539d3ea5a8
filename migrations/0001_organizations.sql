-- Organizations, their keys, and the revision of their facts.
--
-- One text for both engines. The migrator (crates/store/src/migration.rs) replaces the words in braces by the engine's types, and the
-- line `-- isolate: <table>` by the table's row level security on PostgreSQL:
--
--   alter table T enable row level security; alter table T force row level security;
--   policy 1: organization_id = nullif(current_setting('app.org', true), '')::uuid
--   policy 2: current_setting('app.scope', true) = 'installation'
--
-- FORCE holds for the owner of the table as well; superusers and roles with BYPASSRLS pass by, so start-up refuses them.
-- Rules of every file: the organization's id comes first in each key, index and reference of an organization's data; no reference crosses
-- organizations or leads to a table keyed by something else; no sequences, no triggers; times and ids are made by the application.

create table organizations (
    organization_id {id} not null primary key,
    organization_key {text} not null,
    name {text} not null,
    kind {text} not null check (kind in ('platform', 'customer')),
    status {text} not null check (status in ('active', 'suspended', 'closed')),
    -- The legacy document exactly as found, which may not even be JSON; hence text.
    enabled_modules {text},
    assertable {json} not null,
    created_at {time} not null,
    updated_at {time} not null
){clustered};
-- isolate: organizations

-- Directory: which organization has a key. Keyed by what is looked up, so that keys are unique wherever organizations are placed.
create table organization_keys (
    organization_key {text} not null primary key,
    organization_id {id} not null
){clustered};

-- The row every writer of an organization's data locks first.
create table organization_revisions (
    organization_id {id} not null primary key references organizations (organization_id),
    revision {int} not null check (revision > 0),
    changed_at {time} not null
){clustered};
-- isolate: organization_revisions

-- Read across organizations by the poll for changes, and therefore the one index that does not begin with the organization.
create index organization_revisions_changed on organization_revisions (changed_at, organization_id);
