//! Keys that sign tokens and check them.

use std::fmt;

use base64::Engine;
use ed25519_dalek::Signer as _;
use hmac::{Hmac, KeyInit as _, Mac};
use p256::ecdsa::signature::Verifier as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Algorithm, BASE64URL, TokenType};
use crate::random::Random;

/// These bytes are no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing key has 32 bytes, for ES256 a number from 1 to below the order of P-256")]
pub struct InvalidSigningKey;

/// A key that signs a tenant's tokens, opened and ready for use.
#[derive(Clone)]
pub struct SigningKey {
    pair: Pair,
    kid: String,
    headers: [String; TokenType::ALL.len()],
}

#[derive(Clone)]
enum Pair {
    /// With the secret absorbed into both halves of the MAC, which saves half the work of a short token.
    Hs256 {
        secret: Zeroizing<[u8; 32]>,
        mac: Hmac<Sha256>,
    },
    EdDsa(ed25519_dalek::SigningKey),
    Es256(p256::ecdsa::SigningKey),
}

impl SigningKey {
    /// A fresh key.
    pub fn generate(algorithm: Algorithm, random: &dyn Random) -> Self {
        loop {
            // All but one of 2^32 draws are a key at once, also for ES256.
            if let Ok(key) = Self::from_bytes(algorithm, &*Zeroizing::new(random.bytes::<32>())) {
                return key;
            }
        }
    }

    /// The key that [`to_bytes`](Self::to_bytes) took these bytes from.
    ///
    /// # Errors
    /// [`InvalidSigningKey`] when there are not 32 of them or they are no key of this algorithm.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, InvalidSigningKey> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| InvalidSigningKey)?;
        let pair = match algorithm {
            Algorithm::Hs256 => Pair::Hs256 {
                secret: Zeroizing::new(*bytes),
                mac: Hmac::new_from_slice(bytes).map_err(|_| InvalidSigningKey)?,
            },
            Algorithm::EdDsa => Pair::EdDsa(ed25519_dalek::SigningKey::from_bytes(bytes)),
            Algorithm::Es256 => Pair::Es256(p256::ecdsa::SigningKey::from_slice(bytes).map_err(|_| InvalidSigningKey)?),
        };
        let kid = pair.kid();
        let headers = TokenType::ALL.map(|typ| {
            let header = json!({ "alg": algorithm, "typ": typ.as_str(), "kid": kid });
            BASE64URL.encode(header.to_string())
        });
        Ok(Self { pair, kid, headers })
    }

    /// The 32 secret bytes, to be sealed and stored.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match &self.pair {
            Pair::Hs256 { secret, .. } => secret.to_vec(),
            Pair::EdDsa(key) => key.as_bytes().to_vec(),
            Pair::Es256(key) => key.to_bytes().to_vec(),
        })
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Hs256 { .. } => Algorithm::Hs256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
            Pair::Es256(_) => Algorithm::Es256,
        }
    }

    /// Its public name: the thumbprint of RFC 7638, for HS256 a digest that does not give the secret away.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JSON Web Key; an HS256 key has none.
    pub fn jwk(&self) -> Option<Value> {
        let mut jwk = self.pair.public()?;
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        Some(jwk)
    }

    /// The first segment of a token.
    pub(super) fn header(&self, typ: TokenType) -> &str {
        &self.headers[typ as usize]
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Hs256 { mac, .. } => mac.clone().chain_update(message).finalize().into_bytes().to_vec(),
            Pair::EdDsa(key) => key.sign(message).to_vec(),
            Pair::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_vec()
            }
        }
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.pair {
            Pair::Hs256 { mac, .. } => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Pair::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verifying_key().verify_strict(message, &signature).is_ok()),
            Pair::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verifying_key().verify(message, &signature).is_ok()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm())
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl Pair {
    /// The members of the JSON Web Key that its thumbprint covers, in the order that RFC 7638 wants.
    fn public(&self) -> Option<Value> {
        match self {
            Pair::Hs256 { .. } => None,
            Pair::EdDsa(key) => {
                let x = BASE64URL.encode(key.verifying_key().as_bytes());
                Some(json!({ "crv": "Ed25519", "kty": "OKP", "x": x }))
            }
            Pair::Es256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                Some(json!({ "crv": "P-256", "kty": "EC", "x": BASE64URL.encode(x), "y": BASE64URL.encode(y) }))
            }
        }
    }

    fn kid(&self) -> String {
        match self {
            // No signed text is just `kid`, so this gives away neither the secret nor a signature.
            Pair::Hs256 { mac, .. } => {
                BASE64URL.encode(&mac.clone().chain_update(b"kid").finalize().into_bytes()[..16])
            }
            Pair::EdDsa(_) | Pair::Es256(_) => {
                let public = self.public().map(|jwk| jwk.to_string()).unwrap_or_default();
                BASE64URL.encode(Sha256::digest(public))
            }
        }
    }
}
