//! spatie/laravel-permission: roles and permissions of models, by guard. Where a project uses teams, a team is an organization, and a user
//! is in it who holds something there; a role of one team counts in that team alone. Models other than users are left out.

use super::named::{UserColumns, unread_roles};
use super::statements::{Statements, Tables, Wanted};
use crate::anomaly::AnomalyKind;
use charter_db::foreign::ForeignTable;

/// A name with its guard, where it is not the one of web pages.
fn guarded(tables: &Tables<'_>, of: &ForeignTable, alias: &str) -> Result<String, Wanted> {
    let (name, guard) = (tables.text(of, alias, "name")?, tables.text(of, alias, "guard_name")?);
    Ok(format!("case when {guard} = 'web' then {name} else {guard} || ':' || {name} end"))
}

/// A link of models and what they hold.
struct Link<'a> {
    table: &'a ForeignTable,
    held: &'static str,
    key: &'static str,
    team: Option<String>,
    model: Option<&'a str>,
}

impl<'a> Link<'a> {
    fn find(
        tables: &Tables<'a>,
        name: &str,
        held: &'static str,
        model: Option<&'a str>,
    ) -> Result<Self, Wanted> {
        let table = tables.need(name)?;
        let key = ["model_id", "model_uuid"].into_iter().find(|key| table.column(key).is_some());
        let key = key.unwrap_or("model_id");
        let known = [held, key, "model_type"];
        let mut others = table.columns.iter().filter(|column| !known.contains(&column.name.as_str()));
        let team = match (others.next(), others.next()) {
            (None, _) => None,
            (Some(team), None) => Some(team.name.clone()),
            _ => {
                return Err(Wanted::Unfit(format!(
                    "{name} has more columns than the package gives it: describe the tables as role tables under [source]"
                )));
            }
        };
        Ok(Self { table, held, key, team, model })
    }

    /// Whether a row is of a user: by the word that was named, by the name of the class, or by the short name of a morph map.
    fn is_user(&self, tables: &Tables<'_>) -> Result<String, Wanted> {
        let kind = tables.plain(self.table, "l", "model_type")?;
        if let Some(model) = self.model {
            return Ok(format!("{kind} = '{}'", model.replace('\'', "''")));
        }
        let ending = "\\User";
        Ok(format!(
            "(lower({kind}) in ('user', 'users') or substr({kind}, length({kind}) - {}) = '{ending}')",
            ending.len() - 1
        ))
    }

    /// What each user holds, by team: a statement that gives `owner`, `team` and `ids`.
    fn gathered(&self, tables: &Tables<'_>, only: &str) -> Result<String, Wanted> {
        let owner = tables.word(self.table, "l", self.key)?;
        let team = match &self.team {
            Some(team) => tables.plain(self.table, "l", team)?,
            None => "null".to_owned(),
        };
        let group = if self.team.is_some() { format!("{owner}, {team}") } else { owner.clone() };
        Ok(format!(
            "(select {owner} as owner, {team} as team, {} as ids from {} l where {}{only} group by {group})",
            tables.joined(&tables.text(self.table, "l", self.held)?),
            tables.name(self.table)?,
            self.is_user(tables)?
        ))
    }

    /// Users and the teams in which they hold something.
    fn members(&self, tables: &Tables<'_>, team: &str) -> Result<String, Wanted> {
        Ok(format!(
            "select {} as owner, {} as team from {} l where {}",
            tables.word(self.table, "l", self.key)?,
            tables.plain(self.table, "l", team)?,
            tables.name(self.table)?,
            self.is_user(tables)?
        ))
    }

    /// What stands at the rows of users.
    fn kinds(&self, tables: &Tables<'_>) -> Result<String, Wanted> {
        Ok(format!(
            "select {} as kind from {} l where {}",
            tables.text(self.table, "l", "model_type")?,
            tables.name(self.table)?,
            self.is_user(tables)?
        ))
    }

    /// The columns that tell a row from others.
    fn key(&self) -> Vec<&str> {
        ["model_type", self.key, self.held].into_iter().chain(self.team.as_deref()).collect()
    }

    fn others(&self, tables: &Tables<'_>) -> Result<(AnomalyKind, String), Wanted> {
        Ok((
            AnomalyKind::OtherHolder,
            format!(
                "select {}, coalesce({}, 'nothing') || ' is no user' from {} l where ({}) is not true order by 1",
                tables.row(self.table, "l", &self.key())?,
                tables.text(self.table, "l", "model_type")?,
                tables.name(self.table)?,
                self.is_user(tables)?
            ),
        ))
    }

    /// Rows of which a side leads nowhere. Models have no foreign keys, and their keys are numbers or texts on either side.
    fn orphans(
        &self,
        tables: &Tables<'_>,
        users: &ForeignTable,
        held: &ForeignTable,
    ) -> Result<[String; 2], Wanted> {
        let owner = tables.word(self.table, "l", self.key)?;
        let of_users = format!(
            "select {}, '{} ' || {owner} from {} l left join (select distinct {} as id from {} u) t on t.id = {owner} where t.id is null and {} order by 1, 2",
            tables.row(self.table, "l", &self.key())?,
            users.name.replace('\'', "''"),
            tables.name(self.table)?,
            tables.word(users, "u", "id")?,
            tables.name(users)?,
            self.is_user(tables)?
        );
        Ok([of_users, tables.orphans(self.table, &self.key(), self.held, held, "id")?])
    }
}

/// Classes of users as Laravel makes them, and their short names.
const USUAL: &str = r"'app\models\user', 'app\user', 'user', 'users'";

/// The words that could be those of users, where there are several: two classes may have the same numbers, and are not the same people.
fn several(tables: &Tables<'_>, roles: &Link<'_>, permissions: &Link<'_>) -> Result<String, Wanted> {
    // One alone of an unusual name may be of another table, too.
    let unusual = match roles.model {
        Some(_) => String::new(),
        None => format!(" or lower(k.kind) not in ({USUAL})"),
    };
    let kinds = format!("({} union all {})", roles.kinds(tables)?, permissions.kinds(tables)?);
    Ok(format!(
        "select 'model_type ' || k.kind, 'rows: ' || count(*) from {kinds} k \
         where (select count(distinct m.kind) from {kinds} m) > 1{unusual} group by k.kind order by 1"
    ))
}

/// A role of a team counts in that team alone.
fn of_team(tables: &Tables<'_>, roles: &ForeignTable, link: &Link<'_>) -> Result<String, Wanted> {
    let Some(team) = link.team.as_ref().filter(|team| roles.column(team).is_some()) else {
        return Ok(String::new());
    };
    let own = tables.plain(roles, "o", team)?;
    Ok(format!(
        " and exists (select 1 from {} o where {} = {} and ({own} is null or {own} = {}))",
        tables.name(roles)?,
        tables.plain(roles, "o", "id")?,
        tables.plain(link.table, "l", link.held)?,
        tables.plain(link.table, "l", team)?
    ))
}

/// Teams as organizations: those of the table of that name, or the numbers that occur.
fn organizations(
    tables: &Tables<'_>,
    team: &str,
    roles: &Link<'_>,
    permissions: &Link<'_>,
) -> Result<String, Wanted> {
    if let Some(teams) = tables.find("teams")?.filter(|it| it.is_readable && it.column("name").is_some()) {
        return Ok(format!(
            "select {}, {}, null, 'true' from {} t order by 1",
            tables.text(teams, "t", "id")?,
            tables.text(teams, "t", "name")?,
            tables.name(teams)?
        ));
    }
    let of = |link: &Link<'_>| -> Result<String, Wanted> {
        Ok(format!(
            "select {} as team from {} l",
            tables.word(link.table, "l", team)?,
            tables.name(link.table)?
        ))
    };
    Ok(format!(
        "select team, 'team ' || team, null, 'true' from ({} union {}) t where team is not null order by 1",
        of(roles)?,
        of(permissions)?
    ))
}

/// What is asked. A project names its table of users where it is called otherwise, and the word of their class where there are several.
pub fn statements(tables: &Tables<'_>, named: Option<&UserColumns>) -> Result<Statements, Wanted> {
    let users = tables.need(named.map_or("users", |named| &named.table))?;
    let model = named.and_then(|named| named.model.as_deref());
    let (roles, permissions) = (tables.need("roles")?, tables.need("permissions")?);
    let user_roles = Link::find(tables, "model_has_roles", "role_id", model)?;
    let user_permissions = Link::find(tables, "model_has_permissions", "permission_id", model)?;
    let role_permissions = tables.need("role_has_permissions")?;
    if user_roles.team != user_permissions.team {
        return Err(Wanted::Unfit("roles and permissions of users name their teams differently".to_owned()));
    }
    // Numbers or texts, and not always the same on both sides.
    let id = tables.word(users, "u", "id")?;
    let is_active = match ["is_active", "active"].into_iter().find(|name| users.column(name).is_some()) {
        Some(column) => tables.text(users, "u", column)?,
        None => "'true'".to_owned(),
    };
    let kept = match users.column("deleted_at") {
        Some(_) => format!(" where {} is null", tables.plain(users, "u", "deleted_at")?),
        None => String::new(),
    };
    let (mut join, mut organization, mut same_team) = (String::new(), "null".to_owned(), ["", ""]);
    let mut teams = None;
    let by_both = ["role_id", "permission_id"];
    let [users_of_roles, roles_of_users] = user_roles.orphans(tables, users, roles)?;
    let [users_of_permissions, permissions_of_users] =
        user_permissions.orphans(tables, users, permissions)?;
    if let Some(team) = &user_roles.team {
        teams = Some(organizations(tables, team, &user_roles, &user_permissions)?);
        join = format!(
            " left join ({} union {}) m on m.owner = {id}",
            user_roles.members(tables, team)?,
            user_permissions.members(tables, team)?
        );
        organization = "cast(m.team as text)".to_owned();
        same_team = [" and r.team = m.team", " and p.team = m.team"];
    }
    Ok(Statements {
        organizations: teams,
        roles: Some(format!(
            "select {}, {} from {} r order by 1",
            tables.text(roles, "r", "id")?,
            guarded(tables, roles, "r")?,
            tables.name(roles)?
        )),
        permissions: Some(format!(
            "select {}, {} from {} p order by 1",
            tables.text(permissions, "p", "id")?,
            guarded(tables, permissions, "p")?,
            tables.name(permissions)?
        )),
        role_permissions: Some(format!(
            "select {}, {} from {} l order by 1, 2",
            tables.text(role_permissions, "l", "role_id")?,
            tables.text(role_permissions, "l", "permission_id")?,
            tables.name(role_permissions)?
        )),
        users: format!(
            "select {}, {}, {}, {is_active}, null, {organization}, null, r.ids, p.ids, {} from {} u{join} \
             left join {} r on r.owner = {id}{} left join {} p on p.owner = {id}{}{kept} order by {id}, 6",
            tables.text(users, "u", "id")?,
            tables.text(users, "u", "email")?,
            tables.text(users, "u", "name")?,
            tables.text(users, "u", "password")?,
            tables.name(users)?,
            user_roles.gathered(tables, &of_team(tables, roles, &user_roles)?)?,
            same_team[0],
            user_permissions.gathered(tables, "")?,
            same_team[1],
        ),
        orphans: vec![
            users_of_roles,
            roles_of_users,
            users_of_permissions,
            permissions_of_users,
            tables.orphans(role_permissions, &by_both, "role_id", roles, "id")?,
            tables.orphans(role_permissions, &by_both, "permission_id", permissions, "id")?,
        ],
        findings: [
            (AnomalyKind::SeveralUsers, several(tables, &user_roles, &user_permissions)?),
            user_roles.others(tables)?,
            user_permissions.others(tables)?,
        ]
        .into_iter()
        .chain(unread_roles(
            tables,
            users,
            named.map(|named| named.unused_role.as_slice()).unwrap_or_default(),
        )?)
        .collect(),
        ..Statements::default()
    })
}
