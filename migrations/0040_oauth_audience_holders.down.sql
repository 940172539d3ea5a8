drop table oauth_audiences;
-- Without this column an agreement would be for everything.
-- postgres:begin
delete from oauth_consents where audiences <> jsonb_build_object('charter', scope);
-- postgres:end
-- sqlite:begin
delete from oauth_consents where audiences <> json_object('charter', scope);
-- sqlite:end
alter table oauth_consents drop column audiences;
