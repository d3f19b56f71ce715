//! The keys that sign a tenant's tokens, as stored: sealed, replaced with overlap, remembered until their last token died.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{SigningKeyId, TenantId};
use crate::random::Random;
use crate::secret::{CannotOpen, Sealed, TenantKeys};
use crate::store::{Key, Kind, Read, SmallBytes, Stored};
use crate::tenant::{Mode, Space};
use crate::token::{Algorithm, SigningKey};

/// How many of one mode are looked at; older ones have long been swept away.
const REMEMBERED: usize = 50;

/// A signing key at rest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredSigningKey {
    /// Identifier; the newest one signs.
    pub id: SigningKeyId,
    /// Whose tokens it signs, of which mode: a test token must not pass for a live one where only signatures are checked.
    pub space: Space,
    /// With which algorithm, and no other.
    pub algorithm: Algorithm,
    /// The key, sealed.
    pub material: Sealed,
    /// Creation time.
    pub created_at: Timestamp,
    /// When its last token has died, once it was replaced; until then it still verifies.
    pub retired_at: Option<Timestamp>,
}

impl StoredSigningKey {
    /// A fresh key.
    pub fn generate(
        space: Space,
        algorithm: Algorithm,
        keys: &TenantKeys,
        now: Timestamp,
        random: &dyn Random,
    ) -> Self {
        let id = SigningKeyId::new(now, random);
        let material = keys.seal(random, place(id).as_slice(), &SigningKey::generate(algorithm, random).to_bytes());
        Self { id, space, algorithm, material, created_at: now, retired_at: None }
    }

    /// Reads all of a tenant that are not yet forgotten, of both modes.
    pub(crate) fn of_tenant(tenant: TenantId) -> [Read; 2] {
        Mode::ALL.map(|mode| Read::owned::<Self>(Space { tenant, mode }.owner(), REMEMBERED))
    }

    /// The key, ready for use.
    ///
    /// # Errors
    /// [`CannotOpen`] when it was sealed under a master key that is gone.
    pub fn open(&self, keys: &TenantKeys) -> Result<SigningKey, CannotOpen> {
        let material = keys.open(place(self.id).as_slice(), &self.material)?;
        SigningKey::from_bytes(self.algorithm, &material).map_err(|_| CannotOpen)
    }
}

fn place(id: SigningKeyId) -> SmallBytes {
    SmallBytes::concat(&[b"signing_key", id.as_bytes()])
}

impl Stored for StoredSigningKey {
    const KIND: Kind = Kind::SigningKey;

    fn key(&self) -> Key {
        Key::new::<Self>(self.space.tenant, self.id.as_bytes())
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.owner())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.retired_at
    }
}
