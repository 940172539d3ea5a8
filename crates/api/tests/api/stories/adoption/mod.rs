//! Adoption over HTTP: a run goes step by step, its rows come in by batches, and whatever is wrong is refused whole.

mod faults;
mod follow;
mod former_ids;
mod former_logins;
mod kept_away;
mod proof;
mod refused;
mod remembered;
mod run;
mod undo;
mod waiting;

use super::{Story, Told, Who};
use charter_kernel::id::{uuid_v7, write_uuid};
use serde_json::{Value, json};

pub const RUNS: &str = "/api/v1/adoption/runs";
pub const HOLDER: &str = "0193e7a0-0000-7000-8000-00000000aaaa";
pub const OTHER_HOLDER: &str = "0193e7a0-0000-7000-8000-00000000bbbb";

/// An id of a run.
pub fn id(run: u64, number: u128) -> String {
    let mut text = String::new();
    write_uuid(uuid_v7(run, number), &mut text).unwrap();
    text
}

pub fn plan(hash: &str, holder: &str) -> Value {
    json!({"source": "legacy", "system": "django", "engine": "postgres", "plan_hash": hash, "facts_fingerprint": "f1",
           "plan": {"users": 3}, "holder": holder})
}

/// The company that is adopted: an organization, a role of its own, two users with what they have, and what it may use.
pub fn company(run: u64) -> Value {
    let (shop, ann, bob) = (id(run, 1), id(run, 11), id(run, 12));
    json!({
        "holder": HOLDER,
        "organizations": [{"legacy_id": "7", "id": shop, "key": "shop", "name": "The \"Shop\" 🛒", "status": "active",
                           "enabled_modules": "{\"sales\": true}"}],
        "roles": [{"organization": shop, "key": "adopted_clerk", "name": "Clerk", "level": "viewer",
                   "permissions": ["sales.orders.read", "sales.invoices.read"]}],
        "users": [
            {"legacy_id": "1", "id": ann, "login": "Ann@Shop.example", "name": "Ann O'Neil", "status": "active"},
            {"legacy_id": "2", "id": bob, "login": "bob@shop.example", "status": "deactivated"},
        ],
        "memberships": [
            {"organization": shop, "principal": ann, "status": "active"},
            {"organization": shop, "principal": bob, "status": "active"},
        ],
        "assignments": [
            {"id": id(run, 21), "organization": shop, "role": "adopted_clerk", "principal": ann},
            {"id": id(run, 22), "organization": shop, "role": "org_admin", "principal": bob},
        ],
        "grants": [{"id": id(run, 31), "organization": shop, "principal": ann, "pattern": "sales.orders.update"}],
        "entitlements": [{"organization": shop, "module": "sales", "status": "enabled"},
                         {"organization": shop, "module": "hr", "status": "disabled"}],
    })
}

impl Story {
    pub async fn begin(&self, hash: &str) -> u64 {
        let told = self.post(Who::Operator, RUNS, plan(hash, HOLDER)).await.is(201);
        told.body["run"].as_u64().unwrap()
    }

    pub async fn rows(&self, run: u64, rows: Value) -> Told {
        self.post(Who::Operator, &format!("{RUNS}/{run}/rows"), rows).await
    }

    pub async fn step(&self, run: u64, step: &str, state: &str) -> Told {
        let error = (state == "failed").then_some("it went wrong");
        let body = json!({"holder": HOLDER, "step": step, "state": state, "row_count": 3, "error": error});
        self.post(Who::Operator, &format!("{RUNS}/{run}/steps"), body).await
    }

    /// Every step is done, the proof too.
    pub async fn prove(&self, run: u64) {
        for step in ["before", "schema", "data", "equivalence"] {
            self.step(run, step, "done").await.is(200);
        }
    }
}
