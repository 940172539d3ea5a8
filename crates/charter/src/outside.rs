//! What leaves the installation: who carries it, and the loops that hand it over. They run beside the server and end with it; what was
//! under way then comes again later.

use crate::config::Configuration;
use crate::failure::{Failure, Result};
use crate::folder::Folder;
use charter_app::App;
use charter_app::mail::{self, Carrier, Way};
use charter_app::webhook::target::{AddressRange, Rules};
use charter_app::webhook::{self, Courier};
use charter_courier::{Hooks, NoServer, Sender, Smtp, SystemNames};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const ROUND: Duration = Duration::from_secs(1);
const MAIL: &str = "mail";

/// Who mail is from when nobody said so: `charter` at the host clients know.
fn sender(configuration: &Configuration) -> Result<Sender> {
    if let Some(sender) = &configuration.mail_from {
        return Ok(sender.clone());
    }
    let host = charter_api::edge::host::name_in(&configuration.public_url);
    let is_name = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
    let text = format!("charter@{}", if is_name { host } else { "localhost" });
    Sender::parse(&text).map_err(|wrong| Failure::new(format!("{text} {wrong}: set mail_from")))
}

/// How mail leaves the installation: by the configured server; without one into a folder, where somebody tries things out.
pub fn way_of_mail(configuration: &Configuration) -> Way {
    match &configuration.mail_server {
        Some(_) => Way::Sent,
        None if configuration.production => Way::Waits,
        None => Way::Kept,
    }
}

/// Who carries mail that way.
pub fn carrier(configuration: &Configuration, folder: &Folder) -> Result<Arc<dyn Carrier>> {
    Ok(match (way_of_mail(configuration), &configuration.mail_server) {
        (Way::Sent, Some(server)) => {
            let smtp = Smtp::new(server, sender(configuration)?).map_err(Failure::new)?;
            tracing::info!(server = server.shown(), "mail goes to this server");
            Arc::new(smtp)
        }
        (Way::Kept, _) => {
            Arc::new(charter_courier::Folder::new(folder.path().join(MAIL), sender(configuration)?))
        }
        (Way::Sent | Way::Waits, _) => Arc::new(NoServer),
    })
}

/// What webhooks may reach: public addresses and the networks of the configuration; over plain HTTP only where somebody tries things out.
pub fn webhook_rules(configuration: &Configuration) -> Rules {
    let block = |network: &ipnet::IpNet| AddressRange::parse(&network.trunc().to_string()).ok();
    Rules {
        allows_http: !configuration.production,
        networks: configuration.webhook_networks.iter().filter_map(block).collect(),
        names: Some(Arc::new(SystemNames)),
    }
}

/// Who takes events to webhooks.
pub fn courier(app: &App) -> Result<Arc<dyn Courier>> {
    let rules = app.webhook_rules().clone();
    Ok(Arc::new(Hooks::new(rules, Arc::new(SystemNames)).map_err(Failure::new)?))
}

/// Once a second what happened goes to the webhooks that want to know; what is due is sent then, and whenever a delivery ended.
pub async fn call_webhooks(app: &App, courier: Arc<dyn Courier>) {
    let mut clock = tokio::time::interval(ROUND);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sending = webhook::Sending::default();
    loop {
        let ended = tokio::select! {
            _ = clock.tick() => webhook::spread(app).await.map(drop),
            ended = sending.ended() => ended,
        };
        let begun = sending.begin_due(app, &courier).await;
        if let Err(problem) = ended.and(begun) {
            tracing::debug!(%problem, "webhooks could not be told what happened: another time");
        }
    }
}

/// Sends what is due, once a second.
pub async fn carry_mail(app: &App, carrier: Arc<dyn Carrier>) {
    let mut clock = tokio::time::interval(ROUND);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if let Err(problem) = mail::deliver_due(app, &carrier).await {
            tracing::debug!(%problem, "mail that is due could not be read or noted");
        }
    }
}
