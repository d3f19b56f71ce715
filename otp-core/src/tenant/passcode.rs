//! Form and life of codes, as a tenant sets them.

use serde::{Deserialize, Serialize};

use super::settings::{invalid, within};
use crate::error::InvalidField;
use crate::passcode::{Alphabet, InvalidFormat, PasscodeFormat};

/// Form and life of codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct PasscodeSettings {
    /// Alphabet and length.
    pub format: PasscodeFormat,
    /// Seconds until a code expires.
    pub ttl: u32,
    /// Wrong guesses after which a code is dead.
    pub attempts: u8,
}

impl Default for PasscodeSettings {
    fn default() -> Self {
        Self { format: PasscodeFormat::default(), ttl: 600, attempts: 5 }
    }
}

/// As it is written: alphabet and length by themselves, so that one can be changed without the other.
#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(default)]
    alphabet: Option<Alphabet>,
    #[serde(default)]
    length: Option<u8>,
    /// As rows of schema version 1 have both.
    #[serde(default, skip_serializing)]
    format: Option<PasscodeFormat>,
    #[serde(default = "usual_ttl")]
    ttl: u32,
    #[serde(default = "usual_attempts")]
    attempts: u8,
}

fn usual_ttl() -> u32 {
    PasscodeSettings::default().ttl
}

fn usual_attempts() -> u8 {
    PasscodeSettings::default().attempts
}

impl TryFrom<Written> for PasscodeSettings {
    type Error = InvalidFormat;

    fn try_from(written: Written) -> Result<Self, InvalidFormat> {
        let usual = written.format.unwrap_or_default();
        let alphabet = written.alphabet.unwrap_or(usual.alphabet());
        let length = written.length.map_or(usual.length(), usize::from);
        Ok(Self { format: PasscodeFormat::new(alphabet, length)?, ttl: written.ttl, attempts: written.attempts })
    }
}

impl From<PasscodeSettings> for Written {
    fn from(PasscodeSettings { format, ttl, attempts }: PasscodeSettings) -> Self {
        let length = u8::try_from(format.length()).ok();
        Self { alphabet: Some(format.alphabet()), length, format: None, ttl, attempts }
    }
}

impl PasscodeSettings {
    /// Most wrong guesses: few enough that guessing is hopeless at the code's length.
    fn most_attempts(&self) -> u8 {
        if self.format.length() < 6 { 3 } else { 10 }
    }

    pub(super) fn check(&self) -> Result<(), InvalidField> {
        within("passcode.ttl", self.ttl, 30..=3600)?;
        let most = self.most_attempts();
        if (1..=most).contains(&self.attempts) {
            return Ok(());
        }
        Err(invalid("passcode.attempts", format!("use 1 to {most} with a code of this length")))
    }
}
