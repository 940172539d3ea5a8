//! Passwords, hashed and verified on a bounded pool. What a new one has to be is in `password_rules`.
//!
//! Hashes are argon2id in PHC text (`$argon2id$v=19$m=19456,t=2,p=1$...`). Hashing is dear on purpose, so it runs on threads of its own,
//! at most one less than the machine has cores, with a bounded queue: two hundred sign-ins at once wait or are told to come back, and
//! never slow a decision. A password is compared and hashed in NFC and is never cut. Hashes that other systems made (`adopted_hash`) are
//! verified here as well, and give way to one of ours at the first right password.

use super::adopted_hash::{AdoptedHash, WrappedHash};
use super::argon::Argon;
use super::breached::{self, BreachedPasswords};
use super::password_rules::{self, BYTES_MAX, Measure};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Params, PasswordHasher, PasswordVerifier};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use charter_kernel::{Problem, ProblemKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// How many hashes may wait.
const QUEUE: usize = 64;

/// What one hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Default for HashCost {
    /// 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

/// How a hash of our own begins.
pub(super) const OWN: &str = "$argon2id$";

/// The dearest hash that is verified: what an adopted table brings must not stop the service.
const CEILING: HashCost = HashCost { memory_kib: 1024 * 1024, passes: 10, lanes: 16 };

/// What verifying a password found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It is the password.
    Right,
    /// It is the password; its hash was weaker than today's, and here is a better one.
    Rehashed(String),
    /// It is not.
    Wrong,
}

/// A password on its way through: normalised, wiped when dropped, never printed.
pub struct Password {
    /// In NFC, as our own hashes are made.
    normal: Zeroizing<String>,
    /// As it was typed, where that differs: hashes of other systems know nothing of NFC.
    typed: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Password {
    /// Any password somebody typed to sign in; none when it is longer than a password may be.
    pub fn typed(text: &str) -> Option<Self> {
        (text.len() <= BYTES_MAX).then(|| Self::of(text))
    }

    fn of(text: &str) -> Self {
        let normal: Zeroizing<String> = Zeroizing::new(text.nfc().collect());
        let typed = (*normal != text).then(|| Zeroizing::new(text.to_owned()));
        Self { normal, typed }
    }

    fn as_typed(&self) -> &str {
        self.typed.as_ref().map_or(&self.normal, |typed| typed)
    }

    /// As it was typed, where that is not its normal form.
    fn other_form(&self) -> Option<&str> {
        self.typed.as_ref().map(|typed| typed.as_str())
    }

    /// How many characters it has.
    pub(super) fn characters(&self) -> usize {
        self.normal.chars().count()
    }

    /// A new password for an account, when it meets the rules. On threads that hash: judging takes its time too.
    pub(super) fn chosen(field: &str, text: &str, measure: &Measure) -> Result<Self, Problem> {
        let too_long = || {
            Problem::invalid(
                field,
                format!("at most {BYTES_MAX} bytes are allowed: take a shorter one (rule: length)"),
            )
        };
        let password = Self::typed(text).ok_or_else(too_long)?;
        password_rules::judge(field, &password.normal, measure)?;
        Ok(password)
    }
}

/// Hashes and verifies on a bounded pool.
#[derive(Clone)]
pub struct Hasher {
    cost: HashCost,
    /// A well-formed hash that no password has, for accounts that do not exist.
    nobody: Arc<str>,
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    parallel: usize,
    breached: Option<Arc<dyn BreachedPasswords>>,
}

/// One who waits for the pool; leaving, for whatever reason, frees the place.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn busy() -> Problem {
    Problem::new(ProblemKind::Unavailable, "too many sign-ins at this moment: try again in a second")
        .retry_after(1)
}

fn broken(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Internal, format!("a password could not be hashed: {error}"))
}

fn engine(cost: HashCost) -> Result<Argon, Problem> {
    Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map(Argon::own).map_err(broken)
}

impl Hasher {
    /// A pool for a machine of so many cores; `filler` makes the hash that stands for unknown accounts.
    pub fn new(cost: HashCost, cores: usize, filler: [u8; 48]) -> Self {
        let (salt, output) = filler.split_at(16);
        let HashCost { memory_kib, passes, lanes } = cost;
        let nobody = format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${}${}",
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(output)
        );
        let parallel = cores.saturating_sub(1).max(1);
        Self {
            cost,
            nobody: nobody.into(),
            running: Arc::new(Semaphore::new(parallel)),
            waiting: Arc::default(),
            parallel,
            breached: None,
        }
    }

    /// The same pool, which takes no new password that stands in a list.
    #[must_use]
    pub fn with_breached(self, breached: Option<Arc<dyn BreachedPasswords>>) -> Self {
        Self { breached, ..self }
    }

    /// How many are in the pool or wait for it.
    pub fn in_line(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Place(Arc::clone(&self.waiting));
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= QUEUE + self.parallel {
            return Err(busy());
        }
        self.run_in_turn(move || {
            let _held = place;
            work()
        })
        .await
    }

    /// Runs when its turn comes, however long that takes; for work that nobody can pile up.
    async fn run_in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| busy())?;
        // The turn goes with the work: a caller who hangs up frees nothing before the thread is done.
        tokio::task::spawn_blocking(move || {
            let _held = turn;
            work()
        })
        .await
        .map_err(broken)?
    }

    /// What is kept of another system's hash: itself, or wrapped in one of ours when it is too weak to be kept.
    pub async fn adopt(&self, adopted: AdoptedHash, salt: [u8; 16]) -> Result<String, Problem> {
        if !adopted.is_weak() {
            return Ok(adopted.to_text());
        }
        let cost = self.cost;
        self.run_in_turn(move || Ok(WrappedHash::around(&adopted, &engine(cost)?, &salt)?.to_text())).await
    }

    /// A new password for an account, when it meets the rules.
    pub async fn chosen(
        &self,
        field: &'static str,
        text: Zeroizing<String>,
        measure: Measure,
    ) -> Result<Password, Problem> {
        let breached = self.breached.clone();
        self.run(move || {
            let chosen = Password::chosen(field, &text, &measure)?;
            if let Some(list) = breached {
                breached::judge(
                    list.as_ref(),
                    field,
                    [chosen.normal.as_str()].into_iter().chain(chosen.other_form()),
                )?;
            }
            Ok(chosen)
        })
        .await
    }

    /// The hash of a password.
    pub async fn hash(&self, password: Password, salt: [u8; 16]) -> Result<String, Problem> {
        let cost = self.cost;
        self.run(move || hash(cost, &password, &salt)).await
    }

    /// Compares a password with a hash. Without a hash (nobody has that login, or the account has no password) the same work is
    /// done against a hash that nothing fits, so that the time tells nothing.
    pub async fn verify(
        &self,
        password: Option<Password>,
        stored: Option<String>,
        salt: [u8; 16],
    ) -> Result<Verified, Problem> {
        let (cost, nobody) = (self.cost, Arc::clone(&self.nobody));
        self.run(move || {
            let is_possible = password.is_some() && stored.is_some();
            let password = password.unwrap_or_else(|| Password::of("nothing fits this one"));
            let verified = verify(cost, &password, stored.as_deref().unwrap_or(&nobody), &salt)?;
            Ok(if is_possible { verified } else { Verified::Wrong })
        })
        .await
    }
}

fn hash(cost: HashCost, password: &Password, salt: &[u8]) -> Result<String, Problem> {
    let hash: PasswordHash =
        engine(cost)?.hash_password_with_salt(password.normal.as_bytes(), salt).map_err(broken)?;
    Ok(hash.to_string())
}

fn verify(cost: HashCost, password: &Password, stored: &str, salt: &[u8]) -> Result<Verified, Problem> {
    let is_right = if WrappedHash::is_one(stored) {
        let wrapped = WrappedHash::parse(stored)?;
        let outer = engine(cost_of(&wrapped.outer()?)?)?;
        wrapped.fits(password.as_typed(), &outer)?
    } else if stored.starts_with(OWN) {
        return verify_own(cost, password, stored, salt);
    } else {
        AdoptedHash::parse(stored).map_err(broken)?.fits(password.as_typed())?
    };
    Ok(if is_right { Verified::Rehashed(hash(cost, password, salt)?) } else { Verified::Wrong })
}

fn cost_of(parsed: &PasswordHash) -> Result<HashCost, Problem> {
    let params = Params::try_from(parsed).map_err(broken)?;
    let found = HashCost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
    if found.memory_kib > CEILING.memory_kib || found.passes > CEILING.passes || found.lanes > CEILING.lanes {
        return Err(broken(format!("its parameters are beyond what is verified: {found:?}")));
    }
    Ok(found)
}

fn verify_own(cost: HashCost, password: &Password, stored: &str, salt: &[u8]) -> Result<Verified, Problem> {
    let parsed = PasswordHash::new(stored).map_err(broken)?;
    let found = cost_of(&parsed)?;
    match engine(found)?.verify_password(password.normal.as_bytes(), &parsed) {
        Ok(()) => {}
        Err(argon2::password_hash::Error::PasswordInvalid) => return Ok(Verified::Wrong),
        Err(error) => return Err(broken(error)),
    }
    let is_weaker = found.memory_kib < cost.memory_kib || found.passes < cost.passes;
    Ok(if is_weaker { Verified::Rehashed(hash(cost, password, salt)?) } else { Verified::Right })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };

    fn hasher() -> Hasher {
        Hasher::new(CHEAP, 2, [7; 48])
    }

    fn typed(text: &str) -> Option<Password> {
        Some(Password::typed(text).unwrap())
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_hash_and_another_does_not() {
        let hasher = hasher();
        let stored = hasher.hash(typed("correct horse battery").unwrap(), [1; 16]).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        let right =
            hasher.verify(typed("correct horse battery"), Some(stored.clone()), [2; 16]).await.unwrap();
        assert_eq!(right, Verified::Right);
        let wrong = hasher.verify(typed("correct horse batterie"), Some(stored), [2; 16]).await.unwrap();
        assert_eq!(wrong, Verified::Wrong);
    }

    #[tokio::test]
    async fn the_default_cost_is_nineteen_mebibytes_and_two_passes() {
        let hasher = Hasher::new(HashCost::default(), 2, [7; 48]);
        let stored = hasher.hash(typed("correct horse battery").unwrap(), [1; 16]).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(PasswordHash::new(&hasher.nobody).unwrap().algorithm.as_str(), "argon2id");
    }

    #[tokio::test]
    async fn a_weaker_hash_is_made_anew_at_sign_in() {
        let strong = HashCost { memory_kib: 128, passes: 2, lanes: 1 };
        let old = hasher().hash(typed("correct horse battery").unwrap(), [1; 16]).await.unwrap();
        let hasher = Hasher::new(strong, 2, [7; 48]);
        let found = hasher.verify(typed("correct horse battery"), Some(old), [2; 16]).await.unwrap();
        let Verified::Rehashed(new) = found else { panic!("{found:?}") };
        assert_eq!(
            hasher.verify(typed("correct horse battery"), Some(new), [3; 16]).await.unwrap(),
            Verified::Right
        );
    }

    #[tokio::test]
    async fn nobody_has_the_hash_of_unknown_accounts_and_an_endless_password_is_just_wrong() {
        let hasher = hasher();
        for text in ["", "nothing fits this one", "correct horse battery"] {
            assert_eq!(hasher.verify(typed(text), None, [2; 16]).await.unwrap(), Verified::Wrong);
        }
        let stored = hasher.hash(typed("nothing fits this one").unwrap(), [1; 16]).await.unwrap();
        assert!(Password::typed(&"x".repeat(1_000_000)).is_none());
        assert_eq!(hasher.verify(None, Some(stored), [2; 16]).await.unwrap(), Verified::Wrong);
    }

    #[tokio::test]
    async fn a_hash_with_monstrous_parameters_is_refused_before_any_work() {
        let monster = format!("$argon2id$v=19$m=4194304,t=2,p=1${}${}", "A".repeat(22), "A".repeat(43));
        let problem =
            hasher().verify(typed("correct horse battery"), Some(monster), [2; 16]).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Internal);
    }

    /// A hash of another system is verified as it stands or wrapped, over what was typed; what comes of it is our own, over NFC.
    #[tokio::test]
    async fn an_adopted_hash_gives_way_to_one_of_ours_at_the_first_right_password() {
        // Django's, of a decomposed text: a thousand rounds, and as many as are safe.
        let weak = "pbkdf2_sha256$1000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let strong = "$2b$10$......................AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let hasher = hasher();
        for text in [weak, strong] {
            let kept = hasher.adopt(AdoptedHash::parse(text).unwrap(), [5; 16]).await.unwrap();
            assert_eq!(kept.starts_with("$wrapped$"), text == weak, "{kept}");
            let wrong = hasher.verify(typed("correct horse battery"), Some(kept), [2; 16]).await.unwrap();
            assert_eq!(wrong, Verified::Wrong);
        }
        let decomposed = "cafe\u{301} con leche";
        for line in include_str!("adopted_hash/vectors.jsonl").lines() {
            let vector: serde_json::Value = serde_json::from_str(line).unwrap();
            if vector["password"] != decomposed {
                continue;
            }
            let adopted = AdoptedHash::parse(vector["hash"].as_str().unwrap()).unwrap();
            let kept = hasher.adopt(adopted, [5; 16]).await.unwrap();
            let composed =
                hasher.verify(typed("caf\u{e9} con leche"), Some(kept.clone()), [2; 16]).await.unwrap();
            assert_eq!(composed, Verified::Wrong, "{line}: the source would have refused it");
            let found = hasher.verify(typed(decomposed), Some(kept), [2; 16]).await.unwrap();
            let Verified::Rehashed(new) = found else { panic!("{line}: {found:?}") };
            for text in [decomposed, "caf\u{e9} con leche"] {
                let found = hasher.verify(typed(text), Some(new.clone()), [3; 16]).await.unwrap();
                assert_eq!(found, Verified::Right, "{line}");
            }
        }
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once_with_when_to_come_back() {
        let hasher = hasher();
        let _turn = Arc::clone(&hasher.running).acquire_owned().await.unwrap();
        hasher.waiting.store(QUEUE + 1, Ordering::Release);
        let problem = hasher.verify(typed("correct horse battery"), None, [2; 16]).await.unwrap_err();
        assert_eq!((problem.kind, problem.retry_after_seconds), (ProblemKind::Unavailable, Some(1)));
        assert_eq!(hasher.waiting.load(Ordering::Acquire), QUEUE + 1, "the refused one took no place");
    }

    #[test]
    fn composed_and_decomposed_forms_are_one_password() {
        assert_eq!(
            Password::typed("caf\u{e9} con leche").unwrap().normal,
            Password::typed("cafe\u{301} con leche").unwrap().normal
        );
    }

    #[test]
    fn blanks_belong_to_a_password() {
        assert_eq!(*Password::typed("  two blanks  ").unwrap().normal, "  two blanks  ");
    }

    /// Attack 63: bounded, and refused rather than cut.
    #[test]
    fn a_password_has_a_thousand_and_twenty_four_bytes_at_most() {
        let measure = Measure::new("ann@toys.example", "Ann", &[], 15);
        let words: String = "many words that make one long phrase; ".chars().cycle().take(1_024).collect();
        assert_eq!(Password::chosen("password", &words, &measure).unwrap().normal.len(), 1_024);
        let problem = Password::chosen("password", &format!("{words}x"), &measure).unwrap_err();
        assert!(
            problem.detail.contains("1024 bytes") && problem.detail.contains("rule: length"),
            "{problem}"
        );
    }

    #[test]
    fn a_password_is_never_printed() {
        assert_eq!(format!("{:?}", Password::typed("correct horse battery").unwrap()), "Password(..)");
    }
}
