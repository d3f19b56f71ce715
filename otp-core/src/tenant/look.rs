//! How a tenant's messages look, and who they are from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::settings::{LONGEST_URL, invalid};
use crate::error::{Error, InvalidField};
use crate::locale::Locale;
use crate::subject::EmailAddress;

const ONE_LINE: &str = "use 1 to 200 characters on one line";

/// Who mails are from, and what they say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EmailSettings {
    /// The sender's address, of a [verified domain](crate::domain::Domain::covers); the installation's, if not set.
    pub from_email: Option<String>,
    /// The sender's name; the name of the branding, if not set.
    pub from_name: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// The subject; the built-in one, if not set. All three are in the grammar of [`crate::template`].
    pub subject_template: Option<String>,
    /// The HTML part.
    pub html_template: Option<String>,
    /// The plain-text part.
    pub text_template: Option<String>,
    /// Values for the templates, by name.
    pub variables: BTreeMap<String, String>,
}

/// How messages look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Branding {
    /// The name in subject and text; the tenant's name if there is none.
    #[serde(alias = "app_name")]
    pub app_name: Option<String>,
    /// Where the recipient finds help.
    #[serde(alias = "support_url")]
    pub support_url: Option<String>,
    /// A picture above the message.
    pub logo_url: Option<String>,
    /// A colour of its own, as `#` and hexadecimal digits.
    pub brand_color: Option<String>,
    /// What stands at the end of every message.
    pub footer_text: Option<String>,
    /// What recipients read, unless a request tells; English, if not set.
    pub locale: Option<Locale>,
}

impl EmailSettings {
    pub(super) fn check(&self) -> Result<(), InvalidField> {
        if !self.from_name.as_deref().is_none_or(is_line) {
            return Err(invalid("emailConfig.fromName", ONE_LINE));
        }
        for (field, address) in [("emailConfig.fromEmail", &self.from_email), ("emailConfig.replyTo", &self.reply_to)] {
            let parsed = address.as_deref().map(str::parse::<EmailAddress>).transpose();
            parsed.map_err(|error| Error::invalid_field("invalid_email", field, error))?;
        }
        Ok(())
    }

    /// The sender's address, if it is set.
    pub(crate) fn sender(&self) -> Option<EmailAddress> {
        self.from_email.as_deref()?.parse().ok()
    }

    pub(super) fn templates(&self) -> [&Option<String>; 3] {
        [&self.subject_template, &self.html_template, &self.text_template]
    }
}

impl Branding {
    pub(super) fn check(&self) -> Result<(), InvalidField> {
        if !self.app_name.as_deref().is_none_or(is_line) {
            return Err(invalid("branding.appName", ONE_LINE));
        }
        let is_page = |text: &str| {
            Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http" | "mailto"))
                && text.len() <= LONGEST_URL
        };
        if !self.support_url.as_deref().is_none_or(is_page) {
            return Err(invalid(
                "branding.supportUrl",
                "use an https, http or mailto address of up to 2048 characters",
            ));
        }
        let is_picture =
            |text: &str| text.starts_with("https://") && Url::parse(text).is_ok() && text.len() <= LONGEST_URL;
        if !self.logo_url.as_deref().is_none_or(is_picture) {
            return Err(invalid("branding.logoUrl", "use an https address of up to 2048 characters"));
        }
        let is_color = |text: &str| {
            let digits = text.strip_prefix('#').unwrap_or_default();
            (3..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if !self.brand_color.as_deref().is_none_or(is_color) {
            return Err(invalid("branding.brandColor", "write # and 3 to 8 hexadecimal digits, as #0a7f5a"));
        }
        let is_footer = |text: &str| (1..=1000).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if !self.footer_text.as_deref().is_none_or(is_footer) {
            return Err(invalid("branding.footerText", "use 1 to 1000 characters on one line"));
        }
        Ok(())
    }
}

/// A text that people read, on one line.
fn is_line(text: &str) -> bool {
    let text = text.trim();
    (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
