//! Secrets: redacting strings, the master key ring, sub-keys, sealing and keyed digests.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::id::TenantId;
use crate::random::Random;

/// A text that is never printed: `Debug` redacts it, `Display` and `Serialize` do not exist, drop wipes it.
///
/// ```
/// let key = otp_core::Secret::from("hush".to_owned());
/// assert_eq!(format!("{key:?}"), "[redacted]");
/// assert_eq!(key.expose(), "hush");
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// The text itself, for the one place that has to hand it out.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A 32-byte keyed or plain SHA-256 digest: what is kept in place of a secret, and a blind index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest32(pub [u8; 32]);

impl Digest32 {
    /// Plain SHA-256, for input that has at least 128 bits of entropy of its own.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The form tokens carry (RFC 4648 section 5, without padding).
    pub fn to_base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads what [`to_base64url`](Self::to_base64url) wrote.
    pub fn from_base64url(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().map(Self).ok()
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Digest32) -> bool {
        subtle::ConstantTimeEq::ct_eq(&self.0[..], &other.0[..]).into()
    }
}

impl fmt::Debug for Digest32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD_NO_PAD.encode(&self.0[..6]))
    }
}

impl Serialize for Digest32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_base64(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Digest32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::read(deserializer, |text| {
            let mut bytes = [0; 33]; // with the room that a decoder wants which has not seen the end
            match STANDARD_NO_PAD.decode_slice(text, &mut bytes) {
                Ok(32) => Ok(Self(std::array::from_fn(|place| bytes[place]))),
                _ => Err("a digest has 32 bytes, in base64"),
            }
        })
    }
}

fn serialize_base64<S: serde::Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD_NO_PAD.encode(bytes))
}

fn deserialize_base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    crate::text::read(deserializer, |text| STANDARD_NO_PAD.decode(text))
}

/// A plaintext encrypted with XChaCha20-Poly1305: key id, 24-byte nonce, ciphertext and tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

impl Serialize for Sealed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_base64(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_base64(deserializer).map(Self)
    }
}

/// A sealed value did not open: it was written under a key that the ring does not hold, or was tampered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value does not open: its master key is not in the ring, or it was changed")]
pub struct CannotOpen;

/// What is wrong with a master key ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRing {
    /// The ring names no key.
    #[error("the key ring is empty")]
    Empty,
    /// An entry is not `kid:base64`.
    #[error("entry {0} of the key ring is not `kid:base64` with a kid of 1 to 255")]
    Form(usize),
    /// A key is not 32 bytes long.
    #[error("key {kid} of the ring has {bytes} bytes, it needs 32")]
    Length {
        /// Which key.
        kid: u8,
        /// How long it is.
        bytes: usize,
    },
    /// A key is no key: all bytes are the same.
    #[error("key {0} of the ring is a constant; make one with `openssl rand -base64 32`")]
    Weak(u8),
    /// A kid stands twice.
    #[error("kid {0} stands twice in the key ring")]
    Twice(u8),
}

/// The master keys, which live outside the database. The first writes, all read.
///
/// ```
/// use otp_core::{KeyRing, SystemRandom};
/// let ring = KeyRing::generate(&SystemRandom);
/// let same: KeyRing = ring.export().expose().parse().unwrap();
/// assert_eq!(ring.newest(), same.newest());
/// ```
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyRing {
    keys: Vec<(u8, [u8; 32])>,
}

impl KeyRing {
    /// A ring of one fresh key, kid 1.
    pub fn generate(random: &dyn Random) -> Self {
        Self { keys: vec![(1, random.bytes())] }
    }

    /// The kid that new values are written under.
    pub fn newest(&self) -> u8 {
        self.keys[0].0
    }

    /// The form that [`str::parse`] reads: `kid:base64[,kid:base64…]`.
    pub fn export(&self) -> Secret {
        let entries: Vec<_> = self.keys.iter().map(|(kid, key)| format!("{kid}:{}", STANDARD.encode(key))).collect();
        Secret(entries.join(","))
    }

    /// A public mark of the newest key. A database keeps it, so that a start with another ring is noticed.
    pub fn fingerprint(&self) -> Digest32 {
        self.fingerprints().next().unwrap_or(Digest32([0; 32]))
    }

    /// The marks of all keys of the ring, newest first.
    pub fn fingerprints(&self) -> impl Iterator<Item = Digest32> + '_ {
        self.keys.iter().map(|(_, key)| Digest32(*subkey(key, &[b"fingerprint"])))
    }

    /// The sub-keys of one tenant.
    pub fn tenant(&self, tenant: TenantId) -> TenantKeys {
        let keys = self.keys.iter().map(|(kid, master)| (*kid, TenantSubkeys::derive(master, tenant))).collect();
        TenantKeys { keys }
    }

    /// The sub-keys for what belongs to the installation and to no tenant.
    pub fn installation(&self) -> TenantKeys {
        self.tenant(TenantId::INSTALLATION)
    }
}

impl std::str::FromStr for KeyRing {
    type Err = InvalidKeyRing;

    fn from_str(text: &str) -> Result<Self, InvalidKeyRing> {
        let mut keys: Vec<(u8, [u8; 32])> = Vec::new();
        for (index, entry) in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).enumerate() {
            let form = InvalidKeyRing::Form(index + 1);
            let (kid, key) = entry.split_once(':').ok_or(form.clone())?;
            let kid = kid.parse().ok().filter(|kid| *kid > 0).ok_or(form.clone())?;
            let key = Zeroizing::new(STANDARD.decode(key).map_err(|_| form)?);
            let key: [u8; 32] =
                key.as_slice().try_into().map_err(|_| InvalidKeyRing::Length { kid, bytes: key.len() })?;
            if key.iter().all(|byte| *byte == key[0]) {
                return Err(InvalidKeyRing::Weak(kid));
            }
            if keys.iter().any(|(known, _)| *known == kid) {
                return Err(InvalidKeyRing::Twice(kid));
            }
            keys.push((kid, key));
        }
        if keys.is_empty() {
            return Err(InvalidKeyRing::Empty);
        }
        Ok(Self { keys })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(kid, _)| kid)).finish()
    }
}

fn subkey(master: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, master).expand_multi_info(info, &mut *key).expect("32 bytes are one HKDF block");
    key
}

/// What a keyed digest is for; each use has a key of its own.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    /// Passcodes.
    Passcode = 0,
    /// Blind indexes of addresses, and digests of client addresses.
    Identity = 1,
    /// The tag by which a refresh token proves that we made it.
    Refresh = 2,
    /// The chain of the audit trail.
    Audit = 3,
}

impl Use {
    const ALL: [(Use, &'static [u8]); 4] = [
        (Use::Passcode, b"passcode"),
        (Use::Identity, b"identity"),
        (Use::Refresh, b"refresh"),
        (Use::Audit, b"audit"),
    ];
}

/// One master key's sub-keys for one tenant, expanded once because HKDF costs more than the use.
struct TenantSubkeys {
    macs: [Hmac<Sha256>; 4],
    cipher: XChaCha20Poly1305,
}

impl TenantSubkeys {
    fn derive(master: &[u8; 32], tenant: TenantId) -> Self {
        let mac = |(_, label): (Use, &[u8])| {
            Hmac::new_from_slice(&*subkey(master, &[label, tenant.as_bytes()])).expect("any key length")
        };
        let cipher = XChaCha20Poly1305::new((&*subkey(master, &[b"seal", tenant.as_bytes()])).into());
        Self { macs: Use::ALL.map(mac), cipher }
    }
}

/// A tenant's sub-keys under every key of the ring: makes keyed digests, seals and opens.
#[derive(Clone)]
pub struct TenantKeys {
    keys: Arc<[(u8, TenantSubkeys)]>,
}

impl fmt::Debug for TenantKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TenantKeys([redacted])")
    }
}

impl TenantKeys {
    /// The kid that new values are written under.
    pub fn newest(&self) -> u8 {
        self.keys[0].0
    }

    /// All kids, newest first.
    pub fn kids(&self) -> impl Iterator<Item = u8> + '_ {
        self.keys.iter().map(|(kid, _)| *kid)
    }

    /// HMAC-SHA256 over the length-prefixed parts under the sub-key of `kid`; `None` if the ring has no such kid.
    pub fn digest(&self, kid: u8, usage: Use, parts: &[&[u8]]) -> Option<Digest32> {
        let (_, keys) = self.keys.iter().find(|(known, _)| *known == kid)?;
        let mut mac = keys.macs[usage as usize].clone();
        for part in parts {
            mac.update(&(part.len() as u32).to_be_bytes());
            mac.update(part);
        }
        Some(Digest32(mac.finalize().into_bytes().into()))
    }

    /// As [`digest`](Self::digest) under the key that blind indexes are made with: the *oldest* of the ring, because an
    /// index must not change when a key is added. `rekey` re-makes indexes when the oldest key is to go.
    pub fn index(&self, parts: &[&[u8]]) -> Digest32 {
        let oldest = self.keys[self.keys.len() - 1].0;
        self.digest(oldest, Use::Identity, parts).expect("the kid is of the ring")
    }

    /// Encrypts. `place` says where the value stands, and only opens there, so that rows cannot be swapped.
    pub fn seal(&self, random: &dyn Random, place: &[u8], plain: &[u8]) -> Sealed {
        self.seal_with(random.bytes(), place, plain)
    }

    /// As [`seal`](Self::seal) with a nonce drawn before; a nonce serves once.
    pub(crate) fn seal_with(&self, nonce: [u8; 24], place: &[u8], plain: &[u8]) -> Sealed {
        let (kid, keys) = &self.keys[0];
        let payload = Payload { msg: plain, aad: place };
        let ciphertext = keys.cipher.encrypt(&XNonce::from(nonce), payload).expect("memory to encrypt into");
        let mut sealed = Vec::with_capacity(25 + ciphertext.len());
        sealed.push(*kid);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Sealed(sealed)
    }

    /// Decrypts what [`seal`](Self::seal) made for the same place.
    ///
    /// # Errors
    /// [`CannotOpen`] when the key is missing, the place is another, or a bit was changed.
    pub fn open(&self, place: &[u8], sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, CannotOpen> {
        let (kid, rest) = sealed.0.split_first().ok_or(CannotOpen)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<24>().ok_or(CannotOpen)?;
        let (_, keys) = self.keys.iter().find(|(known, _)| known == kid).ok_or(CannotOpen)?;
        let payload = Payload { msg: ciphertext, aad: place };
        keys.cipher.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| CannotOpen)
    }

    /// As [`open`](Self::open), for a value that was sealed as text.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_text(&self, place: &[u8], sealed: &Sealed) -> Result<String, CannotOpen> {
        String::from_utf8(self.open(place, sealed)?.to_vec()).map_err(|_| CannotOpen)
    }
}

#[cfg(test)]
mod tests;
