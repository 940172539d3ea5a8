//! Where keys that were found in the open are reported, in the form in which code hosts report them to their partners.

use crate::edge::{Call, Guard, Reply, Route};
use base64::Engine;
use charter_app::App;
use charter_app::identity::leaked_key::{self, LeakReport};
use charter_kernel::{Problem, ProblemKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The routes of this file.
pub fn routes() -> Vec<Route<App>> {
    vec![
        Route::post(
            "/.well-known/leaked-keys",
            Guard::Public("who found a key in the open has no other credential than the key"),
            report,
        )
        .named("leaked-keys.report", "API keys", "Takes reports of API keys that were found in the open.")
        .described(
            "A batch as code hosts send it to secret-scanning partners; fields this service does not know are passed over. Only \
             the whole text of a key counts. What happens to the key is for its organization to say (`leaked_keys` of its \
             identity settings): put aside, which is the default, revoked, or only told on the trail. The answer repeats no \
             key: `token_hash` is the SHA-256 of the reported text, in base64.",
        )
        .problems(&[ProblemKind::Throttled])
        .example(
            r#"[{"token":"chk_live_0123456789AB_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg_4Qwdqo","type":"charter_api_key","url":"https://code.example/a/b","source":"content"}]"#,
        )
        .body_limit(64 * 1024)
        .bad_request_only()
        .keeps_no_answers(),
    ]
}

/// A report of a key.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "LeakedKeyReport")]
struct ReportBody {
    /// The text that was found.
    token: String,
    /// What it was taken for.
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Where it was found.
    #[serde(default)]
    url: Option<String>,
    /// In what kind of place.
    #[serde(default)]
    source: Option<String>,
}

/// What became of a report.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LeakedKeyAnswer")]
struct AnswerView {
    /// SHA-256 of the reported text, in base64.
    token_hash: String,
    /// What it was taken for.
    token_type: Option<String>,
    /// `true_positive` for a key of this service, `false_positive` otherwise.
    label: &'static str,
}

async fn report(call: Call<(), (), Vec<ReportBody>>) -> Result<Reply<Vec<AnswerView>>, Problem> {
    let mut named = Vec::with_capacity(call.body.len());
    let mut reports = Vec::with_capacity(call.body.len());
    for it in call.body {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(it.token.as_bytes()));
        named.push((hash, it.kind));
        reports.push(LeakReport { token: Zeroizing::new(it.token), url: it.url, source: it.source });
    }
    let told = leaked_key::report(&call.app, &call.ctx, reports).await?;
    let answer = |((token_hash, token_type), is_ours): ((String, Option<String>), bool)| AnswerView {
        token_hash,
        token_type,
        label: if is_ours { "true_positive" } else { "false_positive" },
    };
    Ok(Reply::new(named.into_iter().zip(told).map(answer).collect()))
}
