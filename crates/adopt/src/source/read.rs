//! Runs the statements of a reader and hands their rows on.

use super::intake::{EachUser, Heard, Intake, Taking};
use super::statements::{ReadError, Statements};
use crate::anomaly::AnomalyKind;
use charter_db::foreign::{Foreign, ForeignRow};

async fn rows(
    foreign: &mut Foreign,
    reading: &'static str,
    statement: Option<&String>,
    mut put: impl FnMut(ForeignRow<'_>) + Send,
) -> Result<(), ReadError> {
    let Some(statement) = statement else { return Ok(()) };
    let mut each = |row: ForeignRow<'_>| {
        put(row);
        Ok(())
    };
    foreign.for_each(statement, &mut each).await.map_err(|error| ReadError::Database { reading, error })
}

/// Reads everything. Users are also shown to `each`, with the hashes of their passwords, which are kept nowhere.
pub async fn read(
    foreign: &mut Foreign,
    statements: &Statements,
    taking: impl Into<Taking>,
    each: EachUser<'_>,
) -> Result<Heard, ReadError> {
    let mut intake = Intake::new(statements.shape(), taking.into());
    let asked = statements.organizations.as_ref();
    rows(foreign, "its organizations", asked, |row| intake.organization(row)).await?;
    let asked = statements.permissions.as_ref();
    rows(foreign, "its permissions", asked, |row| intake.permission(row)).await?;
    rows(foreign, "its roles", statements.roles.as_ref(), |row| intake.role(row)).await?;
    let asked = statements.role_permissions.as_ref();
    rows(foreign, "what its roles allow", asked, |row| intake.role_permission(row)).await?;
    rows(foreign, "what its roles imply", statements.implied.as_ref(), |row| intake.implied(row)).await?;
    intake.close_roles();
    for text in &statements.orphans {
        let orphan = |row: ForeignRow<'_>| intake.finding(AnomalyKind::Orphan, row);
        rows(foreign, "rows that lead nowhere", Some(text), orphan).await?;
    }
    for (kind, text) in &statements.findings {
        rows(foreign, "what cannot be taken over", Some(text), |row| intake.finding(*kind, row)).await?;
    }
    intake.everybody(&statements.everybody);
    rows(foreign, "its users", Some(&statements.users), |row| intake.user(row, &mut *each)).await?;
    Ok(intake.finish())
}
