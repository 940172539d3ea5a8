//! JSON over HTTP. `edge` is the machinery every route shares, `gate` joins it to the application; each other file is one
//! concept: its wire types, its routes, its handlers, in the order of reading. Decisions and changes are made one floor down,
//! in `charter-app`.

pub mod edge;
mod gate;

use edge::Routes;

/// Every route of the service. A concept adds its own by one line here: `.with(role::routes())`.
pub fn routes() -> Routes {
    Routes::new()
}
