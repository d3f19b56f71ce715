//! Settings as one JSON document: a part of it is written (JSON Merge Patch, RFC 7396), two of them are compared.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Settings;
use crate::error::Error;
use crate::secret::Digest32;
use crate::template::TemplateEntry;

/// Objects whose names are the tenant's own.
const FREE: [&str; 4] =
    ["emailConfig.variables", "tokens.customClaims", "channels.sms.prices", "channels.whatsapp.prices"];

/// A list of objects, whose names are known.
const TEMPLATES: &str = "templates";

/// Bytes of a value that stands in a [`Change`] as it is.
const LONGEST_VALUE: usize = 1024;

/// One setting that was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Which, by the path that the wire has for it.
    pub field: String,
    /// What it was. A long one is told by its digest, a secret one by its last characters.
    pub old: Value,
    /// What it is.
    pub new: Value,
}

impl Settings {
    /// The document.
    ///
    /// # Panics
    /// Never: settings are plain data.
    pub fn document(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(document)) => document,
            other => panic!("settings are no object: {other:?}"),
        }
    }

    /// These settings with what `patch` names put in its place; null puts the default there.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field that does not exist or does not read.
    pub fn patched(&self, patch: &Map<String, Value>) -> Result<Self, Error> {
        let document = self.document();
        if let Some(path) = unknown(&document, patch, "") {
            let message = format!("there is no setting `{path}`");
            return Err(Error::invalid("unknown_field", path, message));
        }
        let mut document = Value::Object(document);
        merge(&mut document, patch);
        serde_path_to_error::deserialize(document).map_err(|error| {
            let path = error.path().to_string();
            // Of other lists the whole is named: the message shows which entry.
            let path = match path.strip_prefix(TEMPLATES) {
                Some(_) => path,
                None => path.split('[').next().unwrap_or_default().to_owned(),
            };
            Error::invalid(code_of(&path), path, error.inner())
        })
    }

    /// What differs between these settings and later ones, setting by setting.
    pub fn changes_to(&self, later: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        compare(&self.document(), &later.document(), "", &mut changes);
        changes
    }
}

fn code_of(path: &str) -> &'static str {
    match path {
        "allowedOrigins" => "invalid_origin",
        "allowedIps" => "invalid_ip",
        path if path.ends_with(".countries") => "invalid_country",
        path if path.ends_with(".locale") => "invalid_locale",
        _ => "invalid_field",
    }
}

fn merge(into: &mut Value, patch: &Map<String, Value>) {
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(object) = into else { return };
    for (name, value) in patch {
        match value {
            Value::Null => drop(object.remove(name)),
            Value::Object(inner) => merge(object.entry(name).or_insert(Value::Null), inner),
            value => drop(object.insert(name.clone(), value.clone())),
        }
    }
}

/// The first name of the patch that is not in the document, which has all there are.
fn unknown(document: &Map<String, Value>, patch: &Map<String, Value>, path: &str) -> Option<String> {
    patch.iter().find_map(|(name, value)| {
        let path = join(path, name);
        let Some(known) = document.get(name) else { return Some(path) };
        match (known, value) {
            (Value::Object(document), Value::Object(patch)) if !FREE.contains(&path.as_str()) => {
                unknown(document, patch, &path)
            }
            (_, Value::Array(entries)) if path == TEMPLATES => {
                let Ok(Value::Object(known)) = serde_json::to_value(TemplateEntry::default()) else { return None };
                let objects =
                    entries.iter().enumerate().filter_map(|(number, entry)| Some((number, entry.as_object()?)));
                objects.into_iter().find_map(|(number, entry)| unknown(&known, entry, &format!("{path}[{number}]")))
            }
            _ => None,
        }
    })
}

fn compare(before: &Map<String, Value>, after: &Map<String, Value>, path: &str, changes: &mut Vec<Change>) {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in names {
        let path = join(path, name);
        let [old, new] = [before, after].map(|document| document.get(name).unwrap_or(&Value::Null));
        match (old, new) {
            (old, new) if old == new => {}
            (Value::Object(old), Value::Object(new)) => compare(old, new, &path, changes),
            (old, new) => changes.push(Change { field: path, old: brief(old), new: brief(new) }),
        }
    }
}

fn brief(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= LONGEST_VALUE {
        return value.clone();
    }
    Value::String(format!("{} bytes, SHA-256 {}", text.len(), Digest32::of(text.as_bytes()).to_base64url()))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
