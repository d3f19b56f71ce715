//! Versions of a tenant's configuration: every change of its settings is kept, with its author and what it changed.

use serde::{Deserialize, Serialize};

use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::tenant::{Change, Settings};

/// Versions that are kept.
pub const KEPT: u64 = 100;

/// The settings as one change left them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigVersion {
    /// Whose.
    pub tenant: TenantId,
    /// Which: 1 is what a tenant begins with, and each change counts one up.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub actor: Actor,
    /// All settings. The secrets that belong to them are not versioned.
    pub settings: Box<Settings>,
    /// What was changed.
    pub changes: Vec<Change>,
}

impl ConfigVersion {
    /// The key of a version.
    pub(crate) fn key_of(tenant: TenantId, version: u64) -> Key {
        Key::new::<Self>(tenant, Self::id_of(version))
    }

    /// Ids sort as the versions do.
    pub(crate) fn id_of(version: u64) -> SmallBytes {
        (&version.to_be_bytes()).into()
    }
}

impl Stored for ConfigVersion {
    const KIND: Kind = Kind::ConfigVersion;

    fn key(&self) -> Key {
        Self::key_of(self.tenant, self.version)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }
}
