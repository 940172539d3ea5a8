-- An ERP as the scenarios find it: organizations with their modules, users with a word for a role, and what it is there for.
create table organizations (id integer primary key, name varchar(80) not null, enabled_modules text, is_active boolean not null);
create table users (id integer primary key, email varchar(90) not null, full_name varchar(80), role varchar(60), is_active boolean not null,
  organization_id integer references organizations (id), hashed_password text);
create table orders (id integer primary key, placed_by integer not null, amount integer not null);
insert into organizations values (1, 'Toys & Co', '{"CRM": true, "Finance": "1", "sales": false}', true),
  (2, 'O''Neil "Soap" 😀', '["crm", "hr"]', true);
insert into users values
  (1, 'ann@toys.example', 'Ann', 'org_admin', true, 1, '$2b$12$YR9kJGp91ozTGzddZdeg0ulI4VHBPLWlzj9CThDPrMd84JAE6hVyC'),
  (2, 'bob@toys.example', 'Bob', 'Accountant', true, 1, '$2b$12$YR9kJGp91ozTGzddZdeg0ulI4VHBPLWlzj9CThDPrMd84JAE6hVyC'),
  (3, 'cid@toys.example', 'Cid', 'night shift', true, 1, null),
  (4, 'dan@toys.example', 'Dan', 'Accountant', false, 1, null),
  (5, 'eve@soap.example', 'Eve', 'accountant', true, 2, null),
  (6, 'fay@soap.example', 'Fay', 'viewer', true, 2, null);
