//! The record of a run, as a file in the data folder: what there was, where, and by which names, for the day on which nothing else can
//! be asked. A run writes it before it touches anything, and `charter rescue` reads it.

use crate::folder::{make_folder, write_private};
use charter_adopt::sums::TableSum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What this program writes.
pub const FORMAT: u32 = 1;

/// An organization that a run took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedOrganization {
    /// Its key here.
    pub key: String,
    /// Its name.
    pub name: String,
}

/// What the other system held before anything was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedLegacy {
    /// What its facts came to.
    pub fingerprint: String,
    /// Its tables that were read, by name.
    pub tables: BTreeMap<String, TableSum>,
}

/// The record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What it was written as; see [`FORMAT`].
    pub format: u32,
    /// Number of the run.
    pub run: u32,
    /// The name the operator gave the other system.
    pub source: String,
    /// Which system it is.
    pub system: String,
    /// Address of its database, without a password.
    pub from: String,
    /// Address of Charter's database, without a password.
    pub database: String,
    /// The schema Charter's tables stand in, where they have one of their own.
    pub database_schema: Option<String>,
    /// Charter's tables, by name.
    pub tables: Vec<String>,
    /// The organizations.
    pub organizations: Vec<RecordedOrganization>,
    /// The other system, before.
    pub legacy: RecordedLegacy,
    /// Which plan was carried out.
    pub plan_hash: String,
    /// When the run began.
    pub started_at: String,
    /// How far it came.
    pub state: String,
}

/// The folder that records lie in.
pub fn folder(data: &Path) -> PathBuf {
    data.join("adoption")
}

impl Record {
    /// Writes the record whole or not at all, readable for its owner alone; one that is there already is replaced.
    pub fn write(&self, data: &Path) -> Result<PathBuf, String> {
        let path = folder(data).join(format!("run-{:06}.json", self.run));
        let text = serde_json::to_string_pretty(self).map_err(|error| format!("the record: {error}"))?;
        make_folder(&folder(data))?;
        write_private(&path, &format!("{text}\n"))?;
        Ok(path)
    }

    /// Reads a record.
    pub fn read(path: &Path) -> Result<Self, String> {
        let wrong = |why: String| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let record: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if record.format == FORMAT {
            return Ok(record);
        }
        Err(wrong(format!(
            "the record is of format {}, and this version of Charter reads {FORMAT}",
            record.format
        )))
    }

    /// The record of a run, where there is one.
    pub fn of(data: &Path, run: u32) -> Result<Option<Self>, String> {
        let path = folder(data).join(format!("run-{run:06}.json"));
        if path.exists() { Self::read(&path).map(Some) } else { Ok(None) }
    }

    /// The record of the latest run, where there is one.
    pub fn newest(data: &Path) -> Result<Option<Self>, String> {
        let folder = folder(data);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", folder.display())),
        };
        let number = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix("run-")?.strip_suffix(".json")?;
            name.parse::<u32>().ok()
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let newest = paths.filter_map(|path| Some((number(&path)?, path))).max();
        newest.map(|(_, path)| Self::read(&path)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn record(run: u32) -> Record {
        Record {
            format: FORMAT,
            run,
            source: "erp".to_owned(),
            system: "django".to_owned(),
            from: "sqlite:erp.db".to_owned(),
            database: "sqlite:///data/charter.db".to_owned(),
            database_schema: None,
            tables: vec!["roles".to_owned()],
            organizations: vec![RecordedOrganization {
                key: "toys".to_owned(),
                name: "Soft \"Toys\" 🧸".to_owned(),
            }],
            legacy: RecordedLegacy {
                fingerprint: "00".to_owned(),
                tables: BTreeMap::from([(
                    "public.users".to_owned(),
                    TableSum { rows: 2, sha256: "ab".to_owned() },
                )]),
            },
            plan_hash: "cd".to_owned(),
            started_at: "2026-11-22T01:00:00Z".to_owned(),
            state: "applying".to_owned(),
        }
    }

    #[test]
    fn the_newest_record_is_read_as_it_was_written_and_by_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Record::newest(data.path()).unwrap(), None);
        for run in [9, 10, 2] {
            record(run).write(data.path()).unwrap();
        }
        let path = Record { state: "applied".to_owned(), ..record(10) }.write(data.path()).unwrap();
        assert_eq!(path, data.path().join("adoption/run-000010.json"));
        let newest = Record::newest(data.path()).unwrap().unwrap();
        assert_eq!(newest, Record { state: "applied".to_owned(), ..record(10) });
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder(data.path()))), (0o600, 0o700));
        assert_eq!(fs::read_dir(folder(data.path())).unwrap().count(), 3, "nothing half written is left");
    }

    #[test]
    fn a_record_of_another_format_or_a_torn_one_is_refused_by_name() {
        let data = tempfile::tempdir().unwrap();
        Record { format: 2, ..record(1) }.write(data.path()).unwrap();
        assert!(Record::newest(data.path()).unwrap_err().contains("format 2"));
        fs::write(folder(data.path()).join("run-000002.json"), "{\"format\": 1, \"ru").unwrap();
        assert!(Record::newest(data.path()).unwrap_err().contains("run-000002.json"));
    }
}
