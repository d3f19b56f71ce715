//! Whether a code alone signs in.

use crate::clock::Timestamp;
use crate::secret::Digest32;
use crate::service::TenantContext;
use crate::store::{Changes, Read, Snapshot};
use crate::subject::SubjectKey;
use crate::tenant::{SecondFactorPolicy, Space};
use crate::totp::{TotpDevice, TrustedDevice};

/// What the tenant wants beside a code, and what this user has.
pub(super) struct SecondFactor<'a> {
    pub context: &'a TenantContext,
    pub space: Space,
    pub subject: &'a SubjectKey,
    pub now: Timestamp,
    pub seen: &'a Snapshot,
}

impl<'a> SecondFactor<'a> {
    /// What has to be read to tell; `trusted` is the digest of a trusted device's token.
    pub fn reads(space: Space, subject: &SubjectKey, trusted: Option<Digest32>) -> impl Iterator<Item = Read> {
        let device = Read::Record(TotpDevice::key_of(space, subject));
        let trusted = trusted.map(|token| Read::alias::<TrustedDevice>(&token.0));
        std::iter::once(device).chain(trusted)
    }

    /// Whether a second factor has to follow before a session begins, and if so, whether a device has to be set up first.
    pub fn missing(&self) -> Option<bool> {
        let policy = self.context.tenant.settings.second_factor;
        match (policy, self.enabled_at()) {
            (SecondFactorPolicy::Off, _) | (SecondFactorPolicy::Optional, None) => None,
            (SecondFactorPolicy::Required, None) => Some(true),
            (_, Some(_)) if self.trusted().is_some() => None,
            (_, Some(_)) => Some(false),
        }
    }

    /// Notes that a trusted device was used, if the user signs in on one.
    pub fn note_trust(&self, changes: &mut Changes) {
        if let Some(device) = self.trusted() {
            changes.put(TrustedDevice { last_used_at: Some(self.now), ..device.clone() });
        }
    }

    fn enabled_at(&self) -> Option<Timestamp> {
        self.seen.one::<TotpDevice>().and_then(TotpDevice::enabled_at)
    }

    fn trusted(&self) -> Option<&'a TrustedDevice> {
        let device = self.seen.one::<TrustedDevice>()?;
        let is_theirs = device.space == self.space && device.subject == *self.subject;
        (is_theirs && device.is_trusted(self.enabled_at()?, self.now)).then_some(device)
    }
}
