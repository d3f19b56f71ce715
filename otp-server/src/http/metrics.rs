//! What is counted of a server, in Prometheus text. No label names a customer, an address or an id.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use otp_core::HookCount;
use otp_core::hook::HookKind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::App;
use crate::delivery::Delivery;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Word {
    service: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Asked {
    hook: &'static str,
    outcome: &'static str,
}

/// Upper bounds of the histogram's buckets.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// The counts of one server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram>,
    messages: Family<Outcome, Counter>,
    events: Family<Outcome, Counter>,
    hooks: Family<Asked, Counter>,
    callbacks: Family<Word, Counter>,
    waiting: Gauge,
    in_flight: Gauge,
    oldest_age: Gauge<f64, AtomicU64>,
    delivery: OnceLock<(Arc<Delivery>, Registry)>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("otp");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let durations = Family::<Route, Histogram>::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register("http_request_duration_seconds", "Time to answer, in seconds", durations.clone());
        let messages = Family::default();
        registry.register("messages", "Tries to send a message", messages.clone());
        let events = Family::default();
        registry.register("webhook_deliveries", "Tries to send an event to an endpoint", events.clone());
        let hooks = Family::default();
        registry.register("hooks", "Questions to services of customers", hooks.clone());
        let callbacks = Family::default();
        registry.register("callbacks", "Things that services told of messages", callbacks.clone());
        let (waiting, in_flight, oldest_age) = <(Gauge, Gauge, Gauge<f64, AtomicU64>)>::default();
        registry.register("queue_waiting", "Messages that wait in memory to be sent", waiting.clone());
        registry.register("queue_in_flight", "Messages on their way to a provider", in_flight.clone());
        let oldest = "Age of the oldest message that has not been sent, in seconds";
        registry.register("queue_oldest_age_seconds", oldest, oldest_age.clone());
        let delivery = OnceLock::new();
        Self {
            registry,
            requests,
            durations,
            messages,
            events,
            hooks,
            callbacks,
            waiting,
            in_flight,
            oldest_age,
            delivery,
        }
    }
}

impl Metrics {
    pub(super) fn request(&self, route: &str, method: &Method, status: u16, took: Duration) {
        let labels = Request { route: route.to_owned(), method: label(method), status };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    pub(super) fn callback(&self, service: &'static str, outcome: &'static str) {
        self.callbacks.get_or_create(&Word { service, outcome }).inc();
    }

    /// Shows what is counted of providers too.
    pub fn watch(&self, delivery: Arc<Delivery>) {
        let mut registry = Registry::with_prefix("otp");
        delivery.register(&mut registry);
        let _ = self.delivery.set((delivery, registry)); // a process has one
    }

    fn write(&self, service: &otp_core::Service) -> Result<String, std::fmt::Error> {
        let (outbox, now) = (service.outbox(), service.now());
        self.waiting.set(outbox.waiting as i64);
        self.in_flight.set(outbox.in_flight as i64);
        self.oldest_age.set(outbox.oldest.map_or(0.0, |queued_at| now.since(queued_at).as_secs_f64()));
        for hook in HookKind::ALL {
            let HookCount { answered, failed } = service.hook_count(hook);
            for (outcome, count) in [("answered", answered), ("failed", failed)] {
                let counter = self.hooks.get_or_create(&Asked { hook: hook.as_str(), outcome });
                counter.inc_by(count - counter.get());
            }
        }
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        if let Some((delivery, registry)) = self.delivery.get() {
            delivery.observe();
            encode_registry(&mut text, registry)?;
        }
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// Notes what a round of sending came to.
    pub fn delivered(&self, delivered: otp_core::Delivered) {
        add(&self.messages, delivered);
    }

    /// Notes what sending events came to.
    pub fn events_delivered(&self, delivered: otp_core::Delivered) {
        add(&self.events, delivered);
    }
}

fn add(to: &Family<Outcome, Counter>, delivered: otp_core::Delivered) {
    let otp_core::Delivered { sent, retried, failed, vetoed } = delivered;
    let counts = [("sent", sent), ("retried", retried), ("failed", failed), ("vetoed", vetoed)];
    for (outcome, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        to.get_or_create(&Outcome { outcome }).inc_by(count as u64);
    }
}

/// A client can call a method what it likes, and each label is kept for ever.
fn label(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"];
    known.into_iter().find(|known| method == known).unwrap_or("other")
}

/// Everything counted.
pub async fn show(State(app): State<Arc<App>>) -> Response {
    let written = app.metrics.write(&app.service);
    let text = written.unwrap_or_else(|_| "# the metrics could not be written\n# EOF\n".to_owned());
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
