//! The other system: an application's tables with users, a role each, in organizations with their modules.

use tokio_postgres::NoTls;

const OTHER: &str = "charter_bench_other";
const OWN: &str = "charter_bench_own";
/// Users of one organization.
const MEMBERS: u64 = 1_000;

/// Where its database is, and where Charter's is to be.
pub struct Company {
    pub other: String,
    pub own: String,
    pub users: u64,
    pub organizations: u64,
}

/// Opens a connection that lives as long as its client.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

/// The address of another database of the same server.
fn beside(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').unwrap_or((server, ""));
    let (host, _) = address.rsplit_once('/').expect("an address with a database, as postgres://postgres@localhost/postgres");
    format!("{host}/{name}{}{options}", if options.is_empty() { "" } else { "?" })
}

fn tables(users: u64, organizations: u64) -> String {
    format!(
        "create table organizations (id bigint primary key, name text not null, enabled_modules jsonb, is_active boolean not null); \
         insert into organizations select n, 'Company ' || n, '{{\"finance\": true, \"stock\": \"true\", \"sales\": 1, \"crm\": false}}', true \
         from generate_series(1, {organizations}) n; \
         create table users (id bigint primary key, email text not null unique, name text not null, role text, \
         organization_id bigint not null references organizations, is_active boolean not null, password_hash text, last_seen timestamptz); \
         insert into users select n, 'user' || n || '@company' || (n % {organizations} + 1) || '.example', 'User ' || n, \
         (array['org_admin', 'manager', 'accountant', 'sales_officer', 'hr_officer', 'warehouse_manager', 'purchasing_officer', 'viewer', \
         'auditor', 'crm_agent'])[n % 10 + 1], n % {organizations} + 1, n % 50 <> 0, \
         '$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$' || rpad(translate(encode(sha256(n::text::bytea), 'base64'), '=', ''), 43, 'A'), null \
         from generate_series(1, {users}) n; \
         create table orders (id bigserial primary key, user_id bigint not null, total numeric not null, placed_at timestamptz not null); \
         create index on orders (user_id); \
         analyze;"
    )
}

/// Makes both databases anew.
pub async fn make(server: &str, own: &str, users: u64) -> Company {
    for (server, name) in [(server, OTHER), (own, OWN)] {
        let administrator = connect(server).await;
        for text in [format!("drop database if exists {name}"), format!("create database {name}")] {
            administrator.batch_execute(&text).await.expect("an administrator of the server");
        }
    }
    let (other, own) = (beside(server, OTHER), beside(own, OWN));
    let organizations = users.div_ceil(MEMBERS);
    let client = connect(&other).await;
    client.batch_execute(&tables(users, organizations)).await.expect("the tables are made");
    client.batch_execute("vacuum analyze").await.expect("the tables are read over");
    client.batch_execute("checkpoint").await.expect("the tables are on the disk");
    Company { other, own, users, organizations }
}
