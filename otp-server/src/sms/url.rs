//! `OTP_SMS_URL`: where text messages go.

use std::fmt;
use std::str::FromStr;

use otp_core::Secret;
use otp_core::webhook::{InvalidSigningSecret, Signing, SigningSecret};

use crate::outbound::Endpoint;
use crate::provider::{InvalidProviderUrl, Origin, options, parts, percent_decoded, secret};

const TWILIO: &str = "https://api.twilio.com";
const TWILIO_FORM: &str = "`twilio:SID:TOKEN?from=+14155550100`, where the SID begins with AC";
const TWILIO_OPTIONS: &str = "`from=`, `service=`, `whatsapp=`, `content=`, `callback=` and `endpoint=`, joined by &";
const GATEWAY_FORM: &str = "`gateway:https://HOST/PATH?secret=whsec_…`";

/// Where text messages and WhatsApp go. `Debug` and `Display` show no secret, and no error repeats a part of the text.
#[derive(Clone, Debug)]
pub enum SmsUrl {
    /// `mailbox:`, the mailbox that mail goes to; if mail goes elsewhere, text messages go nowhere.
    Mailbox,
    /// `twilio:SID:TOKEN`.
    Twilio(Box<TwilioUrl>),
    /// `gateway:https://…`.
    Gateway(GatewayUrl),
}

/// An account at Twilio, and what its messages come from:
/// `twilio:SID:TOKEN?[from=NUMBER|service=MG…][&whatsapp=NUMBER][&content=HX…]`.
#[derive(Clone, Debug)]
pub struct TwilioUrl {
    /// The account, `AC…`.
    pub account: String,
    /// Its token.
    pub token: Secret,
    /// The number that text messages come from.
    pub from: Option<String>,
    /// The messaging service that picks one, `MG…`.
    pub service: Option<String>,
    /// The number that WhatsApp messages come from; without one, the messaging service picks it.
    pub whatsapp: Option<String>,
    /// The approved template that carries a code over WhatsApp, `HX…`; its variable 1 is the code.
    pub content: Option<String>,
    /// Where Twilio reaches this server to tell what became of messages; it is not told to without.
    pub callback: Option<Endpoint>,
    /// Where Twilio is asked.
    pub origin: Origin,
}

/// A service of the operator's own: `gateway:https://HOST/PATH?secret=whsec_…`.
#[derive(Clone, Debug)]
pub struct GatewayUrl {
    /// Where messages are posted to.
    pub endpoint: Endpoint,
    /// What requests are signed with.
    pub secret: SigningSecret,
}

/// What is wrong with the text, and how to write it instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSmsUrl {
    /// There is no scheme, or one that is not known.
    #[error("it must begin with `mailbox:`, `twilio:` or `gateway:`")]
    Scheme,
    /// `mailbox:` is followed by something.
    #[error("`mailbox:` stands alone; remove what follows it")]
    AfterMailbox,
    /// The URL of a service is wrong.
    #[error(transparent)]
    Service(#[from] InvalidProviderUrl),
}

impl FromStr for SmsUrl {
    type Err = InvalidSmsUrl;

    fn from_str(text: &str) -> Result<Self, InvalidSmsUrl> {
        let (scheme, rest) = text.trim().split_once(':').ok_or(InvalidSmsUrl::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "mailbox" if rest.is_empty() => Ok(SmsUrl::Mailbox),
            "mailbox" => Err(InvalidSmsUrl::AfterMailbox),
            "twilio" => Ok(SmsUrl::Twilio(TwilioUrl::parse(rest)?.into())),
            "gateway" => Ok(SmsUrl::Gateway(GatewayUrl::parse(rest)?)),
            _ => Err(InvalidSmsUrl::Scheme),
        }
    }
}

impl SmsUrl {
    /// What kind of provider it names, in one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            SmsUrl::Mailbox => "mailbox",
            SmsUrl::Twilio(_) => "twilio",
            SmsUrl::Gateway(_) => "gateway",
        }
    }

    /// The same, told the URL that this server is known by: Twilio calls back there unless the URL names another place, and
    /// never in clear.
    pub fn reached_at(mut self, public_url: Option<&str>) -> Self {
        if let SmsUrl::Twilio(twilio) = &mut self
            && twilio.callback.is_none()
        {
            let secure = public_url.filter(|url| url.starts_with("https://"));
            twilio.callback = secure.and_then(|url| url.parse().ok());
        }
        self
    }
}

impl TwilioUrl {
    fn parse(rest: &str) -> Result<Self, InvalidProviderUrl> {
        let form = InvalidProviderUrl::Form(TWILIO_FORM);
        let (login, query) = parts(rest);
        let (account, token) = login.split_once(':').ok_or(form)?;
        if !is_identifier(account, "AC") {
            return Err(form);
        }
        let names = ["from", "service", "whatsapp", "content", "callback", "endpoint"];
        let [from, service, whatsapp, content, callback, endpoint] = options(query, names, TWILIO_OPTIONS)?;
        for (name, number) in [("from", &from), ("whatsapp", &whatsapp)] {
            if number.as_ref().is_some_and(|number| !is_number(number)) {
                return Err(InvalidProviderUrl::Number(name));
            }
        }
        for (name, prefix, id) in [("service", "MG", &service), ("content", "HX", &content)] {
            if id.as_ref().is_some_and(|id| !is_identifier(id, prefix)) {
                return Err(InvalidProviderUrl::Identifier(name, prefix));
            }
        }
        let lacking = InvalidProviderUrl::Lacking;
        match (&from, &service, &whatsapp, &content) {
            (Some(_), Some(_), ..) => return Err(InvalidProviderUrl::Both("from", "service")),
            (None, None, None, _) => {
                return Err(lacking("it names no sender; write `?from=+14155550100`, `?service=MG…` or `?whatsapp=…`"));
            }
            (.., Some(_), None) => {
                return Err(lacking("WhatsApp takes codes in an approved template only; name it with `&content=HX…`"));
            }
            (_, None, None, Some(_)) => {
                return Err(lacking("`content=` is for WhatsApp; name its sender with `&whatsapp=+14155550100`"));
            }
            _ => (),
        }
        let callback = callback.map(|url| url.parse().map_err(InvalidProviderUrl::Callback)).transpose()?;
        let origin = Origin::of(endpoint.as_deref(), TWILIO)?;
        let (account, token) = (account.to_owned(), secret(token, TWILIO_FORM)?);
        Ok(Self { account, token, from, service, whatsapp, content, callback, origin })
    }
}

impl GatewayUrl {
    /// All of the query but `secret` is the gateway's own.
    fn parse(rest: &str) -> Result<Self, InvalidProviderUrl> {
        let (address, query) = parts(rest);
        let is_secret = |option: &&str| option.starts_with("secret=");
        let (secrets, others): (Vec<_>, Vec<_>) = query.split('&').partition(is_secret);
        let secret = match secrets[..] {
            [secret] => &secret["secret=".len()..],
            [] => return Err(InvalidProviderUrl::Form(GATEWAY_FORM)),
            _ => return Err(InvalidProviderUrl::Twice("secret")),
        };
        let secret = percent_decoded(secret).ok_or(InvalidProviderUrl::Encoding("secret"))?;
        let address = match others.join("&") {
            none if none.is_empty() => address.to_owned(),
            others => format!("{address}?{others}"),
        };
        let endpoint = Endpoint::with_query(&address).map_err(InvalidProviderUrl::Gateway)?;
        let secret = SigningSecret::parse(&secret)?;
        // A gateway has the secret, as this variable does: there is nothing to keep from it.
        if secret.signing() != Signing::Hmac {
            return Err(InvalidSigningSecret.into());
        }
        Ok(Self { endpoint, secret })
    }
}

/// A `+` and 7 to 15 digits.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_identifier(text: &str, prefix: &str) -> bool {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    (1..=62).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Without secrets.
impl fmt::Display for SmsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SmsUrl::Mailbox => f.write_str("mailbox:"),
            SmsUrl::Twilio(twilio) => write!(f, "twilio:{}{}", twilio.account, twilio.origin),
            SmsUrl::Gateway(gateway) => write!(f, "gateway:{}", gateway.endpoint),
        }
    }
}
