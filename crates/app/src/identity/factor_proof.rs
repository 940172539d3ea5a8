//! Proofs of a second factor: a code of an authenticator app, a passkey, a recovery code. A proof is looked at first, and taken in the transaction
//! of what it opens; so whatever comes twice, or at the same moment, opens once.

use super::challenge::Challenge;
use super::passkey::{self, UsedCredential};
use super::webauthn::Judged;
use super::{one_time_code, totp};
use crate::App;
use crate::vault;
use charter_db::Tx;
use charter_kernel::{FactorId, PrincipalId, Problem, ProblemKind, Timestamp};
use charter_store as store;
use charter_store::second_factor::{FactorKind, SecondFactor};
use zeroize::Zeroizing;

/// The method every session has that was begun or confirmed with a second factor (RFC 8176).
pub const MFA: &str = "mfa";
/// A code that was typed.
pub(super) const OTP: &str = "otp";
/// A passkey.
pub(super) const HWK: &str = "hwk";
/// Longest code that is looked at.
const CODE_MAX: usize = 100;

/// What somebody shows as their second factor.
pub enum Proof {
    /// A code of an authenticator app.
    Code(Zeroizing<String>),
    /// A recovery code.
    RecoveryCode(Zeroizing<String>),
    /// A passkey that was used for the challenge.
    Passkey(Box<UsedCredential>),
}

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Code(_) => "Code(..)",
            Self::RecoveryCode(_) => "RecoveryCode(..)",
            Self::Passkey(_) => "Passkey(..)",
        })
    }
}

/// A proof that is right as far as can be seen without taking it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Right {
    /// A code, of a time step.
    Step(FactorId, u64),
    /// A recovery code.
    Recovery(Vec<[u8; 32]>),
    /// A passkey, and what is to be kept of it.
    Passkey(FactorId, Judged),
}

impl Right {
    /// What it is called in `amr` (RFC 8176).
    pub fn method(&self) -> &'static str {
        match self {
            Self::Step(..) | Self::Recovery(_) => OTP,
            Self::Passkey(..) => HWK,
        }
    }

    /// What it is called in the trail.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Step(..) => "a code of an authenticator app",
            Self::Recovery(_) => "a recovery code",
            Self::Passkey(..) => "a passkey",
        }
    }

    /// Takes it, once; false when it was taken before.
    pub async fn take(&self, tx: &mut Tx, principal: PrincipalId, now: Timestamp) -> Result<bool, Problem> {
        Ok(match self {
            Self::Step(factor, step) => store::second_factor::take_step(tx, *factor, *step, now).await?,
            Self::Recovery(hashes) => {
                let mut is_taken = false;
                for hash in hashes {
                    is_taken = is_taken || store::recovery_code::take(tx, principal, hash).await?;
                }
                is_taken
            }
            Self::Passkey(factor, Judged { sign_count, kept }) => {
                store::second_factor::count_use(tx, *factor, u64::from(*sign_count), kept, now).await?
            }
        })
    }
}

/// The one answer to a proof that is wrong or was used.
pub(super) fn wrong() -> Problem {
    Problem::new(
        ProblemKind::InvalidCredentials,
        "the second factor is wrong, or was used already: wait for the next code, then try again",
    )
}

/// What the trail says of a second factor that is wrong.
pub(super) const WRONG: &str = "wrong second factor";

/// Looks at a proof by somebody whose factors these are; a passkey has to be used for this challenge. What is wrong comes with what the
/// trail says of it.
pub(super) async fn look(
    app: &App,
    principal: PrincipalId,
    factors: &[SecondFactor],
    proof: &Proof,
    asked: Option<&Challenge>,
    now: Timestamp,
) -> Result<Result<Right, &'static str>, Problem> {
    let confirmed = || factors.iter().filter(|factor| factor.confirmed_at.is_some());
    match proof {
        Proof::Code(code) => {
            for factor in confirmed() {
                if let Some(step) = step_of(app, factor, code, now).await? {
                    return Ok(Ok(Right::Step(factor.id, step)));
                }
            }
            Ok(Err(WRONG))
        }
        Proof::RecoveryCode(code) if code.len() <= CODE_MAX => {
            let hashes = app.identity().pepper.every_recovery(principal.0, &one_time_code::normal(code));
            Ok(confirmed().next().map(|_| Right::Recovery(hashes)).ok_or(WRONG))
        }
        Proof::RecoveryCode(_) => Ok(Err(WRONG)),
        Proof::Passkey(credential) => match asked {
            Some(asked) => passkey::look(app, factors, credential, asked).await,
            None => Ok(Err(WRONG)),
        },
    }
}

/// What a seed is sealed under.
pub(super) fn seal_id(factor: FactorId) -> String {
    format!("second factor {factor}")
}

/// The step a code of an authenticator app is of, when it is one of this app's and near now.
pub(super) async fn step_of(
    app: &App,
    factor: &SecondFactor,
    code: &str,
    now: Timestamp,
) -> Result<Option<u64>, Problem> {
    let FactorKind::Totp { sealed_secret, last_step } = &factor.kind else { return Ok(None) };
    if code.len() > CODE_MAX {
        return Ok(None);
    }
    let seed = vault::open(app, &seal_id(factor.id), sealed_secret).await.map_err(|error| {
        Problem::new(ProblemKind::Internal, format!("the seed of second factor {}: {error}", factor.id))
    })?;
    let step = totp::step_of(&seed, code, now)?;
    Ok(step.filter(|step| last_step.is_none_or(|last| last < *step)))
}
