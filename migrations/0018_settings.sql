-- Settings of the installation, and codes that let the first administrator in.

create table settings (
    setting_key {text} not null primary key,
    value {json} not null,
    changed_at {time} not null
){clustered};

create table setup_codes (
    hash {bytes} not null primary key,
    created_at {time} not null,
    expires_at {time} not null,
    used_at {time}
){clustered};
