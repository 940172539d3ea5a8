-- What people agreed to, they agreed to for the audiences they saw.

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
