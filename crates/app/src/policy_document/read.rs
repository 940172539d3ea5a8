//! Text to document: form only. Names are looked up by `resolve`.

use super::{
    AssignmentEntry, BlockEntry, ConditionEntry, FORMAT, Fault, GrantEntry, Named, PolicyDocument,
    ResourceEntry, RoleEntry, Span, Spot, TeamEntry, json,
};
use charter_catalogue::document::{self, Faults, Table, Value};
use charter_kernel::facts::Level;
use charter_kernel::id::parse_uuid;
use charter_kernel::{Condition, ConditionKey, Effect, Key, Pattern, Reach, ResourceRef};

/// Longest id of a resource.
const RESOURCE_ID_MAX: usize = 256;

/// Reads a policy document.
pub fn parse(text: &str) -> Result<PolicyDocument, Vec<Fault>> {
    document::read(text, |root, faults| {
        format_is(root, FORMAT, faults);
        let organization =
            root.need("organization", faults).and_then(|value| spot(&value, faults, Value::text));
        let conditions = keyed(root, "conditions", faults, condition);
        let teams = keyed(root, "teams", faults, team);
        let roles = keyed(root, "roles", faults, role);
        let assignments = listed(root, "assignments", faults, assignment);
        let grants = listed(root, "grants", faults, grant);
        let blocks = listed(root, "blocks", faults, block);
        let resources = listed(root, "resources", faults, resource);
        Some(PolicyDocument {
            organization: organization?,
            conditions,
            teams,
            roles,
            assignments,
            grants,
            blocks,
            resources,
        })
    })
}

/// Refuses another format.
pub(super) fn format_is(root: &Table<'_, '_>, wanted: &str, faults: &mut Faults) {
    let Some(value) = root.need("format", faults) else { return };
    if let Some(found) = value.text(faults)
        && found != wanted
    {
        value.fault(faults, format!("`{found}` is another format; write format = \"{wanted}\""));
    }
}

/// What a value says, with its place.
pub(super) fn spot<'d, 'i, T>(
    value: &Value<'d, 'i>,
    faults: &mut Faults,
    read: impl FnOnce(&Value<'d, 'i>, &mut Faults) -> Option<T>,
) -> Option<Spot<T>> {
    let line = faults.line_of(value.offset);
    read(value, faults).map(|said| Spot { line, at: value.at.clone(), value: said })
}

fn keyed<T>(
    root: &Table<'_, '_>,
    name: &str,
    faults: &mut Faults,
    mut read: impl FnMut(Spot<Key>, &Value<'_, '_>, &mut Faults) -> Option<T>,
) -> Vec<T> {
    let Some(table) = root.maybe(name).and_then(|value| value.table(faults)) else { return Vec::new() };
    let mut found = Vec::new();
    for (text, offset, value) in table.entries() {
        let line = faults.line_of(offset);
        match text.parse::<Key>() {
            Ok(key) => found.extend(read(Spot { line, at: value.at.clone(), value: key }, &value, faults)),
            Err(error) => faults.add(offset, value.at.clone(), format!("`{text}` is {error}")),
        }
    }
    found
}

/// The entries of a list of tables.
pub(super) fn listed<T>(
    root: &Table<'_, '_>,
    name: &str,
    faults: &mut Faults,
    mut read: impl FnMut(&Table<'_, '_>, &mut Faults) -> Option<T>,
) -> Vec<T> {
    let Some(items) = root.maybe(name).and_then(|value| value.list(faults)) else { return Vec::new() };
    let mut found = Vec::new();
    for item in items {
        let Some(table) = item.table(faults) else { continue };
        let entry = read(&table, faults);
        table.finish(faults);
        found.extend(entry);
    }
    found
}

fn condition(key: Spot<Key>, value: &Value<'_, '_>, faults: &mut Faults) -> Option<ConditionEntry> {
    value.table(faults)?;
    let said = json::from_toml(value, faults)?;
    match serde_json::from_value::<Condition>(said) {
        Ok(condition) => Some(ConditionEntry { key, condition }),
        Err(error) => {
            value.fault(faults, format!("is no condition: {error}"));
            None
        }
    }
}

fn text(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<Spot<String>> {
    let value = table.need(name, faults)?;
    spot(&value, faults, Value::text)
}

fn maybe_text(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<Spot<String>> {
    let value = table.maybe(name)?;
    spot(&value, faults, Value::text)
}

fn maybe_key(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<Spot<Key>> {
    let value = table.maybe(name)?;
    spot(&value, faults, Value::parsed)
}

fn need_key(table: &Table<'_, '_>, name: &str, faults: &mut Faults) -> Option<Spot<Key>> {
    let value = table.need(name, faults)?;
    spot(&value, faults, Value::parsed)
}

fn need_pattern(table: &Table<'_, '_>, faults: &mut Faults) -> Option<Spot<Pattern>> {
    let value = table.need("permission", faults)?;
    spot(&value, faults, Value::parsed)
}

fn team(key: Spot<Key>, value: &Value<'_, '_>, faults: &mut Faults) -> Option<TeamEntry> {
    let table = value.table(faults)?;
    let name = text(&table, "name", faults);
    let parent = maybe_text(&table, "parent", faults);
    let items = table.maybe("members").and_then(|value| value.list(faults)).unwrap_or_default();
    let members = items.iter().filter_map(|item| spot(item, faults, Value::text)).collect();
    table.finish(faults);
    Some(TeamEntry { key, name: name?, parent, members })
}

fn role(key: Spot<Key>, value: &Value<'_, '_>, faults: &mut Faults) -> Option<RoleEntry> {
    let table = value.table(faults)?;
    let name = text(&table, "name", faults);
    let level = table
        .need("level", faults)
        .and_then(|value| value.word(faults, &["viewer", "developer", "manager", "admin"], Level::from_word));
    let items = table.maybe("parents").and_then(|value| value.list(faults)).unwrap_or_default();
    let parents = items.iter().filter_map(|item| spot(item, faults, Value::parsed)).collect();
    let items = table.need("permissions", faults).and_then(|value| value.list(faults)).unwrap_or_default();
    let mut permissions = Vec::new();
    for item in items {
        if matches!(item.raw(), toml::de::DeValue::Table(_)) {
            let Some(line) = item.table(faults) else { continue };
            let permission = need_pattern(&line, faults);
            let condition = maybe_key(&line, "condition", faults);
            line.finish(faults);
            permissions.extend(permission.map(|permission| (permission, condition)));
        } else if let Some(permission) = spot(&item, faults, Value::parsed) {
            permissions.push((permission, None));
        }
    }
    table.finish(faults);
    Some(RoleEntry { key, name: name?, level: level?, parents, permissions })
}

fn id(table: &Table<'_, '_>, faults: &mut Faults) -> Option<Spot<u128>> {
    let value = table.maybe("id")?;
    let text = spot(&value, faults, Value::text)?;
    match parse_uuid(text.value.as_bytes()) {
        Some(bits) => Some(Spot { line: text.line, at: text.at, value: bits }),
        None => {
            value.fault(
                faults,
                format!(
                    "`{}` is {}; leave `id` out for a new entry",
                    text.value,
                    charter_kernel::id::NotAnId
                ),
            );
            None
        }
    }
}

/// Whom the entry is about: exactly one of a few keys.
fn subject(table: &Table<'_, '_>, of_block: bool, faults: &mut Faults) -> Option<Spot<Named>> {
    let mut found = Vec::new();
    found.extend(
        table
            .maybe("principal")
            .map(|value| spot(&value, faults, |value, faults| value.text(faults).map(Named::Principal))),
    );
    found.extend(
        table
            .maybe("team")
            .map(|value| spot(&value, faults, |value, faults| value.text(faults).map(Named::Team))),
    );
    if of_block {
        found.extend(
            table
                .maybe("role")
                .map(|value| spot(&value, faults, |value, faults| value.text(faults).map(Named::Role))),
        );
        found.extend(table.maybe("everyone").map(|value| {
            let said = spot(&value, faults, Value::flag)?;
            if !said.value {
                value.fault(faults, "write `everyone = true`, or leave it out and name somebody");
            }
            Some(Spot { line: said.line, at: said.at, value: Named::Everyone })
        }));
    }
    if found.len() != 1 {
        let choices = if of_block { "principal, team, role or everyone" } else { "principal or team" };
        let count = if found.is_empty() { "nobody is named" } else { "more than one is named" };
        table.fault(faults, format!("{count}: write exactly one of {choices}"));
        return None;
    }
    found.pop().flatten()
}

/// `type:id`.
pub(super) fn resource_ref(value: &Value<'_, '_>, faults: &mut Faults) -> Option<ResourceRef> {
    let text = value.text(faults)?;
    let parsed = text.split_once(':').and_then(|(kind, id)| {
        let fits = !id.is_empty() && id.len() <= RESOURCE_ID_MAX && !id.chars().any(char::is_control);
        let kind = kind.parse::<Key>().ok()?;
        fits.then(|| ResourceRef { kind, id: id.into() })
    });
    if parsed.is_none() {
        value.fault(
            faults,
            format!("`{text}` is no resource: type and id joined by a colon are expected, for example \"invoice:1042\", the id at most {RESOURCE_ID_MAX} bytes"),
        );
    }
    parsed
}

fn reach(table: &Table<'_, '_>, faults: &mut Faults) -> Option<Spot<Reach>> {
    match (table.maybe("resource"), table.maybe("type")) {
        (None, None) => Some(Spot {
            line: faults.line_of(table.offset),
            at: table.at.clone(),
            value: Reach::Organization,
        }),
        (Some(value), None) => {
            spot(&value, faults, |value, faults| resource_ref(value, faults).map(Reach::Resource))
        }
        (None, Some(value)) => spot(&value, faults, |value, faults| value.parsed(faults).map(Reach::Type)),
        (Some(value), Some(_)) => {
            value.fault(faults, "reaches a resource and a type: keep one of them; without both it reaches the whole organization");
            None
        }
    }
}

fn window(table: &Table<'_, '_>, faults: &mut Faults) -> Option<Spot<Span>> {
    let (from, to) = (table.maybe("from"), table.maybe("to"));
    let place = to.as_ref().or(from.as_ref());
    let (offset, at) =
        place.map_or((table.offset, table.at.clone()), |value| (value.offset, value.at.clone()));
    let mut time = |value: Option<Value<'_, '_>>| match value {
        None => Some(None),
        Some(value) => value.time(faults).map(Some),
    };
    let (from, to) = (time(from), time(to));
    Some(Spot { line: faults.line_of(offset), at, value: Span { from: from?, to: to? } })
}

fn condition_key(table: &Table<'_, '_>, faults: &mut Faults) -> Option<Spot<ConditionKey>> {
    maybe_key(table, "condition", faults)
}

fn assignment(table: &Table<'_, '_>, faults: &mut Faults) -> Option<AssignmentEntry> {
    let id = id(table, faults);
    let role = need_key(table, "role", faults);
    let subject = subject(table, false, faults);
    let window = window(table, faults);
    let condition = condition_key(table, faults);
    Some(AssignmentEntry { id, role: role?, subject: subject?, window: window?, condition })
}

fn grant(table: &Table<'_, '_>, faults: &mut Faults) -> Option<GrantEntry> {
    let id = id(table, faults);
    let subject = subject(table, false, faults);
    let effect = table
        .need("effect", faults)
        .and_then(|value| value.word(faults, &["allow", "deny"], Effect::from_word));
    let permission = need_pattern(table, faults);
    let reach = reach(table, faults);
    let window = window(table, faults);
    let condition = condition_key(table, faults);
    let reason = text(table, "reason", faults);
    Some(GrantEntry {
        id,
        subject: subject?,
        effect: effect?,
        permission: permission?,
        reach: reach?,
        window: window?,
        condition,
        reason: reason?,
    })
}

fn block(table: &Table<'_, '_>, faults: &mut Faults) -> Option<BlockEntry> {
    let id = id(table, faults);
    let subject = subject(table, true, faults);
    let permission = need_pattern(table, faults);
    let reach = reach(table, faults);
    let window = window(table, faults);
    let condition = condition_key(table, faults);
    let reason = text(table, "reason", faults);
    let conflict = maybe_key(table, "conflict", faults);
    Some(BlockEntry {
        id,
        subject: subject?,
        permission: permission?,
        reach: reach?,
        window: window?,
        condition,
        reason: reason?,
        conflict,
    })
}

fn resource(table: &Table<'_, '_>, faults: &mut Faults) -> Option<ResourceEntry> {
    let resource = table.need("resource", faults).and_then(|value| spot(&value, faults, resource_ref));
    let owner = maybe_text(table, "owner", faults);
    let attributes = match (table.maybe("attributes"), table.maybe("attributes_json")) {
        (None, None) => {
            Some(Spot { line: faults.line_of(table.offset), at: table.at.clone(), value: "{}".to_owned() })
        }
        (Some(value), None) => spot(&value, faults, |value, faults| {
            value.table(faults)?;
            json::from_toml(value, faults).map(|said| said.to_string())
        }),
        (None, Some(value)) => spot(&value, faults, Value::text),
        (Some(_), Some(value)) => {
            value.fault(faults, "attributes stand here twice: keep `attributes` or `attributes_json`");
            None
        }
    };
    Some(ResourceEntry { resource: resource?, owner, attributes: attributes? })
}
