//! Topics of Amazon SNS: <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, Uri};
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use serde::Deserialize;
use webpki::EndEntityCert;
use webpki::ring::RSA_PKCS1_2048_8192_SHA256;

use super::Refused;
use crate::outbound::{Endpoint, Outbound};

/// Certificates that are kept; Amazon uses one for months.
const KEPT: usize = 16;

/// A topic, `arn:aws:sns:REGION:ACCOUNT:NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    arn: String,
    /// Who speaks for topics of its region.
    host: String,
}

/// The text names no topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is the ARN of a topic, as in `arn:aws:sns:eu-central-1:123456789012:mail`")]
pub struct InvalidTopic;

impl FromStr for Topic {
    type Err = InvalidTopic;

    fn from_str(text: &str) -> Result<Self, InvalidTopic> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts[..] else { return Err(InvalidTopic) };
        let is_region = |sign: u8| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == b'-';
        let is_name = |sign: u8| sign.is_ascii_alphanumeric() || b"-_.".contains(&sign);
        let fits = (3..=32).contains(&region.len()) && region.bytes().all(is_region);
        let fits = fits && account.len() == 12 && account.bytes().all(|sign| sign.is_ascii_digit());
        let domain = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return Err(InvalidTopic),
        };
        if !fits || name.is_empty() || !name.bytes().all(is_name) {
            return Err(InvalidTopic);
        }
        Ok(Self { arn: text.to_owned(), host: format!("sns.{region}.{domain}") })
    }
}

/// What SNS posts.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Notice {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    message_id: String,
    topic_arn: String,
    pub(super) message: String,
    pub(super) timestamp: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    signature_version: String,
    signature: String,
    #[serde(rename = "SigningCertURL")]
    signing_cert_url: String,
}

impl Notice {
    /// The fields that are signed, in the order of their names.
    fn signed(&self) -> Option<String> {
        let (subscribe_url, token) = match self.kind.as_str() {
            "Notification" => (None, None),
            _ => (Some(self.subscribe_url.as_deref()?), Some(self.token.as_deref()?)),
        };
        let subject = self.subject.as_deref().filter(|_| token.is_none());
        let fields = [
            ("Message", Some(self.message.as_str())),
            ("MessageId", Some(&self.message_id)),
            ("Subject", subject),
            ("SubscribeURL", subscribe_url),
            ("Timestamp", Some(&self.timestamp)),
            ("Token", token),
            ("TopicArn", Some(&self.topic_arn)),
            ("Type", Some(&self.kind)),
        ];
        let present = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
        Some(present.map(|(name, value)| format!("{name}\n{value}\n")).collect())
    }
}

/// Knows what SNS signs for one topic.
pub(super) struct Sns {
    topic: Topic,
    /// Another place that is believed as SNS is: the one that the operator named.
    named: Option<Endpoint>,
    outbound: Outbound,
    certificates: Mutex<HashMap<String, Vec<u8>>>,
}

impl Sns {
    pub(super) fn new(topic: Topic, named: Option<Endpoint>, outbound: Outbound) -> Self {
        Self { topic, named, outbound, certificates: Mutex::default() }
    }

    /// Whether it comes from SNS and of the topic.
    pub(super) async fn check(&self, notice: &Notice) -> Result<(), Refused> {
        if notice.topic_arn != self.topic.arn {
            return Err(Refused::Forged);
        }
        let algorithm: &dyn SignatureVerificationAlgorithm = match notice.signature_version.as_str() {
            "1" => &Sha1,
            "2" => RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(Refused::Forged),
        };
        let signed = notice.signed().ok_or(Refused::Forged)?;
        let signature = BASE64_STANDARD.decode(&notice.signature).map_err(|_| Refused::Forged)?;
        let der = self.certificate(&notice.signing_cert_url).await?;
        let der = CertificateDer::from(der);
        let certificate = EndEntityCert::try_from(&der).map_err(|_| Refused::Forged)?;
        certificate.verify_signature(algorithm, signed.as_bytes(), &signature).map_err(|_| Refused::Forged)
    }

    /// Answers the question whether the topic may send here.
    pub(super) async fn subscribe(&self, notice: &Notice) -> Result<(), Refused> {
        let uri = notice.subscribe_url.as_deref().and_then(|url| self.believed(url)).ok_or(Refused::Forged)?;
        self.ask(uri).await.map(drop)
    }

    async fn certificate(&self, url: &str) -> Result<Vec<u8>, Refused> {
        let uri = self.believed(url).filter(|uri| uri.path().ends_with(".pem")).ok_or(Refused::Forged)?;
        let kept = || self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(der) = kept().get(url) {
            return Ok(der.clone());
        }
        let pem = self.ask(uri).await?;
        let der = CertificateDer::from_pem_slice(&pem).map_err(|_| Refused::Forged)?.to_vec();
        let mut certificates = kept();
        if certificates.len() >= KEPT {
            certificates.clear();
        }
        certificates.insert(url.to_owned(), der.clone());
        Ok(der)
    }

    /// An address at SNS. Whoever forges a request chooses what is in it.
    fn believed(&self, text: &str) -> Option<Uri> {
        let uri: Uri = text.parse().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
        let is_sns = scheme == "https" && authority == self.topic.host;
        let is_named = || {
            let named = self.named.as_ref()?.uri();
            Some(named.scheme_str() == Some(scheme) && named.authority()?.as_str() == authority)
        };
        (is_sns || is_named() == Some(true)).then_some(uri)
    }

    async fn ask(&self, uri: Uri) -> Result<Bytes, Refused> {
        let request = Request::get(uri).body(Bytes::new()).map_err(|_| Refused::Forged)?;
        let answer = self.outbound.send(request).await.map_err(|error| {
            tracing::warn!(%error, "Amazon SNS cannot be asked about a callback");
            Refused::Unavailable
        })?;
        match answer.status.as_u16() {
            200 => Ok(answer.bytes()),
            400..=499 => Err(Refused::Forged),
            _ => Err(Refused::Unavailable),
        }
    }
}

/// Version 1 of the signatures, which topics have unless they were told otherwise.
#[derive(Debug)]
struct Sha1;

impl SignatureVerificationAlgorithm for Sha1 {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, public_key);
        key.verify(message, signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        // sha1WithRSAEncryption of RFC 8017, without parameters
        AlgorithmIdentifier::from_slice(&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00])
    }
}
