-- The catalogue: documents as installed, and their content as rows. Small, the same for every organization, read mostly.

create table catalogue_documents (
    kind {text} not null check (kind in ('shipped', 'own')),
    version {text} not null,
    document {text} not null,
    hash {bytes} not null,
    installed_at {time} not null,
    primary key (kind, version)
){strict};
create index catalogue_documents_installed on catalogue_documents (kind, installed_at);

create table modules (
    module_key {text} not null primary key,
    name {text} not null,
    description {text} not null,
    always_on {bool} not null,
    scope {text} not null check (scope in ('org', 'system')),
    bundled {bool} not null,
    sort_no {int} not null,
    retired_at {time}
){clustered};

create table submodules (
    module_key {text} not null references modules (module_key),
    submodule_key {text} not null,
    name {text} not null,
    description {text} not null,
    retired_at {time},
    primary key (module_key, submodule_key)
){clustered};

create table module_dependencies (
    module_key {text} not null references modules (module_key),
    depends_on {text} not null references modules (module_key),
    primary key (module_key, depends_on)
){clustered};

create table module_aliases (
    alias_lower {text} not null primary key,
    module_key {text} not null references modules (module_key)
){clustered};

create table permissions (
    code {text} not null primary key,
    module_key {text} not null references modules (module_key),
    submodule_key {text} not null,
    description {text} not null,
    dangerous {bool} not null,
    retired_at {time},
    constraint permissions_submodule foreign key (module_key, submodule_key) references submodules (module_key, submodule_key)
){clustered};

create table limits (
    limit_key {text} not null primary key,
    description {text} not null,
    unit {text} not null,
    kind {text} not null check (kind in ('gauge', 'counter')),
    period {text} not null check (period in ('none', 'month')),
    retired_at {time}
){clustered};

-- A published version never changes; an edit makes the next one.
create table plans (
    plan_key {text} not null,
    version {int} not null check (version > 0),
    name {text} not null,
    description {text} not null,
    rank {int} not null,
    trial_days {int} not null check (trial_days >= 0),
    status {text} not null check (status in ('draft', 'published', 'retired')),
    published_at {time},
    primary key (plan_key, version)
){clustered};

create table plan_entitlements (
    plan_key {text} not null,
    version {int} not null,
    module_key {text} not null references modules (module_key),
    -- Empty: the whole module.
    submodule_key {text} not null,
    access {text} not null check (access in ('full', 'preview')),
    primary key (plan_key, version, module_key, submodule_key),
    constraint plan_entitlements_plan foreign key (plan_key, version) references plans (plan_key, version)
){clustered};

create table plan_limits (
    plan_key {text} not null,
    version {int} not null,
    limit_key {text} not null references limits (limit_key),
    -- Null: unlimited.
    value {int},
    enforcement {text} not null check (enforcement in ('hard', 'soft', 'report')),
    warn_percent {int} not null check (warn_percent between 0 and 100),
    primary key (plan_key, version, limit_key),
    constraint plan_limits_plan foreign key (plan_key, version) references plans (plan_key, version)
){clustered};
