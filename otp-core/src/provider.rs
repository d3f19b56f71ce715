//! Providers that a tenant has set up for its own messages.
//!
//! A tenant with none has its messages sent by the installation's. One with some has them sent by these, in their order, and
//! by the installation's only where it lists those too. Only messages of live mode leave at all.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{ProviderId, TenantId};
use crate::message::Channel;
use crate::secret::{Sealed, Secret};
use crate::store::{Key, Kind, SmallBytes, Stored};

/// Providers that a tenant may have.
pub const PROVIDERS: usize = 8;
/// Characters of a label.
pub(crate) const LONGEST_LABEL: usize = 60;

/// A provider of a tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provider {
    /// Identifier.
    pub id: ProviderId,
    /// Whose.
    pub tenant: TenantId,
    /// What the tenant calls it.
    pub label: String,
    /// What it could carry.
    pub carries: Vec<Channel>,
    /// What it is to carry.
    pub channels: Vec<Channel>,
    /// Its place among the tenant's: the lowest is preferred, of the same place the older.
    pub position: u32,
    /// How it is reached and as whom, in the form that the mailer reads.
    pub url: Sealed,
    /// The same to be looked at, without its secrets.
    pub shown: String,
    /// How often it was written, counted from 1.
    pub version: u64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was last asked whether it works.
    #[serde(default)]
    pub tested_at: Option<Timestamp>,
}

impl Provider {
    /// The key of the record.
    pub fn key_of(tenant: TenantId, id: ProviderId) -> Key {
        Key::new::<Self>(tenant, id.as_bytes())
    }

    /// Where its URL is sealed for.
    pub(crate) fn url_place(id: ProviderId) -> Vec<u8> {
        [b"provider.url".as_slice(), id.as_bytes()].concat()
    }

    /// In the order in which they are preferred.
    pub(crate) fn sort(providers: &mut [Self]) {
        providers.sort_by_key(|provider| (provider.position, provider.id));
    }
}

impl Stored for Provider {
    const KIND: Kind = Kind::Provider;

    fn key(&self) -> Key {
        Self::key_of(self.tenant, self.id)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.tenant.as_bytes().into())
    }
}

/// A tenant's provider as a mailer needs it. `Debug` does not show the URL.
#[derive(Clone)]
pub struct OwnProvider {
    /// Identifier.
    pub id: ProviderId,
    /// Of the same version it is the same in all.
    pub version: u64,
    /// What the tenant calls it.
    pub label: String,
    /// What it is to carry.
    pub channels: Vec<Channel>,
    /// How it is reached and as whom.
    pub url: Secret,
}

impl fmt::Debug for OwnProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnProvider").field("id", &self.id).field("version", &self.version).finish_non_exhaustive()
    }
}
