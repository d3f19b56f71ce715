//! `listen`: a customer's events as they happen, for whoever writes their receiver.

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use clap::Args;
use otp_core::destination::{Destination, Reach};
use otp_core::event::EventFilter;
use otp_core::webhook::{Failure as Unsent, Request, Signing, SigningSecret, WebhookTransport, signed_headers};
use otp_core::{EventId, Service, SystemRandom, TenantId, ToldEvent};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::output::print;
use super::{Failure, with_service};
use crate::config::Config;
use crate::outbound::Guard;
use crate::webhook::Webhooks;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// An event may be written so long after another with a later id, or by a server whose clock is so far behind.
const LATE: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  otp-server listen
      Prints the events of the only customer as they happen, also while the server runs.
  otp-server listen --customer cust_… --event otp.verified --forward-to http://localhost:3000/hooks
      Sends them to a receiver on this machine too, signed with a secret that is printed first.
  otp-server listen --json | jq .data
      One JSON document a line, as a receiver would read it.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Listen {
    /// The customer, cust_…; need not be said where there is one only
    #[arg(long, value_name = "ID")]
    customer: Option<TenantId>,
    /// Only events of this name; may stand several times
    #[arg(long = "event", value_name = "EVENT")]
    events: Vec<EventFilter>,
    /// Where to send each event too
    #[arg(long, value_name = "URL")]
    forward_to: Option<String>,
    /// Print what receivers read, one event a line
    #[arg(long)]
    json: bool,
}

/// A receiver on the developer's machine.
struct Receiver {
    url: String,
    secret: SigningSecret,
    transport: Webhooks,
}

pub(super) fn run(config: &Config, listen: Listen) -> Result<(), Failure> {
    with_service(config, false, async |service| {
        tokio::select! {
            outcome = listen.run(service) => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    })
}

impl Listen {
    async fn run(&self, service: &Service) -> Result<(), Failure> {
        let customer = match self.customer {
            Some(customer) => service.administrator(customer).await.map(|_| customer)?,
            None => only_customer(service).await?,
        };
        let receiver = self.forward_to.as_deref().map(Receiver::at).transpose()?;
        let mut told = HashSet::new();
        self.fresh(service, customer, &mut told).await?;
        say(&format!("Events of {customer}. Ctrl-C ends it."));
        if let Some(Receiver { url, secret, .. }) = &receiver {
            say(&format!("They are sent to {url}, signed with {}", secret.text().expose()));
        }
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            for event in self.fresh(service, customer, &mut told).await? {
                self.tell(&event);
                if let Some(receiver) = &receiver {
                    say(&receiver.send(service, &event).await);
                }
            }
        }
    }

    /// Events that were not seen before.
    async fn fresh(
        &self,
        service: &Service,
        customer: TenantId,
        told: &mut HashSet<EventId>,
    ) -> Result<Vec<ToldEvent>, Failure> {
        let since = service.now() - LATE;
        // What is older is not looked at again.
        told.retain(|id| *id >= EventId::first_at(since));
        let mut events = service.events_since(customer, since).await?;
        events.retain(|event| told.insert(event.id) && self.wants(event));
        Ok(events)
    }

    fn wants(&self, event: &ToldEvent) -> bool {
        self.events.is_empty() || self.events.iter().any(|filter| filter.admits(event.kind))
    }

    fn tell(&self, event: &ToldEvent) {
        if self.json {
            print(&format!("{}\n", String::from_utf8_lossy(&event.body)));
            return;
        }
        let body: Value = serde_json::from_slice(&event.body).unwrap_or_default();
        let facts = body["data"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let lines: String = facts.map(|(name, value)| format!("    {name}: {value}\n")).collect();
        print(&format!("{}  {}  {}\n{lines}", event.at, event.kind.as_str(), event.mode.as_str()));
    }
}

async fn only_customer(service: &Service) -> Result<TenantId, Failure> {
    let page = service.tenants(None, None, 2).await?;
    match page.items.as_slice() {
        [customer] => Ok(customer.id),
        [] => Err(Failure::Refused("there is no customer yet; make one with `otp-server customer create`".to_owned())),
        _ => Err(Failure::Refused("there are several customers; name one with --customer".to_owned())),
    }
}

impl Receiver {
    fn at(url: &str) -> Result<Self, Failure> {
        let refuse = |error: &dyn std::fmt::Display| Failure::Refused(format!("--forward-to: {error}"));
        let url = Destination::parse(url, Reach::Anywhere).map_err(|error| refuse(&error))?.to_string();
        let transport = Webhooks::guarded(Guard::anywhere()).map_err(|error| refuse(&error))?;
        Ok(Self { url, secret: SigningSecret::generate(Signing::Hmac, &SystemRandom), transport })
    }

    async fn send(&self, service: &Service, event: &ToldEvent) -> String {
        let headers =
            signed_headers(std::slice::from_ref(&self.secret), &event.id.to_string(), service.now(), &event.body);
        let request = Request { url: self.url.clone(), headers, body: event.body.clone(), within: None };
        match self.transport.send(request).await {
            Ok(answer) => format!("    -> {}", answer.status),
            Err(failure) => format!("    -> {}", words(failure)),
        }
    }
}

/// On standard error, where it does not mix with the events.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}"); // nobody may be there to read it
}

fn words(failure: Unsent) -> &'static str {
    match failure {
        Unsent::Connect => "nobody takes the connection",
        Unsent::Timeout => "no answer in time",
        other => other.as_str(),
    }
}
