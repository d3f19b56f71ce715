//! Signed tokens (JWS compact form, RFC 7515 and 7519): access tokens and one-time proofs.
//!
//! They are made and checked by hand, because the usual crate selects its cryptography through one process-wide
//! provider, which a library must not claim on behalf of the program that embeds it.

mod claims;
mod key;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::{Deserialize, Serialize};

use self::claims::Object;
use crate::clock::Timestamp;
use crate::id::TenantId;

pub use self::claims::Claims;
pub use self::key::{InvalidSigningKey, SigningKey};

/// Bytes of the longest token that is looked at.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How a token is signed. A key has exactly one algorithm, and a token cannot choose another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever can check a token can also make one.
    #[serde(rename = "HS256")]
    Hs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl Algorithm {
    /// The `alg` of RFC 7518 and 8037.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token algorithm; use HS256, EdDSA or ES256")]
pub struct UnknownAlgorithm;

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        [Self::Hs256, Self::EdDsa, Self::Es256].into_iter().find(|known| known.as_str() == text).ok_or(UnknownAlgorithm)
    }
}

/// What a token is good for. It stands in the signed header, so that neither kind passes for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenType {
    /// Opens a session's calls.
    Access,
    /// Shows once that an address was verified, or an action approved.
    Proof,
}

impl TokenType {
    const ALL: [TokenType; 2] = [TokenType::Access, TokenType::Proof];

    /// The `typ` of the header.
    pub const fn as_str(self) -> &'static str {
        match self {
            TokenType::Access => "at+jwt",
            TokenType::Proof => "proof+jwt",
        }
    }
}

/// Why a token is refused. The answer to a client need not tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum InvalidToken {
    /// It is no well-formed token, or lacks a claim, or carries one of the wrong JSON type.
    #[error("the token is malformed")]
    Malformed,
    /// Its `kid` names none of the keys.
    #[error("the token names an unknown key")]
    UnknownKey,
    /// The key that it names did not sign it, or signs with another algorithm.
    #[error("the token's signature does not match")]
    Signature,
    /// Its `exp` has come.
    #[error("the token has expired")]
    Expired,
    /// Its `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Another issuer made it.
    #[error("the token comes from another issuer")]
    Issuer,
    /// It is for another tenant.
    #[error("the token is for another audience")]
    Audience,
    /// It is a proof where an access token is wanted, or the other way round.
    #[error("the token is of another type")]
    Type,
}

/// Signs the claims.
///
/// ```
/// # use otp_core::token::{self, Algorithm, Claims, SigningKey, TokenType};
/// # use otp_core::{SystemRandom, TenantId, Timestamp};
/// let key = SigningKey::generate(Algorithm::EdDsa, &SystemRandom);
/// let tenant = TenantId::from_bytes([1; 16]);
/// let claims = Claims {
///     iss: "https://otp.example.org".to_owned(),
///     sub: "user_1".to_owned(),
///     aud: tenant,
///     sid: None,
///     jti: "a".to_owned(),
///     iat: 1_000,
///     nbf: 1_000,
///     exp: 2_000,
///     email: None,
///     phone: None,
///     amr: vec!["otp".to_owned()],
///     auth_time: None,
///     acr: None,
///     purpose: None,
///     context_hash: None,
///     custom: serde_json::Map::new(),
/// };
/// let token = token::mint(&key, TokenType::Access, &claims);
/// let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
/// let keys = [key];
/// let verify = |now| token::verify(&keys, TokenType::Access, "https://otp.example.org", tenant, now, &token);
/// assert_eq!(verify(at(1_999)), Ok(claims));
/// assert_eq!(verify(at(2_000)), Err(token::InvalidToken::Expired));
/// ```
pub fn mint(key: &SigningKey, typ: TokenType, claims: &Claims) -> String {
    let payload = serde_json::to_vec(claims).expect("claims are plain JSON");
    let mut token = String::with_capacity(payload.len() * 4 / 3 + 256);
    token.push_str(key.header(typ));
    token.push('.');
    BASE64URL.encode_string(&payload, &mut token);
    let signature = key.sign(token.as_bytes());
    token.push('.');
    BASE64URL.encode_string(signature, &mut token);
    token
}

/// Checks a token against the keys of one tenant and hands out its claims. Times are compared without leeway: a token
/// is good from `nbf` on and until just before `exp`.
///
/// # Errors
/// [`InvalidToken`] with the first thing that is wrong; everything but form, key, type and algorithm is looked at only
/// behind a good signature.
pub fn verify(
    keys: &[SigningKey],
    typ: TokenType,
    issuer: &str,
    audience: TenantId,
    now: Timestamp,
    token: &str,
) -> Result<Claims, InvalidToken> {
    let parts = Parts::of(token).ok_or(InvalidToken::Malformed)?;
    let key = key_named_by(parts.header, typ, keys)?;
    let signature = BASE64URL.decode(parts.signature).map_err(|_| InvalidToken::Malformed)?;
    if !key.verify(parts.signed.as_bytes(), &signature) {
        return Err(InvalidToken::Signature);
    }
    let claims: Claims = decode(parts.payload)?;
    let now = now.as_secs();
    if claims.iss != issuer {
        return Err(InvalidToken::Issuer);
    }
    if claims.aud != audience {
        return Err(InvalidToken::Audience);
    }
    if claims.nbf > now {
        return Err(InvalidToken::NotYetValid);
    }
    if claims.exp <= now {
        return Err(InvalidToken::Expired);
    }
    Ok(claims)
}

/// The tenant that a token says it is for. Nothing is checked: it only tells whose keys to [`verify`] with.
pub fn peek_audience(token: &str) -> Option<TenantId> {
    #[derive(Deserialize)]
    struct Audience {
        aud: TenantId,
    }
    decode::<Audience>(Parts::of(token)?.payload).ok().map(|claims| claims.aud)
}

struct Parts<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        (!payload.contains('.')).then_some(Self { header, payload, signature, signed })
    }
}

/// Only `kid` selects the key. `jwk`, `jku`, `x5c` and `x5u` could name one too and are not looked at.
fn key_named_by<'a>(header: &str, typ: TokenType, keys: &'a [SigningKey]) -> Result<&'a SigningKey, InvalidToken> {
    let Object(header) = decode(header)?;
    if header.contains_key("crit") {
        return Err(InvalidToken::Malformed);
    }
    let text = |name| header.get(name).and_then(|value| value.as_str()).ok_or(InvalidToken::Malformed);
    let (algorithm, stated, kid) = (text("alg")?, text("typ")?, text("kid")?);
    let key = keys.iter().find(|key| key.kid() == kid).ok_or(InvalidToken::UnknownKey)?;
    if algorithm != key.algorithm().as_str() {
        return Err(InvalidToken::Signature);
    }
    if stated != typ.as_str() {
        return Err(InvalidToken::Type);
    }
    Ok(key)
}

fn decode<T: serde::de::DeserializeOwned>(segment: &str) -> Result<T, InvalidToken> {
    let json = BASE64URL.decode(segment).map_err(|_| InvalidToken::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| InvalidToken::Malformed)
}
