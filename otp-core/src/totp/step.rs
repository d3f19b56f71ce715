//! Codes of the time (RFC 6238), for whoever has the secret.

use super::engine::Keyed;
use super::{Digits, HashAlgorithm, Period, TypedOtp, hotp};
use crate::clock::Timestamp;

/// Steps before and behind this one whose codes are taken, for clocks that differ and codes that travel (RFC 6238, 5.2).
const STEPS_AROUND: u64 = 1;

/// What an authenticator and whoever checks its codes have in common.
///
/// ```
/// use otp_core::Timestamp;
/// use otp_core::totp::{Digits, HashAlgorithm, Period, Totp};
///
/// let secret = b"12345678901234567890";
/// let totp = Totp { algorithm: HashAlgorithm::Sha1, digits: Digits::EIGHT, period: Period::USUAL, secret };
/// let at = Timestamp::from_millis(1_111_111_109_000);
/// assert_eq!(totp.code_at(at), "07081804");
/// let step = totp.step_of(&"0708 1804".parse().unwrap(), None, at);
/// assert_eq!(step, Some(37_037_036));
/// assert_eq!(totp.step_of(&"0708 1804".parse().unwrap(), step, at), None, "once");
/// ```
#[derive(Clone, Copy)]
pub struct Totp<'a> {
    /// The hash.
    pub algorithm: HashAlgorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// How long a code is shown.
    pub period: Period,
    /// The shared secret.
    pub secret: &'a [u8],
}

impl Totp<'_> {
    /// The code that is shown at this time.
    pub fn code_at(&self, at: Timestamp) -> String {
        self.digits.of(hotp(self.algorithm, self.secret, self.period.step_at(at)))
    }

    /// Whose code it is, of the step now and those around it; none of a step up to the last one that was accepted.
    pub fn step_of(&self, typed: &TypedOtp, accepted: Option<u64>, now: Timestamp) -> Option<u64> {
        let step = self.period.step_at(now);
        let mut around = step.saturating_sub(STEPS_AROUND)..=step + STEPS_AROUND;
        let is_new = |step: &u64| accepted.is_none_or(|accepted| *step > accepted);
        let keyed = Keyed::new(self.algorithm, self.secret);
        around.find(|step| is_new(step) && typed.is(self.digits, keyed.truncated(*step)))
    }
}

impl std::fmt::Debug for Totp<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Totp([redacted])")
    }
}
