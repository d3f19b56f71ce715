//! The URL of a provider that a tenant has set up: one of the forms of `OTP_MAIL_URL` and `OTP_SMS_URL`, or `installation`.

use otp_core::destination::{InvalidDestination, NotPublic, Reach};
use otp_core::message::Channel;
use otp_core::{ProviderUrl, Secret};
use url::Host;

use crate::mail::{HttpMailUrl, InvalidMailUrl, MailService, MailUrl, SmtpTls, SmtpUrl};
use crate::sms::{InvalidSmsUrl, SmsUrl};

/// Where mail servers listen.
const SMTP_PORTS: [u16; 4] = [25, 465, 587, 2525];
/// In place of a secret.
const HIDDEN: &str = "••••";
/// A secret that is shorter shows none of its characters.
const LONG_ENOUGH: usize = 12;
/// Options that are no secrets.
const PLAIN: [&str; 9] =
    ["tls", "connections", "endpoint", "from", "service", "whatsapp", "content", "access-key-id", "configuration-set"];

/// Who takes a tenant's messages.
#[derive(Clone, Debug)]
pub(crate) enum OwnUrl {
    /// The installation's providers.
    Installation,
    /// A mail server.
    Smtp(SmtpUrl),
    /// A service that takes mail over HTTP.
    Mail(HttpMailUrl),
    /// A service for text messages.
    Texts(SmsUrl),
}

/// What is wrong with the URL, and how to write it instead. No error repeats a part of it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidOwnUrl {
    /// There is no scheme, or none that a tenant may use.
    #[error(
        "it must be `installation`, or begin with `smtp://`, `smtps://`, `resend:`, `sendgrid:`, `ses:`, `twilio:` or \
         `gateway:`"
    )]
    Scheme,
    /// It is no URL of a mail provider.
    #[error(transparent)]
    Mail(#[from] InvalidMailUrl),
    /// It is no URL of a provider of text messages.
    #[error(transparent)]
    Texts(#[from] InvalidSmsUrl),
    /// The certificate authority is a file of the server.
    #[error("leave out `ca=`: the certificate of the server has to be one that everybody trusts")]
    Ca,
    /// Codes would cross the internet in clear.
    #[error("use `tls=starttls` or `tls=required`")]
    Clear,
    /// Something else may listen there.
    #[error("use port 25, 465, 587 or 2525")]
    Port,
    /// Its host is one of a network of its own.
    #[error("use a host on the public internet")]
    NotPublic(#[from] NotPublic),
    /// The address of a service.
    #[error("its address: {0}")]
    Endpoint(#[from] InvalidDestination),
}

/// Reads a URL that a tenant has given.
///
/// # Errors
/// What is wrong, and how to write it instead.
pub fn own_provider(text: &str, reach: Reach) -> Result<ProviderUrl, InvalidOwnUrl> {
    let text = text.trim();
    let url = OwnUrl::parse(text, reach)?;
    let (kind, carries): (&str, &[Channel]) = match &url {
        OwnUrl::Installation => ("installation", &Channel::ALL),
        OwnUrl::Smtp(_) => ("smtp", &[Channel::Email]),
        OwnUrl::Mail(service) => (service.kind(), &[Channel::Email]),
        OwnUrl::Texts(service) => (service.kind(), &[Channel::Sms, Channel::Whatsapp]),
    };
    Ok(ProviderUrl {
        url: Secret::from(text.to_owned()),
        shown: shown(text, &url),
        kind: kind.to_owned(),
        carries: carries.to_vec(),
    })
}

impl OwnUrl {
    pub(crate) fn parse(text: &str, reach: Reach) -> Result<Self, InvalidOwnUrl> {
        if text == "installation" {
            return Ok(OwnUrl::Installation);
        }
        let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match scheme.as_str() {
            // Never with what the environment of the server holds: that is the operator's.
            "smtp" | "smtps" | "resend" | "sendgrid" | "ses" => match MailUrl::parse(text, |_| None)? {
                MailUrl::Smtp(server) => smtp(server, reach),
                MailUrl::Http(service) => mail(service, reach),
                MailUrl::Mailbox | MailUrl::File(_) => Err(InvalidOwnUrl::Scheme),
            },
            "twilio" | "gateway" => texts(text.parse()?, reach),
            _ => Err(InvalidOwnUrl::Scheme),
        }
    }

    /// The same, told the URL that this server is known by, as [`SmsUrl::reached_at`] is.
    pub(crate) fn reached_at(self, public_url: Option<&str>) -> Self {
        match self {
            OwnUrl::Texts(service) => OwnUrl::Texts(service.reached_at(public_url)),
            other => other,
        }
    }
}

fn smtp(server: SmtpUrl, reach: Reach) -> Result<OwnUrl, InvalidOwnUrl> {
    if server.ca.is_some() {
        return Err(InvalidOwnUrl::Ca);
    }
    if reach == Reach::Public {
        if let Ok(host) = Host::parse(&server.host).or_else(|_| Host::parse(&format!("[{}]", server.host))) {
            reach.admit(&host)?;
        }
        if !SMTP_PORTS.contains(&server.port) {
            return Err(InvalidOwnUrl::Port);
        }
        if server.tls == SmtpTls::None {
            return Err(InvalidOwnUrl::Clear);
        }
    }
    Ok(OwnUrl::Smtp(server))
}

fn mail(service: HttpMailUrl, reach: Reach) -> Result<OwnUrl, InvalidOwnUrl> {
    service.origin.endpoint.admit(reach)?;
    Ok(OwnUrl::Mail(service))
}

fn texts(service: SmsUrl, reach: Reach) -> Result<OwnUrl, InvalidOwnUrl> {
    match &service {
        SmsUrl::Mailbox => return Err(InvalidOwnUrl::Scheme),
        SmsUrl::Twilio(twilio) => twilio.origin.endpoint.admit(reach)?,
        SmsUrl::Gateway(gateway) => gateway.endpoint.admit(reach)?,
    }
    Ok(OwnUrl::Texts(service))
}

/// The URL with its secrets hidden but for their ends.
fn shown(text: &str, url: &OwnUrl) -> String {
    let (front, query) = text.split_once('?').map_or((text, None), |(front, query)| (front, Some(query)));
    let front = match url {
        OwnUrl::Installation => return text.to_owned(),
        OwnUrl::Smtp(_) => match front.rsplit_once('@') {
            Some((login, host)) => format!("{}@{host}", behind_last_colon(login)),
            None => front.to_owned(),
        },
        OwnUrl::Mail(HttpMailUrl { service: MailService::Ses(_), .. }) | OwnUrl::Texts(SmsUrl::Gateway(_)) => {
            front.to_owned()
        }
        OwnUrl::Mail(_) | OwnUrl::Texts(_) => behind_last_colon(front),
    };
    let Some(query) = query else { return front };
    // A gateway's parameters are its own, and any may be a key.
    let is_gateway = matches!(url, OwnUrl::Texts(SmsUrl::Gateway(_)));
    let option = |option: &str| match option.split_once('=') {
        Some((name, value)) if is_gateway || !PLAIN.contains(&name) => format!("{name}={}", hidden(value)),
        _ => option.to_owned(),
    };
    format!("{front}?{}", query.split('&').map(option).collect::<Vec<_>>().join("&"))
}

fn behind_last_colon(text: &str) -> String {
    text.rsplit_once(':').map_or_else(|| HIDDEN.to_owned(), |(front, secret)| format!("{front}:{}", hidden(secret)))
}

fn hidden(secret: &str) -> String {
    let signs: Vec<char> = secret.chars().collect();
    let end = if signs.len() < LONG_ENOUGH { &[] } else { &signs[signs.len() - 4..] };
    format!("{HIDDEN}{}", end.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        for (text, shown, kind) in [
            ("installation", "installation".to_owned(), "installation"),
            (
                "smtp://acme:hushhushhush1234@mail.example.com:587?tls=starttls",
                "smtp://acme:••••1234@mail.example.com:587?tls=starttls".to_owned(),
                "smtp",
            ),
            ("smtps://acme:hush@mail.example.com", "smtps://acme:••••@mail.example.com".to_owned(), "smtp"),
            ("resend:re_hushhushhush9876", "resend:••••9876".to_owned(), "resend"),
            (
                "sendgrid:SG.hushhushhush?endpoint=https://api.eu.sendgrid.com",
                "sendgrid:••••hush?endpoint=https://api.eu.sendgrid.com".to_owned(),
                "sendgrid",
            ),
            (
                "ses:eu-central-1?access-key-id=AKIA0123&secret-access-key=hushhushhushhush",
                "ses:eu-central-1?access-key-id=AKIA0123&secret-access-key=••••hush".to_owned(),
                "ses",
            ),
            (
                "twilio:AC0123:hushhushhush?from=+14155550100",
                "twilio:AC0123:••••hush?from=+14155550100".to_owned(),
                "twilio",
            ),
            (
                &format!("gateway:https://sms.example.com/send?key=hush&secret={secret}"),
                "gateway:https://sms.example.com/send?key=••••&secret=••••LaSw".to_owned(),
                "gateway",
            ),
        ] {
            let read = own_provider(text, Reach::Public).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((read.shown, read.kind.as_str()), (shown, kind));
            assert_eq!(read.url.expose(), text);
        }
    }

    #[test]
    fn what_a_customer_may_not_name_is_refused_with_the_fix() {
        for (text, needle) in [
            ("", "`installation`"),
            ("mailbox:", "`installation`"),
            ("file:/etc", "`installation`"),
            ("smtp://user:hush@mail.example.com:22?tls=starttls", "port 25, 465"),
            ("smtp://mail.example.com:25?tls=none", "tls=starttls"),
            ("smtp://user:hush@mail.example.com?ca=/etc/passwd", "leave out `ca=`"),
            ("smtps://user:hush@127.0.0.1", "public internet"),
            ("smtps://user:hush@[::1]", "public internet"),
            ("smtps://user:hush@[::ffff:10.0.0.1]", "public internet"),
            ("smtps://user:hush@localhost", "public internet"),
            ("smtps://user:hush@2130706433", "public internet"),
            ("resend:re_hush?endpoint=https://169.254.169.254", "public internet"),
            ("resend:re_hush?endpoint=http://127.0.0.1:80", "https"),
            ("resend:re_hush?endpoint=https://mail.example.com:8080", "port 443"),
            ("ses:eu-central-1", "access-key-id"),
            ("twilio:AC0123:hush?from=+14155550100&endpoint=https://10.1.2.3", "public internet"),
            ("gateway:https://192.168.0.1/send?secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "public internet"),
        ] {
            let words = own_provider(text, Reach::Public).expect_err(text).to_string();
            assert!(words.contains(needle), "{text}: {words}");
            assert!(!words.contains("hush"), "{text}: {words}");
        }
    }
}
