//! The two algorithms: HOTP (RFC 4226), and TOTP (RFC 6238), which is HOTP of the time.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::clock::Timestamp;

/// The hash under the HMAC. Some apps read any other than SHA-1 from a URI and then use SHA-1 all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HashAlgorithm {
    /// SHA-1, the usual one: HMAC does not need the resistance to collisions that it lacks.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// The name that URIs have for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            HashAlgorithm::Sha1 => "SHA1",
            HashAlgorithm::Sha256 => "SHA256",
            HashAlgorithm::Sha512 => "SHA512",
        }
    }
}

impl fmt::Display for HashAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use SHA1, SHA256 or SHA512")]
pub struct UnknownHash;

impl FromStr for HashAlgorithm {
    type Err = UnknownHash;

    fn from_str(text: &str) -> Result<Self, UnknownHash> {
        [Self::Sha1, Self::Sha256, Self::Sha512].into_iter().find(|known| known.as_str() == text).ok_or(UnknownHash)
    }
}

/// The code of one counter before it is cut to digits: the dynamic truncation of RFC 4226, section 5.3. 31 bits.
///
/// ```
/// use otp_core::totp::{Digits, HashAlgorithm, hotp};
/// let truncated = hotp(HashAlgorithm::Sha1, b"12345678901234567890", 0);
/// assert_eq!(truncated, 1284755224);
/// assert_eq!(Digits::SIX.of(truncated), "755224");
/// ```
pub fn hotp(algorithm: HashAlgorithm, secret: &[u8], counter: u64) -> u32 {
    Keyed::new(algorithm, secret).truncated(counter)
}

/// A secret from which the codes of several counters are made: setting up its hash is half of the work of one.
pub(super) enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl Keyed {
    pub fn new(algorithm: HashAlgorithm, secret: &[u8]) -> Self {
        match algorithm {
            HashAlgorithm::Sha1 => Keyed::Sha1(keyed(secret)),
            HashAlgorithm::Sha256 => Keyed::Sha256(keyed(secret)),
            HashAlgorithm::Sha512 => Keyed::Sha512(keyed(secret)),
        }
    }

    /// As [`hotp`].
    pub fn truncated(&self, counter: u64) -> u32 {
        match self {
            Keyed::Sha1(mac) => truncated(mac.clone(), counter),
            Keyed::Sha256(mac) => truncated(mac.clone(), counter),
            Keyed::Sha512(mac) => truncated(mac.clone(), counter),
        }
    }
}

fn keyed<M: KeyInit>(secret: &[u8]) -> M {
    M::new_from_slice(secret).expect("any key length")
}

fn truncated(mut mac: impl Mac, counter: u64) -> u32 {
    mac.update(&counter.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let from = usize::from(digest[digest.len() - 1] & 0x0f);
    let four = [digest[from], digest[from + 1], digest[from + 2], digest[from + 3]];
    u32::from_be_bytes(four) & 0x7fff_ffff
}

/// How many digits codes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Digits(u8);

/// Codes cannot have so many digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use 6, 7 or 8")]
pub struct InvalidDigits;

impl Digits {
    /// The usual.
    pub const SIX: Self = Self(6);
    /// Those of the test vectors of RFC 6238.
    pub const EIGHT: Self = Self(8);

    /// The digits, with zeros in front.
    pub fn of(self, truncated: u32) -> String {
        self.signs(truncated)[..usize::from(self.0)].iter().map(|sign| char::from(*sign)).collect()
    }

    /// The same in ASCII, followed by whatever.
    pub(super) fn signs(self, truncated: u32) -> [u8; 8] {
        let (mut signs, mut rest) = ([b'0'; 8], truncated);
        for sign in signs[..usize::from(self.0)].iter_mut().rev() {
            *sign += (rest % 10) as u8;
            rest /= 10;
        }
        signs
    }

    /// The number.
    pub const fn count(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Digits {
    type Error = InvalidDigits;

    fn try_from(digits: u8) -> Result<Self, InvalidDigits> {
        if (6..=8).contains(&digits) { Ok(Self(digits)) } else { Err(InvalidDigits) }
    }
}

impl From<Digits> for u8 {
    fn from(digits: Digits) -> u8 {
        digits.0
    }
}

/// Seconds that a code of TOTP is shown: the time step of RFC 6238, counted from the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Period(u32);

/// Codes cannot be shown for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use 15 to 120 seconds")]
pub struct InvalidPeriod;

impl Period {
    /// The usual.
    pub const USUAL: Self = Self(30);

    /// The step that this moment is in.
    pub fn step_at(self, at: Timestamp) -> u64 {
        u64::try_from(at.as_secs()).unwrap_or(0) / u64::from(self.0)
    }

    /// When a step ends.
    pub fn end_of(self, step: u64) -> Timestamp {
        let seconds = (step + 1).saturating_mul(u64::from(self.0));
        Timestamp::from_millis(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
    }

    /// The seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Period {
    type Error = InvalidPeriod;

    fn try_from(seconds: u32) -> Result<Self, InvalidPeriod> {
        if (15..=120).contains(&seconds) { Ok(Self(seconds)) } else { Err(InvalidPeriod) }
    }
}

impl From<Period> for u32 {
    fn from(period: Period) -> u32 {
        period.0
    }
}
