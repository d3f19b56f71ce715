//! Phone numbers.

use std::fmt;
use std::str::FromStr;

const MIN_DIGITS: usize = 8;
const MAX_DIGITS: usize = 15;

/// A phone number in E.164 form: `+`, country code, number.
#[derive(Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

/// Why a text is no phone number, and what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhone {
    /// It does not start with `+` and a country code; `00` is read differently from country to country.
    #[error("write the number with + and its country code, such as +49 30 1234567")]
    CountryCode,
    /// There is something else than digits and what is usual between them.
    #[error("use only digits after the +, with spaces, hyphens, dots or parentheses between them")]
    Character,
    /// `(0)` stands in it, which is dialled only within the country.
    #[error("leave out the (0) after the country code")]
    TrunkPrefix,
    /// There are too few or too many digits.
    #[error("write {MIN_DIGITS} to {MAX_DIGITS} digits after the +; these are {0}")]
    Length(usize),
}

impl PhoneNumber {
    /// The number as `+` and digits, which is also the form shown and sent to.
    pub fn canonical(&self) -> &str {
        &self.0
    }

    /// The first and the last two digits: `+49***42`.
    pub fn masked(&self) -> String {
        format!("{}***{}", &self.0[..3], &self.0[self.0.len() - 2..])
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl FromStr for PhoneNumber {
    type Err = InvalidPhone;

    fn from_str(text: &str) -> Result<Self, InvalidPhone> {
        let number = text.trim().strip_prefix('+').ok_or(InvalidPhone::CountryCode)?;
        if number.contains("(0)") {
            return Err(InvalidPhone::TrunkPrefix);
        }
        let digits: String = number.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '-' | '.' | '(' | ')')).collect();
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidPhone::Character);
        }
        if digits.starts_with('0') {
            return Err(InvalidPhone::CountryCode);
        }
        if !(MIN_DIGITS..=MAX_DIGITS).contains(&digits.len()) {
            return Err(InvalidPhone::Length(digits.len()));
        }
        Ok(Self(format!("+{digits}")))
    }
}
