-- Tokens of a former system end with a password; mails are counted by mailbox; addresses that were given up are found; invitations run out.

-- A floor under the tokens of a former system is of a principal, too: what this service issues itself goes on.
create table token_floors_for_all (
    -- `former` is a principal whose tokens of a former system are meant.
    scope {text} not null check (scope in ('installation', 'organization', 'principal', 'former')),
    -- Zero for the installation.
    subject_id {id} not null,
    not_before {time} not null,
    reason {text} not null,
    set_at {time} not null,
    constraint token_floors_key primary key (scope, subject_id)
){clustered};
insert into token_floors_for_all (scope, subject_id, not_before, reason, set_at)
    select scope, subject_id, not_before, reason, set_at from token_floors;
drop table token_floors;
alter table token_floors_for_all rename to token_floors;
-- Those of a former system are looked up one by one, and there may be one for everybody.
create index token_floors_set on token_floors (set_at, scope, subject_id) where scope <> 'former';

-- What was counted goes on.
create table sign_in_counters_for_all (
    -- `mailbox` is mails that nobody asked for, to one mailbox.
    kind {text} not null check (kind in ('account', 'address', 'organization', 'mailbox')),
    counter_key {bytes} not null,
    -- Guesses since the last right one; of everything but an account always zero.
    guesses {int} not null,
    -- When the last guess was made; of everything but an account, when all of them are available again.
    counted_at {time} not null,
    constraint sign_in_counters_key primary key (kind, counter_key)
){clustered};
insert into sign_in_counters_for_all (kind, counter_key, guesses, counted_at)
    select kind, counter_key, guesses, counted_at from sign_in_counters;
drop table sign_in_counters;
alter table sign_in_counters_for_all rename to sign_in_counters;
create index sign_in_counters_counted on sign_in_counters (counted_at, kind, counter_key);

-- Keyed hash of the address before: what it is found by while it is kept for its owner. Null in changes made before there was one.
alter table email_changes add column
    old_email_hash {bytes};
create index email_changes_old on email_changes (old_email_hash, undo_until) where old_email_hash is not null;

-- An open invitation that is closed has run out.
create index invitations_open on invitations (expires_at, organization_id, invitation_id) where status = 'open' and closed_at is null;
create index invitations_closed on invitations (closed_at) where closed_at is not null;
create index invitation_homes_invitation on invitation_homes (invitation_id);
