//! What it costs to know the caller of a request by an access token that was seen before, beside one verification of an Ed25519
//! signature.
//!
//! `cargo bench -p charter-app` prints medians of several rounds and their ratio.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark: it measures time and stops at the first surprise"
)]

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use charter_app::identity::setup::{self, SetupDraft};
use charter_app::identity::{self, Secrets};
use charter_app::{App, Caller, RequestContext, Settings, World};
use charter_db::Options;
use charter_kernel::RequestId;
use std::hint::black_box;
use std::time::Instant;
use zeroize::Zeroizing;

const ROUNDS: usize = 21;
const TOKENS: usize = 50_000;
const SIGNATURES: usize = 2_000;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::temp_dir().join(format!("charter-bench-token-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let secrets = Secrets { key_encryption_key: [7; 32], pepper: [8; 32] };
    let settings = Settings {
        database: Options::new(format!("sqlite://{}", folder.join("charter.db").display())),
        migrate: true,
        max_staleness_seconds: 3600,
        drop_unused_seconds: 3600,
        identity: identity::Settings::new("https://bench.example", secrets),
    };
    let app = App::open(settings, World::system()).await.unwrap();
    let code = setup::code(&app).await.unwrap().unwrap();
    let ctx = RequestContext {
        caller: Caller::Anonymous,
        request: RequestId(app.fresh_id()),
        address: None,
        now: app.now(),
    };
    let draft = SetupDraft {
        code,
        login: "ann@toys.example".to_owned(),
        name: None,
        password: Zeroizing::new("correct horse battery".to_owned()),
    };
    let signed_in = setup::complete(&app, &ctx, draft).await.unwrap();
    let token = signed_in.access_token();

    let pair = Ed25519KeyPair::generate().unwrap();
    let message = token.rsplit_once('.').unwrap().0.as_bytes();
    let signature = pair.sign(message);
    let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec());

    let (mut by_token, mut by_signature) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..TOKENS {
            black_box(app.authenticate(Some(black_box(token)), None).await.unwrap());
        }
        by_token.push(begun.elapsed().as_secs_f64() * 1e9 / TOKENS as f64);
        let begun = Instant::now();
        for _ in 0..SIGNATURES {
            public.verify(black_box(message), black_box(signature.as_ref())).unwrap();
        }
        by_signature.push(begun.elapsed().as_secs_f64() * 1e9 / SIGNATURES as f64);
    }
    let ratios = by_token.iter().zip(&by_signature).map(|(token, signature)| token / signature).collect();
    println!(
        "a token seen before: {:.0} ns; an Ed25519 verification: {:.0} ns; ratio {:.4}",
        median(by_token.clone()),
        median(by_signature.clone()),
        median(ratios)
    );
    app.close().await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}
