//! The schema of a customer's settings, read off the settings themselves: a new one is documented without a word here.

use otp_core::tenant::Settings;
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{Array, Object, ObjectBuilder, RefOr, Schema, Type};

/// All settings, with an example of each.
pub fn settings() -> Object {
    let mut usual = Settings::default().document();
    usual["webhookConfig"]["secret"] = json!("");
    object(&usual, &example())
}

/// Settings of which none is left out.
fn example() -> Map<String, Value> {
    let all = json!({
        "emailConfig": {
            "fromEmail": "login@acme.com", "fromName": "Acme", "replyTo": "help@acme.com", "subjectTemplate": "Your {{appName}} code",
            "htmlTemplate": "<p>{{otpGrouped}}</p>", "textTemplate": "{{otpGrouped}}", "variables": {"shop": "Berlin"},
        },
        "rateLimits": {"otpRequestsPerHour": 500, "otpRequestsPerDay": 4000, "maxUsers": 9000},
        "webhookConfig": {"url": "https://acme.com/hooks"},
        "allowedOrigins": ["https://*.acme.com"],
        "allowedIps": ["203.0.113.0/24"],
        "tokens": {"customClaims": {"tier": "gold"}},
        "branding": {
            "appName": "Acme", "supportUrl": "https://acme.com/help", "logoUrl": "https://acme.com/logo.png",
            "brandColor": "#0a7f5a", "footerText": "Acme Ltd, 1 Main Street",
        },
        "privacy": {"inactiveUserDays": 730},
    });
    let patch = all.as_object().cloned().unwrap_or_default();
    let mut document = Settings::default().patched(&patch).unwrap_or_default().document();
    document["webhookConfig"]["secret"] = json!("••••q7Yk");
    document
}

fn object(usual: &Map<String, Value>, example: &Map<String, Value>) -> Object {
    let property = |builder: ObjectBuilder, (name, value): (&String, &Value)| {
        builder.property(name, schema(usual.get(name).unwrap_or(&Value::Null), value)).required(name)
    };
    example.iter().fold(ObjectBuilder::new(), property).build()
}

fn schema(usual: &Value, example: &Value) -> RefOr<Schema> {
    let plain = |of: Type| {
        let of = match usual {
            Value::Null => SchemaType::from_iter([of, Type::Null]),
            _ => SchemaType::new(of),
        };
        ObjectBuilder::new().schema_type(of).examples([example.clone()])
    };
    match example {
        Value::Object(example) => match usual.as_object() {
            // Its names are the customer's own.
            Some(usual) if usual.is_empty() => {
                plain(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true))).into()
            }
            usual => object(usual.unwrap_or(&Map::new()), example).into(),
        },
        Value::Array(_) => Array::new(ObjectBuilder::new().schema_type(Type::String)).into(),
        Value::Bool(_) => plain(Type::Boolean).into(),
        Value::Number(_) => plain(Type::Integer).into(),
        Value::String(_) | Value::Null => plain(Type::String).into(),
    }
}
