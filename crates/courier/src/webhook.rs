//! Events to webhooks, over HTTP. A connection goes to an address that was judged a moment before: the client asks our resolver, which
//! gives public addresses or none, and connects to one of those; it follows no redirect and uses no proxy.

use charter_app::webhook::target::{Names, Resolving, Rules};
use charter_app::webhook::{Answer, Courier, Delivering, Parcel};
use reqwest::dns::{Addrs, Name, Resolve};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// How long a receiver may take, all in all.
const PATIENCE: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// As much of an answer is read as lets a connection end in order.
const ANSWER_MAX: usize = 4 * 1024;

/// The names of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((name, 0))).await??;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why a name was not connected to.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Gives the addresses of a name if every one of them may be reached.
struct Guarded {
    names: Arc<dyn Names>,
    rules: Rules,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> reqwest::dns::Resolving {
        let (names, rules) = (Arc::clone(&self.names), self.rules.clone());
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let addresses = names.resolve(&name).await?;
            if let Some(what) = addresses.iter().find_map(|address| rules.objection(*address)) {
                return Err(Refused(format!("{name} leads to {what}")).into());
            }
            let addresses: Vec<SocketAddr> =
                addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Takes events to webhooks.
pub struct Hooks {
    client: reqwest::Client,
    rules: Rules,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Hooks {
    /// With what may be reached, and who turns names into addresses.
    ///
    /// # Errors
    /// When TLS cannot be made ready on this machine.
    pub fn new(rules: Rules, names: Arc<dyn Names>) -> Result<Self, String> {
        Self::with_patience(rules, names, PATIENCE)
    }

    /// The same, with a time after which a receiver is given up.
    ///
    /// # Errors
    /// When TLS cannot be made ready on this machine.
    pub fn with_patience(rules: Rules, names: Arc<dyn Names>, patience: Duration) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .dns_resolver(Guarded { names, rules: rules.clone() })
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .timeout(patience)
            .connect_timeout(CONNECT)
            // A kept connection would outlive what was judged about its address.
            .pool_max_idle_per_host(0)
            .user_agent(concat!("Charter-Webhooks/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("no HTTP client can be made: {error}"))?;
        Ok(Self { client, rules })
    }

    /// The client asks the resolver about names alone; an address that is written out is judged here.
    fn judge(&self, url: &str) -> Result<Url, String> {
        let url = self.rules.read(url)?;
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            _ => None,
        };
        match address.and_then(|address| self.rules.objection(address)) {
            Some(what) => Err(format!("the address is {what}")),
            None => Ok(url),
        }
    }

    async fn send(&self, parcel: &Parcel) -> Result<u16, String> {
        let url = self.judge(&parcel.url)?;
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &parcel.id)
            .header("webhook-timestamp", parcel.timestamp.to_string())
            .header("webhook-signature", &parcel.signature)
            .body(parcel.body.clone());
        let mut response = request.send().await.map_err(|error| told(&error))?;
        let status = response.status().as_u16();
        let mut read = 0;
        // What it says does not matter, and whether it goes on saying it matters less.
        while read < ANSWER_MAX
            && let Ok(Some(part)) = response.chunk().await
        {
            read += part.len();
        }
        Ok(status)
    }
}

/// An error with its causes, without the address, which may hold a secret of the receiver.
fn told(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl Courier for Hooks {
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Delivering<'a> {
        Box::pin(async move {
            match self.send(parcel).await {
                Ok(status) => Answer::Status(status),
                Err(why) => Answer::None(why),
            }
        })
    }
}
