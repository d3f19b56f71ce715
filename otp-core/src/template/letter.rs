//! The mail around a notice of the installation: one layout for all of them.

use serde::Serialize;

use super::{NOTICE_HTML, NOTICE_TEXT, Rendered, TemplateError, grouped, one_line, template};
use crate::secret::Secret;
use minijinja::value::{Serde, Value};

/// What a notice says, part by part, in the order in which it is read.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// One line, without anything secret.
    pub subject: String,
    /// The headline.
    pub heading: String,
    /// What happened and what follows from it.
    pub paragraphs: Vec<String>,
    /// Somebody's own words, under a label.
    pub quote: Option<(String, String)>,
    /// Where to go.
    pub button: Option<Button>,
    /// What stands above the code.
    pub code_label: String,
    /// A code to be typed somewhere.
    pub code: Option<Secret>,
    /// Names and values.
    pub facts: Vec<(String, String)>,
    /// What stands below all that.
    pub closing: Vec<String>,
    /// In small print.
    pub footer: Option<String>,
}

/// A link that stands out.
#[derive(Clone, Debug, Serialize)]
pub struct Button {
    /// What it does.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

#[derive(Serialize)]
struct Variables<'a> {
    subject: &'a str,
    heading: String,
    paragraphs: Vec<String>,
    quote: Option<(&'a str, String)>,
    button: Option<&'a Button>,
    code_label: &'a str,
    code: Option<String>,
    facts: Vec<(&'a str, String)>,
    closing: Vec<String>,
    footer: Option<String>,
}

/// The mail of a notice.
///
/// # Errors
/// [`TemplateError`] when the layout asks for what a letter lacks.
pub fn render_letter(letter: &Letter) -> Result<Rendered, TemplateError> {
    let lines = |texts: &[String]| texts.iter().map(|text| one_line(text)).collect();
    let subject = one_line(&letter.subject);
    let values = Value::from(Serde(&Variables {
        subject: &subject,
        heading: one_line(&letter.heading),
        paragraphs: lines(&letter.paragraphs),
        quote: letter.quote.as_ref().map(|(label, text)| (label.as_str(), one_line(text))),
        button: letter.button.as_ref(),
        code_label: &letter.code_label,
        code: letter.code.as_ref().map(|code| grouped(code.expose())),
        facts: letter.facts.iter().map(|(name, value)| (name.as_str(), one_line(value))).collect(),
        closing: lines(&letter.closing),
        footer: letter.footer.as_deref().map(one_line),
    }));
    let (html, text) = (template(NOTICE_HTML, &values)?, template(NOTICE_TEXT, &values)?);
    Ok(Rendered { subject, html, text })
}
