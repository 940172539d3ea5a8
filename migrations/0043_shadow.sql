-- Shadow mode: an organization that was taken over goes on by the rule of the other system, or by ours with the other one beside it.

create table shadow_organizations (
    organization_id {id} not null primary key references organizations (organization_id),
    mode {text} not null check (mode in ('off', 'shadow', 'cut_over')),
    since {time} not null,
    -- Whether it goes back from cut_over to shadow by itself when answers differ.
    is_automatic {bool} not null,
    -- Who changed the mode; nobody is the operator or Charter itself.
    changed_by {id},
    last_flip_at {time}
){clustered};
-- isolate: shadow_organizations

-- Answers that differed: ours allowed what the other system denies (a gain), or the other way (a loss).
create table shadow_flips (
    organization_id {id} not null references organizations (organization_id),
    principal_id {id} not null,
    permission {text} not null,
    is_gain {bool} not null,
    ours_reason {text} not null,
    theirs_reason {text} not null,
    flip_count {int} not null,
    first_at {time} not null,
    last_at {time} not null,
    primary key (organization_id, principal_id, permission, is_gain)
){clustered};
-- isolate: shadow_flips

-- What was compared on each day, since a mode began.
create table shadow_counts (
    organization_id {id} not null references organizations (organization_id),
    since {time} not null,
    day {time} not null,
    compared {int} not null,
    gains {int} not null,
    losses {int} not null,
    unknown {int} not null,
    primary key (organization_id, since, day)
){clustered};
-- isolate: shadow_counts
