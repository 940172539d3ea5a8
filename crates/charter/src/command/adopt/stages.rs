//! The four stages of a run that is carried out, each with what it comes to. One that fails has the run taken back.

use super::checksum::sum;
use super::desk::{Desk, Told, send};
use super::equivalence::{self, Accepted, Equivalence};
use super::here::{self, Here};
use super::legacy::{self, Legacy, Looking};
use super::passwords::Kept;
use super::proof::{self, Proof};
use super::ready::{self, Ready};
use super::record::{self, Installation, Record, RecordedLegacy, RecordedOrganization};
use super::telling::{APPLIED, Telling, compared};
use super::{catalogue, data, follow, tables, taken};
use crate::client::{Call, Client};
use crate::config::Configuration;
use crate::config::text::without_password;
use crate::failure::{Failure, Result};
use crate::installation;
use charter_adopt::change::Changes;
use charter_adopt::plan::{Ground, Plan, catalogue_sum};
use charter_adopt::rows::{Making, Source};
use charter_catalogue::OwnCatalogue;
use charter_kernel::counted;
use serde_json::json;

/// What is carried out, and where.
pub struct Work<'a> {
    pub configuration: &'a Configuration,
    pub plan: &'a Plan,
    pub found: &'a Legacy,
    pub telling: &'a Telling,
    pub ready: &'a Ready,
    pub address: &'a str,
    pub started_at: &'a str,
}

pub struct Stages<'a> {
    pub ground: &'a Ground<'a>,
    pub here: &'a Here,
    pub own: &'a OwnCatalogue,
    pub changes: &'a Changes,
    pub work: &'a Work<'a>,
}

/// What the last stage came to.
pub struct Proved {
    pub equivalence: Equivalence,
    pub text: String,
    pub signature: String,
}

/// A stage that failed, and why.
pub struct Failed {
    pub stage: &'static str,
    pub why: Failure,
    pub checksum: Option<String>,
    /// Why the run could not be taken back, where it could not.
    pub stuck: Option<Failure>,
}

fn failed(stage: &'static str) -> impl Fn(Failure) -> Failed {
    move |why| Failed { stage, why, checksum: None, stuck: None }
}

impl Stages<'_> {
    pub fn client(&self) -> Result<&Client> {
        self.here.client.as_ref().ok_or_else(|| Failure::new("there is no installation"))
    }

    /// The second stage: our tables are there and are what was meant; the other system's permissions are codes.
    async fn schema(&self, desk: &Desk<'_>) -> Result<Record> {
        let tables = tables::ours(self.work.configuration).await?;
        let client = self.client()?;
        let installation = here::installation(client).await?;
        let aside = Record::put_aside(&self.work.configuration.data, &installation).map_err(Failure::new)?;
        let record = self.record(desk.run, tables, installation)?;
        if *self.own != self.here.own {
            catalogue::put(client, self.own).await?;
        }
        desk.tell(Told {
            step: "schema",
            state: "done",
            rows: record.tables.len() as u64,
            checksum: Some(sum(record.tables.join("\n").as_bytes())),
            detail: json!({ "tables": record.tables, "schema": self.work.configuration.database_schema }),
            error: None,
        })
        .await?;
        let codes = self.work.found.heard.facts.permissions.len();
        let mut lines = vec![
            format!(
                "{} of Charter, all of them its own",
                counted(record.tables.len() as u64, "table", "tables")
            ),
            format!(
                "{} here",
                counted(
                    codes as u64,
                    "permission of the other system is a code",
                    "permissions of the other system are codes"
                )
            ),
        ];
        lines.extend(
            aside.map(|path| {
                format!("records and proofs of another installation lie in {} now", path.display())
            }),
        );
        self.work.telling.stage(2, "schema", &lines);
        Ok(record)
    }

    fn record(&self, run: u64, tables: Vec<String>, installation: Installation) -> Result<Record> {
        let making = Making::new(self.ground.source(&self.here.known, run));
        let organizations = making.organizations().iter();
        let record = Record {
            format: record::FORMAT,
            run: u32::try_from(run).unwrap_or(u32::MAX),
            source: self.work.plan.source.as_str().to_owned(),
            system: legacy::name(self.work.plan.system).to_owned(),
            from: self.work.plan.from.clone(),
            database: without_password(&self.work.configuration.database),
            database_schema: self.work.configuration.database_schema.clone(),
            tables,
            organizations: organizations
                .map(|row| RecordedOrganization { key: row.key.clone(), name: row.name.clone() })
                .collect(),
            legacy: RecordedLegacy {
                fingerprint: self.work.plan.facts.clone(),
                tables: self.work.ready.sums.clone(),
            },
            plan_hash: self.work.plan.hash.clone(),
            started_at: installation::now().to_string(),
            state: "applying".to_owned(),
            installation: Some(installation.id),
        };
        record.write(&self.work.configuration.data).map_err(Failure::new)?;
        Ok(record)
    }

    /// The fourth stage: before is after, or the difference was accepted by name.
    async fn equivalence(&self, desk: &Desk<'_>) -> std::result::Result<Proved, Failed> {
        let stage = failed("equivalence");
        let client = self.client().map_err(&stage)?;
        // What was written is linked by now, under whatever ids it has.
        let mut known = charter_adopt::rows::Known::default();
        // A map that grows stands twice for a moment.
        known.users.reserve(self.ground.facts.users.len());
        here::links(client, &self.work.plan.source, &mut known).await.map_err(&stage)?;
        let plan = self.work.plan;
        let accepted = Accepted { names: &plan.accepted, beyond: &plan.beyond };
        let equivalence =
            equivalence::compare(client, &self.here.source, self.ground, &known, accepted, desk.run);
        let equivalence = equivalence.await.map_err(&stage)?;
        let (text, lines) = self.proof(desk.run, &equivalence).await.map_err(&stage)?;
        let path = record::folder(&self.work.configuration.data).join(format!("proof-{:06}.json", desk.run));
        let signature = match equivalence.holds() {
            true => Some(proof::sign(client, desk.run, &text).await.map_err(&stage)?),
            false => None,
        };
        proof::keep(&path, &text, signature.as_deref()).map_err(&stage)?;
        if !equivalence.holds() {
            let why = format!("before is not after\n{}", equivalence::told(&equivalence).trim_end());
            return Err(Failed {
                stage: "equivalence",
                why: Failure::new(why),
                checksum: Some(sum(text.as_bytes())),
                stuck: None,
            });
        }
        desk.tell(Told {
            step: "equivalence",
            state: "done",
            rows: equivalence.verdict.users,
            checksum: Some(sum(text.as_bytes())),
            detail: json!({
                "pairs": equivalence.verdict.pairs, "gains": equivalence.verdict.gains, "losses": equivalence.verdict.losses,
                "module_pairs": equivalence.module_pairs, "accepted": plan.accepted, "approved_by": plan.approved_by,
                "signature": signature,
            }),
            error: None,
        })
        .await
        .map_err(&stage)?;
        self.work.telling.reaches(desk.run, APPLIED);
        let told = equivalence::told(&equivalence);
        let mut all: Vec<String> = told.lines().map(|line| line.trim_start().to_owned()).collect();
        let is_changed = lines.len() > 1;
        all.extend(lines);
        if is_changed {
            all.push("the proof is about what stood there when the run looked; `charter adopt plan` finds what came since".to_owned());
        }
        all.push(format!("the proof is signed: {}", path.display()));
        self.work.telling.stage(4, "equivalence", &all);
        Ok(Proved { equivalence, text, signature: signature.unwrap_or_default() })
    }

    /// The text of the proof, and whether the other system's tables are as they were.
    async fn proof(&self, run: u64, equivalence: &Equivalence) -> Result<(String, Vec<String>)> {
        let Work { configuration, plan, found, ready, .. } = *self.work;
        let look = async || {
            let open = Looking::open(
                self.work.address,
                configuration.read_share,
                Some(plan.system),
                found.mapping.as_ref(),
            );
            let mut again = open.await.map_err(Failure::passing)?;
            let sums = ready::sums(&mut again).await?;
            Ok((sums, ready::server_version(&mut again).await))
        };
        let (tables_after, server_version) = legacy::patiently(look).await?;
        let call = Call::new("GET", format!("/api/v1/adoption/runs/{run}"));
        let ground = proof::Ground {
            configuration,
            run: &send(self.client()?, &call).await?.json()?,
            plan,
            verified: None,
            facts: &plan.facts,
            catalogue: &catalogue_sum(&self.ground.catalogue),
            address: &without_password(self.work.address),
            server_version: server_version.as_deref(),
            tables_after: &tables_after,
            started_at: self.work.started_at,
        };
        Ok((Proof::new(&ground, equivalence).text(), compared(&ready.sums, &tables_after)))
    }

    /// Takes the run back, and says what that left.
    pub async fn back(&self, desk: &Desk<'_>, failed: &Failed) -> Result<()> {
        let why = failed.why.to_string();
        let told = Told {
            step: failed.stage,
            state: "failed",
            rows: 0,
            checksum: failed.checksum.clone(),
            detail: json!({}),
            error: Some(why.chars().filter(|letter| *letter != '\0').take(3_900).collect()),
        };
        desk.tell(told).await?;
        let undone = desk.undo("before", false, |_| {}).await?;
        catalogue::put_back(self.client()?, &self.here.own, self.own).await?;
        self.work.telling.line(&format!("the run was taken back: {}", undone.told()));
        Ok(())
    }

    /// All four, one after the other.
    pub async fn carry_out(&self, desk: &Desk<'_>, passwords: Kept) -> std::result::Result<Proved, Failed> {
        let Work { plan, telling, ready, .. } = *self.work;
        let told = Told {
            step: "before",
            state: "done",
            rows: ready.sums.values().map(|sum| sum.rows).sum(),
            checksum: Some(sum(serde_json::to_string(&ready.sums).unwrap_or_default().as_bytes())),
            detail: ready.detail.clone(),
            error: None,
        };
        desk.tell(told).await.map_err(failed("before"))?;
        telling.reaches(desk.run, "schema");
        self.schema(desk).await.map_err(failed("schema"))?;
        telling.reaches(desk.run, "data");
        let mut lines = Vec::from_iter(taken::write(desk, self.ground).await.map_err(failed("data"))?);
        lines.extend(follow::write(desk, self.changes).await.map_err(failed("data"))?);
        let source = self.ground.source(&self.here.known, desk.run);
        let source = Source { kept: Some(&self.changes.kept), ..source };
        lines.extend(data::write(desk, source, passwords, plan.rows).await.map_err(failed("data"))?);
        telling.stage(3, "data", &lines);
        telling.reaches(desk.run, "equivalence");
        self.equivalence(desk).await
    }
}
