-- Guesses, counted for all nodes together: of an account (a keyed hash of the login, whether it exists or not), of an address.

create table sign_in_counters (
    kind {text} not null check (kind in ('account', 'address')),
    counter_key {bytes} not null,
    -- Guesses since the last right one; of an address always zero.
    guesses {int} not null,
    -- When the last guess was made; of an address, when all its guesses are available again.
    counted_at {time} not null,
    primary key (kind, counter_key)
){clustered};
create index sign_in_counters_counted on sign_in_counters (counted_at, kind, counter_key);
