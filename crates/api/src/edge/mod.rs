//! The edge: everything about HTTP that is not a concept. `route` is a row, `table` all of them, `pipeline` the way of a request, `openapi`
//! and `pages` are written from the table, `serve` is the server. What a concept's file needs is exported here.

mod address;
mod answer;
mod body;
mod call;
mod cookie;
mod credential;
mod gate;
pub mod host;
pub mod json;
mod objects;
mod once;
mod openapi;
mod origin;
mod page;
mod pages;
mod patience;
mod pipeline;
mod place;
mod precondition;
mod problem;
mod raw;
mod route;
mod seal;
mod serve;
mod system;
mod table;
pub(crate) mod text;
pub mod wire;

pub use address::client_address;
pub use answer::{Answer, JSON, REVISION, Reply};
pub use call::Call;
pub use cookie::{Client, Cookies, Crumb};
pub use credential::Credential;
pub use gate::{Claim, Claimed, Gate, Readiness, StoredAnswer};
pub use origin::CSRF_TOKEN;
pub use page::{Items, LIMIT_DEFAULT, LIMIT_MAX, PageAsked};
pub use pipeline::{Edge, LocalCaller, Settings, address_of};
pub use precondition::{ETag, Precondition};
pub use problem::{PROBLEM_JSON, ProblemDocument, Refusal, TYPE_PREFIX};
pub use raw::RawCall;
pub use route::{BODY_LIMIT, Guard, Route};
pub use seal::X_REQUEST_ID;
pub use serve::{Bounds, Served, serve};
pub use table::Routes;
