//! `resend:`, `sendgrid:` and `ses:`, as values of `OTP_MAIL_URL`.

use std::fmt;

use otp_core::Secret;
use otp_core::webhook::{Signing, SigningSecret};

use super::{AwsCredentials, Ses};
use crate::callbacks::{EventKey, Topic};
use crate::provider::{InvalidProviderUrl, Origin, options, parts, secret};

const RESEND: &str = "https://api.resend.com";
const SENDGRID: &str = "https://api.sendgrid.com";
const KEY_OPTIONS: &str = "`callback=` and `endpoint=`, joined by &";
const RESEND_FORM: &str = "`resend:KEY`, where the key begins with re_";
const SENDGRID_FORM: &str = "`sendgrid:KEY`, where the key begins with SG.";
const SES_FORM: &str = "`ses:REGION`, as in `ses:eu-central-1`";
const SES_OPTIONS: &str = "`access-key-id=`, `secret-access-key=`, `session-token=`, \
                           `configuration-set=`, `topic=` and `endpoint=`, joined by &";
const NO_CREDENTIALS: &str = "SES needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write \
                              `?access-key-id=ID&secret-access-key=KEY` behind the region";

/// A service that takes mail over HTTP, and where it is asked.
#[derive(Clone, Debug)]
pub struct HttpMailUrl {
    /// Which one.
    pub service: MailService,
    /// Where.
    pub origin: Origin,
}

/// Which service, and as whom.
#[derive(Clone, Debug)]
pub enum MailService {
    /// `resend:KEY`.
    Resend {
        /// API key.
        key: Secret,
        /// What its webhook is signed with.
        callback: Option<SigningSecret>,
    },
    /// `sendgrid:KEY`.
    SendGrid {
        /// API key.
        key: Secret,
        /// What its event webhook is known by.
        callback: Option<EventKey>,
    },
    /// `ses:REGION`.
    Ses(Ses),
}

impl HttpMailUrl {
    /// The name of the service, in one word.
    pub const fn kind(&self) -> &'static str {
        match self.service {
            MailService::Resend { .. } => "resend",
            MailService::SendGrid { .. } => "sendgrid",
            MailService::Ses(_) => "ses",
        }
    }

    pub(in crate::mail) fn resend(rest: &str) -> Result<Self, InvalidProviderUrl> {
        let (key, query) = parts(rest);
        let key = secret(key, RESEND_FORM)?;
        let [callback, endpoint] = options(query, ["callback", "endpoint"], KEY_OPTIONS)?;
        let callback = callback.map(|text| SigningSecret::parse(&text)).transpose();
        let callback = callback.map_err(|_| InvalidProviderUrl::CallbackSecret)?;
        if callback.as_ref().is_some_and(|secret| secret.signing() != Signing::Hmac) {
            return Err(InvalidProviderUrl::CallbackSecret);
        }
        let service = MailService::Resend { key, callback };
        Ok(Self { service, origin: Origin::of(endpoint.as_deref(), RESEND)? })
    }

    pub(in crate::mail) fn sendgrid(rest: &str) -> Result<Self, InvalidProviderUrl> {
        let (key, query) = parts(rest);
        let key = secret(key, SENDGRID_FORM)?;
        let [callback, endpoint] = options(query, ["callback", "endpoint"], KEY_OPTIONS)?;
        let callback = callback.map(|text| EventKey::parse(&text)).transpose()?;
        let service = MailService::SendGrid { key, callback };
        Ok(Self { service, origin: Origin::of(endpoint.as_deref(), SENDGRID)? })
    }

    /// `variable` reads the environment.
    pub(in crate::mail) fn ses(
        rest: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidProviderUrl> {
        let (region, query) = parts(rest);
        let is_region = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
        if !(1..=32).contains(&region.len()) || !region.bytes().all(is_region) {
            return Err(InvalidProviderUrl::Form(SES_FORM));
        }
        let names = ["access-key-id", "secret-access-key", "session-token", "configuration-set", "topic", "endpoint"];
        let [id, key, token, configuration_set, topic, endpoint] = options(query, names, SES_OPTIONS)?;
        let credentials = match (id, key) {
            (Some(id), Some(key)) => AwsCredentials::of(id, key, token),
            (None, None) => {
                let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
                let both = variable("AWS_ACCESS_KEY_ID").zip(variable("AWS_SECRET_ACCESS_KEY"));
                both.and_then(|(id, key)| AwsCredentials::of(id, key, token.or_else(|| variable("AWS_SESSION_TOKEN"))))
            }
            _ => None,
        };
        let credentials = credentials.ok_or(InvalidProviderUrl::Lacking(NO_CREDENTIALS))?;
        let topic = topic.map(|arn| arn.parse::<Topic>()).transpose()?;
        let own = format!("https://email.{region}.amazonaws.com");
        let service = MailService::Ses(Ses { region: region.to_owned(), credentials, configuration_set, topic });
        Ok(Self { service, origin: Origin::of(endpoint.as_deref(), &own)? })
    }
}

/// Without credentials.
impl fmt::Display for HttpMailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            MailService::Resend { .. } => f.write_str("resend:")?,
            MailService::SendGrid { .. } => f.write_str("sendgrid:")?,
            MailService::Ses(ses) => write!(f, "ses:{}", ses.region)?,
        }
        self.origin.fmt(f)
    }
}
