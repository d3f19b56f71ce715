//! `/openapi.json` as what answers are held against.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use axum::http::Method;
use serde_json::Value;

use crate::call::Reply;

/// The document.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::to_value(otp_server::http::openapi()).unwrap())
}

/// Every operation with every status that is written down for it.
pub fn documented() -> BTreeSet<(String, u16)> {
    let mut documented = BTreeSet::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for status in operation["responses"].as_object().unwrap().keys() {
                documented.insert((format!("{} {path}", method.to_uppercase()), status.parse().unwrap()));
            }
        }
    }
    documented
}

/// The operation that a request is for. A path that names things literally goes before one that does so by a parameter.
pub fn operation(method: &Method, path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |template: &&String| {
        let wanted: Vec<&str> = template.split('/').collect();
        let same = |(wanted, part): (&&str, &&str)| wanted == part || (wanted.starts_with('{') && !part.is_empty());
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(same)
    };
    let templates = document()["paths"].as_object().unwrap();
    let template = templates.keys().filter(fits).min_by_key(|template| template.matches('{').count())?;
    let method = method.as_str();
    templates[template].get(method.to_lowercase()).map(|_| format!("{method} {template}"))
}

/// Holds an answer against the document: status, content type, and the names and types of its fields.
#[track_caller]
pub fn check(reply: &Reply) {
    let Some(operation) = operation(&reply.method, &reply.path) else { return };
    let (method, template) = operation.split_once(' ').unwrap();
    let responses = &document()["paths"][template][method.to_lowercase()]["responses"];
    let response = &responses[reply.status.as_str()];
    assert!(!response.is_null(), "{operation} does not document {}\n{reply}", reply.status);
    let content = response["content"].as_object().unwrap_or_else(|| panic!("{operation}: {response}"));
    let found = reply.header("content-type").unwrap();
    let described = content.get(found).unwrap_or_else(|| panic!("{operation} does not document {found}\n{reply}"));
    if !described["schema"].is_null() && found.ends_with("json") {
        let faults = faults(&described["schema"], &reply.json(), "answer");
        assert!(faults.is_empty(), "{operation}: {}\n{reply}", faults.join("; "));
    }
}

/// What of a value is not as its schema says.
fn faults(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/components/schemas/").unwrap();
        return faults(&document()["components"]["schemas"][name], value, at);
    }
    for several in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[several].as_array() {
            let fits = schemas.iter().any(|schema| faults(schema, value, at).is_empty());
            return if fits { Vec::new() } else { vec![format!("{at} fits none of {several}")] };
        }
    }
    let is_free = schema["type"].is_null() || schema["additionalProperties"] == true;
    if is_free {
        return Vec::new();
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        of => of.as_str().into_iter().collect(),
    };
    let is_one = types.contains(&type_of(value)) || types.contains(&"number") && value.is_number();
    if !is_one {
        return vec![format!("{at} is {value}, not of {types:?}")];
    }
    match value {
        Value::Object(fields) => {
            let of_any_name = &schema["additionalProperties"];
            if of_any_name.is_object() {
                return fields
                    .iter()
                    .flat_map(|(name, value)| faults(of_any_name, value, &format!("{at}.{name}")))
                    .collect();
            }
            // An object of which no property is named may have any.
            let Some(known) = schema["properties"].as_object() else { return Vec::new() };
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            let missing = required.iter().filter_map(Value::as_str).filter(|name| !fields.contains_key(*name));
            let mut all: Vec<String> = missing.map(|name| format!("{at}.{name} is missing")).collect();
            for (name, value) in fields {
                match known.get(name) {
                    Some(schema) => all.extend(faults(schema, value, &format!("{at}.{name}"))),
                    None => all.push(format!("{at}.{name} is not documented")),
                }
            }
            all
        }
        Value::Array(items) => items.iter().flat_map(|item| faults(&schema["items"], item, at)).collect(),
        Value::String(text) if schema["format"] == "date-time" => {
            let is_time = text.len() == 24 && text.ends_with('Z') && text.parse::<otp_core::Timestamp>().is_ok();
            if is_time { Vec::new() } else { vec![format!("{at} is no time in UTC with milliseconds: {text}")] }
        }
        _ => Vec::new(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
