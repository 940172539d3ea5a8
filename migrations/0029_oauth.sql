-- OAuth 2.0 and OpenID Connect: clients of an organization, the codes they exchange, and what people agreed to.

create table oauth_clients (
    organization_id {id} not null references organizations (organization_id),
    client_id {id} not null,
    name {text} not null,
    -- Keeps a secret; runs in a browser; runs on a device of its user.
    kind {text} not null check (kind in ('confidential', 'public', 'native')),
    redirect_uris {json} not null,
    post_logout_redirect_uris {json} not null,
    grant_types {json} not null,
    scopes {json} not null,
    -- The organization's own: nobody is asked whether they agree.
    is_first_party {bool} not null,
    -- Whom its client credentials stand for.
    service_account_id {id},
    pepper_version {int},
    secret_hash {bytes},
    -- The secret before it is taken as well until its time is over.
    previous_secret_hash {bytes},
    previous_until {time},
    status {text} not null check (status in ('active', 'disabled', 'deleted')),
    created_by {id},
    created_at {time} not null,
    updated_at {time} not null,
    row_version {int} not null,
    primary key (organization_id, client_id),
    constraint oauth_clients_secret check (kind = 'confidential' or secret_hash is null)
){clustered};
-- isolate: oauth_clients

-- Directory: whose client it is. A client is known before its organization is.
create table oauth_client_homes (
    client_id {id} not null primary key,
    organization_id {id} not null
){clustered};

create table oauth_codes (
    organization_id {id} not null,
    -- Keyed hash: the code itself is in the address the browser was sent to, and nowhere else.
    code_hash {bytes} not null,
    client_id {id} not null,
    principal_id {id} not null,
    -- The browser's session in which it was asked for.
    session_id {id} not null,
    redirect_uri {text} not null,
    code_challenge {text} not null,
    scope {text} not null,
    nonce {text},
    amr {text} not null,
    authenticated_at {time} not null,
    created_at {time} not null,
    expires_at {time} not null,
    used_at {time},
    -- The session that its exchange began; ended when the code comes again.
    begun_session_id {id},
    primary key (organization_id, code_hash),
    foreign key (organization_id, client_id) references oauth_clients (organization_id, client_id)
){clustered};
-- isolate: oauth_codes
-- Read by a job of the installation, and therefore not beginning with the organization.
create index oauth_codes_expires on oauth_codes (expires_at);

create table oauth_consents (
    organization_id {id} not null,
    client_id {id} not null,
    principal_id {id} not null,
    scope {text} not null,
    given_at {time} not null,
    primary key (organization_id, client_id, principal_id),
    foreign key (organization_id, client_id) references oauth_clients (organization_id, client_id)
){clustered};
-- isolate: oauth_consents

-- Sessions that a client has on behalf of somebody, or of its service account: for what, and from which browser's session.
alter table sessions add column
    client_id {id};
alter table sessions add column scope {text};
alter table sessions add column
    parent_session_id {id};
create index sessions_client on sessions (client_id) where client_id is not null;
create index sessions_parent on sessions (parent_session_id) where parent_session_id is not null;
