//! Taking over the API keys of a former system: all of a list or none, each for a member, within what the plan allows. A list can be
//! sent again, and its dry run judges what the real run judges.

use super::credential::{LIMIT, by_a_person, checked_addresses, checked_rate, fresh, not_beyond, told};
use super::credential_text::CredentialKind;
use super::key_scope;
use super::legacy_key::{SETTING, key_id, learn, lengths};
use crate::App;
use crate::caller::RequestContext;
use crate::guard::Permit;
use crate::transaction::{Committed, Transaction};
use crate::{limit, member, text};
use charter_db::{BoxFuture, Scope};
use charter_kernel::facts::PrincipalKind;
use charter_kernel::problem::FieldProblem;
use charter_kernel::{Problem, ProblemKind, Timestamp, Window};
use charter_store as store;
use charter_store::credential::{Credential, HashAlgorithm};
use std::collections::HashMap;

/// Shortest and longest prefix.
const PREFIX: std::ops::RangeInclusive<usize> = 6..=16;
/// Most work a hash may ask for, as a power of two.
const COST_MAX: u32 = 15;
/// Most keys taken over at once.
pub const KEYS_MAX: usize = 1_000;

/// A key of a former system to be taken over.
#[derive(Debug, Clone)]
pub struct LegacyKeyDraft {
    /// Its unique prefix.
    pub prefix: String,
    /// bcrypt hash of the whole key.
    pub hash: String,
    /// Whose it is: a member, by login or id.
    pub owner: String,
    /// What it is for.
    pub name: String,
    /// Scopes its rights are limited to; left out, all its owner has.
    pub scopes: Option<Vec<String>>,
    /// Blocks of addresses it may be used from; left out, any.
    pub addresses: Option<Vec<String>>,
    /// Until when; left out, until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// How many requests a minute it is good for.
    pub requests_per_minute: Option<u32>,
}

fn is_hash(text: &str) -> bool {
    let cost = text.get(4..6).and_then(|digits| digits.parse::<u32>().ok());
    text.len() == 60
        && ["$2a$", "$2b$", "$2y$", "$2x$"].iter().any(|kind| text.starts_with(kind))
        && cost.is_some_and(|cost| (4..=COST_MAX).contains(&cost))
        && text.as_bytes().get(6) == Some(&b'$')
        && text.bytes().skip(7).all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/')
}

fn is_prefix(text: &str) -> bool {
    PREFIX.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !["chk_", "chs_", "chr_", "cho_", "chi_"].iter().any(|ours| text.starts_with(ours))
}

fn taken_over(
    app: &App,
    ctx: &RequestContext,
    facts: &charter_kernel::facts::OrganizationFacts,
    draft: LegacyKeyDraft,
) -> Result<Credential, Problem> {
    if !is_prefix(&draft.prefix) {
        return Err(Problem::invalid(
            "prefix",
            format!(
                "{} to {} visible characters are expected, unlike our own keys",
                PREFIX.start(),
                PREFIX.end()
            ),
        ));
    }
    if !is_hash(&draft.hash) {
        return Err(Problem::invalid("hash", format!("a bcrypt hash of cost 4 to {COST_MAX} is expected")));
    }
    if let Some(scopes) = &draft.scopes {
        key_scope::check(&app.snapshots().index(), scopes)?;
    }
    checked_addresses(draft.addresses.as_deref())?;
    checked_rate(draft.requests_per_minute)?;
    if draft.expires_at.is_some_and(|end| end <= ctx.now) {
        return Err(Problem::invalid("expires_at", "lies in the past"));
    }
    let owner = member::find(facts, &draft.owner)?;
    // Whoever writes a hash may know what it is of.
    not_beyond(app, ctx, facts, owner.principal, draft.scopes.as_deref())?;
    let kind = match owner.kind {
        PrincipalKind::User => CredentialKind::User,
        PrincipalKind::ServiceAccount => CredentialKind::Service,
    };
    let (row, _) = fresh(app, ctx, facts.organization.id, owner.principal, kind);
    Ok(Credential {
        key_id: key_id(&draft.prefix),
        alg: HashAlgorithm::Bcrypt,
        pepper_version: None,
        hash: draft.hash.into_bytes(),
        name: text::name("name", &draft.name)?,
        scopes: draft.scopes,
        addresses: draft.addresses,
        window: Window::new(None, draft.expires_at)
            .map_err(|error| Problem::invalid("expires_at", error.to_string()))?,
        requests_per_minute: draft.requests_per_minute,
        ..row
    })
}

/// What became of keys of a former system.
#[derive(Debug, Clone)]
pub struct TakenOver {
    /// Those that were taken over, or would be.
    pub made: Vec<Credential>,
    /// Those that are in already, as they are.
    pub kept: Vec<Credential>,
}

/// The field of one key in what is asked.
fn field(at: usize, name: &str) -> String {
    format!("keys.{at}.{name}")
}

fn of_key(at: usize, mut problem: Problem) -> Problem {
    problem.detail = field(at, &problem.detail);
    problem.fields.iter_mut().for_each(|it| it.field = field(at, &it.field));
    problem
}

/// Each prefix once.
fn distinct(drafts: &[LegacyKeyDraft]) -> Result<(), Problem> {
    let mut seen = HashMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        if let Some(first) = seen.insert(draft.prefix.as_str(), at) {
            let what = format!("`{}` is the prefix of keys.{first} as well", draft.prefix);
            return Err(Problem::invalid(field(at, "prefix"), what));
        }
    }
    Ok(())
}

/// Why a prefix that is known cannot be taken over again; none is that it is the same key.
fn not_the_same(
    facts: &charter_kernel::facts::OrganizationFacts,
    draft: &LegacyKeyDraft,
    known: &Credential,
) -> Option<String> {
    let prefix = &draft.prefix;
    if known.organization != facts.organization.id {
        return Some(format!("`{prefix}` is the prefix of a key of another organization"));
    }
    if known.alg != HashAlgorithm::Bcrypt || known.hash != draft.hash.as_bytes() {
        return Some(format!("`{prefix}` is in already, with another hash"));
    }
    // An owner who has left keeps nobody from going on.
    let is_others = member::find(facts, &draft.owner).is_ok_and(|owner| owner.principal != known.principal);
    is_others.then(|| format!("`{prefix}` is in already, as the key of another member"))
}

fn refused(faults: Vec<FieldProblem>) -> Problem {
    let detail = match faults.as_slice() {
        [only] => format!("{}: {}; none was taken over", only.field, only.detail),
        _ => format!("{} of the keys cannot be taken over, and none was; the fields tell why", faults.len()),
    };
    Problem { fields: faults, ..Problem::new(ProblemKind::Taken, detail) }
}

/// Takes keys of a former system over, all of them or none. Those that are in already are kept as they are; a dry run tells the same.
pub async fn import(
    app: &App,
    ctx: &RequestContext,
    permit: &Permit,
    drafts: Vec<LegacyKeyDraft>,
    is_dry_run: bool,
) -> Result<TakenOver, Problem> {
    by_a_person(ctx)?;
    if drafts.is_empty() || drafts.len() > KEYS_MAX {
        return Err(Problem::invalid("keys", format!("1 to {KEYS_MAX} keys are expected")));
    }
    distinct(&drafts)?;
    let (organization, now) = (permit.organization(), ctx.now);
    let facts = crate::facts(app, organization).await?;
    let ids: Vec<String> = drafts.iter().map(|draft| key_id(&draft.prefix)).collect();
    let known = reading_all!(app.database(), |conn| async move {
        let mut known = Vec::with_capacity(ids.len());
        for id in &ids {
            known.push(store::credential::by_key_id(conn, id).await?);
        }
        Ok::<_, charter_db::Error>(known)
    })?;
    let (mut rows, mut kept, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    let mut all_lengths = lengths(app).await?;
    for (at, (draft, known)) in drafts.into_iter().zip(known).enumerate() {
        match known.map(|known| (not_the_same(&facts, &draft, &known), known)) {
            Some((None, known)) => kept.push(known),
            Some((Some(detail), _)) => faults.push(FieldProblem { field: field(at, "prefix"), detail }),
            None => {
                all_lengths.push(draft.prefix.len());
                rows.push(taken_over(app, ctx, &facts, draft).map_err(|problem| of_key(at, problem))?);
            }
        }
    }
    if !faults.is_empty() {
        return Err(refused(faults));
    }
    let (catalogue, new) = (app.snapshots().catalogue(), rows.len() as u64);
    if is_dry_run && new > 0 {
        crate::reading::boxed(app.database().read(
            Scope::Installation,
            move |conn: &mut charter_db::Conn| {
                crate::reading::boxed(async move {
                    let count = store::credential::count_live(conn, organization, now).await? + new;
                    limit::require_within(conn, &catalogue, organization, LIMIT, count, now).await
                })
            },
        ))
        .await?;
        return Ok(TakenOver { made: rows, kept });
    }
    if new == 0 {
        return Ok(TakenOver { made: rows, kept });
    }
    // The longest first: what begins with it is meant.
    all_lengths.sort_unstable_by(|a, b| b.cmp(a));
    all_lengths.dedup();
    let setting = serde_json::json!(all_lengths).to_string();
    let (ctx_inside, written) = (ctx.clone(), rows.clone());
    let ((), revision) = app
        .write(Scope::Installation, organization, now, move |mut transaction: Transaction<'_>| {
            Box::pin(async move {
                let mut events = Vec::with_capacity(written.len());
                let count = store::credential::count_live(transaction.tx(), organization, now).await? + new;
                limit::keep_within(transaction.tx(), &catalogue, organization, LIMIT, count, now).await?;
                for row in &written {
                    store::credential::insert(transaction.tx(), row).await.map_err(|error| match error {
                        charter_db::Error::Unique { .. } => Problem::new(
                            ProblemKind::Taken,
                            "a key with one of these prefixes was made meanwhile: ask again, and what is in is kept",
                        ),
                        other => other.into(),
                    })?;
                    events.push(told(&ctx_inside, "credential.adopt", None, Some(row), row.id));
                }
                store::setting::put(transaction.tx(), SETTING, &setting, now).await?;
                let first = events.remove(0);
                transaction.commit(first, events, ()).await
            }) as BoxFuture<'_, Result<Committed<()>, Problem>>
        })
        .await?;
    for row in &rows {
        app.identity().credentials.forget(row.key_id.as_str());
    }
    learn(app).await?;
    app.snapshots().hear_own(organization, revision).await?;
    Ok(TakenOver { made: rows, kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_prefixes_are_read_strictly() {
        let good = "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m";
        assert!(is_hash(good) && is_hash(&good.replace("$2b$12", "$2y$04")));
        for wrong in [
            "",
            "$2b$12$",
            &good[..59],
            &format!("{good}x"),
            &good.replace("$2b$", "$1b$"),
            &good.replace("$12$", "$16$"),
            &good.replace("$12$", "$31$"),
            &good.replace("$12$", "$03$"),
            &good.replace("$12$", "$1x$"),
            &good.replace("$12$", "$12."),
            &good.replace('/', "!"),
            &good.replace('/', "\0"),
        ] {
            assert!(!is_hash(wrong), "{wrong}");
        }
        assert!(is_prefix("ak_1234") && is_prefix("abcdef") && is_prefix("abcdefghijklmnop"));
        for wrong in
            ["abcde", "abcdefghijklmnopq", "abc def", "chk_abcd", "chs_abcd", "abcd\u{e9}f", "abc\0def"]
        {
            assert!(!is_prefix(wrong), "{wrong}");
        }
    }
}
