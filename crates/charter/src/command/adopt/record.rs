//! The record of a run, as a file in the data folder: what there was, where, and by which names, for the day on which nothing else can
//! be asked. A run writes it before it touches anything, and `charter rescue` reads it. What another installation left in the folder, before a
//! rescue, is put aside before the first run of this one writes there: evidence is never written over.

use crate::folder::{make_folder, write_private};
use crate::installation;
use charter_adopt::sums::TableSum;
use charter_kernel::Timestamp;
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
    /// How far it came; `rescued` once a rescue took Charter's tables away.
    pub state: String,
    /// Which installation this is: the id of its platform organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installation: Option<String>,
}

/// An installation, as records know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The id of its platform organization.
    pub id: String,
    /// When it was made.
    pub made_at: Timestamp,
}

/// What a rescue leaves a record as.
pub const RESCUED: &str = "rescued";

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

    /// Whether it is about an installation; one that tells none is of one that was there when it was written.
    fn is_of(&self, installation: &Installation) -> bool {
        match &self.installation {
            Some(id) => *id == installation.id,
            None => self.started_at.parse::<Timestamp>().is_ok_and(|at| at >= installation.made_at),
        }
    }

    /// Puts aside what other installations left: records and proofs, in a folder of their own. Gives it, where there were any.
    pub fn put_aside(data: &Path, installation: &Installation) -> Result<Option<PathBuf>, String> {
        let folder = folder(data);
        let mut moved: Vec<PathBuf> = Vec::new();
        for (number, path) in records(&folder)? {
            // One that cannot be read is nobody's whom anything could be said of.
            if Self::read(&path).is_ok_and(|record| record.is_of(installation)) {
                continue;
            }
            let proof = folder.join(format!("proof-{number:06}.json"));
            let signature = folder.join(format!("proof-{number:06}.json.jws"));
            moved.push(path);
            moved.extend([proof, signature].into_iter().filter(|path| path.exists()));
        }
        if moved.is_empty() {
            return Ok(None);
        }
        let stamp = stamp(installation::now());
        let aside = new_folder(&folder, &format!("earlier-{stamp}"))?;
        for path in moved {
            let name = path.file_name().unwrap_or_default();
            let wrong = |error: std::io::Error| format!("{} cannot be put aside: {error}", path.display());
            fs::rename(&path, aside.join(name)).map_err(wrong)?;
        }
        Ok(Some(aside))
    }

    /// The record of the latest run, where there is one.
    pub fn newest(data: &Path) -> Result<Option<Self>, String> {
        let newest = records(&folder(data))?.into_iter().max();
        newest.map(|(_, path)| Self::read(&path)).transpose()
    }
}

/// The files of records, with the numbers of their runs.
fn records(folder: &Path) -> Result<Vec<(u32, PathBuf)>, String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", folder.display())),
    };
    let number = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("run-")?.strip_suffix(".json")?;
        name.parse::<u32>().ok()
    };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter_map(|path| Some((number(&path)?, path))).collect())
}

/// An instant, to be put into the name of a file.
pub fn stamp(at: Timestamp) -> String {
    at.to_string().chars().filter(char::is_ascii_alphanumeric).take(15).collect()
}

/// Makes a folder that was not there, by this name or one that counts up from it.
fn new_folder(within: &Path, name: &str) -> Result<PathBuf, String> {
    let named = |count: u32| match count {
        1 => within.join(name),
        count => within.join(format!("{name}-{count}")),
    };
    let free = (1..).map(named).find(|path| !path.exists());
    let path = free.ok_or_else(|| format!("{}: no name is free", within.display()))?;
    make_folder(&path)?;
    Ok(path)
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
            installation: None,
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
    fn what_another_installation_left_is_put_aside_and_never_written_over() {
        let data = tempfile::tempdir().unwrap();
        let of = |run, id: &str| Record { installation: Some(id.to_owned()), ..record(run) };
        let made_at = "2026-11-22T02:00:00Z".parse().unwrap();
        let here = Installation { id: "b".to_owned(), made_at };
        of(1, "a").write(data.path()).unwrap();
        // One that tells no installation was written before there was this one.
        record(3).write(data.path()).unwrap();
        let later = Record { started_at: "2026-11-22T03:00:00Z".to_owned(), ..record(4) };
        later.write(data.path()).unwrap();
        let folder = folder(data.path());
        fs::write(folder.join("proof-000001.json"), "first").unwrap();
        fs::write(folder.join("proof-000001.json.jws"), "signed").unwrap();
        fs::write(folder.join("proof-000004.json"), "ours").unwrap();
        let aside = Record::put_aside(data.path(), &here).unwrap().unwrap();
        let mut names: Vec<String> = fs::read_dir(&aside)
            .unwrap()
            .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(
            names,
            ["proof-000001.json", "proof-000001.json.jws", "run-000001.json", "run-000003.json"]
        );
        assert_eq!(Record::newest(data.path()).unwrap().unwrap(), later);
        assert_eq!(Record::put_aside(data.path(), &here).unwrap(), None);
        assert_eq!(fs::read_to_string(folder.join("proof-000004.json")).unwrap(), "ours");
        // A second time within the second has a name of its own.
        of(2, "a").write(data.path()).unwrap();
        assert_ne!(Record::put_aside(data.path(), &here).unwrap().unwrap(), aside);
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
