//! `charter adopt apply`: carries a plan out, in four stages. A stage that fails takes the whole run back; a run that was broken off goes on
//! where it was.

use super::super::Invocation;
use super::super::show;
use super::desk::{Desk, Holder, Told, send};
use super::equivalence::{self, Accepted, Equivalence};
use super::here::{self, Here};
use super::interrupt::{self, Stop};
use super::legacy::{self, Legacy, Looking};
use super::proof::{self, Proof};
use super::ready::{self, Ready};
use super::record::{self, Record, RecordedLegacy, RecordedOrganization};
use super::telling::{Telling, compared};
use super::{data, follow, plan, runs, tables};
use crate::client::{Call, Client};
use crate::config::Configuration;
use crate::config::text::without_password;
use crate::failure::{Failure, Outcome, Result};
use crate::{installation, output};
use charter_adopt::change::Changes;
use charter_adopt::module;
use charter_adopt::plan::{self as planned, Ground, Plan, catalogue_sum};
use charter_adopt::rows::{Making, Source};
use charter_catalogue::OwnCatalogue;
use charter_kernel::counted;
use clap::{Arg, Command};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const PLAN: &str = "plan";
const FROM: &str = "from";
const PROOF: &str = "proof";

pub fn command() -> Command {
    Command::new("apply")
        .about("Carry a plan out: additive rows only, in four stages, each taken back when it fails")
        .arg(Arg::new(PLAN).long(PLAN).value_name("FILE").default_value("plan.json").help("The plan"))
        .arg(
            Arg::new(FROM)
                .long(FROM)
                .value_name("ADDRESS")
                .help("The other system's database, where the plan does not have all of its address (a plan never has a password)"),
        )
        .args(ready::arguments())
        .arg(Arg::new(PROOF).long(PROOF).value_name("FILE").help("Where the proof goes besides the data folder"))
        .after_help(
            "The other system's tables are read and never written. The same plan applied again goes on where it was broken off, or changes \
             nothing. Exit code 1: a stage failed, and the run was taken back.",
        )
}

/// The address of the other system: what was typed, or what the plan has.
fn address(invocation: &Invocation<'_>, plan: &Plan) -> Result<String> {
    let typed = invocation.matches.get_one::<String>(FROM);
    if typed.is_none() && plan.from.contains("***") {
        return Err(Failure::new(
            "a plan has no password: give the whole address with --from, as @file so that it is in no list of processes",
        ));
    }
    legacy::address(typed.unwrap_or(&plan.from))
}

/// What is carried out, and where.
struct Work<'a> {
    configuration: &'a Configuration,
    plan: &'a Plan,
    found: &'a Legacy,
    telling: &'a Telling,
    ready: &'a Ready,
    address: &'a str,
    started_at: &'a str,
}

struct Stages<'a> {
    ground: &'a Ground<'a>,
    here: &'a Here,
    own: &'a OwnCatalogue,
    changes: &'a Changes,
    work: &'a Work<'a>,
}

/// What the last stage came to.
struct Proved {
    equivalence: Equivalence,
    text: String,
    signature: String,
}

/// A stage that failed, and why.
struct Failed {
    stage: &'static str,
    why: Failure,
    checksum: Option<String>,
}

fn failed(stage: &'static str) -> impl Fn(Failure) -> Failed {
    move |why| Failed { stage, why, checksum: None }
}

impl Stages<'_> {
    fn client(&self) -> Result<&Client> {
        self.here.client.as_ref().ok_or_else(|| Failure::new("there is no installation"))
    }

    /// The second stage: our tables are there and are what was meant; the other system's permissions are codes.
    async fn schema(&self, desk: &Desk<'_>) -> Result<Record> {
        let tables = tables::ours(self.work.configuration).await?;
        let record = self.record(desk.run, tables, "applying")?;
        let client = self.client()?;
        if *self.own != self.here.own {
            put_catalogue(client, self.own).await?;
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
        let lines = [
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
        self.work.telling.stage(2, "schema", &lines);
        Ok(record)
    }

    fn record(&self, run: u64, tables: Vec<String>, state: &str) -> Result<Record> {
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
            state: state.to_owned(),
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
        here::links(client, &self.work.plan.source, &mut known).await.map_err(&stage)?;
        let plan = self.work.plan;
        let accepted = Accepted { names: &plan.accepted, beyond: &plan.beyond };
        let equivalence = equivalence::compare(client, self.ground, &known, accepted, desk.run);
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
        let told = equivalence::told(&equivalence);
        let mut all: Vec<String> = told.lines().map(|line| line.trim_start().to_owned()).collect();
        all.extend(lines);
        all.push(format!("the proof is signed: {}", path.display()));
        self.work.telling.stage(4, "equivalence", &all);
        Ok(Proved { equivalence, text, signature: signature.unwrap_or_default() })
    }

    /// The text of the proof, and whether the other system's tables are as they were.
    async fn proof(&self, run: u64, equivalence: &Equivalence) -> Result<(String, Vec<String>)> {
        let Work { configuration, plan, found, ready, .. } = *self.work;
        let mut again = Looking::open(self.work.address, Some(plan.system), found.mapping.as_ref()).await?;
        let tables_after = ready::sums(&mut again).await?;
        let server_version = ready::server_version(&mut again).await;
        let call = Call::new("GET", format!("/api/v1/adoption/runs/{run}"));
        let ground = proof::Ground {
            configuration,
            run: &send(self.client()?, &call).await?.json()?,
            plan,
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
    async fn back(&self, desk: &Desk<'_>, failed: &Failed) -> Result<()> {
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
        put_catalogue_back(self.client()?, &self.here.own, self.own).await?;
        self.work.telling.line(&format!("the run was taken back: {}", undone.told()));
        Ok(())
    }
}

/// What bytes come to.
pub fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts an own document in force.
pub async fn put_catalogue(client: &Client, own: &OwnCatalogue) -> Result<()> {
    let document = charter_catalogue::print_own(own);
    let call = Call::new("POST", "/api/v1/catalogue/apply").json(&json!({ "document": document }));
    send(client, &call).await?;
    Ok(())
}

/// Puts the own document back that was in force before, unless somebody changed it meanwhile.
pub async fn put_catalogue_back(client: &Client, before: &OwnCatalogue, put: &OwnCatalogue) -> Result<()> {
    if before == put || here::own(client).await? != *put {
        return Ok(());
    }
    // There is no document without a version.
    let empty = OwnCatalogue::default();
    let without = module::without_permissions(put);
    put_catalogue(client, if *before == empty { &without } else { before }).await
}

/// Carries a plan out.
pub async fn run(invocation: &Invocation<'_>) -> Result {
    let path = invocation.matches.get_one::<String>(PLAN).map_or("plan.json", String::as_str);
    let plan = plan::read(path)?;
    let obstacles = plan.obstacles();
    if !obstacles.is_empty() {
        let told: Vec<String> =
            obstacles.iter().map(|it| format!("\n{}", output::wrapped("  - ", it).trim_end())).collect();
        return Err(Failure::new(format!("{path} cannot be carried out:{}", told.concat())));
    }
    let telling = Telling::new(invocation);
    let mut stop = Stop::listen()?;
    match stop.unless(begun(invocation, &plan, &telling)).await {
        Err(code) => Ok(interrupt::told(code, telling.stopped(path))),
        Ok(begun) => {
            let (address, found, ready, looking, mut here) = begun?;
            let work = Work {
                configuration: &invocation.loaded.configuration,
                plan: &plan,
                found: &found,
                telling: &telling,
                ready: &ready,
                address: &address,
                started_at: &ready.started_at,
            };
            let done = stop.unless(carry_out(&mut here, &work, looking)).await;
            let closed = here.close().await;
            match done {
                Err(code) => Ok(interrupt::told(code, telling.stopped(path))),
                Ok(done) => {
                    let (number, carried) = done?;
                    closed?;
                    ended(invocation, &work, number, carried).await
                }
            }
        }
    }
}

/// The first stage, and the installation.
async fn begun(
    invocation: &Invocation<'_>,
    plan: &Plan,
    telling: &Telling,
) -> Result<(String, Legacy, Ready, Looking, Here)> {
    let configuration = &invocation.loaded.configuration;
    let mapping = legacy::parsed("the mapping of the plan", &plan.mapping)?;
    let address = address(invocation, plan)?;
    let mut looking = Looking::open(&address, Some(plan.system), Some(&mapping)).await?;
    let heard = looking.hear(&mut |_, _| {}).await?;
    if heard.fingerprint != plan.facts {
        return Err(other_rows(configuration, plan, &heard.fingerprint).await?);
    }
    let mut ready = ready::look(invocation.matches, configuration, plan, &mut looking, &heard).await?;
    if !installation::is_there(configuration).await {
        let data = configuration.data.display();
        ready
            .lines
            .push(format!("there is no installation yet: a new one is made, with its data folder in {data}"));
    }
    telling.stage(1, "before", &ready.lines);
    let found = Legacy {
        system: plan.system,
        engine: looking.engine(),
        tables: looking.tables.clone(),
        mapping: Some(mapping),
        mapping_text: Some(plan.mapping.clone()),
        heard,
        passwords: BTreeMap::new(),
    };
    let here = Here::open(configuration, &plan.source, &found).await?;
    Ok((address, found, ready, looking, here))
}

/// The other system changed since the plan was made: what that means for its run, if there is one.
async fn other_rows(configuration: &Configuration, plan: &Plan, now: &str) -> Result<Failure> {
    let short = |sum: &str| sum.get(..12).unwrap_or_default().to_owned();
    let begun = match installation::is_there(configuration).await {
        true => {
            let client = Client::connect(configuration).await?;
            let begun = runs::newest(&client, &plan.source, &runs::UNDER_WAY).await;
            client.close().await?;
            begun?.filter(|run| here::text(run, "plan_hash") == plan.hash)
        }
        false => None,
    };
    let what = match begun {
        None => "Make the plan again; nothing was written".to_owned(),
        Some(run) => format!(
            "{} of this plan {}, and cannot go on: what it wrote stands, and the accounts it brought can do nothing before its proof. Take it \
             back, {}, and make the plan again",
            runs::named(&run),
            runs::under_way(&run),
            runs::rollback(&run)
        ),
    };
    Ok(Failure::new(format!(
        "the other system has other rows than those the plan was made from ({} there, {} in the plan): they changed since, or it is another \
         database. {what}",
        short(now),
        short(&plan.facts)
    )))
}

/// Tells how a run ended.
async fn ended(invocation: &Invocation<'_>, work: &Work<'_>, number: u64, carried: Carried) -> Result {
    let telling = work.telling;
    match carried {
        Ok(Proved { equivalence, text, signature }) => {
            if let Some(file) = invocation.matches.get_one::<String>(PROOF) {
                proof::hand_out(file, &text, &signature)?;
            }
            if invocation.is_json {
                show::raw(&json!({ "run": number, "state": "applied", "equivalence": equivalence }));
            }
            telling
                .line(&format!("run {number} is applied: charter adopt verify proves it again at any time"));
            Ok(Outcome::Good)
        }
        Err(None) => {
            if invocation.is_json {
                show::raw(&json!({ "run": number, "state": "applied", "changed": false }));
            }
            telling.line(&format!("run {number} of this plan is applied already: nothing changed"));
            Ok(Outcome::Good)
        }
        Err(Some(failed)) => {
            let mut again =
                Looking::open(work.address, Some(work.plan.system), work.found.mapping.as_ref()).await?;
            let now = ready::sums(&mut again).await?;
            let lines = compared(&work.ready.sums, &now);
            for line in &lines {
                telling.line(line);
            }
            if invocation.is_json {
                let stage = failed.stage;
                show::raw(
                    &json!({ "run": number, "state": "undone", "stage": stage, "error": failed.why.to_string(), "other_system": lines }),
                );
            } else {
                output::complain(&format!("charter: the stage {} failed: {}", failed.stage, failed.why));
            }
            Ok(Outcome::Denied)
        }
    }
}

/// Refuses a plan that says something else than what it comes to.
fn as_planned(plan: &Plan, ground: &Ground<'_>, found: &Legacy, here: &Here) -> Result<()> {
    let unfit = |anomalies: &BTreeMap<String, u64>| anomalies.get("unfit_login").copied();
    let (new, _) = ground.new_organizations(&here.known, &[]);
    let key = |legacy_id: &str| plan.new_organizations.iter().find(|it| it.legacy_id == legacy_id);
    if let Some(other) = new.iter().find(|it| key(&it.legacy_id).is_some_and(|planned| planned.key != it.key))
    {
        return Err(Failure::new(format!(
            "the organization {} would get the key {} by now, and another in the plan: make the plan again",
            other.name, other.key
        )));
    }
    let is_same = ground.verdict(&plan.accepted, &plan.beyond, &mut |_| {}) == plan.verdict
        && ground.without_before() == plan.without_before
        && ground.intent.unmapped == plan.unmapped
        && ground.roles() == plan.roles
        && ground.faults(&found.heard.anomalies, &plan.gone_roles).is_empty()
        && unfit(&planned::counted(&found.heard.anomalies)) == unfit(&plan.anomalies);
    if is_same {
        return Ok(());
    }
    Err(Failure::new("the plan does not say what it comes to: make it again"))
}

type Carried = std::result::Result<Proved, Option<Failed>>;

async fn carry_out(here: &mut Here, work: &Work<'_>, looking: Looking) -> Result<(u64, Carried)> {
    let Work { configuration, plan, found, telling, .. } = *work;
    let new_names = |kind: &str, names: &[String]| -> Vec<String> {
        let open = names.iter().map(|name| format!("{kind}:{name}"));
        open.filter(|name| !plan.accepted.contains(name)).collect()
    };
    let logins: Vec<String> = here.accounts.iter().map(|it| it.login.clone()).collect();
    let open = [new_names("account", &logins), new_names("organization", &here.organizations)].concat();
    if let Some(first) = open.first() {
        return Err(Failure::new(format!(
            "{} came to be here since the plan was made, and nobody accepted it: make the plan again",
            first.replacen(':', " ", 1)
        )));
    }
    here.claim(found).await?;
    let (catalogue, own) = here.catalogue(found)?;
    if catalogue_sum(&catalogue) != plan.catalogue {
        return Err(Failure::new(
            "the catalogue is another one than when the plan was made: make the plan again",
        ));
    }
    let mapping = found.mapping.as_ref().ok_or_else(|| Failure::new("the plan has no mapping"))?;
    let ground = Ground::new(&found.heard.facts, mapping, catalogue)
        .map_err(|wrong| Failure::new(wrong.to_string()))?;
    as_planned(plan, &ground, found, here)?;
    for (login, codes) in here.beyond(&ground).await? {
        if !charter_adopt::proof::is_among(&codes, plan.beyond.get(&login)) {
            return Err(Failure::new(format!(
                "account {login} may do more of the installation itself than when the plan was made: make the plan again"
            )));
        }
    }
    let missing = || Failure::new("there is no installation");
    let changes = follow::as_planned(here.client.as_ref().ok_or_else(missing)?, &ground, here, plan).await?;
    let stages = Stages { ground: &ground, here, own: &own, changes: &changes, work };
    let client = stages.client()?;
    let holder = Holder::take(&configuration.data)?;
    let desk = Desk::begin(client, &holder, plan).await?;
    telling.reaches(desk.run, "before");
    if desk.state() == "applied" {
        return Ok((desk.run, Err(None)));
    }
    if desk.found.get("resumed") == Some(&Value::Bool(true)) {
        telling.line(&format!("run {} goes on", desk.run));
    }
    let outcome = steps(&stages, &desk, looking).await;
    let state = if outcome.is_ok() { "applied" } else { "failed" };
    if let Err(failed) = &outcome {
        stages.back(&desk, failed).await.map_err(|failure| {
            Failure::new(format!(
                "the stage {} failed: {}\n  and the run could not be taken back: {failure}\n  try `charter adopt rollback`, or apply the plan again to go on",
                failed.stage, failed.why
            ))
        })?;
    }
    let state = if state == "failed" { "undone" } else { state };
    if let Ok(Some(record)) = Record::newest(&configuration.data)
        && u64::from(record.run) == desk.run
    {
        let _ = Record { state: state.to_owned(), ..record }.write(&configuration.data);
    }
    Ok((desk.run, outcome.map_err(Some)))
}

async fn steps(
    stages: &Stages<'_>,
    desk: &Desk<'_>,
    looking: Looking,
) -> std::result::Result<Proved, Failed> {
    let Work { plan, telling, ready, .. } = *stages.work;
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
    stages.schema(desk).await.map_err(failed("schema"))?;
    telling.reaches(desk.run, "data");
    let mut lines = follow::write(desk, stages.changes).await.map_err(failed("data"))?;
    let source = stages.ground.source(&stages.here.known, desk.run);
    let source = Source { kept: Some(&stages.changes.kept), ..source };
    lines.extend(data::write(desk, source, looking, plan.rows).await.map_err(failed("data"))?);
    telling.stage(3, "data", &lines);
    telling.reaches(desk.run, "equivalence");
    stages.equivalence(desk).await
}
