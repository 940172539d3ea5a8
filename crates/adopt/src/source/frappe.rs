//! Frappe and ERPNext: roles allow actions on types of documents. As soon as a type has one row of the project's own, all standard rows of
//! that type count no more. Everybody who may sign in holds All and Guest, and users of the desk hold Desk User; Administrator may do
//! everything. Rows of a permission level above 0 open fields, not documents. What only an owner may do is an action of its own, but
//! for creating: who creates a document owns it.

use super::statements::{Statements, Tables, Wanted};
use crate::anomaly::AnomalyKind;
use charter_db::foreign::ForeignTable;

/// Columns that allow something, by version; those that a table lacks are left out.
const ACTIONS: &[&str] = &[
    "read", "write", "create", "delete", "submit", "cancel", "amend", "report", "export", "import", "share",
    "print", "email", "select",
];
/// Who may do everything.
const ADMINISTRATOR: &str = "'Administrator'";
/// Roles that nobody holds by a row.
const AUTOMATIC: &str = "('All', 'Guest', 'Desk User', 'Administrator')";
/// Types whose standard rows count whatever a project says.
const CORE_TYPES: &str = "('DocType', 'DocField', 'DocPerm', 'Custom DocPerm')";

/// The part of a condition that a row of rules has to fit, whichever table it stands in.
fn in_force(tables: &Tables<'_>, rules: &ForeignTable) -> Result<String, Wanted> {
    let mut parts = String::from("1 = 1");
    if rules.column("permlevel").is_some() {
        parts.push_str(&format!(" and coalesce({}, '0') = '0'", tables.word(rules, "d", "permlevel")?));
    }
    if rules.column("docstatus").is_some() {
        parts.push_str(&format!(" and coalesce({}, '0') = '0'", tables.word(rules, "d", "docstatus")?));
    }
    // Rows of a type are its children; what another document holds says nothing.
    if rules.column("parenttype").is_some() {
        parts.push_str(&format!(
            " and coalesce({}, 'DocType') = 'DocType'",
            tables.word(rules, "d", "parenttype")?
        ));
    }
    Ok(parts)
}

/// Which types an action exists on: submitting where documents are submitted, importing where that is allowed, nothing on tables within
/// documents.
fn fits_type(
    tables: &Tables<'_>,
    types: Option<&ForeignTable>,
    parent: &str,
    action: &str,
) -> Result<String, Wanted> {
    let Some(types) = types else { return Ok(String::new()) };
    let mut wanted = String::new();
    let name = tables.word(types, "t", "name")?;
    let mut of = |column: &str, word: &str| -> Result<(), Wanted> {
        if types.column(column).is_some() {
            wanted.push_str(&format!(
                " and {parent} {word} (select {name} from {} t where {})",
                tables.name(types)?,
                tables.is_true(types, "t", column)?
            ));
        }
        Ok(())
    };
    of("istable", "not in")?;
    match action {
        "submit" => of("is_submittable", "in")?,
        "import" => of("allow_import", "in")?,
        _ => {}
    }
    Ok(wanted)
}

/// What one table of rules allows: role and code, a row for each action.
fn allowed(
    tables: &Tables<'_>,
    rules: &ForeignTable,
    types: Option<&ForeignTable>,
    only: &str,
) -> Result<Vec<String>, Wanted> {
    let name = tables.name(rules)?;
    let (parent, role) = (tables.word(rules, "d", "parent")?, tables.word(rules, "d", "role")?);
    let in_force = in_force(tables, rules)?;
    let mut all = Vec::new();
    for action in ACTIONS.iter().filter(|action| rules.column(action).is_some()) {
        let owner = match rules.column("if_owner").filter(|_| *action != "create") {
            Some(_) => {
                format!(
                    " || case when {} then '_if_owner' else '' end",
                    tables.is_true(rules, "d", "if_owner")?
                )
            }
            None => String::new(),
        };
        all.push(format!(
            "select {role} as role, {parent} || '.{action}'{owner} as code from {name} d where {} and {in_force}{}{only}",
            tables.is_true(rules, "d", action)?,
            fits_type(tables, types, &parent, action)?
        ));
    }
    Ok(all)
}

/// All rules: the project's own, and the standard ones of types without them.
fn rules(tables: &Tables<'_>) -> Result<String, Wanted> {
    let standard = tables.need("tabDocPerm")?;
    let types = tables.find("tabDocType")?.filter(|it| it.is_readable);
    let (only, mut rules) = match tables.find("tabCustom DocPerm")? {
        Some(custom) => {
            let custom = tables.need(&custom.name)?;
            let (parent, own) = (tables.word(standard, "d", "parent")?, tables.word(custom, "c", "parent")?);
            let only = format!(
                " and ({parent} in {CORE_TYPES} or {parent} not in (select {own} from {} c where {own} is not null))",
                tables.name(custom)?
            );
            let not_core = format!(" and {} not in {CORE_TYPES}", tables.word(custom, "d", "parent")?);
            (only, allowed(tables, custom, types, &not_core)?)
        }
        None => (String::new(), Vec::new()),
    };
    rules.extend(allowed(tables, standard, types, &only)?);
    Ok(rules.join(" union "))
}

/// What hangs on the document: which ones a user sees, and which were shared with one.
fn findings(tables: &Tables<'_>) -> Result<Vec<(AnomalyKind, String)>, Wanted> {
    let mut all = Vec::new();
    for (table, kind, value, words) in [
        ("tabUser Permission", "allow", "for_value", "sees only this "),
        ("tabDocShare", "share_doctype", "share_name", "was shown this "),
    ] {
        let Some(found) = tables.find(table)? else { continue };
        let found = tables.need(&found.name)?;
        all.push((
            AnomalyKind::Condition,
            format!(
                "select '{table} ' || {}, 'user ' || coalesce({}, 'everybody') || ' {words}' || coalesce({}, '') || ': ' || coalesce({}, '') \
                 from {} f order by 1",
                tables.word(found, "f", "name")?,
                tables.word(found, "f", "user")?,
                tables.word(found, "f", kind)?,
                tables.word(found, "f", value)?,
                tables.name(found)?
            ),
        ));
    }
    Ok(all)
}

/// The hash of a user's password, which stands in a table of its own: what is joined, and the column.
fn password(tables: &Tables<'_>, user: &str) -> Result<(String, String), Wanted> {
    let Some(auth) = tables.find("__Auth")?.filter(|it| it.is_readable) else {
        return Ok((String::new(), "null".to_owned()));
    };
    let join = format!(
        " left join {} a on {} = {user} and {} = 'User' and {} = 'password' and not {}",
        tables.name(auth)?,
        tables.plain(auth, "a", "name")?,
        tables.plain(auth, "a", "doctype")?,
        tables.plain(auth, "a", "fieldname")?,
        tables.is_true(auth, "a", "encrypted")?
    );
    Ok((join, tables.text(auth, "a", "password")?))
}

/// What is asked.
pub fn statements(tables: &Tables<'_>) -> Result<Statements, Wanted> {
    let (users, roles, holds) =
        (tables.need("tabUser")?, tables.need("tabRole")?, tables.need("tabHas Role")?);
    let rules = rules(tables)?;
    let id = tables.plain(users, "u", "name")?;
    let (holder, role) = (tables.plain(holds, "l", "parent")?, tables.word(holds, "l", "role")?);
    let desk = match users.column("user_type") {
        Some(_) => format!(
            "case when {} = 'System User' then 'Desk User' else null end",
            tables.word(users, "u", "user_type")?
        ),
        None => "null".to_owned(),
    };
    let (join, password) = password(tables, &id)?;
    let between = tables.between();
    let of_users = format!(" and {} = 'User'", tables.word(holds, "l", "parenttype")?);
    Ok(Statements {
        roles: Some(format!(
            "select {0}, {0} from {1} r order by 1",
            tables.text(roles, "r", "name")?,
            tables.name(roles)?
        )),
        permissions: Some(format!("select distinct code, code from ({rules}) x order by 1")),
        role_permissions: Some(format!("select role, code from ({rules}) x order by 1, 2")),
        users: format!(
            "select {0}, {0}, {1}, {2}, case when {0} = {ADMINISTRATOR} then '1' else '0' end, null, null, \
             coalesce(r.ids, '') || {between} || coalesce({desk}, ''), null, {password} from {3} u \
             left join (select {holder} as owner, {4} as ids from {5} l where {6} = 'User' and {role} not in {AUTOMATIC} group by {holder}) r \
             on r.owner = {id}{join} where {0} <> 'Guest' order by {id}",
            tables.text(users, "u", "name")?,
            tables.text(users, "u", "full_name")?,
            tables.text(users, "u", "enabled")?,
            tables.name(users)?,
            tables.joined(&role),
            tables.name(holds)?,
            tables.word(holds, "l", "parenttype")?,
        ),
        orphans: vec![
            tables.orphans(holds, &["parent", "role"], "role", roles, "name")?,
            // Other documents hold roles in the same table.
            tables.orphans_among(holds, &["parent", "role"], "parent", users, "name", &of_users)?,
        ],
        findings: findings(tables)?,
        everybody: vec!["All".to_owned(), "Guest".to_owned()],
        tells_superuser: true,
        ..Statements::default()
    })
}
