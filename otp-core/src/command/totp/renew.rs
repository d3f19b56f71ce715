//! What goes with a device: recovery codes, trusted devices, a code that is shown to the tenant.

use serde_json::json;

use super::Holder;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::command::Trail;
use crate::error::Error;
use crate::id::{MemberId, TrustedDeviceId};
use crate::store::{Changes, Command, Read, Reads, Snapshot, Stored};
use crate::totp::{RecoverySet, TotpDevice, TrustedDevice};

/// Puts a set of recovery codes in the place of the one before.
pub(crate) struct PutRecovery {
    pub holder: Holder,
    /// Since when the device is in use: it is to be the same still.
    pub enabled_at: Timestamp,
    pub set: RecoverySet,
    /// Where it is written that a member did it.
    pub by_member: Option<(MemberId, Trail)>,
}

impl Command for PutRecovery {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        Reads { scope: self.holder.scope(), wanted: self.holder.reads() }
    }

    fn is_recorded(&self) -> bool {
        self.by_member.is_some()
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let same = seen.one::<TotpDevice>().filter(|device| device.enabled_at() == Some(self.enabled_at));
        let Some(mut device) = same.cloned() else {
            return (Err(Error::NotFound("authenticator")), Changes::none());
        };
        device.recovery = Some(self.set.clone());
        let mut changes = Changes::none();
        if let Some((member, trail)) = &self.by_member {
            let line = trail.line(self.holder.space.tenant, Action::RecoveryCodesRenewed, member, json!({}));
            changes.put(line);
        }
        changes.put(device);
        (Ok(()), changes)
    }
}

/// Forgets a trusted device.
pub(crate) struct ForgetDevice {
    pub holder: Holder,
    pub id: TrustedDeviceId,
    pub now: Timestamp,
}

impl Command for ForgetDevice {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let wanted = vec![Read::Record(TrustedDevice::key_of(self.holder.space, self.id))];
        Reads { scope: self.holder.scope(), wanted }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let theirs = |device: &&TrustedDevice| {
            device.space == self.holder.space && device.subject == self.holder.key && self.now < device.ends_at()
        };
        let Some(device) = seen.one::<TrustedDevice>().filter(theirs) else {
            return (Err(Error::NotFound("trusted device")), Changes::none());
        };
        (Ok(()), Changes { deletes: vec![device.key()], ..Changes::none() })
    }
}

/// Notes that the tenant was shown a code, before it is.
pub(crate) struct NoteReveal {
    pub holder: Holder,
    pub trail: Trail,
}

impl Command for NoteReveal {
    type Outcome = Result<TotpDevice, Error>;

    fn reads(&self) -> Reads {
        Reads { scope: self.holder.scope(), wanted: self.holder.reads() }
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let enabled = seen.one::<TotpDevice>().filter(|device| device.enabled_at().is_some());
        let Some(device) = enabled else { return (Err(Error::NotFound("authenticator")), Changes::none()) };
        let mut changes = Changes::none();
        let data = json!({"type": device.moving.as_str()});
        changes.put(self.trail.line(self.holder.space.tenant, Action::OtpRevealed, self.holder.name(), data));
        (Ok(device.clone()), changes)
    }
}
