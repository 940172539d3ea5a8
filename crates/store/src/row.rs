//! Columns as kernel values, and rows as lists and pages.

use core::str::FromStr;

use charter_db::{Conn, Error, RowRef, Statement, Value};
use charter_kernel::{
    Key, OrganizationId, PrincipalId, Reach, ResourceRef, Subject, TeamId, Timestamp, Window,
};

use crate::{Page, Result};

/// An error about what a column holds; columns are counted from one for readers.
#[cold]
pub(crate) fn bad(index: usize, message: impl core::fmt::Display) -> Error {
    Error::Column { column: (index + 1).to_string(), message: message.to_string() }
}

pub(crate) fn organization(row: RowRef<'_>) -> Result<OrganizationId> {
    Ok(OrganizationId(row.get_id(0)?))
}

pub(crate) fn text(row: RowRef<'_>, index: usize) -> Result<String> {
    Ok(row.get_text(index)?.to_owned())
}

pub(crate) fn opt_text(row: RowRef<'_>, index: usize) -> Result<Option<String>> {
    Ok(row.get_opt_text(index)?.map(str::to_owned))
}

pub(crate) fn time(row: RowRef<'_>, index: usize) -> Result<Timestamp> {
    Ok(Timestamp(row.get_time(index)?))
}

pub(crate) fn opt_time(row: RowRef<'_>, index: usize) -> Result<Option<Timestamp>> {
    Ok(row.get_opt_time(index)?.map(Timestamp))
}

pub(crate) fn parsed<T: FromStr<Err: core::fmt::Display>>(row: RowRef<'_>, index: usize) -> Result<T> {
    row.get_text(index)?.parse().map_err(|error| bad(index, error))
}

pub(crate) fn opt_key(row: RowRef<'_>, index: usize) -> Result<Option<Key>> {
    row.get_opt_text(index)?.map(|text| text.parse().map_err(|error| bad(index, error))).transpose()
}

/// A word of a closed list, such as a status.
pub(crate) fn word<T>(row: RowRef<'_>, index: usize, from_word: fn(&str) -> Option<T>) -> Result<T> {
    let text = row.get_text(index)?;
    from_word(text).ok_or_else(|| bad(index, format_args!("{text:?} is none of the known words")))
}

/// A window from two columns side by side.
pub(crate) fn window(row: RowRef<'_>, index: usize) -> Result<Window> {
    Window::new(opt_time(row, index)?, opt_time(row, index + 1)?).map_err(|error| bad(index + 1, error))
}

/// The list of texts in a JSON array.
pub(crate) fn texts(row: RowRef<'_>, index: usize) -> Result<Vec<String>> {
    serde_json::from_str(row.get_json(index)?).map_err(|error| bad(index, error))
}

/// The list of keys in a JSON array.
pub(crate) fn keys(row: RowRef<'_>, index: usize) -> Result<Vec<Key>> {
    texts(row, index)?.iter().map(|text| text.parse().map_err(|error| bad(index, error))).collect()
}

/// The list of texts in a JSON array, where there is one.
pub(crate) fn opt_texts(row: RowRef<'_>, index: usize) -> Result<Option<Vec<String>>> {
    row.get_opt_json(index)?
        .map(|list| serde_json::from_str(list).map_err(|error| bad(index, error)))
        .transpose()
}

/// A principal or a team from two columns side by side, exactly one of which is set.
pub(crate) fn subject(row: RowRef<'_>, index: usize) -> Result<Subject> {
    match (row.get_opt_id(index)?, row.get_opt_id(index + 1)?) {
        (Some(principal), None) => Ok(Subject::Principal(PrincipalId(principal))),
        (None, Some(team)) => Ok(Subject::Team(TeamId(team))),
        _ => Err(bad(index, "a principal or a team is expected")),
    }
}

/// The parameters of a subject: principal, team.
pub(crate) fn subject_params(subject: Subject) -> [Value; 2] {
    match subject {
        Subject::Principal(principal) => [Value::Id(principal.0), Value::Null],
        Subject::Team(team) => [Value::Null, Value::Id(team.0)],
    }
}

/// A reach from two columns side by side: type, id.
pub(crate) fn reach(row: RowRef<'_>, index: usize) -> Result<Reach> {
    Ok(match (opt_key(row, index)?, row.get_opt_text(index + 1)?) {
        (None, None) => Reach::Organization,
        (Some(kind), None) => Reach::Type(kind),
        (Some(kind), Some(id)) => Reach::Resource(ResourceRef { kind, id: id.into() }),
        (None, Some(_)) => return Err(bad(index, "an id without its type")),
    })
}

/// The parameters of a reach: type, id.
pub(crate) fn reach_params(reach: &Reach) -> [Value; 2] {
    match reach {
        Reach::Organization => [Value::Null, Value::Null],
        Reach::Type(kind) => [kind.as_str().into(), Value::Null],
        Reach::Resource(resource) => [resource.kind.as_str().into(), Value::from(&*resource.id)],
    }
}

/// All rows of a statement.
pub(crate) async fn list<T: Send>(
    conn: &mut Conn,
    statement: &Statement,
    params: &[Value],
    map: fn(RowRef<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    conn.query(statement, params).await?.iter().map(|row| map(row.as_ref())).collect()
}

/// The row of a statement, if there is one.
pub(crate) async fn opt<T>(
    conn: &mut Conn,
    statement: &Statement,
    params: &[Value],
    map: fn(RowRef<'_>) -> Result<T>,
) -> Result<Option<T>> {
    conn.query_opt(statement, params).await?.map(|row| map(row.as_ref())).transpose()
}

/// At most `limit` rows of a statement whose last parameter is the limit; one more is asked for, to know whether there are more.
pub(crate) async fn page<T>(
    conn: &mut Conn,
    statement: &Statement,
    params: &[Value],
    limit: u32,
    map: fn(RowRef<'_>) -> Result<T>,
) -> Result<Page<T>> {
    let mut params = params.to_vec();
    params.push(Value::Int(i64::from(limit) + 1));
    let found = conn.query(statement, &params).await?;
    let limit = limit as usize;
    let more = found.len() > limit;
    let rows = found.iter().take(limit).map(|row| map(row.as_ref())).collect::<Result<_>>()?;
    Ok(Page { rows, more })
}

/// Whose facts are read: one organization's, or those of every one whose id lies between two (both included).
///
/// They take two statements. A range in place of one id would do for both, but PostgreSQL then plans for a share of the table, with
/// parallel workers, and one organization takes 12 ms in place of 1.
#[derive(Clone, Copy)]
pub(crate) enum Span {
    One(OrganizationId),
    Between(OrganizationId, OrganizationId),
}

/// Hands over the rows of a span, each of which begins with its organization.
pub(crate) async fn each<T>(
    conn: &mut Conn,
    span: Span,
    [one, between]: [&Statement; 2],
    map: fn(RowRef<'_>) -> Result<T>,
    mut f: impl FnMut(OrganizationId, T) + Send,
) -> Result<()> {
    let (statement, params) = match span {
        Span::One(id) => (one, vec![Value::Id(id.0)]),
        Span::Between(first, last) => (between, vec![Value::Id(first.0), Value::Id(last.0)]),
    };
    let hand_over = |row: RowRef<'_>| -> Result<()> {
        f(organization(row)?, map(row)?);
        Ok(())
    };
    conn.for_each(statement, &params, hand_over).await
}

/// Whether a statement gives a row.
pub(crate) async fn exists(conn: &mut Conn, statement: &Statement, params: &[Value]) -> Result<bool> {
    Ok(!conn.query(statement, params).await?.is_empty())
}
