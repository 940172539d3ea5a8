//! The outside world. Out of the installation go letters, by SMTP (`smtp.rs`) or into a folder (`folder.rs`), and events to webhooks
//! (`webhook.rs`); into it come secrets that are kept in a vault (`kv.rs`). What is sent, when, and how often it is tried is decided in
//! `charter-app`; here is only the wire.

mod folder;
mod kv;
mod letter;
mod smtp;
mod webhook;

pub use folder::Folder;
pub use kv::{KvAddress, KvVault};
pub use letter::Sender;
pub use smtp::{Server, Smtp};
pub use webhook::{Hooks, SystemNames};

use charter_app::mail::{Carrier, Carrying, Letter, Undelivered};

/// Takes no letter: no mail server is configured, and mail waits until one is.
#[derive(Debug, Clone, Copy)]
pub struct NoServer;

impl Carrier for NoServer {
    fn carry<'a>(&'a self, _letter: &'a Letter) -> Carrying<'a> {
        Box::pin(async { Err(Undelivered::Later("no mail server is configured: set mail_url".to_owned())) })
    }
}
