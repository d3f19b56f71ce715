//! A tenant's own e-mail: what it set of subject, HTML and text takes the place of the built-in part.

use super::custom::{Escape, MAX_VALUE, Mistake, NAMES, Template, Values};
use super::{MessageContext, Rendered, civil_time, grouped, one_line};
use crate::error::{Error, InvalidField};
use crate::tenant::EmailSettings;

const MOST_VARIABLES: usize = 50;
/// The code, in either form.
const CODE: [&str; 2] = ["otp", "otpGrouped"];

/// The templates of a tenant, understood.
#[derive(Clone, Debug, Default)]
pub struct OwnTemplates {
    subject: Option<Template>,
    html: Option<Template>,
    text: Option<Template>,
    /// Values of the tenant's own, by lower-case name.
    variables: Values,
}

impl OwnTemplates {
    /// Understands what a tenant has set, and renders it once from samples.
    ///
    /// # Errors
    /// [`InvalidField`] naming the template, line, column and mistake.
    pub fn of(settings: &EmailSettings) -> Result<Self, InvalidField> {
        check_variables(settings)?;
        let parse = |field: &'static str, source: &Option<String>| {
            let names = settings.variables.keys().map(String::as_str);
            let refuse = |mistake: Mistake| invalid(field, mistake);
            source.as_deref().map(|source| Template::parse(source, names).map_err(refuse)).transpose()
        };
        let templates = Self {
            subject: parse("emailConfig.subjectTemplate", &settings.subject_template)?,
            html: parse("emailConfig.htmlTemplate", &settings.html_template)?,
            text: parse("emailConfig.textTemplate", &settings.text_template)?,
            variables: settings.variables.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect(),
        };
        templates.check()?;
        Ok(templates)
    }

    fn check(&self) -> Result<(), InvalidField> {
        for (field, part) in [("emailConfig.htmlTemplate", &self.html), ("emailConfig.textTemplate", &self.text)] {
            if part.as_ref().is_some_and(|template| !template.always_shows(&CODE)) {
                return Err(invalid(field, "write {{otp}} or {{otpGrouped}} where it always shows"));
            }
        }
        let mut values = self.variables.clone();
        // The longest that can be: what is written then, is always.
        values.extend(NAMES.map(|name| (name.to_lowercase(), "'".repeat(MAX_VALUE))));
        for (field, part, escape) in [
            ("emailConfig.subjectTemplate", &self.subject, Escape::Text),
            ("emailConfig.htmlTemplate", &self.html, Escape::Html),
            ("emailConfig.textTemplate", &self.text, Escape::Text),
        ] {
            if part.as_ref().is_some_and(|template| template.render(&values, escape).is_none()) {
                return Err(invalid(field, "it can grow beyond 256 KiB; write fewer variables"));
            }
        }
        Ok(())
    }

    /// The built-in message with the tenant's own parts in the place of those it has.
    pub fn render(&self, message: &MessageContext, built_in: Rendered) -> Rendered {
        if self.subject.is_none() && self.html.is_none() && self.text.is_none() {
            return built_in;
        }
        let mut values = self.variables.clone();
        values.extend(values_of(message));
        let own = |part: &Option<Template>, escape| part.as_ref().and_then(|template| template.render(&values, escape));
        Rendered {
            subject: own(&self.subject, Escape::Text).map_or(built_in.subject, |subject| one_line(&subject)),
            html: own(&self.html, Escape::Html).unwrap_or(built_in.html),
            text: own(&self.text, Escape::Text).unwrap_or(built_in.text),
        }
    }
}

fn values_of(message: &MessageContext) -> Values {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let values = [
        ("otp", message.otp.expose().to_owned()),
        ("otpGrouped", grouped(message.otp.expose())),
        ("expiresIn", message.expires_in_minutes.to_string()),
        ("appName", message.app_name.clone()),
        ("userEmail", message.user_email.clone()),
        ("supportUrl", text(&message.support_url)),
        ("logoUrl", text(&message.logo_url)),
        ("brandColor", text(&message.brand_color)),
        ("footerText", text(&message.footer_text)),
        ("context", text(&message.context)),
        ("requestIp", text(&message.request_ip)),
        ("requestTime", civil_time(message.request_time)),
    ];
    values.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect()
}

fn check_variables(settings: &EmailSettings) -> Result<(), InvalidField> {
    const FIELD: &str = "emailConfig.variables";
    if settings.variables.len() > MOST_VARIABLES {
        return Err(invalid(FIELD, format!("use at most {MOST_VARIABLES}")));
    }
    for (name, value) in &settings.variables {
        let is_name = name.len() <= 40
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return Err(invalid(FIELD, format!("name `{name}` with up to 40 letters, digits and _, a letter first")));
        }
        if NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(invalid(FIELD, format!("`{name}` is a variable of every message; use another name")));
        }
        if value.len() > MAX_VALUE {
            return Err(invalid(FIELD, format!("keep `{name}` within {MAX_VALUE} bytes")));
        }
    }
    Ok(())
}

fn invalid(field: &'static str, message: impl ToString) -> InvalidField {
    Error::invalid_field("invalid_template", field, message)
}
