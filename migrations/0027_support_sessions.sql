-- Support sessions: somebody of the platform acts as a member for a while. Who, by which name, and why.

alter table sessions add column
    supporter_id {id} references principals (principal_id);
alter table sessions add column supporter_login {text};
alter table sessions add column support_reason {text};
