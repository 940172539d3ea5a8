-- A secret that was ended alone would count again: this goes no further until all of them are (`charter keys end-legacy`).
create table ended_former_secrets (
    ended_at {time} constraint all_former_secrets_must_be_ended_first check (ended_at is null)
);
insert into ended_former_secrets (ended_at)
    select ended_at from legacy_secrets where ended_at is not null
    and not exists (select 1 from settings where setting_key = 'legacy_tokens' and value ->> 'ended_at' is not null);
drop table ended_former_secrets;
drop table legacy_secrets;
drop table nodes;
alter table oauth_clients drop column previous_pepper_version;
alter table sessions drop column cookie_pepper;
