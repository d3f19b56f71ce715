//! What services tell of the messages that they took: whether it is they who say so, and what it means.
//!
//! [`CallbackVerifier`] is made of the URL that names a service; [`Callbacks`] has those of the installation, and those of
//! customers who have services of their own.

mod gateway;
mod own;
mod resend;
mod sendgrid;
mod ses;
mod sns;
mod twilio;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use otp_core::delivery::{DeliveryReport, DeliveryStatus};
use otp_core::provider::OwnProvider;
use otp_core::subject::PhoneNumber;
use otp_core::suppression::SuppressionReason;
use otp_core::webhook::{ReceiverKey, Signed, SigningSecret, TOLERANCE};
use otp_core::{MessageId, TenantId, Timestamp};
use tokio::sync::Semaphore;

use crate::config::Config;
use crate::mail::{HttpMailUrl, MailService, MailUrl};
use crate::outbound::Outbound;
use crate::sms::SmsUrl;

use own::OwnVerifiers;

pub use sendgrid::{EventKey, InvalidEventKey};
pub use ses::SesCallbacks;
pub use sns::{InvalidTopic, Topic};
pub use twilio::TwilioCallbacks;

/// The name of a tag that every message carries through services which give tags back: the message.
pub(crate) const MESSAGE_TAG: &str = "message_id";
/// The other one: whose message it is. They name nobody else.
pub(crate) const CUSTOMER_TAG: &str = "customer_id";

/// For how long services repeat what they have signed once.
const REPEATED_FOR: Duration = Duration::from_secs(25 * 3600);
/// Requests that are read at the same time; each may be as large as a batch of a thousand events.
const AT_ONCE: usize = 16;

/// A request as it arrived.
pub struct Arrived<'a> {
    /// Path and query.
    pub target: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// The bytes of the body.
    pub body: &'a [u8],
    /// When.
    pub now: Timestamp,
}

impl Arrived<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether it is signed as of Standard Webhooks, which Svix gave them, by headers of these names.
    fn is_signed(&self, names: &str, key: &ReceiverKey) -> Result<(), Refused> {
        let header = |name: &str| self.header(&format!("{names}-{name}")).ok_or(Refused::Forged);
        let signed = Signed { id: header("id")?, timestamp: header("timestamp")?, signature: header("signature")? };
        let known = std::slice::from_ref(key);
        otp_core::webhook::verify(known, signed, self.body, self.now).map_err(|_| Refused::Forged)
    }

    /// Whether something was signed within the time for which it is repeated.
    fn is_of_late(&self, signed: Timestamp) -> bool {
        signed <= self.now + TOLERANCE && self.now <= signed + REPEATED_FOR
    }
}

/// One thing that a service tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What became of a message.
    Fate {
        /// Whose message it is, if it says.
        customer: Option<TenantId>,
        /// What became of it.
        report: DeliveryReport,
    },
    /// Somebody answered STOP.
    OptedOut(PhoneNumber),
    /// Somebody answered START.
    OptedIn(PhoneNumber),
    /// Of a message that is not ours.
    Stray,
}

/// Why a request is not believed, or not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not signed by the service, or too long ago.
    Forged,
    /// It is signed, and not what the service sends.
    Unreadable,
    /// What is needed to tell cannot be had now.
    Unavailable,
}

/// How the requests of a service are known, and what they mean.
pub enum CallbackVerifier {
    /// Resend, which signs as Svix does.
    Resend(ReceiverKey),
    /// SendGrid's signed event webhook.
    SendGrid(EventKey),
    /// Amazon SES through a topic of Amazon SNS.
    Ses(Box<SesCallbacks>),
    /// Twilio.
    Twilio(TwilioCallbacks),
    /// A gateway of the operator's own.
    Gateway(ReceiverKey),
}

impl CallbackVerifier {
    /// Of a service for mail, if its URL says by what it is known. `outbound` gets Amazon's certificates.
    pub fn of_mail(url: &HttpMailUrl, outbound: &Outbound) -> Option<Self> {
        let HttpMailUrl { service, origin } = url;
        match service {
            MailService::Resend { callback, .. } => callback.as_ref().and_then(receiver).map(Self::Resend),
            MailService::SendGrid { callback, .. } => callback.clone().map(Self::SendGrid),
            MailService::Ses(ses) => {
                let topic = ses.topic.clone()?;
                let named = origin.is_named.then(|| origin.endpoint.clone());
                Some(Self::Ses(SesCallbacks::new(topic, named, outbound.clone()).into()))
            }
        }
    }

    /// Of a service for text messages.
    pub fn of_sms(url: &SmsUrl) -> Option<Self> {
        match url {
            SmsUrl::Mailbox => None,
            SmsUrl::Twilio(twilio) => {
                let reached_at = twilio.callback.clone()?;
                Some(Self::Twilio(TwilioCallbacks { token: twilio.token.clone(), reached_at }))
            }
            SmsUrl::Gateway(gateway) => receiver(&gateway.secret).map(Self::Gateway),
        }
    }

    /// What the path of its callbacks calls the service.
    pub fn service(&self) -> &'static str {
        match self {
            CallbackVerifier::Resend(_) => "resend",
            CallbackVerifier::SendGrid(_) => "sendgrid",
            CallbackVerifier::Ses(_) => "ses",
            CallbackVerifier::Twilio(_) => "twilio",
            CallbackVerifier::Gateway(_) => "gateway",
        }
    }

    /// What a request tells, if it is the service's.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn verify(&self, arrived: &Arrived<'_>) -> Result<Vec<Told>, Refused> {
        match self {
            CallbackVerifier::Resend(key) => resend::verify(key, arrived),
            CallbackVerifier::SendGrid(key) => sendgrid::verify(key, arrived),
            CallbackVerifier::Ses(ses) => ses.verify(arrived).await,
            CallbackVerifier::Twilio(twilio) => twilio.verify(arrived),
            CallbackVerifier::Gateway(key) => gateway::verify(key, arrived),
        }
    }
}

fn service(url: &MailUrl) -> Option<&HttpMailUrl> {
    if let MailUrl::Http(service) = url { Some(service) } else { None }
}

/// The other side of a secret; an Ed25519 key, which signs and does not verify, has none.
fn receiver(secret: &SigningSecret) -> Option<ReceiverKey> {
    ReceiverKey::parse(secret.text().expose()).ok()
}

/// The services that tell what became of messages.
pub struct Callbacks {
    installation: Vec<Arc<CallbackVerifier>>,
    own: OwnVerifiers,
    pub(crate) places: Semaphore,
}

impl Callbacks {
    /// Those of an installation with these verifiers, and its customers' own.
    pub fn new(installation: Vec<CallbackVerifier>) -> Self {
        Self::with(installation, OwnVerifiers::new(None, None))
    }

    fn with(installation: Vec<CallbackVerifier>, own: OwnVerifiers) -> Self {
        let installation = installation.into_iter().map(Arc::new).collect();
        Self { installation, own, places: Semaphore::new(AT_ONCE) }
    }

    /// Those that the URLs of an installation name, and its customers' own.
    ///
    /// # Errors
    /// When the system has no certificates to trust.
    pub fn of(config: &Config) -> Result<Self, rustls::Error> {
        let mut verifiers: Vec<CallbackVerifier> =
            config.sms_urls.iter().filter_map(CallbackVerifier::of_sms).collect();
        let services: Vec<&HttpMailUrl> = config.mail_urls.iter().filter_map(service).collect();
        if !services.is_empty() {
            let outbound = Outbound::new()?;
            verifiers.extend(services.into_iter().filter_map(|url| CallbackVerifier::of_mail(url, &outbound)));
        }
        Ok(Self::with(verifiers, OwnVerifiers::new(config.public_url.clone(), config.dns_server)))
    }

    /// Who may tell of messages under this name: the services of the installation, through which every customer's messages
    /// may leave, and of one customer's messages its own too.
    pub(crate) fn verifiers(&self, own: &[OwnProvider], service: &str) -> Vec<Arc<CallbackVerifier>> {
        let mut verifiers = self.installation.clone();
        verifiers.extend(self.own.of(own));
        verifiers.retain(|verifier| verifier.service() == service);
        verifiers
    }
}

/// None at all.
impl Default for Callbacks {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

/// What a service says of a message, by the tags that the message carried.
struct Word<'a> {
    /// What people call the service.
    name: &'static str,
    /// Its word in URLs.
    provider: &'static str,
    message: Option<&'a str>,
    customer: Option<&'a str>,
    provider_id: Option<&'a str>,
}

impl Word<'_> {
    /// `words` are the service's own names for it.
    fn says(&self, status: DeliveryStatus, suppress: Option<SuppressionReason>, words: &[Option<&str>]) -> Told {
        let message = self.message.and_then(|id| id.parse::<MessageId>().ok());
        let customer = self.customer.map(str::parse::<TenantId>).transpose();
        let (Some(message), Ok(customer)) = (message, customer) else { return Told::Stray };
        let words: Vec<&str> = words.iter().copied().flatten().filter(|word| is_name(word)).collect();
        let reason = (!words.is_empty()).then(|| format!("{}: {}", self.name, words.join(" ")));
        let provider_id = self.provider_id.and_then(crate::provider::message_id);
        let report = DeliveryReport { message, status, suppress, provider: self.provider, provider_id, reason };
        Told::Fate { customer, report }
    }
}

/// Whether a word can be a service's name for something: addresses have an `@`, and numbers and codes have more digits.
fn is_name(word: &str) -> bool {
    let is_sign = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, ' ' | '_' | '-' | '.');
    let has_number = word.split(|sign: char| !sign.is_ascii_digit()).any(|digits| digits.len() > 5);
    (1..=64).contains(&word.len()) && word.chars().all(is_sign) && !has_number
}
