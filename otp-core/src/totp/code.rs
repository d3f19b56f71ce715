//! A code of an authenticator, as somebody typed it.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq;

use super::Digits;

/// The digits that were typed, without the spaces and hyphens they may be shown with.
#[derive(Clone)]
pub struct TypedOtp(String);

/// The text can be no code of an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the code of an authenticator has 6 to 8 digits")]
pub struct InvalidOtp;

impl TypedOtp {
    /// Whether it has as many digits as codes of this form.
    pub fn fits(&self, digits: Digits) -> bool {
        self.0.len() == usize::from(digits.count())
    }

    /// Whether it is the code of this truncated value; compares in constant time.
    pub(super) fn is(&self, digits: Digits, truncated: u32) -> bool {
        let code = &digits.signs(truncated)[..usize::from(digits.count())];
        self.0.as_bytes().ct_eq(code).into()
    }
}

impl FromStr for TypedOtp {
    type Err = InvalidOtp;

    fn from_str(text: &str) -> Result<Self, InvalidOtp> {
        if text.len() > 64 {
            return Err(InvalidOtp);
        }
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let is_code = (6..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_code { Ok(Self(digits)) } else { Err(InvalidOtp) }
    }
}

impl fmt::Debug for TypedOtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
