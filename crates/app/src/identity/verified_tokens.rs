//! Tokens verified lately, so that the next request with one costs a look-up and a comparison instead of a signature. Emptied when a
//! key changes. Sessions are not its business: whoever asks looks at the session as well, each time.

use super::seal::is_same;
use super::token::{Claims, TokenTerms};
use charter_kernel::{SessionId, Timestamp};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

const SHARDS: usize = 16;
const SHARD_MAX: usize = 1_024;

struct Seen {
    token: Box<str>,
    claims: Arc<Claims>,
}

/// See the module.
pub struct VerifiedTokens {
    hasher: RandomState,
    shards: Box<[RwLock<HashMap<u64, Seen>>]>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: (0..SHARDS).map(|_| RwLock::default()).collect() }
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifiedTokens(..)")
    }
}

impl VerifiedTokens {
    /// The place of a token: a keyed hash of its signature. What is stored there is compared whole.
    fn place(&self, token: &str) -> (u64, Option<&RwLock<HashMap<u64, Seen>>>) {
        let signature = token.rsplit('.').next().unwrap_or_default();
        let place = self.hasher.hash_one(signature);
        (place, self.shards.get(place as usize % SHARDS))
    }

    /// The claims of a token that was verified before and is not over.
    pub fn get(&self, terms: &TokenTerms, token: &str, now: Timestamp) -> Option<Arc<Claims>> {
        let (place, shard) = self.place(token);
        let shard = shard?.read().unwrap_or_else(PoisonError::into_inner);
        let seen = shard.get(&place)?;
        let is_same = is_same(seen.token.as_bytes(), token.as_bytes());
        (is_same && !terms.is_over(seen.claims.exp, now)).then(|| Arc::clone(&seen.claims))
    }

    /// Keeps what a verified token says.
    pub fn put(&self, terms: &TokenTerms, token: &str, claims: Arc<Claims>, now: Timestamp) {
        let (place, Some(shard)) = self.place(token) else { return };
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_MAX {
            shard.retain(|_, seen| !terms.is_over(seen.claims.exp, now));
            if shard.len() >= SHARD_MAX {
                shard.clear();
            }
        }
        shard.insert(place, Seen { token: token.into(), claims });
    }

    /// Forgets everything: a key was revoked or retired.
    pub fn clear(&self) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Forgets the tokens of sessions that ended.
    pub fn forget(&self, is_over: impl Fn(SessionId) -> bool) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, seen| !is_over(seen.claims.sid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use charter_kernel::PrincipalId;

    fn terms() -> TokenTerms {
        TokenTerms { issuer: "i".to_owned(), audience: "a".to_owned(), life_seconds: 600, leeway_seconds: 60 }
    }

    fn claims(sid: u128) -> Arc<Claims> {
        let now = Timestamp::from_seconds(1_000);
        Arc::new(terms().claims(
            now,
            1,
            PrincipalId(2),
            None,
            SessionId(sid),
            Vec::new(),
            now,
            Timestamp::MAX,
            None,
        ))
    }

    #[test]
    fn a_token_is_found_again_whole_or_not_at_all_and_not_after_its_end() {
        let (seen, terms) = (VerifiedTokens::default(), terms());
        let now = Timestamp::from_seconds(1_000);
        seen.put(&terms, "head.body.sign", claims(3), now);
        assert_eq!(seen.get(&terms, "head.body.sign", now), Some(claims(3)));
        for other in ["head.b0dy.sign", "h.head.body.sign", "sign", "head.body.sigm"] {
            assert_eq!(seen.get(&terms, other, now), None, "{other}");
        }
        assert_eq!(seen.get(&terms, "head.body.sign", Timestamp::from_seconds(1_660)), None);
        seen.forget(|sid| sid == SessionId(3));
        assert_eq!(seen.get(&terms, "head.body.sign", now), None);
        seen.put(&terms, "head.body.sign", claims(3), now);
        seen.clear();
        assert_eq!(seen.get(&terms, "head.body.sign", now), None);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (seen, terms) = (VerifiedTokens::default(), terms());
        let now = Timestamp::from_seconds(1_000);
        for number in 0..3 * SHARDS * SHARD_MAX {
            seen.put(&terms, &format!("head.body.{number}"), claims(3), now);
        }
        let kept: usize = seen.shards.iter().map(|shard| shard.read().unwrap().len()).sum();
        assert!(kept <= SHARDS * SHARD_MAX, "{kept}");
    }
}
