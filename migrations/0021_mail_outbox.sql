-- Mail on its way: written in the transaction of the change that causes it, sent by a job of the installation.

create table mail_outbox (
    mail_id {id} not null primary key,
    -- What it tells, such as password_reset_link.
    kind {text} not null,
    principal_id {id} not null,
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
    last_error {text}
){clustered};
create index mail_outbox_due on mail_outbox (next_attempt_at, mail_id) where status = 'queued';
create index mail_outbox_status on mail_outbox (status, mail_id);
create index mail_outbox_finished on mail_outbox (finished_at, mail_id) where finished_at is not null;
