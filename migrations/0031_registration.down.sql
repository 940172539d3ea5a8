drop table sign_in_counters;
create table sign_in_counters (
    kind {text} not null check (kind in ('account', 'address')),
    counter_key {bytes} not null,
    guesses {int} not null,
    counted_at {time} not null,
    primary key (kind, counter_key)
){clustered};
create index sign_in_counters_counted on sign_in_counters (counted_at, kind, counter_key);
create table mail_outbox_for_accounts (
    mail_id {id} not null,
    kind {text} not null,
    principal_id {id} not null,
    content {bytes},
    status {text} not null check (status in ('queued', 'sent', 'failed', 'expired')),
    attempts {int} not null,
    next_attempt_at {time} not null,
    expires_at {time} not null,
    created_at {time} not null,
    finished_at {time},
    last_error {text},
    constraint mail_outbox_pkey_before primary key (mail_id)
){clustered};
-- What was written to newcomers has no place in the table before.
insert into mail_outbox_for_accounts (mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at, finished_at, last_error)
    select mail_id, kind, principal_id, content, status, attempts, next_attempt_at, expires_at, created_at, finished_at, last_error from mail_outbox
    where principal_id is not null;
drop table mail_outbox;
alter table mail_outbox_for_accounts rename to mail_outbox;
create index mail_outbox_due on mail_outbox (next_attempt_at, mail_id) where status = 'queued';
create index mail_outbox_status on mail_outbox (status, mail_id);
create index mail_outbox_finished on mail_outbox (finished_at, mail_id) where finished_at is not null;
drop table invitation_homes;
drop table invitations;
drop table registration_requests;
drop table registration_settings;
