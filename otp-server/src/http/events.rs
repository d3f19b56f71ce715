//! `/docs/events`: what events look like.

use std::sync::OnceLock;

use axum::response::Json;
use otp_core::event::EventKind;
use serde_json::{Value, json};

/// The catalogue: of each event what it tells of, the JSON Schema of its body, and what a made-up one says.
pub async fn catalogue() -> Json<&'static Value> {
    static CATALOGUE: OnceLock<Value> = OnceLock::new();
    Json(CATALOGUE.get_or_init(|| {
        let event = |kind: &EventKind| {
            json!({
                "event": kind.as_str(),
                "description": kind.about(),
                "schema": kind.schema(),
                "sample": kind.sample_payload(),
            })
        };
        json!({"success": true, "events": EventKind::ALL.iter().map(event).collect::<Vec<_>>()})
    }))
}
