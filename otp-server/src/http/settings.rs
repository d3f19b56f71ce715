//! The schema of a customer's settings, read off the settings themselves: a new one is documented without a word here.

use otp_core::tenant::Settings;
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{AdditionalProperties, SchemaType};
use utoipa::openapi::{ArrayBuilder, Object, ObjectBuilder, RefOr, Schema, Type};

/// All settings, with an example of each.
pub fn settings() -> Object {
    object(&usual(), &example(), Form::Read).build()
}

/// Those that are to change.
pub fn change() -> Object {
    object(&usual(), &example(), Form::Written).build()
}

/// Those of a section that are to change.
pub fn change_of_section(name: &str) -> Object {
    let fields = |of: Map<String, Value>| of.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    object(&fields(usual()), &fields(example()), Form::Written).build()
}

/// The one that is a section by itself.
pub fn change_of_list(name: &str) -> Object {
    let example = example().into_iter().filter(|(of, _)| of == name).collect();
    object(&usual(), &example, Form::Written).build()
}

/// What the settings are described for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// All are there.
    Read,
    /// Any may be left out, and null brings a default back.
    Written,
}

fn usual() -> Map<String, Value> {
    let mut usual = Settings::default().document();
    usual["webhookConfig"]["secret"] = json!("");
    usual
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
        "channels": {
            "sms": {"countries": ["AT", "DE"], "prices": {"DE": 95000}},
            "whatsapp": {"countries": ["DE"], "prices": {"DE": 70000}},
            "host": "login.acme.com",
        },
        "hooks": {
            "beforeSend": {"url": "https://acme.com/otp/before-send", "onFailure": "open", "timeoutMillis": 1000},
            "claims": {"url": "https://acme.com/otp/claims", "onFailure": "closed", "timeoutMillis": 1000},
        },
        "branding": {
            "appName": "Acme", "supportUrl": "https://acme.com/help", "logoUrl": "https://acme.com/logo.png",
            "brandColor": "#0a7f5a", "footerText": "Acme Ltd, 1 Main Street", "locale": "de-CH",
        },
        "templates": [{
            "purpose": "login", "locale": "de", "subject": "Ihr Code für {{appName}}", "html": "<p>{{otpGrouped}}</p>",
            "text": "{{otpGrouped}}", "sms": "{{otp}} ist Ihr Code.",
        }],
        "privacy": {"inactiveUserDays": 730},
    });
    let patch = all.as_object().cloned().unwrap_or_default();
    let mut document = Settings::default().patched(&patch).unwrap_or_default().document();
    document["webhookConfig"]["secret"] = json!("••••q7Yk");
    document
}

fn object(usual: &Map<String, Value>, example: &Map<String, Value>, form: Form) -> ObjectBuilder {
    let property = |builder: ObjectBuilder, (name, value): (&String, &Value)| {
        let builder = builder.property(name, schema(usual.get(name).unwrap_or(&Value::Null), value, form));
        if form == Form::Read { builder.required(name) } else { builder }
    };
    let object = example.iter().fold(ObjectBuilder::new(), property);
    match form {
        Form::Read => object,
        Form::Written => object.additional_properties(Some(AdditionalProperties::FreeForm(false))),
    }
}

fn schema(usual: &Value, example: &Value, form: Form) -> RefOr<Schema> {
    let or_null = |of: Type, nullable: bool| match nullable {
        true => SchemaType::from_iter([of, Type::Null]),
        false => SchemaType::new(of),
    };
    let is_written = form == Form::Written;
    let plain = |of: Type| {
        ObjectBuilder::new().schema_type(or_null(of, is_written || usual.is_null())).examples([example.clone()])
    };
    match example {
        Value::Object(example) => match usual.as_object() {
            // Its names are the customer's own.
            Some(usual) if usual.is_empty() => {
                plain(Type::Object).additional_properties(Some(AdditionalProperties::FreeForm(true))).into()
            }
            usual => {
                let object = object(usual.unwrap_or(&Map::new()), example, form);
                object.schema_type(or_null(Type::Object, is_written)).into()
            }
        },
        Value::Array(entries) => {
            let items: RefOr<Schema> = match entries.first() {
                // Which of its fields an entry has is up to the customer.
                Some(Value::Object(entry)) => object(&Map::new(), entry, Form::Written).into(),
                _ => ObjectBuilder::new().schema_type(Type::String).into(),
            };
            ArrayBuilder::new().schema_type(or_null(Type::Array, is_written)).items(items).into()
        }
        Value::Bool(_) => plain(Type::Boolean).into(),
        Value::Number(_) => plain(Type::Integer).into(),
        Value::String(_) | Value::Null => plain(Type::String).into(),
    }
}
