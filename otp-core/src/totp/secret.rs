//! The secret that an authenticator and the service share.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

use crate::random::Random;
use crate::secret::Secret;

/// Bytes of a new one: what RFC 4226, section 4, recommends.
const LENGTH: usize = 20;
/// Bytes of one that is brought along; the least that RFC 4226 allows, and twice the longest block that helps.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=128;

/// A shared secret. It is written in base32 (RFC 4648) without padding, as authenticators read it.
#[derive(Clone)]
pub struct OtpSecret(Zeroizing<Vec<u8>>);

/// The text is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use base32 (A to Z, 2 to 7) of 16 to 128 bytes, 20 are usual")]
pub struct InvalidOtpSecret;

impl OtpSecret {
    /// A fresh one of 160 bits.
    pub fn generate(random: &dyn Random) -> Self {
        Self(Zeroizing::new(random.bytes::<LENGTH>().to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The written form.
    pub fn to_base32(&self) -> Secret {
        Secret::from(BASE32_NOPAD.encode(&self.0))
    }
}

impl FromStr for OtpSecret {
    type Err = InvalidOtpSecret;

    fn from_str(text: &str) -> Result<Self, InvalidOtpSecret> {
        if text.len() > 512 {
            return Err(InvalidOtpSecret);
        }
        let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '=')).collect();
        let plain = Zeroizing::new(plain.to_ascii_uppercase());
        let bytes = BASE32_NOPAD.decode(plain.as_bytes()).map(Zeroizing::new).map_err(|_| InvalidOtpSecret)?;
        if LENGTHS.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidOtpSecret) }
    }
}

impl fmt::Debug for OtpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
