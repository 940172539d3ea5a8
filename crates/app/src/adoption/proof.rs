//! The signature of a proof: what the file of a run's proof comes to, stated by the installation. The file itself is made, kept and read
//! where the command runs.

use super::run::reading_problem;
use super::{Run, RunState, Step, event, known, require_operator};
use crate::App;
use crate::caller::RequestContext;
use crate::identity::signed_statement::{self, STATEMENT_MAX};
use crate::transaction::{Committed, Transaction};
use charter_db::{BoxFuture, Scope};
use charter_kernel::{Key, Problem, Timestamp};
use charter_store as store;
use serde::{Deserialize, Serialize};

/// The type of what is signed: no token has it.
const TYPE: &str = "charter-adoption-proof+jws";
/// Characters of a SHA-256 in hexadecimal.
const SUM: usize = 64;

/// What is stated of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofStatement {
    /// The run.
    pub run: u64,
    /// The other system, by the name the operator gave it.
    pub source: Key,
    /// Stands for the plan that was carried out.
    pub plan_hash: String,
    /// What the file of the proof comes to.
    pub sha256: String,
}

/// A signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedProof {
    /// A JWS in its compact form.
    pub signature: String,
    /// When it was signed.
    pub signed_at: Timestamp,
}

/// What came of a look at a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedProof {
    /// What was stated of it, by which key and when; none when it counts for nothing.
    pub confirmed: Option<(String, Timestamp, ProofStatement)>,
    /// Why it counts for nothing.
    pub fault: Option<String>,
    /// Whether it is the proof by which the run was applied, as its step has it.
    pub is_of_the_step: bool,
    /// The run it is of, as it is now; none where it counts for nothing, or where nobody here knows the run.
    pub run: Option<Run>,
}

fn require_sum(sha256: &str) -> Result<(), Problem> {
    let is_sum = sha256.len() == SUM && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_sum {
        return Ok(());
    }
    Err(Problem::invalid(
        "sha256",
        format!("{SUM} digits of a SHA-256 in hexadecimal are expected, in lower case"),
    ))
}

/// Signs what the proof of a run comes to.
pub async fn sign_proof(
    app: &App,
    ctx: &RequestContext,
    number: u64,
    sha256: String,
) -> Result<SignedProof, Problem> {
    require_operator(ctx)?;
    require_sum(&sha256)?;
    let run = reading_problem(app, move |conn| Box::pin(known(conn, number))).await?;
    let statement = ProofStatement { run: number, source: run.source, plan_hash: run.plan_hash, sha256 };
    let (platform, now, ctx) = (app.platform(), ctx.now, ctx.clone());
    let told = serde_json::json!({ "sha256": statement.sha256, "plan_hash": statement.plan_hash });
    let signature = signed_statement::sign(app, TYPE, statement, now).await?;
    let (signed, _) = app
        .write(Scope::Installation, platform, now, move |transaction: Transaction<'_>| {
            Box::pin(async move {
                let event = event(&ctx, platform, "adoption.proof", number, told);
                transaction.commit(event, Vec::new(), SignedProof { signature, signed_at: now }).await
            }) as BoxFuture<'_, Result<Committed<SignedProof>, Problem>>
        })
        .await?;
    Ok(signed)
}

/// Says whether a signature is this installation's, and of a file that comes to this.
pub async fn check_proof(
    app: &App,
    ctx: &RequestContext,
    sha256: String,
    signature: &str,
) -> Result<CheckedProof, Problem> {
    require_operator(ctx)?;
    require_sum(&sha256)?;
    if signature.len() > STATEMENT_MAX {
        return Err(Problem::invalid(
            "signature",
            format!("at most {STATEMENT_MAX} characters are expected"),
        ));
    }
    let told = signed_statement::confirm::<ProofStatement>(app, TYPE, signature, ctx.now).await?;
    let confirmed = match told {
        Err(why) => return Ok(refused(why)),
        Ok(confirmed) if confirmed.signed.stated.sha256 != sha256 => {
            return Ok(refused(
                "the file was changed after it was signed, or it is the signature of another",
            ));
        }
        Ok(confirmed) => confirmed,
    };
    let (at, statement) = (Timestamp::from_seconds(confirmed.signed.iat), confirmed.signed.stated);
    let number = statement.run;
    let (run, steps) = reading_problem(app, move |conn| {
        Box::pin(async move {
            let run = store::adoption_run::get(conn, number).await?;
            Ok((run, store::adoption_run::steps(conn, number).await?))
        })
    })
    .await?;
    let is_of_the_step = run.as_ref().is_some_and(|run| run.state == RunState::Applied)
        && steps.iter().any(|row| row.step == Step::Equivalence && row.checksum.as_ref() == Some(&sha256));
    Ok(CheckedProof { confirmed: Some((confirmed.kid, at, statement)), fault: None, is_of_the_step, run })
}

fn refused(why: &str) -> CheckedProof {
    CheckedProof { confirmed: None, fault: Some(why.to_owned()), is_of_the_step: false, run: None }
}
