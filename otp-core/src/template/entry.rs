//! Templates of a tenant's own, as it writes them: for a purpose, for a language, or for both.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::custom::{Escape, MAX_SOURCE};
use crate::challenge::is_purpose;
use crate::error::{Error, InvalidField};
use crate::locale::Locale;

/// Characters of the longest text message; providers take no longer one.
pub const MAX_SMS: usize = 1600;
const MOST_ENTRIES: usize = 50;
/// Bytes of all templates together.
const MAX_TOTAL: usize = 4 * MAX_SOURCE;

/// Parts of messages that are not to be as they are otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TemplateEntry {
    /// What the code is for; anything, if not set.
    pub purpose: Option<String>,
    /// What the recipient reads, and all that falls back to it; anything, if not set.
    pub locale: Option<Locale>,
    /// The subject of the mail. All four are in the grammar of [`crate::template`].
    pub subject: Option<String>,
    /// Its HTML part.
    pub html: Option<String>,
    /// Its plain-text part.
    pub text: Option<String>,
    /// The text message.
    pub sms: Option<String>,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The subject of a mail.
    Subject,
    /// Its HTML part.
    Html,
    /// Its plain-text part.
    Text,
    /// A text message.
    Sms,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 4] = [Part::Subject, Part::Html, Part::Text, Part::Sms];

    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Part::Subject => "subject",
            Part::Html => "html",
            Part::Text => "text",
            Part::Sms => "sms",
        }
    }

    pub(super) fn escape(self) -> Escape {
        match self {
            Part::Html => Escape::Html,
            Part::Subject | Part::Text | Part::Sms => Escape::Text,
        }
    }
}

impl TemplateEntry {
    /// The template of a part.
    pub fn source(&self, part: Part) -> Option<&str> {
        let source = match part {
            Part::Subject => &self.subject,
            Part::Html => &self.html,
            Part::Text => &self.text,
            Part::Sms => &self.sms,
        };
        source.as_deref()
    }

    fn check(&self, number: usize) -> Result<(), InvalidField> {
        let refuse = |field: &str, why: String| Err(invalid(format!("templates[{number}]{field}"), why));
        if self.purpose.as_deref().is_some_and(|purpose| !is_purpose(purpose)) {
            return refuse(".purpose", "use 1 to 64 of a-z, 0-9, `_`, `.` and `-`".to_owned());
        }
        let mut parts = Part::ALL.into_iter().filter(|part| self.source(*part).is_some()).peekable();
        if parts.peek().is_none() {
            return refuse("", "write at least one of subject, html, text and sms".to_owned());
        }
        let elsewhere = parts.find(|part| *part != Part::Sms);
        match elsewhere.filter(|_| self.purpose.is_none() && self.locale.is_none()) {
            Some(part) => {
                let why = "name a purpose or a locale; what is for all mails is written in emailConfig";
                refuse(&format!(".{}", part.as_str()), why.to_owned())
            }
            None => Ok(()),
        }
    }
}

/// Whether these entries can stand side by side. Their templates are understood elsewhere.
pub(crate) fn check_entries(entries: &[TemplateEntry]) -> Result<(), InvalidField> {
    if entries.len() > MOST_ENTRIES {
        return Err(invalid("templates".to_owned(), format!("use at most {MOST_ENTRIES}")));
    }
    let mut known = HashSet::new();
    for (number, entry) in entries.iter().enumerate() {
        entry.check(number)?;
        if !known.insert((&entry.purpose, &entry.locale)) {
            let why = "another entry is for this purpose and locale; write both as one".to_owned();
            return Err(invalid(format!("templates[{number}]"), why));
        }
    }
    let sources = entries.iter().flat_map(|entry| Part::ALL.map(|part| entry.source(part)));
    let total: usize = sources.flatten().map(str::len).sum();
    if total > MAX_TOTAL {
        return Err(invalid("templates".to_owned(), format!("keep them within {MAX_TOTAL} bytes together")));
    }
    Ok(())
}

fn invalid(field: String, why: String) -> InvalidField {
    Error::invalid_field("invalid_template", field, why)
}
