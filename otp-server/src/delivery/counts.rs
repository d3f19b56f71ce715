//! What is counted of providers, in Prometheus text. No label names a tenant.

use async_trait::async_trait;
use otp_core::message::{CircuitState, Mailer, Outgoing, ProviderState, Receipt, SendError};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Try {
    provider: String,
    channel: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Provider {
    provider: String,
    list: &'static str,
}

/// The counts. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Counts {
    tries: Family<Try, Counter>,
    circuits: Family<Provider, Gauge>,
    in_flight: Family<Provider, Gauge>,
}

impl Counts {
    pub(super) fn register(&self, registry: &mut Registry) {
        let tries = "Tries to hand a message to a provider; `own` are all of customers";
        registry.register("provider_tries", tries, self.tries.clone());
        let circuits = "Whether the provider is passed over: 0 no, 1 one message tries it, 2 yes";
        registry.register("provider_circuit", circuits, self.circuits.clone());
        registry.register("provider_in_flight", "Messages on their way to the provider", self.in_flight.clone());
    }

    /// Notes how the providers of a list stand.
    pub(super) fn note(&self, list: &'static str, states: Vec<ProviderState>) {
        for ProviderState { name: provider, circuit, in_flight } in states {
            let labels = Provider { provider, list };
            let circuit = match circuit {
                CircuitState::Closed { .. } => 0,
                CircuitState::HalfOpen { .. } => 1,
                CircuitState::Open { .. } => 2,
            };
            self.circuits.get_or_create(&labels).set(circuit);
            self.in_flight.get_or_create(&labels).set(in_flight as i64);
        }
    }
}

/// A mailer whose tries are counted.
pub(super) struct Counted<M> {
    name: String,
    mailer: M,
    counts: Counts,
}

impl<M> Counted<M> {
    pub(super) fn new(name: impl Into<String>, mailer: M, counts: Counts) -> Self {
        Self { name: name.into(), mailer, counts }
    }
}

#[async_trait]
impl<M: Mailer> Mailer for Counted<M> {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        let sent = self.mailer.send(message).await;
        let outcome = if sent.is_ok() { "taken" } else { "refused" };
        let labels = Try { provider: self.name.clone(), channel: message.channel.as_str(), outcome };
        self.counts.tries.get_or_create(&labels).inc();
        sent
    }
}
