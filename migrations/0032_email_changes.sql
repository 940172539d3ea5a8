-- When the owner of an address proved that it is theirs, by a mail to it. Null is not proved.
alter table principals add column
    email_verified_at {time};

-- Changes of address: the new one is proved by a mail, the old one gets the way back.
create table email_changes (
    change_id {id} not null primary key,
    principal_id {id} not null,
    -- Addresses, sealed.
    old_email {bytes} not null,
    new_email {bytes} not null,
    -- Keyed hashes of the tokens that were mailed.
    proof_hash {bytes} not null,
    undo_hash {bytes} not null,
    asked_at {time} not null,
    -- Until when the new address may be proved.
    expires_at {time} not null,
    proved_at {time},
    -- Until when it may be taken back.
    undo_until {time},
    ended_at {time}
){clustered};
create unique index email_changes_proof on email_changes (proof_hash);
create unique index email_changes_undo on email_changes (undo_hash);
create index email_changes_principal on email_changes (principal_id, asked_at);
create index email_changes_expires on email_changes (expires_at, change_id);
