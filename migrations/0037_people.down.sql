drop index invitation_homes_invitation;
drop index invitations_closed;
drop index invitations_open;
update invitations set closed_at = null where status = 'open';
drop index email_changes_old;
alter table email_changes drop column old_email_hash;
create table sign_in_counters_before (
    kind {text} not null check (kind in ('account', 'address', 'organization')),
    counter_key {bytes} not null,
    guesses {int} not null,
    counted_at {time} not null,
    constraint sign_in_counters_key_before primary key (kind, counter_key)
){clustered};
insert into sign_in_counters_before (kind, counter_key, guesses, counted_at)
    select kind, counter_key, guesses, counted_at from sign_in_counters where kind <> 'mailbox';
drop table sign_in_counters;
alter table sign_in_counters_before rename to sign_in_counters;
create index sign_in_counters_counted on sign_in_counters (counted_at, kind, counter_key);
create table token_floors_before (
    scope {text} not null check (scope in ('installation', 'organization', 'principal')),
    subject_id {id} not null,
    not_before {time} not null,
    reason {text} not null,
    set_at {time} not null,
    constraint token_floors_key_before primary key (scope, subject_id)
){clustered};
insert into token_floors_before (scope, subject_id, not_before, reason, set_at)
    select scope, subject_id, not_before, reason, set_at from token_floors where scope <> 'former';
-- What ended the tokens of a former system ends every token of before. It is kept until none of them lives, which is 31 days at most.
-- postgres:begin
insert into token_floors_before (scope, subject_id, not_before, reason, set_at)
    select 'principal', subject_id, not_before + interval '1 microsecond', reason, not_before + interval '768 hours' from token_floors where scope = 'former'
    on conflict (scope, subject_id) do update set
    not_before = case when excluded.not_before > token_floors_before.not_before then excluded.not_before
                 else token_floors_before.not_before end,
    set_at = case when excluded.set_at > token_floors_before.set_at then excluded.set_at else token_floors_before.set_at end;
-- postgres:end
-- sqlite:begin
insert into token_floors_before (scope, subject_id, not_before, reason, set_at)
    select 'principal', subject_id, not_before + 1, reason, not_before + 2764800000000 from token_floors where scope = 'former'
    on conflict (scope, subject_id) do update set
    not_before = case when excluded.not_before > token_floors_before.not_before then excluded.not_before
                 else token_floors_before.not_before end,
    set_at = case when excluded.set_at > token_floors_before.set_at then excluded.set_at else token_floors_before.set_at end;
-- sqlite:end
drop table token_floors;
alter table token_floors_before rename to token_floors;
create index token_floors_set on token_floors (set_at, scope, subject_id);
