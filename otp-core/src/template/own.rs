//! A tenant's own messages: what it wrote of subject, HTML, text and text message takes the place of the built-in part.

use std::collections::BTreeMap;

use super::custom::{MAX_VALUE, Mistake, NAMES, Template, Values, cut};
use super::entry::{MAX_SMS, Part};
use super::words::Language;
use super::{MessageContext, Rendered, TemplateError, grouped, message_time, one_line, render, render_sms};
use crate::error::{Error, InvalidField};
use crate::locale::Locale;
use crate::tenant::Settings;

const MOST_VARIABLES: usize = 50;
/// The code, in either form.
const CODE: [&str; 2] = ["otp", "otpGrouped"];

/// The templates of a tenant, understood.
#[derive(Clone, Debug, Default)]
pub struct OwnTemplates {
    /// Those of the settings' `templates` in their order, then that of all mails.
    entries: Vec<Entry>,
    /// Values of the tenant's own, by lower-case name.
    variables: Values,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    purpose: Option<String>,
    locale: Option<Locale>,
    parts: [Option<Template>; 4],
}

/// Whom a message is for, which decides about its templates.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// What the code is for.
    pub purpose: &'a str,
    /// What the recipient reads, if that is known.
    pub locale: Option<&'a Locale>,
    /// What the tenant's recipients read otherwise.
    pub usual: Option<&'a Locale>,
}

impl Audience<'_> {
    /// The built-in language that comes nearest.
    pub fn language(&self) -> Language {
        Language::of(self.locales().flat_map(Locale::fallbacks))
    }

    fn locales(&self) -> impl Iterator<Item = &Locale> {
        self.locale.into_iter().chain(self.usual)
    }

    /// What an entry has to name, from the best match to the last: what can be read comes before what it is about.
    fn preferences(&self) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
        let purposes = [Some(self.purpose), None];
        let of =
            move |locale| purposes.into_iter().flat_map(move |purpose| tags(locale).map(move |tag| (purpose, tag)));
        self.locales().map(Some).chain([None]).flat_map(of)
    }
}

fn tags(locale: Option<&Locale>) -> impl Iterator<Item = Option<&str>> {
    let any = locale.is_none().then_some(None);
    locale.into_iter().flat_map(Locale::fallbacks).map(Some).chain(any)
}

/// Templates that are tried out before they are saved.
#[derive(Clone, Debug, Default)]
pub struct Drafts {
    /// The templates, by part.
    pub parts: Vec<(Part, String)>,
    /// Values for them, beside those of the settings.
    pub variables: BTreeMap<String, String>,
}

impl OwnTemplates {
    /// Understands what a tenant has set.
    ///
    /// # Errors
    /// [`InvalidField`] naming the template, line, column and mistake.
    pub fn of(settings: &Settings) -> Result<Self, InvalidField> {
        let email = &settings.email;
        let variables = lower_case(&email.variables);
        let mut entries = Vec::with_capacity(settings.templates.len() + 1);
        for (number, entry) in settings.templates.iter().enumerate() {
            let [subject, html, text, sms] =
                Part::ALL.map(|part| parse(field(Some(number), part), entry.source(part), &variables));
            let parts = [subject?, html?, text?, sms?];
            entries.push(Entry { purpose: entry.purpose.clone(), locale: entry.locale.clone(), parts });
        }
        let sources = [&email.subject_template, &email.html_template, &email.text_template];
        let [subject, html, text] = [Part::Subject, Part::Html, Part::Text]
            .map(|part| parse(field(None, part), sources[part as usize].as_deref(), &variables));
        entries.push(Entry { parts: [subject?, html?, text?, None], ..Entry::default() });
        Ok(Self { entries, variables })
    }

    /// Understands what a tenant wants to set, and renders it from samples.
    ///
    /// # Errors
    /// [`InvalidField`] naming the template and what is wrong with it.
    pub fn check(settings: &Settings) -> Result<(), InvalidField> {
        check_variables("emailConfig.variables", &settings.email.variables)?;
        let own = Self::of(settings)?;
        let longest = own.longest_values();
        for (number, entry) in own.entries.iter().enumerate() {
            let number = Some(number).filter(|number| *number < settings.templates.len());
            for (part, template) in Part::ALL.into_iter().zip(&entry.parts) {
                let Some(template) = template else { continue };
                check_template(field(number, part), part, template, &own.variables, &longest)?;
            }
        }
        Ok(())
    }

    /// With drafts in the place of what they are drafts of.
    ///
    /// # Errors
    /// As [`check`](Self::check), naming the draft.
    pub fn with(&self, drafts: &Drafts) -> Result<Self, InvalidField> {
        check_variables("variables", &drafts.variables)?;
        let mut own = self.clone();
        own.variables.extend(lower_case(&drafts.variables));
        let longest = own.longest_values();
        let mut draft = Entry::default();
        for (part, source) in &drafts.parts {
            let Some(template) = parse(part.as_str().to_owned(), Some(source), &own.variables)? else { continue };
            check_template(part.as_str().to_owned(), *part, &template, &own.variables, &longest)?;
            own.entries.iter_mut().for_each(|entry| entry.parts[*part as usize] = None);
            draft.parts[*part as usize] = Some(template);
        }
        own.entries.push(draft);
        Ok(own)
    }

    /// The mail: the built-in one, with the tenant's own parts in the place of those it has.
    ///
    /// # Errors
    /// [`TemplateError`] when the built-in layout asks for what a message lacks.
    pub fn mail(&self, message: &MessageContext, audience: &Audience<'_>) -> Result<Rendered, TemplateError> {
        let built_in = render(message)?;
        let values = self.values(message);
        let own = |part| self.best(part, audience)?.render(&values, part.escape());
        Ok(Rendered {
            subject: own(Part::Subject).map_or(built_in.subject, |subject| one_line(&subject)),
            html: own(Part::Html).unwrap_or(built_in.html),
            text: own(Part::Text).unwrap_or(built_in.text),
        })
    }

    /// The text message: the tenant's own, if it has one that is not too long; otherwise the built-in one.
    ///
    /// # Errors
    /// As [`mail`](Self::mail).
    pub fn sms(&self, message: &MessageContext, audience: &Audience<'_>) -> Result<String, TemplateError> {
        let own = self.best(Part::Sms, audience);
        let text = own.and_then(|template| template.render(&self.values(message), Part::Sms.escape()));
        match text.filter(|text| text.chars().count() <= MAX_SMS) {
            Some(text) => Ok(text),
            None => render_sms(message),
        }
    }

    fn best(&self, part: Part, audience: &Audience<'_>) -> Option<&Template> {
        audience.preferences().find_map(|(purpose, tag)| {
            let named = |entry: &&Entry| {
                entry.purpose.as_deref() == purpose && entry.locale.as_ref().map(Locale::as_str) == tag
            };
            self.entries.iter().filter(named).find_map(|entry| entry.parts[part as usize].as_ref())
        })
    }

    fn values(&self, message: &MessageContext) -> Values {
        let mut values = self.variables.clone();
        values.extend(values_of(message));
        values
    }

    /// What is written with these, never grows any longer.
    fn longest_values(&self) -> Values {
        let mut values = self.variables.clone();
        values.extend(NAMES.map(|(name, most)| (name.to_lowercase(), "'".repeat(most))));
        values
    }
}

fn field(entry: Option<usize>, part: Part) -> String {
    let name = part.as_str();
    match entry {
        Some(number) => format!("templates[{number}].{name}"),
        None => format!("emailConfig.{name}Template"),
    }
}

fn parse(field: String, source: Option<&str>, variables: &Values) -> Result<Option<Template>, InvalidField> {
    let names = variables.keys().map(String::as_str);
    let refuse = |mistake: Mistake| invalid(field, mistake);
    source.map(|source| Template::parse(source, names).map_err(refuse)).transpose()
}

fn check_template(
    field: String,
    part: Part,
    template: &Template,
    variables: &Values,
    longest: &Values,
) -> Result<(), InvalidField> {
    if part != Part::Subject && !template.always_shows(&CODE) {
        return Err(invalid(field, "write {{otp}} or {{otpGrouped}} where it always shows"));
    }
    if template.render(longest, part.escape()).is_none() {
        return Err(invalid(field, "it can grow beyond 256 KiB; write fewer variables"));
    }
    let mut values = variables.clone();
    values.extend(samples().map(|(name, value)| (name.to_lowercase(), value.to_owned())));
    let length = |text: String| text.chars().count();
    if part == Part::Sms && template.render(&values, part.escape()).map_or(0, length) > MAX_SMS {
        return Err(invalid(field, format!("keep the text message within {MAX_SMS} characters")));
    }
    Ok(())
}

fn samples() -> [(&'static str, &'static str); 12] {
    [
        ("otp", "123456789"),
        ("otpGrouped", "123 456 789"),
        ("expiresIn", "10"),
        ("appName", "Acme"),
        ("userEmail", "ann@example.org"),
        ("supportUrl", "https://acme.example/help"),
        ("logoUrl", "https://acme.example/logo.png"),
        ("brandColor", "#0a7f5a"),
        ("footerText", "Acme Ltd, 1 Main Street, Springfield"),
        ("context", "Pay 120 EUR to Jane Doe"),
        ("requestIp", "203.0.113.7"),
        ("requestTime", "2026-01-31 08:15 UTC"),
    ]
}

fn values_of(message: &MessageContext) -> impl Iterator<Item = (String, String)> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let values = [
        message.otp.expose().to_owned(),
        grouped(message.otp.expose()),
        message.expires_in_minutes.to_string(),
        message.app_name.clone(),
        message.user_email.clone(),
        text(&message.support_url),
        text(&message.logo_url),
        text(&message.brand_color),
        text(&message.footer_text),
        text(&message.context),
        text(&message.request_ip),
        message_time(message.request_time),
    ];
    let named = NAMES.into_iter().zip(values);
    named.map(|((name, most), value)| (name.to_lowercase(), cut(&value, most).to_owned()))
}

fn lower_case(variables: &BTreeMap<String, String>) -> Values {
    variables.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect()
}

fn check_variables(field: &'static str, variables: &BTreeMap<String, String>) -> Result<(), InvalidField> {
    let refuse = |why: String| Err(invalid(field.to_owned(), why));
    if variables.len() > MOST_VARIABLES {
        return refuse(format!("use at most {MOST_VARIABLES}"));
    }
    for (name, value) in variables {
        let is_name = name.len() <= 40
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !is_name {
            return refuse(format!("name `{name}` with up to 40 letters, digits and _, a letter first"));
        }
        if NAMES.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return refuse(format!("`{name}` is a variable of every message; use another name"));
        }
        if value.len() > MAX_VALUE {
            return refuse(format!("keep `{name}` within {MAX_VALUE} bytes"));
        }
    }
    Ok(())
}

fn invalid(field: String, why: impl ToString) -> InvalidField {
    Error::invalid_field("invalid_template", field, why)
}
