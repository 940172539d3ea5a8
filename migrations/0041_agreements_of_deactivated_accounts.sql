-- What applications have of an account ends when it is deactivated. Those that were before took their sessions with them, and nothing else:
-- it would count again with the account. A code that was used stays for its minute, so that its second coming is noticed.
delete from oauth_consents where principal_id in (select principal_id from principals where status = 'deactivated');
delete from oauth_codes
    where used_at is null and principal_id in (select principal_id from principals where status = 'deactivated');
