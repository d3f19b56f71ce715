//! Who signed in on which day, so that a period can tell how many users it saw: visits, and what they are folded into.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::secret::TenantKeys;
use crate::sketch::Sketch;
use crate::store::{Due, Key, Kind, SmallBytes, Stored};
use crate::tenant::Space;
use crate::usage::{REPORTED, Span};
use crate::user::User;

/// A user signed in for the first time on a day in UTC. It names the user by a keyed digest only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Visit {
    /// Tenant and mode.
    pub space: Space,
    /// Where the day begins.
    pub day: Timestamp,
    /// The user.
    pub digest: u64,
    /// When it may be folded; kept beside the body.
    #[serde(skip)]
    pub due: Due,
}

impl Visit {
    /// The user's visit of the day that holds `now`.
    pub(crate) fn of(user: &User, keys: &TenantKeys, now: Timestamp) -> Self {
        let digest = keys.index(&[b"visit", user.id.as_bytes()]).0;
        let digest = digest[..8].iter().fold(0, |digest, byte| (digest << 8) | u64::from(*byte));
        let due = Due { at: Some(Span::Hour.end(now)), lease: None };
        Self { space: user.space, day: Span::Day.start(now), digest, due }
    }
}

impl Stored for Visit {
    const KIND: Kind = Kind::Visit;

    fn key(&self) -> Key {
        let day = day_id(self.space, self.day);
        Key::new::<Self>(self.space.tenant, SmallBytes::concat(&[day.as_slice(), &self.digest.to_be_bytes()]))
    }

    fn owner(&self) -> Option<SmallBytes> {
        Some(self.space.owner())
    }

    fn due(&self) -> Option<&Due> {
        Some(&self.due)
    }

    fn due_mut(&mut self) -> Option<&mut Due> {
        Some(&mut self.due)
    }
}

/// The visits of a space and day that were folded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Visitors {
    /// Tenant and mode.
    pub space: Space,
    /// Where the day begins, in UTC.
    pub day: Timestamp,
    /// Who was there.
    pub people: Sketch,
}

impl Visitors {
    /// Nobody yet.
    pub fn new(space: Space, day: Timestamp) -> Self {
        Self { space, day, people: Sketch::default() }
    }

    /// Where the record of a day stands.
    pub fn key_of(space: Space, day: Timestamp) -> Key {
        Key::new::<Self>(space.tenant, day_id(space, day))
    }
}

impl Stored for Visitors {
    const KIND: Kind = Kind::Visitors;

    fn key(&self) -> Key {
        Self::key_of(self.space, self.day)
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(Span::Day.end(self.day) + REPORTED)
    }
}

fn day_id(space: Space, day: Timestamp) -> SmallBytes {
    SmallBytes::concat(&[&[space.mode.byte()], &day.as_millis().to_be_bytes()])
}
