//! The comparison as a person reads it.

use super::{Became, CatalogueDiff, FieldChange};
use std::fmt;

fn sign(became: Became) -> char {
    match became {
        Became::Added => '+',
        Became::Removed => '-',
        Became::Changed => '~',
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &[FieldChange]) -> fmt::Result {
    let shown = |value: &Option<String>| match value.as_deref() {
        None => "nothing".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => format!("\"{text}\""),
    };
    for field in fields {
        writeln!(f, "      {}: {} -> {}", field.field, shown(&field.before), shown(&field.after))?;
    }
    Ok(())
}

impl fmt::Display for CatalogueDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "catalogue {} -> {}", self.version_before, self.version_after)?;
        if self.is_empty() {
            writeln!(f, "nothing differs")?;
        }
        for (name, changes) in self.sections() {
            if changes.is_empty() {
                continue;
            }
            let count = |which| changes.iter().filter(|change| change.became == which).count();
            let (added, removed, changed) =
                (count(Became::Added), count(Became::Removed), count(Became::Changed));
            writeln!(f, "\n{name}: {added} added, {removed} removed, {changed} changed")?;
            for change in changes {
                writeln!(f, "  {} {}", sign(change.became), change.key)?;
                write_fields(f, &change.fields)?;
            }
        }
        if !self.roles.is_empty() {
            writeln!(f, "\nroles: who holds one of these gains or loses")?;
            for role in &self.roles {
                let (gains, loses) = (role.gains.len(), role.loses.len());
                writeln!(f, "  {} {} (gains {gains}, loses {loses})", sign(role.became), role.key)?;
                write_fields(f, &role.fields)?;
                for code in &role.gains {
                    writeln!(f, "      + {code}")?;
                }
                for code in &role.loses {
                    writeln!(f, "      - {code}")?;
                }
            }
        }
        if !self.findings.is_empty() {
            writeln!(f, "\nfindings")?;
            for finding in &self.findings {
                writeln!(f, "  {finding}")?;
            }
        }
        Ok(())
    }
}
