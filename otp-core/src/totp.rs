//! Second factors: one-time codes of an authenticator (RFC 4226 and 6238), codes for whoever lost it, and devices that are
//! trusted for a while.
//!
//! A [`TotpDevice`] is one record with everything that a guess is judged by: the sealed secret, the last step that was
//! accepted, the recovery codes and the wrong guesses. So a guess is decided in one transaction, at any concurrency.

mod code;
mod device;
mod engine;
mod pending;
mod qr;
mod recovery;
mod secret;
mod step;
#[cfg(test)]
mod tests;
mod trust;
mod uri;

pub use code::{InvalidOtp, TypedOtp};
pub use device::{DeviceState, GUESS_WINDOW, GUESSES, Method, Moving, PENDING_FOR, SecondFactorUse, TotpDevice};
pub(crate) use device::{Shown, Verdict};
pub use engine::{Digits, HashAlgorithm, InvalidDigits, InvalidPeriod, Period, UnknownHash, hotp};
pub use pending::PendingSignIn;
pub use qr::QrPicture;
pub(crate) use recovery::digest_of;
pub use recovery::{InvalidRecoveryCode, RECOVERY_CODES, RecoveryCode, RecoverySet};
pub use secret::{InvalidOtpSecret, OtpSecret};
pub use step::Totp;
pub use trust::TrustedDevice;
pub(crate) use trust::{MFA_TOKEN, MOST_TRUSTED, NewToken, TRUST_TOKEN};
pub use uri::KeyUri;
