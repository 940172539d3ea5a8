//! JSON over HTTP. `edge` is the machinery every route shares; each other file is one concept: its wire types, its routes,
//! its handlers, in the order of reading. Decisions and changes are made one floor down, in `charter-app`.

pub mod edge;
