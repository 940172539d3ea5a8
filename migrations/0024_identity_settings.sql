-- What an organization asks of its members' sign-in. No row is nothing beyond what the installation asks.

create table organization_identity_settings (
    organization_id {id} not null primary key references organizations (organization_id),
    session_idle_minutes {int} check (session_idle_minutes > 0),
    session_absolute_hours {int} check (session_absolute_hours > 0),
    sessions_per_member {int} check (sessions_per_member > 0),
    -- Blocks of addresses its members sign in from; none is any.
    sign_in_addresses {json},
    row_version {int} not null,
    changed_by {id},
    changed_at {time} not null
){clustered};
-- isolate: organization_identity_settings
