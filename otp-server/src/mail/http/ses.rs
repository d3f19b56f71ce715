//! Amazon SES, version 2 of its API: <https://docs.aws.amazon.com/ses/latest/APIReference-V2>.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, header};
use otp_core::message::{Outgoing, Receipt, SendError};
use otp_core::{Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::sigv4;
use crate::callbacks::{CUSTOMER_TAG, MESSAGE_TAG, Topic};
use crate::mail::letter::Letter;
use crate::mail::{MailFrom, mime};
use crate::outbound::{Answer, Endpoint};
use crate::provider::Verdict::{Elsewhere, Later, Never};
use crate::provider::{Provider, Refusal, Verdict, message_id};

/// A region of Amazon SES, and who asks there.
#[derive(Clone, Debug)]
pub struct Ses {
    /// Such as `eu-central-1`.
    pub region: String,
    /// Who asks.
    pub credentials: AwsCredentials,
    /// The set of rules that mails are sent under, if not the default.
    pub configuration_set: Option<String>,
    /// The topic by which it tells what became of mails.
    pub topic: Option<Topic>,
}

/// An access key of AWS.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// Its identifier.
    pub id: String,
    /// Its secret.
    pub key: Secret,
    /// The session, of a key that is temporary.
    pub token: Option<Secret>,
}

impl AwsCredentials {
    /// `None` where one of them cannot be in a header.
    pub(super) fn of(id: String, key: String, token: Option<String>) -> Option<Self> {
        let fits = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let all = fits(&id) && fits(&key) && token.as_ref().is_none_or(fits);
        all.then(|| Self { id, key: key.into(), token: token.map(Into::into) })
    }
}

pub(super) struct Mailer {
    pub(super) ses: Ses,
    pub(super) endpoint: Endpoint,
    pub(super) from: MailFrom,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Email<'a> {
    destination: Destination<'a>,
    content: Content,
    email_tags: [Tag; 2],
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration_set_name: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Destination<'a> {
    to_addresses: [&'a str; 1],
}

/// A whole mail: the sender's name and the headers are then written as for a mail server.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    raw: Raw,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    data: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    name: &'static str,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    message_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    sending_enabled: bool,
}

/// What it calls its refusals.
const NAMES: &[(&str, Verdict)] = &[
    ("AccessDeniedException", Elsewhere),
    ("AccountSuspendedException", Elsewhere),
    ("BadRequestException", Never),
    ("ExpiredTokenException", Elsewhere),
    ("IncompleteSignature", Elsewhere),
    ("InternalFailure", Later),
    ("InternalServiceErrorException", Later),
    ("InvalidClientTokenId", Elsewhere),
    ("InvalidSignatureException", Elsewhere),
    ("LimitExceededException", Elsewhere),
    ("MailFromDomainNotVerifiedException", Elsewhere),
    ("MessageRejected", Elsewhere), // most often because sender or, in the sandbox, recipient is not verified
    ("MissingAuthenticationTokenException", Elsewhere),
    ("NotFoundException", Elsewhere),
    ("RequestExpired", Elsewhere),
    ("SendingPausedException", Elsewhere),
    ("ServiceUnavailable", Later),
    ("SignatureDoesNotMatch", Elsewhere),
    ("ThrottlingException", Later),
    ("TooManyRequestsException", Later),
    ("UnrecognizedClientException", Elsewhere),
];

impl Mailer {
    fn signed(&self, mut request: Request<Bytes>, now: Timestamp) -> Request<Bytes> {
        let host = self.endpoint.authority().parse().expect("a host is ASCII");
        request.headers_mut().insert(header::HOST, host);
        sigv4::sign(&mut request, &self.ses.credentials, &self.ses.region, now);
        request
    }

    fn refusal(answer: &Answer) -> Refusal {
        #[derive(Deserialize)]
        struct Problem {
            #[serde(rename = "__type")]
            name: String,
        }
        let in_body = answer.json::<Problem>().map(|problem| problem.name);
        // `namespace#Name:http://…`, of which only the middle is always there
        let name = answer.header("x-amzn-errortype").or(in_body.as_deref()).unwrap_or_default();
        let name = name.split(':').next().and_then(|name| name.rsplit('#').next());
        match NAMES.iter().find(|(known, _)| Some(*known) == name) {
            Some((name, verdict)) => Refusal::named(*verdict, name),
            None => Refusal::by_status(answer.status),
        }
    }
}

impl Provider for Mailer {
    fn name(&self) -> &'static str {
        "Amazon SES"
    }

    fn request(&self, message: &Outgoing, now: Timestamp) -> Result<Request<Bytes>, SendError> {
        let to = Letter::of(message, &self.from)?.to;
        let mail = mime::mail(message, &self.from, now)?;
        let email = Email {
            destination: Destination { to_addresses: [to.as_ref()] },
            content: Content { raw: Raw { data: BASE64_STANDARD.encode(mail.formatted()) } },
            email_tags: [
                Tag { name: MESSAGE_TAG, value: message.id.to_string() },
                Tag { name: CUSTOMER_TAG, value: message.tenant.to_string() },
            ],
            configuration_set_name: self.ses.configuration_set.as_deref(),
        };
        let body = serde_json::to_vec(&email).expect("text serialises");
        let request = Request::post(self.endpoint.at("/v2/email/outbound-emails"));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body.into());
        Ok(self.signed(request.expect("the parts were checked"), now))
    }

    fn judge(&self, answer: &Answer) -> Result<Receipt, Refusal> {
        match answer.json::<Taken>().filter(|_| answer.status.is_success()) {
            Some(taken) => Ok(Receipt { provider_id: message_id(&taken.message_id), ..Receipt::default() }),
            None => Err(Self::refusal(answer)),
        }
    }

    fn probe(&self, now: Timestamp) -> Request<Bytes> {
        let request = Request::get(self.endpoint.at("/v2/email/account")).body(Bytes::new());
        self.signed(request.expect("the parts were checked"), now)
    }

    fn judge_probe(&self, answer: &Answer) -> Result<(), String> {
        let status = answer.status.as_u16();
        match (answer.json::<Account>().filter(|_| status == 200), Self::refusal(answer).name.as_deref()) {
            (Some(account), _) if account.sending_enabled => Ok(()),
            (Some(_), _) => Err("sending is paused for this account; open a case with AWS support".to_owned()),
            // A key that may send and nothing else may not look at the account.
            (None, Some("AccessDeniedException")) => Ok(()),
            (None, Some("RequestExpired" | "InvalidSignatureException")) => {
                Err(format!("it refuses the signature ({status}); check the secret access key, and set the clock"))
            }
            (None, name) if matches!(status, 401 | 403) => {
                let name = name.map(|name| format!(", {name}")).unwrap_or_default();
                Err(format!("it does not accept the access key ({status}{name}); check it and its secret"))
            }
            (None, Some(name)) => Err(format!("it answers {status}, {name}; check the region")),
            (None, None) => Err(format!("it answers {status}; check the region, and `endpoint=` if there is one")),
        }
    }
}
