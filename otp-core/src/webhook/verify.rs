//! The other side: whether a request is one of ours, as a receiver asks.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::Mac;

use super::signing::{PUBLIC, SigningSecret, mac, signed};
use super::{InvalidSigningSecret, Signing};
use crate::clock::Timestamp;

/// How far the time of a request may be from the receiver's.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// The three headers of a request.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// `webhook-id`: the same each time the event is sent.
    pub id: &'a str,
    /// `webhook-timestamp`: Unix seconds of this attempt.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or more, with spaces between them.
    pub signature: &'a str,
}

/// What a receiver has: the secret `whsec_…`, or the public key `whpk_…`.
#[derive(Clone, Debug)]
pub struct ReceiverKey(Known);

#[derive(Clone, Debug)]
enum Known {
    Shared(Vec<u8>),
    Public(Box<VerifyingKey>),
}

/// Why a request is not one of ours, or not one of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSignature {
    /// No signature is that of a known key over id, time and body.
    #[error("no signature is right")]
    Wrong,
    /// The time is none, or more than five minutes from now.
    #[error("the time is not of the last five minutes")]
    Time,
}

impl ReceiverKey {
    /// Reads either.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningSecret> {
        if let Some(base64) = text.strip_prefix(PUBLIC) {
            let bytes = STANDARD.decode(base64).map_err(|_| InvalidSigningSecret)?;
            let bytes = bytes.as_slice().try_into().map_err(|_| InvalidSigningSecret)?;
            let key = VerifyingKey::from_bytes(bytes).map_err(|_| InvalidSigningSecret)?;
            return Ok(Self(Known::Public(Box::new(key))));
        }
        let secret = SigningSecret::parse(text)?;
        let base64 = text.strip_prefix("whsec_").filter(|_| secret.signing() == Signing::Hmac);
        let key = base64.and_then(|base64| STANDARD.decode(base64).ok()).ok_or(InvalidSigningSecret)?;
        Ok(Self(Known::Shared(key)))
    }

    fn made(&self, entry: &str, signed: &[&[u8]]) -> bool {
        let of = |version| entry.strip_prefix(version).and_then(|base64| STANDARD.decode(base64).ok());
        match &self.0 {
            Known::Shared(key) => of("v1,").is_some_and(|tag| mac(key, signed).verify_slice(&tag).is_ok()),
            Known::Public(key) => of("v1a,")
                .and_then(|bytes| Signature::from_slice(&bytes).ok())
                .is_some_and(|signature| key.verify_strict(&signed.concat(), &signature).is_ok()),
        }
    }
}

/// Whether a request with these headers and exactly these bytes as its body was signed under one of the keys, within five
/// minutes of `now`. Whoever receives it has still to look whether the id is new: what is sent twice has the same one.
///
/// ```
/// use otp_core::Timestamp;
/// use otp_core::webhook::{ReceiverKey, Signed, verify};
///
/// let key = ReceiverKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
/// let headers = Signed {
///     id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
///     timestamp: "1614265330",
///     signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
/// };
/// let now = Timestamp::from_millis(1_614_265_330_000);
/// assert_eq!(verify(&[key], headers, br#"{"test": 2432232314}"#, now), Ok(()));
/// ```
///
/// # Errors
/// [`InvalidSignature`].
pub fn verify(keys: &[ReceiverKey], headers: Signed<'_>, body: &[u8], now: Timestamp) -> Result<(), InvalidSignature> {
    let sent = headers.timestamp.parse::<u32>().map_err(|_| InvalidSignature::Time)?;
    let sent = Timestamp::from_millis(i64::from(sent) * 1_000);
    let signed = signed(headers.id, headers.timestamp, body);
    let is_ours = headers.signature.split(' ').any(|entry| keys.iter().any(|key| key.made(entry, &signed)));
    if !is_ours {
        return Err(InvalidSignature::Wrong);
    }
    let is_of_now = now.since(sent) <= TOLERANCE && sent.since(now) <= TOLERANCE;
    if is_of_now { Ok(()) } else { Err(InvalidSignature::Time) }
}
