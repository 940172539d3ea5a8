//! What tests share: databases of both engines, fresh for each test.

pub mod database;
