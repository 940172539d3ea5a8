-- Principals: users and service accounts. They belong to the installation; memberships tie them to organizations.

create table principals (
    principal_id {id} not null primary key,
    kind {text} not null check (kind in ('user', 'service_account')),
    login {text} not null,
    login_folded {text} not null,
    name {text} not null,
    status {text} not null check (status in ('active', 'suspended', 'deactivated')),
    password_hash {text},
    password_changed_at {time},
    created_at {time} not null,
    updated_at {time} not null
){clustered};

-- Directory: which principal has a login, compared folded.
create table logins (
    login_folded {text} not null primary key,
    principal_id {id} not null
){clustered};
