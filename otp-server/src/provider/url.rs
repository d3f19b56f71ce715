//! The URLs that name services: a scheme, credentials, and options behind a `?`.

use http::HeaderValue;
use otp_core::Secret;
use otp_core::webhook::InvalidSigningSecret;
use percent_encoding::percent_decode_str;

use crate::callbacks::{InvalidEventKey, InvalidTopic};
use crate::outbound::InvalidEndpoint;

/// What is wrong with the URL of a service, and how to write it instead. No error repeats a part of the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidProviderUrl {
    /// What follows the scheme is not what has to.
    #[error("write it as {0}; in it write % as %25, ? as %3F, & as %26 and : as %3A")]
    Form(&'static str),
    /// An unknown option.
    #[error("behind the `?` there may be {0}")]
    Option(&'static str),
    /// An option stands twice.
    #[error("the option `{0}` stands twice; keep one")]
    Twice(&'static str),
    /// A part does not decode to text.
    #[error("its {0} is not percent-encoded UTF-8; write a single % as %25")]
    Encoding(&'static str),
    /// `endpoint=` is no address for secrets.
    #[error("`endpoint=`: {0}")]
    Endpoint(InvalidEndpoint),
    /// The gateway's address is no address for secrets.
    #[error("the gateway's address: {0}")]
    Gateway(InvalidEndpoint),
    /// The gateway's secret is none.
    #[error("`secret=`: {0}")]
    Secret(#[from] InvalidSigningSecret),
    /// `callback=` is no key that events of SendGrid are known by.
    #[error("`callback=`: {0}")]
    EventKey(#[from] InvalidEventKey),
    /// `callback=` is no secret that events of Resend are signed with.
    #[error("`callback=`: it is the signing secret of the webhook as Resend shows it, `whsec_…`")]
    CallbackSecret,
    /// `callback=` is no address by which Twilio reaches this server.
    #[error("`callback=`: {0}")]
    Callback(InvalidEndpoint),
    /// `topic=` is no topic.
    #[error("`topic=`: {0}")]
    Topic(#[from] InvalidTopic),
    /// A number is none that messages could come from.
    #[error("`{0}=` is a number in international form, as in `{0}=+14155550100`")]
    Number(&'static str),
    /// An identifier of the service is of another kind.
    #[error("`{0}=` is an identifier that begins with {1}")]
    Identifier(&'static str, &'static str),
    /// Two options exclude each other.
    #[error("`{0}=` and `{1}=` exclude each other; keep one")]
    Both(&'static str, &'static str),
    /// An option is missing without which another is of no use.
    #[error("{0}")]
    Lacking(&'static str),
}

/// Whether a service is asked where it is, or somewhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Where it is asked.
    pub endpoint: crate::outbound::Endpoint,
    /// Whether the URL names that place.
    pub is_named: bool,
}

impl Origin {
    /// The place of an `endpoint=`, or else the service's own.
    pub(crate) fn of(named: Option<&str>, own: &str) -> Result<Self, InvalidProviderUrl> {
        let endpoint = named.unwrap_or(own).parse().map_err(InvalidProviderUrl::Endpoint)?;
        Ok(Self { endpoint, is_named: named.is_some() })
    }
}

/// As the option that it was read from, or nothing.
impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_named { write!(f, "?endpoint={}", self.endpoint) } else { Ok(()) }
    }
}

/// What is before the `?` and behind it.
pub(crate) fn parts(rest: &str) -> (&str, &str) {
    rest.split_once('?').unwrap_or((rest, ""))
}

/// The values of these options, decoded; `help` lists them for whoever wrote another.
pub(crate) fn options<const N: usize>(
    query: &str,
    names: [&'static str; N],
    help: &'static str,
) -> Result<[Option<String>; N], InvalidProviderUrl> {
    let mut values = [const { None }; N];
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').ok_or(InvalidProviderUrl::Option(help))?;
        let place = names.iter().position(|known| *known == name).ok_or(InvalidProviderUrl::Option(help))?;
        let value = percent_decoded(value).ok_or(InvalidProviderUrl::Encoding(names[place]))?;
        if values[place].replace(value).is_some() {
            return Err(InvalidProviderUrl::Twice(names[place]));
        }
    }
    Ok(values)
}

/// A part that is a secret and goes into a header: `form` is how the URL is written, for whoever wrote it otherwise.
pub(crate) fn secret(text: &str, form: &'static str) -> Result<Secret, InvalidProviderUrl> {
    let decoded = percent_decoded(text).ok_or(InvalidProviderUrl::Form(form))?;
    let fits = !decoded.is_empty() && decoded.bytes().all(|byte| byte.is_ascii_graphic());
    let fits = fits && HeaderValue::from_str(&decoded).is_ok();
    if fits { Ok(decoded.into()) } else { Err(InvalidProviderUrl::Form(form)) }
}

/// `None` where a % does not begin an escape, or the escapes are no UTF-8. A + is a +.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    let whole = text.split('%').skip(1).all(is_escape);
    whole.then(|| percent_decode_str(text).decode_utf8().ok().map(Into::into)).flatten()
}
