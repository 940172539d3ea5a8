-- Newcomers: what an organization lets them do, what they asked for, and whom it invited.

-- No row is off.
create table registration_settings (
    organization_id {id} not null primary key references organizations (organization_id),
    mode {text} not null check (mode in ('off', 'invitation', 'domain', 'approval')),
    -- Domains of addresses that may ask.
    domains {json} not null,
    -- Roles a newcomer may get, and the one whoever names none gets.
    roles {json} not null,
    default_role {text},
    row_version {int} not null,
    changed_by {id},
    changed_at {time} not null
){clustered};
-- isolate: registration_settings

-- First what was asked: the same row whether or not there is such an account. Then a job looks and mails.
create table registration_requests (
    organization_id {id} not null references organizations (organization_id),
    request_id {id} not null,
    -- Keyed hash of the address: what a request is found by.
    email_hash {bytes} not null,
    -- Keyed hash of its mailbox, which many addresses may lead to: what mails are counted by.
    mailbox_hash {bytes} not null,
    -- Address and name, sealed.
    email {bytes} not null,
    name {bytes} not null,
    role {text},
    status {text} not null check (status in ('asked', 'unproved', 'waiting', 'approved', 'rejected', 'expired')),
    -- Keyed hash of the token that was mailed.
    token_hash {bytes},
    created_at {time} not null,
    expires_at {time} not null,
    proved_at {time},
    decided_at {time},
    decided_by {id},
    reason {text},
    -- The account that came of it.
    principal_id {id},
    primary key (organization_id, request_id)
){clustered};
-- isolate: registration_requests
create index registration_requests_mailbox on registration_requests (organization_id, mailbox_hash, created_at);
create index registration_requests_email on registration_requests (organization_id, email_hash, status);
create index registration_requests_status on registration_requests (organization_id, status, request_id);
create unique index registration_requests_token on registration_requests (organization_id, token_hash) where token_hash is not null;
-- Read by jobs of the installation, and therefore not beginning with the organization.
create index registration_requests_asked on registration_requests (created_at, organization_id, request_id) where status = 'asked';
create index registration_requests_open on registration_requests (expires_at, organization_id, request_id)
    where status in ('asked', 'unproved', 'waiting');
create index registration_requests_closed on registration_requests (expires_at) where status in ('approved', 'rejected', 'expired');

create table invitations (
    organization_id {id} not null references organizations (organization_id),
    invitation_id {id} not null,
    -- Keyed hash of the token that was mailed.
    token_hash {bytes} not null,
    -- Keyed hash of the address, and the address sealed.
    email_hash {bytes} not null,
    email {bytes} not null,
    roles {json} not null,
    status {text} not null check (status in ('open', 'accepted', 'revoked')),
    -- None is the operator.
    invited_by {id},
    created_at {time} not null,
    expires_at {time} not null,
    closed_at {time},
    closed_by {id},
    -- The account that accepted.
    principal_id {id},
    primary key (organization_id, invitation_id)
){clustered};
-- isolate: invitations
create index invitations_email on invitations (organization_id, email_hash, status);

-- Directory: whose invitation a token's public part names. Whoever accepts belongs to no organization yet.
create table invitation_homes (
    token_id {text} not null primary key,
    organization_id {id} not null,
    invitation_id {id} not null
){clustered};

-- A mail may be for somebody who has no account yet.
create table mail_outbox_for_all (
    mail_id {id} not null,
    -- What it tells, such as password_reset_link.
    kind {text} not null,
    principal_id {id},
    -- Recipient, subject and text, sealed: a text may hold a link that lets its reader in. Null once nobody needs it any more.
    content {bytes},
    status {text} not null check (status in ('queued', 'sent', 'failed', 'expired')),
    attempts {int} not null,
    -- While it is being sent: the instant from which another sender may take it.
    next_attempt_at {time} not null,
    -- From here on it is of no use to its reader.
    expires_at {time} not null,
    created_at {time} not null,
    finished_at {time},
    last_error {text},
    constraint mail_outbox_key primary key (mail_id)
){clustered};
insert into mail_outbox_for_all (mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at, finished_at, last_error)
    select mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at, finished_at, last_error from mail_outbox;
drop table mail_outbox;
alter table mail_outbox_for_all rename to mail_outbox;
create index mail_outbox_due on mail_outbox (next_attempt_at, mail_id) where status = 'queued';
create index mail_outbox_status on mail_outbox (status, mail_id);
create index mail_outbox_finished on mail_outbox (finished_at, mail_id) where finished_at is not null;

-- Guesses are counted by organization as well. What was counted so far is forgotten.
drop table sign_in_counters;
create table sign_in_counters (
    kind {text} not null check (kind in ('account', 'address', 'organization')),
    counter_key {bytes} not null,
    -- Guesses since the last right one; of an address and an organization always zero.
    guesses {int} not null,
    -- When the last guess was made; of an address and an organization, when all guesses are available again.
    counted_at {time} not null,
    primary key (kind, counter_key)
){clustered};
create index sign_in_counters_counted on sign_in_counters (counted_at, kind, counter_key);
