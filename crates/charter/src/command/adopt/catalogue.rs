//! Puts an own catalogue in force, and the one before it again.

use super::desk::send;
use super::here;
use crate::client::{Call, Client};
use crate::failure::Result;
use charter_adopt::module;
use charter_catalogue::OwnCatalogue;
use serde_json::json;

/// Puts an own document in force.
pub async fn put(client: &Client, own: &OwnCatalogue) -> Result<()> {
    let document = charter_catalogue::print_own(own);
    let call = Call::new("POST", "/api/v1/catalogue/apply").json(&json!({ "document": document }));
    send(client, &call).await?;
    Ok(())
}

/// Puts the own document back that was in force before, unless somebody changed it meanwhile.
pub async fn put_back(client: &Client, before: &OwnCatalogue, in_force: &OwnCatalogue) -> Result<()> {
    if before == in_force || here::own(client).await? != *in_force {
        return Ok(());
    }
    // There is no document without a version.
    let empty = OwnCatalogue::default();
    let without = module::without_permissions(in_force);
    put(client, if *before == empty { &without } else { before }).await
}
