//! What tests share: databases of both engines, fresh for each test, and ways to make them fail; a passkey made of software.

pub mod authenticator;
pub mod company;
pub mod content;
pub mod database;
pub mod dump;
pub mod fault;
pub mod hostile;
pub mod kv;
pub mod line;
mod listening;
pub mod receiver;
pub mod server;
pub mod smtp;
