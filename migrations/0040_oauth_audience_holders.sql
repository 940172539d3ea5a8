-- What people agreed to, they agreed to for the audiences they saw; and an audience is of one organization.

-- The scope for each audience; `charter` is Charter itself.
alter table oauth_consents add column
    audiences {json} not null default '{}';
-- Where a client could ask for nothing else, it was for Charter itself. Anybody else is asked again.
-- postgres:begin
update oauth_consents set audiences = jsonb_build_object('charter', scope)
    where exists (select 1 from oauth_clients c where c.organization_id = oauth_consents.organization_id
        and c.client_id = oauth_consents.client_id and c.audiences = '[]');
-- postgres:end
-- sqlite:begin
update oauth_consents set audiences = json_object('charter', scope)
    where exists (select 1 from oauth_clients c where c.organization_id = oauth_consents.organization_id
        and c.client_id = oauth_consents.client_id and c.audiences = '[]');
-- sqlite:end

-- Directory: which organization an audience is of. What the platform names stands beside that of one other organization.
create table oauth_audiences (
    audience {text} not null,
    is_platform {bool} not null,
    organization_id {id} not null,
    primary key (audience, is_platform)
){clustered};
-- Whoever registered a client for it first has it; the clients of others cannot ask for it any more.
-- postgres:begin
insert into oauth_audiences (audience, is_platform, organization_id)
    select distinct on (a.audience, o.kind = 'platform') a.audience, o.kind = 'platform', c.organization_id
    from oauth_clients c join organizations o on o.organization_id = c.organization_id
    cross join lateral jsonb_array_elements_text(c.audiences) a (audience)
    where c.status <> 'deleted' order by a.audience, o.kind = 'platform', c.created_at, c.client_id;
update oauth_clients set audiences = coalesce((
    select jsonb_agg(a.audience order by a.number) from jsonb_array_elements_text(oauth_clients.audiences) with ordinality a (audience, number)
    where exists (select 1 from oauth_audiences h where h.audience = a.audience and h.organization_id = oauth_clients.organization_id)), '[]')
    where audiences <> '[]' and status <> 'deleted';
-- postgres:end
-- sqlite:begin
insert or ignore into oauth_audiences (audience, is_platform, organization_id)
    select a.value, o.kind = 'platform', c.organization_id
    from oauth_clients c join organizations o on o.organization_id = c.organization_id join json_each(c.audiences) a
    where c.status <> 'deleted' order by c.created_at, c.client_id;
update oauth_clients set audiences = (
    select json_group_array(a.value) from json_each(oauth_clients.audiences) a
    where exists (select 1 from oauth_audiences h where h.audience = a.value and h.organization_id = oauth_clients.organization_id))
    where audiences <> '[]' and status <> 'deleted';
-- sqlite:end
