//! Recovery codes: ten, each good once, for whoever lost the authenticator.
//!
//! A code has 50 bits, which is too few for a plain digest, so what is kept is argon2id, sealed. All codes of a set have one
//! salt: a check costs one hash instead of ten, and what a salt is for, that one computation serves no two sets, holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::device::place_of;
use crate::clock::Timestamp;
use crate::password::{Password, PasswordHash};
use crate::random::Random;
use crate::secret::{CannotOpen, Digest32, Sealed, Secret, TenantKeys};
use crate::subject::SubjectKey;

/// How many there are.
pub const RECOVERY_CODES: usize = 10;

/// Crockford's base32: no letter in it is mistaken for a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 10;
const SALT: usize = 16;

/// One recovery code: ten letters and digits, written as two groups of five with a hyphen between them.
#[derive(Clone)]
pub struct RecoveryCode(Secret);

/// The text is no recovery code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a recovery code has ten letters and digits, such as 7KQ2M-94XRD")]
pub struct InvalidRecoveryCode;

impl RecoveryCode {
    /// A fresh one of 50 bits.
    pub fn generate(random: &dyn Random) -> Self {
        let digits = random.bytes::<LENGTH>().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        Self(Secret::from(digits.iter().collect::<String>()))
    }

    /// The written form, to be shown once.
    pub fn expose(&self) -> Secret {
        let (first, second) = self.0.expose().split_at(LENGTH / 2);
        Secret::from(format!("{first}-{second}"))
    }

    /// What is hashed of it.
    pub(crate) fn to_password(&self) -> Password {
        Password::of_code(self.0.clone())
    }
}

impl FromStr for RecoveryCode {
    type Err = InvalidRecoveryCode;

    /// Case, hyphens and spaces do not matter; O reads as 0, I and L as 1.
    fn from_str(text: &str) -> Result<Self, InvalidRecoveryCode> {
        if text.len() > 64 {
            return Err(InvalidRecoveryCode);
        }
        let plain = text.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        });
        let code: String = plain.collect();
        let is_code = code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte));
        if is_code { Ok(Self(Secret::from(code))) } else { Err(InvalidRecoveryCode) }
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What is kept of a set of codes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecoverySet {
    /// The salt and a digest of each hash, sealed.
    hashes: Sealed,
    /// A bit for each code that was not used.
    unused: u16,
    /// When they were made.
    pub created_at: Timestamp,
}

impl RecoverySet {
    /// The set of these hashes, all of them with this salt.
    pub(crate) fn new(
        keys: &TenantKeys,
        random: &dyn Random,
        holder: &SubjectKey,
        salt: [u8; SALT],
        hashes: &[PasswordHash],
        now: Timestamp,
    ) -> Self {
        let mut plain = salt.to_vec();
        hashes.iter().for_each(|hash| plain.extend_from_slice(&digest_of(hash).0));
        let hashes_sealed = keys.seal(random, &place_of(b"recovery", holder), &plain);
        Self { hashes: hashes_sealed, unused: (1 << hashes.len()) - 1, created_at: now }
    }

    /// One of nothing, to be stored.
    #[cfg(feature = "conformance")]
    pub(crate) fn sample(hashes: Sealed, created_at: Timestamp) -> Self {
        Self { hashes, unused: 5, created_at }
    }

    /// What codes have to be hashed with to be looked for.
    pub(crate) fn salt(&self, keys: &TenantKeys, holder: &SubjectKey) -> Result<[u8; SALT], CannotOpen> {
        let plain = keys.open(&place_of(b"recovery", holder), &self.hashes)?;
        plain.first_chunk().copied().ok_or(CannotOpen)
    }

    /// How many can still be used.
    pub fn remaining(&self) -> u8 {
        self.unused.count_ones() as u8
    }

    /// Uses the code with this hash up; whether there is one that was not used before.
    pub(super) fn spend(
        &mut self,
        keys: &TenantKeys,
        holder: &SubjectKey,
        hash: &Digest32,
    ) -> Result<bool, CannotOpen> {
        let plain = keys.open(&place_of(b"recovery", holder), &self.hashes)?;
        let digests = plain.get(SALT..).unwrap_or_default().chunks_exact(32);
        let is_it = |digest: &[u8]| digest.try_into().is_ok_and(|digest| Digest32(digest).matches(hash));
        // All are looked at, so that the time does not tell which it was.
        let found = digests.enumerate().fold(0_u16, |found, (n, digest)| found | u16::from(is_it(digest)) << n);
        let is_unused = found & self.unused != 0;
        self.unused &= !found;
        Ok(is_unused)
    }
}

/// What stands for a hash where it is compared.
pub(crate) fn digest_of(hash: &PasswordHash) -> Digest32 {
    Digest32::of(hash.phc().as_bytes())
}
