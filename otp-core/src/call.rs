//! Calls of the API, as whoever serves it reports them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::alarm::{AlarmKind, SLOWEST};
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::store::{Key, Kind, Stored};
use crate::tenant::Space;
use crate::usage::{ErrorCategory, Route};

/// So many of a space's errors are kept.
pub const RECENT: usize = 100;

/// A call that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Which route.
    pub route: Route,
    /// How long it took.
    pub took: Duration,
    /// What went wrong: its kind and its stable code. A code names nothing personal.
    pub error: Option<(ErrorCategory, &'static str)>,
}

/// Codes of requests that break a rule by what an end user typed, or by when.
const TYPED: [&str; 2] = ["invalid_email", "otp_not_found"];

impl Call {
    /// Whether it failed by a fault of the service, or of the program that calls it. What end users bring about, such as
    /// wrong codes, tokens that have expired and too many requests, is none; nor is a quota, which tells of itself.
    pub fn is_faulty(&self) -> bool {
        let Some((category, code)) = self.error else { return false };
        match category {
            ErrorCategory::Internal | ErrorCategory::EmailDelivery => true,
            ErrorCategory::Validation => !TYPED.contains(&code),
            ErrorCategory::Authentication | ErrorCategory::RateLimit | ErrorCategory::Quota => false,
        }
    }

    /// Whether its tenant may have to be told of it.
    pub(crate) fn is_alarming(&self) -> bool {
        self.is_faulty() || self.took > SLOWEST
    }
}

/// A call that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallError {
    /// When.
    pub at: Timestamp,
    /// What kind of error.
    pub category: ErrorCategory,
    /// Its stable code.
    pub code: String,
    /// On which route.
    pub route: String,
}

/// The last errors of a space, and what its tenant was told of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecentErrors {
    /// Tenant and mode.
    pub space: Space,
    /// At most a hundred, the newest first.
    pub errors: Vec<CallError>,
    /// When each alarm was raised last.
    #[serde(default)]
    pub alarms: BTreeMap<AlarmKind, Timestamp>,
}

impl RecentErrors {
    /// None yet.
    pub fn none(space: Space) -> Self {
        Self { space, errors: Vec::new(), alarms: BTreeMap::new() }
    }

    /// Whether an alarm was raised so lately that it is not raised again.
    pub fn rests(&self, alarm: AlarmKind, now: Timestamp) -> bool {
        self.alarms.get(&alarm).is_some_and(|raised| now < *raised + alarm.rest())
    }

    /// Where the record of a space stands.
    pub fn key_of(space: Space) -> Key {
        Key::new::<Self>(space.tenant, &[space.mode.byte()])
    }
}

impl Stored for RecentErrors {
    const KIND: Kind = Kind::RecentErrors;

    fn key(&self) -> Key {
        Self::key_of(self.space)
    }
}

/// How much a tenant's records take, as it was measured once a day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StorageUse {
    /// Whose records.
    pub tenant: TenantId,
    /// When, and how many bytes; the newest last.
    pub measured: Vec<(Timestamp, u64)>,
}

impl StorageUse {
    /// The tenant of the record that tells when all of them were measured last.
    pub(crate) const INSTALLATION: TenantId = TenantId::from_bytes([0; 16]);

    /// Where the record of a tenant stands.
    pub fn key_of(tenant: TenantId) -> Key {
        Key::new::<Self>(tenant, &[1])
    }

    /// What was measured last before a time.
    pub fn before(&self, at: Timestamp) -> Option<(Timestamp, u64)> {
        self.measured.iter().rev().find(|(measured, _)| *measured < at).copied()
    }
}

impl Stored for StorageUse {
    const KIND: Kind = Kind::StorageUse;

    fn key(&self) -> Key {
        Self::key_of(self.tenant)
    }
}
