//! The file of a realm's export, as far as it says who holds which role.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// Nothing where nothing, or null, stands.
fn or_nothing<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Realm {
    #[serde(default, deserialize_with = "or_nothing")]
    pub realm: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub roles: Roles,
    #[serde(default, deserialize_with = "or_nothing")]
    pub groups: Vec<Group>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub users: Vec<User>,
}

#[derive(Deserialize, Default)]
pub(super) struct Roles {
    #[serde(default, deserialize_with = "or_nothing")]
    pub realm: Vec<Role>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub client: BTreeMap<String, Vec<Role>>,
}

#[derive(Deserialize)]
pub(super) struct Role {
    pub name: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub composites: Composites,
}

#[derive(Deserialize, Default)]
pub(super) struct Composites {
    #[serde(default, deserialize_with = "or_nothing")]
    pub realm: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub client: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub name: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub path: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub realm_roles: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub client_roles: BTreeMap<String, Vec<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub sub_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    #[serde(default, deserialize_with = "or_nothing")]
    pub id: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub username: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub first_name: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub last_name: String,
    pub enabled: Option<bool>,
    pub service_account_client_id: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub realm_roles: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub client_roles: BTreeMap<String, Vec<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub groups: Vec<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub credentials: Vec<Credential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Credential {
    #[serde(default, rename = "type", deserialize_with = "or_nothing")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub secret_data: String,
    #[serde(default, deserialize_with = "or_nothing")]
    pub credential_data: String,
}

#[derive(Deserialize)]
struct Secret {
    value: String,
    #[serde(default)]
    salt: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Method {
    #[serde(default)]
    hash_iterations: u64,
    #[serde(default)]
    algorithm: String,
    #[serde(default, deserialize_with = "or_nothing")]
    additional_parameters: BTreeMap<String, Vec<String>>,
}

impl Credential {
    /// The hash of a password as one text, in the form in which others write the same method; otherwise the name of the method.
    pub(super) fn hash(&self) -> String {
        let parsed = serde_json::from_str::<Secret>(&self.secret_data)
            .ok()
            .zip(serde_json::from_str::<Method>(&self.credential_data).ok());
        let Some((secret, method)) = parsed else { return "keycloak".to_owned() };
        let bare = |text: &str| text.trim_end_matches('=').to_owned();
        match method.algorithm.as_str() {
            "pbkdf2-sha256" | "pbkdf2-sha512" => format!(
                "${}${}${}${}",
                method.algorithm,
                method.hash_iterations,
                bare(&secret.salt).replace('+', "."),
                bare(&secret.value).replace('+', ".")
            ),
            "argon2" => {
                let parameter = |name: &str| {
                    method
                        .additional_parameters
                        .get(name)
                        .and_then(|all| all.first())
                        .cloned()
                        .unwrap_or_default()
                };
                format!(
                    "$argon2{}$v=19$m={},t={},p={}${}${}",
                    parameter("type"),
                    parameter("memory"),
                    method.hash_iterations,
                    parameter("parallelism"),
                    bare(&secret.salt),
                    bare(&secret.value)
                )
            }
            other => format!("keycloak {other}"),
        }
    }
}
