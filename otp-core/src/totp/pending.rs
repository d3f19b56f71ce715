//! A sign-in that waits for its second factor.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::id::{ChallengeId, UserId};
use crate::secret::Digest32;
use crate::store::{Key, Kind, SmallBytes, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::tenant::Space;

/// How long it waits.
const WAITS_FOR: Duration = Duration::from_secs(600);

/// A code was right, and a second factor is to follow. It is found by the token that the answer carried, and is gone once the
/// session began.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// Digest of the token.
    pub token: Digest32,
    /// Tenant and mode.
    pub space: Space,
    /// Whose subject.
    pub subject: SubjectKey,
    /// The scope of every command on it.
    pub bucket: BucketKey,
    /// The user.
    pub user: UserId,
    /// The challenge whose code was right.
    pub challenge: ChallengeId,
    /// Whether the code made the user.
    pub is_new: bool,
    /// Whether a device has to be set up first: there was none.
    pub enrol: bool,
    /// When the code was right.
    pub created_at: Timestamp,
}

impl PendingSignIn {
    /// Where the one of a token stands in its store.
    pub fn key_of(space: Space, token: &Digest32) -> Key {
        Key::new::<Self>(space.tenant, &token.0)
    }

    /// When it is too late.
    pub fn ends_at(&self) -> Timestamp {
        self.created_at + WAITS_FOR
    }

    /// Whether it can still be gone on with.
    pub fn is_open(&self, now: Timestamp) -> bool {
        now < self.ends_at()
    }
}

impl Stored for PendingSignIn {
    const KIND: Kind = Kind::PendingSignIn;

    fn key(&self) -> Key {
        Self::key_of(self.space, &self.token)
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.subject.as_bytes().into())
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.ends_at())
    }
}
