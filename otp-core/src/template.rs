//! The built-in messages that carry a code: subject, HTML and plain text of the e-mail, and the text message, in every
//! [`Language`]; and the one layout of all [notices](crate::notice), which are in English.
//!
//! The layouts hold no words; they take them from the tables in `words/`. They are compiled once. A variable that a template names and its values lack is an error, and the tests
//! render every template from samples, so none is found out in front of a user.

mod custom;
mod entry;
mod letter;
mod own;
#[cfg(test)]
mod tests;
mod words;

pub use custom::{MAX_OUTPUT, MAX_SOURCE, MAX_VALUE, Mistake};
pub(crate) use entry::check_entries;
pub use entry::{MAX_SMS, Part, TemplateEntry};
pub use own::{Audience, Drafts, OwnTemplates};
pub use words::Language;

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::clock::Timestamp;
use crate::error::Error;
use crate::secret::Secret;

pub use letter::{Button, Letter, render_letter};
use words::{Direction, Said};

const HTML: &str = "email.html";
const TEXT: &str = "email.txt";
const SMS: &str = "sms.txt";
const NOTICE_HTML: &str = "notice.html";
const NOTICE_TEXT: &str = "notice.txt";

/// What a message tells. Line breaks and invisible controls in any of it become spaces.
#[derive(Clone, Debug)]
pub struct MessageContext {
    /// What the built-in parts are written in.
    pub language: Language,
    /// Who sends it, as the user knows it.
    pub app_name: String,
    /// The code.
    pub otp: Secret,
    /// Minutes from the request until the code expires.
    pub expires_in_minutes: u32,
    /// What is being approved with the code, if not just a login.
    pub context: Option<String>,
    /// Address of the client that asked.
    pub request_ip: Option<String>,
    /// When it asked.
    pub request_time: Timestamp,
    /// Where the user finds help; shown if it is `https`.
    pub support_url: Option<String>,
    /// The address it goes to.
    pub user_email: String,
    /// A picture to show; it is not needed to read the message.
    pub logo_url: Option<String>,
    /// A colour of the tenant's, as `#` and hexadecimal digits.
    pub brand_color: Option<String>,
    /// What stands at the end.
    pub footer_text: Option<String>,
    /// The host where the code is to be entered. A text message that names it is filled in by browsers there only.
    pub host: Option<String>,
}

/// A message that is ready to be sent by e-mail. All but the subject hold the code.
#[derive(Clone)]
pub struct Rendered {
    /// One line, without the code.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain-text part.
    pub text: String,
}

/// A template does not render. The text names the template and the line, and no value.
#[derive(Debug, thiserror::Error)]
#[error("a message template does not render")]
pub struct TemplateError(#[from] minijinja::Error);

impl From<TemplateError> for Error {
    fn from(error: TemplateError) -> Self {
        Error::Internal(error.to_string())
    }
}

/// The e-mail.
///
/// # Errors
/// [`TemplateError`] when a template asks for what the context lacks.
pub fn render(message: &MessageContext) -> Result<Rendered, TemplateError> {
    let variables = variables(message);
    let subject = variables.subject.clone();
    let values = Value::from(Serde(&variables));
    Ok(Rendered { subject, html: template(HTML, &values)?, text: template(TEXT, &values)? })
}

/// The text message, for SMS and WhatsApp. With a host its last line is the origin-bound form that browsers and phones
/// read: `@example.org #123456789`.
///
/// # Errors
/// As [`render`].
pub fn render_sms(message: &MessageContext) -> Result<String, TemplateError> {
    template(SMS, &Value::from(Serde(&variables(message))))
}

/// The code in groups of up to four characters, the way people read it out: `123 456 789`.
pub fn grouped(code: &str) -> String {
    let characters: Vec<char> = code.chars().collect();
    let mut groups = characters.len().div_ceil(4);
    let mut rest = characters.as_slice();
    let mut text = String::with_capacity(code.len() + groups);
    while groups > 0 {
        let (group, behind) = rest.split_at(rest.len().div_ceil(groups));
        text.extend(group);
        groups -= 1;
        rest = behind;
        if groups > 0 {
            text.push(' ');
        }
    }
    text
}

/// What the layouts see: sentences with their values, and what is no sentence.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Variables<'a> {
    language: &'a str,
    direction: &'a str,
    start: &'a str,
    app_name: String,
    otp: &'a str,
    otp_grouped: String,
    otp_in_line: String,
    context: Option<String>,
    support_url: Option<String>,
    logo_url: Option<String>,
    brand_color: Option<&'a str>,
    footer_text: Option<String>,
    host: Option<String>,
    subject: String,
    intro: String,
    heading: &'a str,
    preview: String,
    approving: &'a str,
    unwanted: &'a str,
    lifetime: Said,
    only_on: Option<Said>,
    secret: Said,
    unasked: &'a str,
    requested: String,
    origin: Option<String>,
    help: Option<String>,
    help_link: String,
    sms: String,
}

fn variables(message: &MessageContext) -> Variables<'_> {
    let line = |text: &Option<String>| text.as_deref().map(one_line);
    let words = message.language.words();
    let app_name = one_line(&message.app_name);
    let minutes = words.minutes.of(message.expires_in_minutes);
    let otp_grouped = grouped(message.otp.expose());
    let otp_in_line = match words.direction {
        Direction::Ltr => otp_grouped.clone(),
        // Groups would change their places there.
        Direction::Rtl => message.otp.expose().to_owned(),
    };
    let (context, host) = (line(&message.context).map(|text| words.isolated(&text)), line(&message.host));
    let support_url = line(&message.support_url).filter(|url| url.starts_with("https://"));
    let say = |sentence: &str, values: &[(&str, &str)]| words.say(sentence, values);
    let plain = |sentence: &str, values: &[(&str, &str)]| say(sentence, values).into_plain();
    let app: &[(&str, &str)] = &[("app", &app_name)];
    Variables {
        language: words.tag,
        direction: words.direction.name(),
        start: words.direction.start(),
        subject: plain(words.subject, app),
        intro: plain(words.intro, app),
        heading: words.heading,
        preview: plain(words.preview, &[("minutes", &minutes)]),
        approving: words.approving,
        unwanted: words.unwanted,
        lifetime: say(words.lifetime, &[("minutes", &minutes)]),
        only_on: host.as_deref().map(|host| say(words.only_on, &[("host", host)])),
        secret: say(words.secret, app),
        unasked: words.unasked,
        requested: plain(words.requested, &[("time", &message_time(message.request_time))]),
        origin: line(&message.request_ip).map(|ip| plain(words.from, &[("ip", &ip)])),
        help: support_url.as_deref().map(|url| plain(words.help, &[("url", url)])),
        help_link: plain(words.help_link, app),
        sms: {
            let approves = message.context.as_deref().map(one_line);
            let sentence = if approves.is_some() { words.sms_approving } else { words.sms };
            let context = approves.as_deref().unwrap_or_default();
            let code = ("code", &*otp_in_line);
            plain(sentence, &[code, ("app", &app_name), ("minutes", &minutes), ("context", context)])
        },
        otp: message.otp.expose(),
        brand_color: message.brand_color.as_deref(),
        logo_url: line(&message.logo_url),
        footer_text: line(&message.footer_text),
        app_name,
        otp_grouped,
        otp_in_line,
        context,
        support_url,
        host,
    }
}

/// A time as people of any language read it, in UTC.
fn message_time(at: Timestamp) -> String {
    at.civil().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A time as it is written in English, in UTC.
pub(crate) fn civil_time(at: Timestamp) -> String {
    at.civil().strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// The text without what could begin a header or a line of its own, or turn the reading direction.
fn one_line(text: &str) -> String {
    let breaks = |c: char| {
        c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.trim().replace(breaks, " ")
}

fn template(name: &str, values: &Value) -> Result<String, TemplateError> {
    static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(built_in);
    Ok(TEMPLATES.get_template(name)?.render(values.clone())?)
}

fn built_in() -> Environment<'static> {
    let mut templates = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    templates.set_syntax(syntax.expect("the usual delimiters"));
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    // Otherwise errors of a debug build print the values, and with them the code.
    templates.set_debug(false);
    for (name, source) in [
        (HTML, include_str!("template/email.html")),
        (TEXT, include_str!("template/email.txt")),
        (SMS, include_str!("template/sms.txt")),
        (NOTICE_HTML, include_str!("template/notice.html")),
        (NOTICE_TEXT, include_str!("template/notice.txt")),
    ] {
        templates.add_template(name, source).expect("built-in templates compile");
    }
    templates
}
