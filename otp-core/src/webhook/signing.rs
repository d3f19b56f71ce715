//! Signatures of Standard Webhooks 1.0.0, and those that older receivers know.

use std::borrow::{Borrow, Cow};
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::random::Random;
use crate::secret::Secret;

const SHARED: &str = "whsec_";
const PRIVATE: &str = "whsk_";
pub(super) const PUBLIC: &str = "whpk_";
/// Of a secret that is made here.
const BYTES: usize = 32;

/// How bodies are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    /// HMAC-SHA256 under a secret that the receiver has too: `v1`.
    Hmac,
    /// Ed25519, of which the receiver has the public key only: `v1a`.
    Ed25519,
}

impl Signing {
    /// The name the wire uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Signing::Hmac => "hmac",
            Signing::Ed25519 => "ed25519",
        }
    }
}

/// What a receiver knows requests by: `whsec_` and 24 to 64 bytes in base64, or `whsk_` and the 32 bytes of an Ed25519 key.
#[derive(Clone)]
pub struct SigningSecret {
    text: Secret,
    key: Key,
}

#[derive(Clone)]
enum Key {
    Shared(Zeroizing<Vec<u8>>),
    Private(Box<ed25519_dalek::SigningKey>),
}

/// The text is no secret to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is `whsec_` and 24 to 64 bytes in base64; make one with `echo whsec_$(openssl rand -base64 32)`")]
pub struct InvalidSigningSecret;

impl SigningSecret {
    /// A fresh one.
    pub fn generate(signing: Signing, random: &dyn Random) -> Self {
        let bytes = Zeroizing::new(random.bytes::<BYTES>());
        let prefix = match signing {
            Signing::Hmac => SHARED,
            Signing::Ed25519 => PRIVATE,
        };
        Self::parse(&format!("{prefix}{}", STANDARD.encode(*bytes))).expect("it is of this form")
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningSecret> {
        let decode = |base64| STANDARD.decode(base64).map(Zeroizing::new).map_err(|_| InvalidSigningSecret);
        let key = if let Some(base64) = text.strip_prefix(SHARED) {
            let bytes = decode(base64)?;
            if !(24..=64).contains(&bytes.len()) {
                return Err(InvalidSigningSecret);
            }
            Key::Shared(bytes)
        } else {
            let bytes = decode(text.strip_prefix(PRIVATE).ok_or(InvalidSigningSecret)?)?;
            let bytes: &[u8; BYTES] = bytes.as_slice().try_into().map_err(|_| InvalidSigningSecret)?;
            Key::Private(Box::new(ed25519_dalek::SigningKey::from_bytes(bytes)))
        };
        Ok(Self { text: text.to_owned().into(), key })
    }

    /// The text itself, to be kept sealed and shown once.
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// How it signs.
    pub fn signing(&self) -> Signing {
        match self.key {
            Key::Shared(_) => Signing::Hmac,
            Key::Private(_) => Signing::Ed25519,
        }
    }

    /// `whpk_` and the public key in base64, of an Ed25519 key.
    pub fn public_key(&self) -> Option<String> {
        match &self.key {
            Key::Shared(_) => None,
            Key::Private(key) => Some(format!("{PUBLIC}{}", STANDARD.encode(key.verifying_key().as_bytes()))),
        }
    }

    /// One entry of the header `webhook-signature` of a request with this id, time and body.
    pub fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let time = at.as_secs().to_string();
        let signed = signed(id, &time, body);
        match &self.key {
            Key::Shared(key) => format!("v1,{}", STANDARD.encode(mac(key, &signed).finalize().into_bytes())),
            Key::Private(key) => format!("v1a,{}", STANDARD.encode(key.sign(&signed.concat()).to_bytes())),
        }
    }

    /// The signature that older receivers know, in hexadecimal digits: HMAC-SHA256 over time and body under the whole text of
    /// the secret; none of an Ed25519 key.
    pub fn sign_older(&self, at: Timestamp, body: &[u8]) -> Option<String> {
        let Key::Shared(_) = self.key else { return None };
        let time = format!("{}.", at.as_secs());
        let digest = mac(self.text.expose().as_bytes(), &[time.as_bytes(), body]).finalize().into_bytes();
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        Some(digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect())
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecret({})", self.signing().as_str())
    }
}

/// The headers of Standard Webhooks for a request with this id, time and body, signed under each of the secrets.
pub fn signed_headers(
    secrets: &[impl Borrow<SigningSecret>],
    id: &str,
    at: Timestamp,
    body: &[u8],
) -> Vec<(Cow<'static, str>, Secret)> {
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.borrow().sign(id, at, body)).collect();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.as_secs().to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    headers.map(|(name, value)| (name.into(), value.into())).into()
}

pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("every length will do");
    parts.iter().for_each(|part| mac.update(part));
    mac
}

/// The bytes that a signature is over, one part after the other.
pub(super) fn signed<'a>(id: &'a str, time: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", time.as_bytes(), b".", body]
}
