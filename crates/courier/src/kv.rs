//! Secrets from HashiCorp Vault: the versioned key/value engine (KV version 2) over HTTP. The versions of one secret are the versions of the
//! key-encryption key: the newest seals, those before it still open.

use charter_app::vault::provider::{KeptSecrets, Obtaining, SecretsProvider, Unobtained};
use reqwest::{Certificate, StatusCode};
use serde_json::Value;
use std::fmt;
use std::time::Duration;
use url::Url;
use zeroize::Zeroizing;

/// How long an answer may take, all in all.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// Longest answer that is read.
const ANSWER_MAX: usize = 256 * 1024;
/// Versions that are asked for, with the newest.
const VERSIONS_MAX: usize = 10;

/// Where secrets are kept, and how we prove who we are.
#[derive(Clone)]
pub struct KvAddress {
    /// The address of the server.
    pub url: String,
    /// Where the engine is mounted.
    pub mount: String,
    /// The path of the secret in it.
    pub path: String,
    /// The namespace, where the server has any.
    pub namespace: Option<String>,
    /// The token that may read it.
    pub token: Zeroizing<String>,
    /// Certificates of authorities that are trusted beside those of the system, as PEM.
    pub authorities: Option<Vec<u8>>,
}

impl fmt::Debug for KvAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, mount, path, namespace, .. } = self;
        let fields = (url, mount, path, namespace);
        f.debug_tuple("KvAddress").field(&fields).finish()
    }
}

/// A secret in the key/value engine.
#[derive(Debug)]
pub struct KvVault {
    client: reqwest::Client,
    address: KvAddress,
    base: Url,
}

impl KvVault {
    /// With where it is.
    ///
    /// # Errors
    /// When the address or the certificates cannot be read.
    pub fn new(address: KvAddress) -> Result<Self, String> {
        Self::with_patience(address, PATIENCE)
    }

    /// The same, with a time after which an answer is given up.
    ///
    /// # Errors
    /// When the address or the certificates cannot be read.
    pub fn with_patience(address: KvAddress, patience: Duration) -> Result<Self, String> {
        let base = Url::parse(&address.url).map_err(|error| format!("vault_url is no address: {error}"))?;
        let is_word = |text: &str| {
            !text.is_empty()
                && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        };
        for (name, text) in [("vault_mount", &address.mount), ("vault_path", &address.path)] {
            if !is_word(text) {
                return Err(format!(
                    "{name} is expected to be words of letters, digits, - and _, with / between them"
                ));
            }
        }
        let mut client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(patience)
            .connect_timeout(CONNECT)
            .user_agent(concat!("Charter/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &address.authorities {
            let found = Certificate::from_pem_bundle(pem)
                .map_err(|error| format!("vault_ca_file holds no certificates: {error}"))?;
            client = client.tls_certs_merge(found);
        }
        let client = client.build().map_err(|error| format!("no HTTP client can be made: {error}"))?;
        Ok(Self { client, address, base })
    }

    fn place(&self) -> String {
        format!("{} at {}", self.address.path, self.base.host_str().unwrap_or_default())
    }

    async fn ask(&self, kind: &str, version: Option<u64>) -> Result<(StatusCode, Value), Unobtained> {
        let KvAddress { mount, path, .. } = &self.address;
        let mut url = self.base.clone();
        url.set_path(&format!("{}/v1/{mount}/{kind}/{path}", self.base.path().trim_end_matches('/')));
        url.set_query(version.map(|version| format!("version={version}")).as_deref());
        let mut request = self
            .client
            .get(url)
            .header("x-vault-token", self.address.token.as_str())
            .header("x-vault-request", "true");
        if let Some(namespace) = &self.address.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let lost = |error: &reqwest::Error| {
            let what = if error.is_timeout() { "did not answer in time" } else { "could not be reached" };
            Unobtained::Unavailable(format!(
                "the vault with {} {what}: is vault_url right, and is it up?",
                self.place()
            ))
        };
        let mut response = request.send().await.map_err(|error| lost(&error))?;
        let status = response.status();
        let mut body = Zeroizing::new(Vec::new());
        while let Some(part) = response.chunk().await.map_err(|error| lost(&error))? {
            body.extend_from_slice(&part);
            if body.len() > ANSWER_MAX {
                return Err(self.strange("its answer does not end"));
            }
        }
        let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok((status, answer))
    }

    fn strange(&self, what: &str) -> Unobtained {
        Unobtained::Refused(format!(
            "the answer about {} is not what a KV version 2 engine says: {what}; are vault_url, vault_mount and vault_path right?",
            self.place()
        ))
    }

    /// What an answer other than the secret means.
    fn objection(&self, status: StatusCode, answer: &Value) -> Unobtained {
        let place = self.place();
        // The server says nothing secret in its errors; still only a line of it is told.
        let said = answer.pointer("/errors/0").and_then(Value::as_str).unwrap_or_default();
        let said: String = said.chars().filter(|letter| !letter.is_control()).take(200).collect();
        match status.as_u16() {
            401 | 403 => Unobtained::Refused(format!(
                "the vault does not let this token read {place} ({said}): give it a policy with read on {0}/data/{1} and on {0}/metadata/{1}, \
                 or a token that has not expired",
                self.address.mount, self.address.path
            )),
            404 => Unobtained::Refused(format!(
                "the vault has no secret {place}, or its newest version was deleted: write key_encryption_key and pepper there; \
                 nothing is generated in their place"
            )),
            429 | 472 | 473 | 500..=599 => Unobtained::Unavailable(format!(
                "the vault with {place} gives nothing at this moment (status {}, {said}): is it sealed?",
                status.as_u16()
            )),
            300..=399 => self.strange("it leads somewhere else, and the token is not carried there"),
            other => self.strange(&format!("status {other}, {said}")),
        }
    }

    /// One version; none when it was deleted or destroyed.
    fn read(&self, status: StatusCode, answer: &Value) -> Result<Option<KeptSecrets>, Unobtained> {
        if status != StatusCode::OK {
            return if status == StatusCode::NOT_FOUND {
                Ok(None)
            } else {
                Err(self.objection(status, answer))
            };
        }
        let version = answer.pointer("/data/metadata/version").and_then(Value::as_u64);
        let fields = answer.pointer("/data/data").and_then(Value::as_object);
        let (Some(version), Some(fields)) = (version, fields) else {
            return Err(self.strange("data or its version is missing"));
        };
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(Zeroizing::new(text.clone()))),
            Some(_) => Err(self.strange(&format!("{name} is no text"))),
        };
        Ok(Some(KeptSecrets {
            version,
            key_encryption_key: text("key_encryption_key")?,
            pepper: text("pepper")?,
        }))
    }

    async fn obtain(&self) -> Result<Vec<KeptSecrets>, Unobtained> {
        let (status, answer) = self.ask("data", None).await?;
        let newest = self.read(status, &answer)?.ok_or_else(|| self.objection(status, &answer))?;
        let mut all = vec![newest];
        let (status, answer) = self.ask("metadata", None).await?;
        let versions = match status {
            StatusCode::OK => answer
                .pointer("/data/versions")
                .and_then(Value::as_object)
                .ok_or_else(|| self.strange("the list of versions is missing"))?,
            // A token that may read the secret alone: then there is nothing before it.
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                tracing::warn!(
                    place = self.place(),
                    "the vault does not tell earlier versions: only the newest counts"
                );
                return Ok(all);
            }
            _ => return Err(self.objection(status, &answer)),
        };
        let newest = all.first().map_or(0, |it| it.version);
        let is_there = |it: &Value| {
            let is_deleted = it.get("deletion_time").and_then(Value::as_str).is_some_and(|at| !at.is_empty());
            !is_deleted && it.get("destroyed").and_then(Value::as_bool) != Some(true)
        };
        let mut older: Vec<u64> = versions
            .iter()
            .filter(|(_, it)| is_there(it))
            .filter_map(|(number, _)| number.parse().ok())
            .filter(|number| *number < newest)
            .collect();
        older.sort_unstable_by(|a, b| b.cmp(a));
        for version in older.into_iter().take(VERSIONS_MAX - 1) {
            let (status, answer) = self.ask("data", Some(version)).await?;
            all.extend(self.read(status, &answer)?);
        }
        Ok(all)
    }
}

impl SecretsProvider for KvVault {
    fn secrets(&self) -> Obtaining<'_> {
        Box::pin(self.obtain())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_of_a_vault_makes_the_reader_stumble() {
        let address = KvAddress {
            url: "https://vault.example".to_owned(),
            mount: "secret".to_owned(),
            path: "charter".to_owned(),
            namespace: None,
            token: Zeroizing::new("token".to_owned()),
            authorities: None,
        };
        let vault = KvVault::new(address).unwrap();
        let seeds = [
            r#"{"data":{"data":{"key_encryption_key":"a","pepper":"b"},"metadata":{"version":7,"destroyed":false}}}"#,
            r#"{"data":{"versions":{"1":{"deletion_time":"","destroyed":false}}}}"#,
            r#"{"errors":["permission denied"]}"#,
        ];
        let mut taken = 0;
        for text in charter_testkit::hostile::texts(&seeds, 3_000) {
            let Ok(answer) = serde_json::from_str(&text) else { continue };
            for status in
                [StatusCode::OK, StatusCode::NOT_FOUND, StatusCode::FORBIDDEN, StatusCode::BAD_GATEWAY]
            {
                taken += u32::from(matches!(vault.read(status, &answer), Ok(Some(_))));
            }
        }
        assert!(taken > 0, "some texts are not bent at all");
    }
}
