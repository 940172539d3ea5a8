-- Of whom an organization demands a second factor.

alter table organization_identity_settings add column second_factor {text} not null default 'off'
    check (second_factor in ('off', 'privileged', 'everyone'));
