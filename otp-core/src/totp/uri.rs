//! The URI by which authenticators take a secret: `otpauth://`, as Google wrote it down and all of them read it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Digits, HashAlgorithm, Moving, OtpSecret};
use crate::secret::Secret;

/// All but the unreserved characters of RFC 3986: some apps take `+` for itself and some for a space.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Bytes of issuer and account each, as they are written; a longer one is cut, so that the picture stays easy to scan.
const LONGEST: usize = 120;

/// What a URI tells.
///
/// ```
/// use otp_core::totp::{Digits, HashAlgorithm, KeyUri, Moving, OtpSecret};
/// let secret: OtpSecret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".parse().unwrap();
/// let uri = KeyUri {
///     issuer: "Acme: Rockets",
///     account: "ann@example.org",
///     secret: &secret,
///     algorithm: HashAlgorithm::Sha1,
///     digits: Digits::SIX,
///     moving: Moving::usual(),
/// };
/// assert_eq!(
///     uri.to_uri().expose(),
///     "otpauth://totp/Acme%20Rockets:ann%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
///      &issuer=Acme%20Rockets&algorithm=SHA1&digits=6&period=30"
/// );
/// ```
#[derive(Clone, Copy, Debug)]
pub struct KeyUri<'a> {
    /// Whose service it is for. It stands before the account and once more for itself; a colon would end it, so it has none.
    pub issuer: &'a str,
    /// The user's name there.
    pub account: &'a str,
    /// The shared secret.
    pub secret: &'a OtpSecret,
    /// The hash.
    pub algorithm: HashAlgorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// What changes from code to code.
    pub moving: Moving,
}

impl KeyUri<'_> {
    /// The URI. Whoever reads it can make the codes.
    pub fn to_uri(&self) -> Secret {
        let (issuer, account) = (encoded(self.issuer), encoded(self.account));
        let (kind, moving) = match self.moving {
            Moving::Totp { period, .. } => ("totp", format!("period={}", period.seconds())),
            Moving::Hotp { next } => ("hotp", format!("counter={next}")),
        };
        let label = if issuer.is_empty() { account } else { format!("{issuer}:{account}") };
        let issuer = if issuer.is_empty() { issuer } else { format!("&issuer={issuer}") };
        let secret = self.secret.to_base32();
        Secret::from(format!(
            "otpauth://{kind}/{label}?secret={}{issuer}&algorithm={}&digits={}&{moving}",
            secret.expose(),
            self.algorithm,
            self.digits.count(),
        ))
    }
}

fn encoded(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c == ':' || c.is_control() { ' ' } else { c }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut encoded = String::new();
    for character in plain.chars() {
        let mut buffer = [0; 4];
        let written = utf8_percent_encode(character.encode_utf8(&mut buffer), RESERVED).to_string();
        if encoded.len() + written.len() > LONGEST {
            break;
        }
        encoded.push_str(&written);
    }
    encoded
}
