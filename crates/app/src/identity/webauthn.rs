//! Passkeys of this site, as `webauthn-rs` asks for them and judges them (WebAuthn, level 2 and 3). It asks for no attestation, and that
//! a passkey checks its user, always. It keeps the state of each ceremony to compare the answer with: here it is sealed, to be carried in
//! the challenge (`challenge.rs`), so that any node can judge the answer; a challenge is answered once.

use super::challenge::LIFE_SECONDS;
use crate::App;
use charter_kernel::{PrincipalId, Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use url::Url;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

/// Who passkeys are for: this site.
pub(super) struct Site {
    judge: Webauthn,
}

/// Why a passkey is not taken. Its owner is told one thing; the trail is told this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It was used less often than it was: it may be a copy.
    WentBack,
    /// Anything else.
    Wrong,
}

/// A passkey that is right, and what is to be kept of it from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judged {
    /// How often it says it was used; zero when it does not count.
    pub sign_count: u32,
    /// It, as it is kept.
    pub kept: String,
}

/// A passkey that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    /// What it is known by.
    pub credential_id: Vec<u8>,
    /// It, as it is kept.
    pub kept: String,
}

fn unwritable(error: &serde_json::Error) -> Problem {
    Problem::new(ProblemKind::Internal, format!("a passkey could not be written: {error}"))
}

fn failed(error: &WebauthnError) -> Problem {
    Problem::new(ProblemKind::Internal, format!("a passkey could not be asked for: {error}"))
}

fn text(value: &impl Serialize) -> Result<String, Problem> {
    serde_json::to_string(value).map_err(|error| unwritable(&error))
}

fn document(value: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| unwritable(&error))
}

fn sealed_under(nonce: &[u8; 32]) -> String {
    format!("ceremony {}", crate::audit::hex(nonce))
}

/// The state of a ceremony, sealed for the challenge of this nonce.
fn seal(app: &App, nonce: &[u8; 32], state: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let (state, random) = (text(state)?, app.world().random());
    app.identity().sealer.seal(&sealed_under(nonce), state.as_bytes(), random).map_err(|error| {
        Problem::new(ProblemKind::Internal, format!("a ceremony could not be sealed: {error}"))
    })
}

/// The state that was sealed for the challenge of this nonce; whoever comes here has met its key.
fn open<T: DeserializeOwned>(app: &App, nonce: &[u8; 32], sealed: &[u8]) -> Option<T> {
    let state = app.identity().sealer.open(&sealed_under(nonce), sealed).ok()?;
    serde_json::from_slice(&state).ok()
}

impl Site {
    /// The site at an address. None where browsers allow no passkeys: at a bare address, and over plain HTTP but for localhost.
    pub fn of(address: &str) -> Option<Self> {
        let url = Url::parse(address).ok()?;
        let host = url.domain()?.to_owned();
        let is_secure = url.scheme() == "https" || url.scheme() == "http" && host == "localhost";
        let life = Duration::from_secs(LIFE_SECONDS.unsigned_abs());
        let builder = WebauthnBuilder::new(&host, &url).ok().filter(|_| is_secure)?;
        Some(Self { judge: builder.rp_name(&host).timeout(life).build().ok()? })
    }

    /// What a browser is asked with to make a passkey, and the sealed state.
    pub fn ask_new(
        &self,
        app: &App,
        nonce: &[u8; 32],
        who: PrincipalId,
        login: &str,
        name: &str,
    ) -> Result<(Value, Vec<u8>), Problem> {
        let (asked, state) = self
            .judge
            .start_passkey_registration(Uuid::from_u128(who.0), login, name, None)
            .map_err(|error| failed(&error))?;
        let mut options = document(&asked.public_key)?;
        // One that a browser finds by itself can be used without a login; where the passkey has no room for that, it still is a factor.
        if let Some(selection) = options.get_mut("authenticatorSelection").and_then(Value::as_object_mut) {
            selection.insert("residentKey".to_owned(), "preferred".into());
        }
        Ok((options, seal(app, nonce, &state)?))
    }

    /// Judges a passkey that was made.
    pub fn made(
        &self,
        app: &App,
        nonce: &[u8; 32],
        sealed: &[u8],
        handed: &RegisterPublicKeyCredential,
    ) -> Result<Option<Made>, Problem> {
        let Some(state) = open::<PasskeyRegistration>(app, nonce, sealed) else { return Ok(None) };
        match self.judge.finish_passkey_registration(handed, &state) {
            Ok(passkey) => {
                Ok(Some(Made { credential_id: passkey.cred_id().to_vec(), kept: text(&passkey)? }))
            }
            Err(error) => {
                tracing::debug!(%error, "a new passkey was not taken");
                Ok(None)
            }
        }
    }

    /// What a browser is asked with to use a passkey, and the sealed state.
    pub fn ask(&self, app: &App, nonce: &[u8; 32]) -> Result<(Value, Vec<u8>), Problem> {
        let (asked, state) =
            self.judge.start_discoverable_authentication().map_err(|error| failed(&error))?;
        Ok((document(&asked.public_key)?, seal(app, nonce, &state)?))
    }

    /// Whose a passkey says it is, and what it is known by.
    pub fn named(&self, handed: &PublicKeyCredential) -> Option<(PrincipalId, Vec<u8>)> {
        let (who, id) = self.judge.identify_discoverable_authentication(handed).ok()?;
        Some((PrincipalId(who.as_u128()), id.to_vec()))
    }

    /// Judges a passkey that was used, against what is kept of it.
    pub fn used(
        &self,
        app: &App,
        nonce: &[u8; 32],
        sealed: &[u8],
        kept: &str,
        handed: &PublicKeyCredential,
    ) -> Result<Result<Judged, Fault>, Problem> {
        let mut passkey: Passkey = serde_json::from_str(kept).map_err(|error| {
            Problem::new(ProblemKind::Internal, format!("a passkey that is kept cannot be read: {error}"))
        })?;
        let Some(state) = open::<DiscoverableAuthentication>(app, nonce, sealed) else {
            return Ok(Err(Fault::Wrong));
        };
        match self.judge.finish_discoverable_authentication_v2(handed, state, &passkey) {
            Ok(result) if result.user_verified() => {
                passkey.update_credential(&result);
                Ok(Ok(Judged { sign_count: result.counter(), kept: text(&passkey)? }))
            }
            Ok(_) => Ok(Err(Fault::Wrong)),
            Err(error) => {
                tracing::debug!(%error, "a passkey was not taken");
                let has_gone_back = matches!(error, WebauthnError::CredentialPossibleCompromise);
                Ok(Err(if has_gone_back { Fault::WentBack } else { Fault::Wrong }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_allow_passkeys_at_names_over_https_and_at_localhost() {
        for good in ["https://charter.example", "https://charter.example:8443/x", "http://localhost:8080"] {
            assert!(Site::of(good).is_some(), "{good}");
        }
        for bad in
            ["http://charter.example", "https://192.0.2.1", "https://[::1]", "ftp://localhost", "charter", ""]
        {
            assert!(Site::of(bad).is_none(), "{bad}");
        }
    }
}
