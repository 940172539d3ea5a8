//! The signature of a proof of adoption: made, and looked at again.

use crate::adoption::{OPERATOR, RunPath, TAG};
use crate::edge::{Call, Reply, Route, wire};
use charter_app::App;
use charter_app::adoption;
use charter_kernel::{Key, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post("/api/v1/adoption/runs/{run}/proof", OPERATOR, sign)
            .named("adoption.runs.proof", TAG, "Signs what the proof of a run comes to, as the operator.")
            .described(
                "The signature is a JWS in its compact form by the key that signs access tokens, of a type that no token has. It states the run, \
                 its plan and the sum of the file, and carries the public key.",
            )
            .problems(&[ProblemKind::Forbidden, ProblemKind::NotFound])
            .example(r#"{"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}"#)
            .keeps_no_answers(),
        Route::post("/api/v1/adoption/proofs/check", OPERATOR, check)
            .named("adoption.proofs.check", TAG, "Tells whether the signature of a proof holds, as the operator.")
            .described(
                "It holds when a key of this installation made it while the key was in use, the key was never revoked, and the file comes to \
                 the sum that was signed.",
            )
            .problems(&[ProblemKind::Forbidden])
            .example(
                r#"{"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","signature":"eyJhbGciOiJFZERTQSJ9.e30.AA"}"#,
            )
            .keeps_no_answers(),
    ]
}

/// A proof to be signed.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptionProofSum")]
#[serde(deny_unknown_fields)]
struct SumBody {
    /// The SHA-256 of its file, in hexadecimal.
    sha256: String,
}

/// The signature of a proof.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionProofSignature")]
struct SignatureView {
    /// A JWS in its compact form.
    signature: String,
    /// When it was signed.
    #[schemars(with = "wire::Time")]
    signed_at: Timestamp,
}

/// A proof to be looked at.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AdoptionProofCheck")]
#[serde(deny_unknown_fields)]
struct CheckBody {
    /// The SHA-256 of its file, in hexadecimal.
    sha256: String,
    /// Its signature.
    signature: String,
}

/// What came of a look at a proof.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AdoptionProofChecked")]
struct CheckedView {
    /// Whether the signature holds.
    holds: bool,
    /// Why it does not.
    fault: Option<String>,
    /// The run whose proof it is.
    run: Option<u64>,
    /// The other system, by the name the operator gave it.
    #[schemars(with = "Option<wire::Key>")]
    source: Option<Key>,
    /// Stands for the plan that was carried out.
    plan_hash: Option<String>,
    /// The key that signed it.
    kid: Option<String>,
    /// When it was signed.
    #[schemars(with = "Option<wire::Time>")]
    signed_at: Option<Timestamp>,
    /// Whether it is the proof by which the run is applied.
    is_of_the_step: bool,
    /// How the run is now, where it is known: `applied`, or it was taken back since: `undone`, `undoing`, `failed`, `applying`.
    run_state: Option<&'static str>,
    /// Since when the run is as it is now.
    #[schemars(with = "Option<wire::Time>")]
    run_ended_at: Option<Timestamp>,
}

async fn sign(call: Call<RunPath, (), SumBody>) -> Result<Reply<SignatureView>, Problem> {
    let signed = adoption::sign_proof(&call.app, &call.ctx, call.path.run, call.body.sha256).await?;
    Ok(Reply::new(SignatureView { signature: signed.signature, signed_at: signed.signed_at }))
}

async fn check(call: Call<(), (), CheckBody>) -> Result<Reply<CheckedView>, Problem> {
    let CheckBody { sha256, signature } = call.body;
    let checked = adoption::check_proof(&call.app, &call.ctx, sha256, &signature).await?;
    let holds = checked.confirmed.is_some();
    let (kid, signed_at, statement) = match checked.confirmed {
        Some((kid, at, statement)) => (Some(kid), Some(at), Some(statement)),
        None => (None, None, None),
    };
    Ok(Reply::new(CheckedView {
        holds,
        fault: checked.fault,
        run: statement.as_ref().map(|it| it.run),
        source: statement.as_ref().map(|it| it.source.clone()),
        plan_hash: statement.map(|it| it.plan_hash),
        kid,
        signed_at,
        is_of_the_step: checked.is_of_the_step,
        run_state: checked.run.as_ref().map(|run| run.state.as_str()),
        run_ended_at: checked.run.and_then(|run| run.ended_at),
    }))
}
