//! What is counted of a server, in Prometheus text. No label names a customer, an address or an id.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::App;

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

/// Upper bounds of the histogram's buckets.
const SECONDS: [f64; 12] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// The counts of one server.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Route, Histogram>,
    messages: Family<Outcome, Counter>,
    events: Family<Outcome, Counter>,
    callbacks: Family<Word, Counter>,
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
        let callbacks = Family::default();
        registry.register("callbacks", "Things that services told of messages", callbacks.clone());
        Self { registry, requests, durations, messages, events, callbacks }
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
    let counts = [("sent", delivered.sent), ("retried", delivered.retried), ("failed", delivered.failed)];
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
    let mut text = String::new();
    if encode(&mut text, &app.metrics.registry).is_err() {
        let _ = write!(text, "# the metrics could not be written\n# EOF\n");
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}
