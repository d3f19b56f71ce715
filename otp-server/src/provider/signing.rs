//! Signatures of Standard Webhooks 1.0.0, on requests to a service of the operator's own.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use otp_core::{Secret, Timestamp};
use sha2::Sha256;

/// What a receiver knows requests by: `whsec_` and 24 to 64 bytes in base64.
#[derive(Clone, Debug)]
pub struct SigningSecret(Secret);

/// The text is no secret to sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is `whsec_` and 24 to 64 bytes in base64; make one with `echo whsec_$(openssl rand -base64 32)`")]
pub struct InvalidSigningSecret;

impl SigningSecret {
    /// Reads a secret.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningSecret> {
        let key = key_of(text).ok_or(InvalidSigningSecret)?;
        if (24..=64).contains(&key.len()) { Ok(Self(text.to_owned().into())) } else { Err(InvalidSigningSecret) }
    }

    /// The header `webhook-signature` of a request with this id, time and body.
    pub(crate) fn sign(&self, id: &str, at: Timestamp, body: &[u8]) -> String {
        let key = key_of(self.0.expose()).expect("it was one when it was read");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("every length will do");
        mac.update(format!("{id}.{}.", at.as_secs()).as_bytes());
        mac.update(body);
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

fn key_of(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text.strip_prefix("whsec_")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp::from_millis(1_614_265_330_999));
        let signature = secret.sign(id, at, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(!format!("{secret:?}").contains("MfKQ"));
    }

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        let of = |length: usize| SigningSecret::parse(&format!("whsec_{}", BASE64_STANDARD.encode(vec![7; length])));
        assert!(of(23).is_err() && of(24).is_ok() && of(64).is_ok() && of(65).is_err());
        for text in ["", "whsec_", "hush", "whsec_hush!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(SigningSecret::parse(text).unwrap_err(), InvalidSigningSecret, "{text}");
        }
    }
}
