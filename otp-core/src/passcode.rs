//! Passcodes: their alphabet, how they are derived, and how a typed one is read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;

use crate::id::ChallengeId;
use crate::secret::{Digest32, Secret, TenantKeys, Use};
use crate::subject::SubjectKey;
use crate::tenant::Space;

/// Letters and digits that are not mistaken for one another: no 0 O, 1 I L, 2 Z, 5 S, 8 B, U V.
const UNAMBIGUOUS: &[u8] = b"34679ACDEFGHJKMNPQRTWXY";

/// The characters of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Alphabet {
    /// 0 to 9.
    Digits,
    /// Letters and digits that are not mistaken for one another.
    Letters,
}

/// Alphabet and length of a code, written `digits:9` or `letters:8`.
///
/// ```
/// use otp_core::passcode::PasscodeFormat;
/// assert_eq!(PasscodeFormat::default().to_string(), "digits:9");
/// assert!("digits:3".parse::<PasscodeFormat>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasscodeFormat {
    alphabet: Alphabet,
    length: u8,
}

impl Default for PasscodeFormat {
    /// Nine digits: 29.9 bits, where NIST SP 800-63B asks for 20.
    fn default() -> Self {
        Self { alphabet: Alphabet::Digits, length: 9 }
    }
}

impl PasscodeFormat {
    /// A format: 4 to 10 digits, or 6 to 12 letters.
    ///
    /// # Errors
    /// [`InvalidFormat`].
    pub fn new(alphabet: Alphabet, length: usize) -> Result<Self, InvalidFormat> {
        let lengths = match alphabet {
            Alphabet::Digits => 4..=10,
            Alphabet::Letters => 6..=12,
        };
        let length = u8::try_from(length).ok().filter(|length| lengths.contains(length)).ok_or(InvalidFormat)?;
        Ok(Self { alphabet, length })
    }

    /// Which characters a code has.
    pub const fn alphabet(self) -> Alphabet {
        self.alphabet
    }

    /// How many characters a code has.
    pub const fn length(self) -> usize {
        self.length as usize
    }

    const fn characters(self) -> &'static [u8] {
        match self.alphabet {
            Alphabet::Digits => b"0123456789",
            Alphabet::Letters => UNAMBIGUOUS,
        }
    }

    const fn is_digits(self) -> bool {
        matches!(self.alphabet, Alphabet::Digits)
    }

    /// Whether the text could be a code of this format.
    pub fn admits(self, typed: &TypedCode) -> bool {
        typed.0.len() == self.length() && typed.0.bytes().all(|byte| self.characters().contains(&byte))
    }

    /// What a user is asked to type.
    pub fn description(self) -> String {
        format!("{} {}", self.length, if self.is_digits() { "digits" } else { "letters and digits" })
    }
}

/// The text names no format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use 4 to 10 digits (digits:9) or 6 to 12 letters (letters:8)")]
pub struct InvalidFormat;

impl FromStr for PasscodeFormat {
    type Err = InvalidFormat;

    fn from_str(text: &str) -> Result<Self, InvalidFormat> {
        let (alphabet, length) = text.split_once(':').ok_or(InvalidFormat)?;
        let alphabet = match alphabet {
            "digits" => Alphabet::Digits,
            "letters" => Alphabet::Letters,
            _ => return Err(InvalidFormat),
        };
        Self::new(alphabet, length.parse().map_err(|_| InvalidFormat)?)
    }
}

impl fmt::Display for PasscodeFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.is_digits() { "digits" } else { "letters" }, self.length)
    }
}

impl Serialize for PasscodeFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PasscodeFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::read(deserializer, str::parse)
    }
}

/// A code as somebody typed it, without the spaces and hyphens it is shown with.
#[derive(Clone)]
pub struct TypedCode(String);

/// The text can be no code: empty, too long, or not ASCII letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has 4 to 12 digits or letters")]
pub struct InvalidCode;

impl FromStr for TypedCode {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        if text.len() > 64 {
            return Err(InvalidCode);
        }
        let code: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        if !(4..=12).contains(&code.len()) || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(InvalidCode);
        }
        Ok(Self(code.to_ascii_uppercase()))
    }
}

impl fmt::Debug for TypedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Everything a code depends on, and so everything a guess has to be right about.
#[derive(Clone, Copy, Debug)]
pub struct Derivation<'a> {
    /// Tenant and mode.
    pub space: Space,
    /// The challenge.
    pub challenge: ChallengeId,
    /// Which master key of the ring.
    pub kid: u8,
    /// What the code is for, such as `login`.
    pub purpose: &'a str,
    /// Who is asked.
    pub subject: &'a SubjectKey,
    /// Digest of what is being approved, if anything is.
    pub context: Option<&'a Digest32>,
    /// Alphabet and length.
    pub format: PasscodeFormat,
}

impl Derivation<'_> {
    /// The code: uniform over the alphabet, the same for the same inputs. `None` when the ring has lost the key.
    ///
    /// HMAC-SHA256 over the length-prefixed inputs gives 32 bytes; bytes that would favour a character are rejected,
    /// and in the rare case that too few remain, a counter gives the next block.
    pub fn code(&self, keys: &TenantKeys) -> Option<Secret> {
        let alphabet = self.format.characters();
        let accepted_below = (256 / alphabet.len() * alphabet.len()) as u16;
        let mut code = String::with_capacity(self.format.length());
        for block in 0u8.. {
            let bytes = self.block(keys, block)?;
            let accepted = bytes.0.iter().filter(|byte| u16::from(**byte) < accepted_below);
            let room = self.format.length() - code.len();
            code.extend(accepted.take(room).map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])));
            if code.len() == self.format.length() {
                break;
            }
        }
        Some(Secret::from(code))
    }

    fn block(&self, keys: &TenantKeys, block: u8) -> Option<Digest32> {
        let parts: [&[u8]; 7] = [
            self.space.tenant.as_bytes(),
            &[self.space.mode.byte()],
            self.challenge.as_bytes(),
            self.purpose.as_bytes(),
            self.subject.as_bytes(),
            self.context.map_or(&[], |digest| &digest.0),
            &[block],
        ];
        keys.digest(self.kid, Use::Passcode, &parts)
    }

    /// Whether the typed code is the code, compared in constant time. A lost key accepts nothing.
    pub fn accepts(&self, keys: &TenantKeys, typed: &TypedCode) -> bool {
        self.code(keys).is_some_and(|code| code.expose().as_bytes().ct_eq(typed.0.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{KeyRing, Mode, SeededRandom, TenantId};

    fn codes(format: &str, count: u32) -> Vec<Secret> {
        let keys = KeyRing::generate(&SeededRandom::new(3)).tenant(TenantId::from_bytes([1; 16]));
        let subject =
            SubjectKey::of(&keys, Mode::Live.byte(), &crate::Address::Email("a@example.org".parse().unwrap()));
        let code = |number: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            let derivation = Derivation {
                space: Space { tenant: TenantId::from_bytes([1; 16]), mode: Mode::Live },
                challenge: ChallengeId::from_bytes(id),
                kid: 1,
                purpose: "login",
                subject: &subject,
                context: None,
                format: format.parse().unwrap(),
            };
            derivation.code(&keys).unwrap()
        };
        (0..count).map(code).collect()
    }

    #[test]
    fn every_character_is_equally_likely_at_every_place() {
        for (format, characters) in [("digits:9", 10.0), ("letters:12", UNAMBIGUOUS.len() as f64)] {
            let codes = codes(format, 40_000);
            let expected = codes.len() as f64 / characters;
            for place in 0..codes[0].expose().len() {
                let mut seen = std::collections::HashMap::<u8, f64>::new();
                codes.iter().for_each(|code| *seen.entry(code.expose().as_bytes()[place]).or_default() += 1.0);
                let chi_square: f64 = seen.values().map(|count| (count - expected).powi(2) / expected).sum();
                // The 99.99 % quantile for 9 and for 22 degrees of freedom is 33.7 and 54.9.
                assert!(seen.len() as f64 == characters && chi_square < 55.0, "{format} place {place}: {chi_square}");
            }
        }
    }

    #[test]
    fn leading_zeros_are_kept() {
        assert!(codes("digits:9", 200).iter().any(|code| code.expose().starts_with('0') && code.expose().len() == 9));
    }

    #[test]
    fn typed_codes_are_read_as_shown_and_nothing_else() {
        let format = PasscodeFormat::default();
        assert!(format.admits(&"123 456-789".parse().unwrap()));
        assert!(!format.admits(&"12345678".parse().unwrap()));
        assert!(!format.admits(&"12345678a".parse().unwrap()));
        for text in ["", "123", "１２３４５６７８９", "123456789\0", "1234567890123", "123\u{a0}456789"] {
            assert_eq!(text.parse::<TypedCode>().unwrap_err(), InvalidCode, "{text}");
        }
    }
}
