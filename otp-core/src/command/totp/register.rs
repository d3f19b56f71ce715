//! A device gets a secret.

use serde_json::json;

use super::Holder;
use crate::audit::Action;
use crate::clock::Timestamp;
use crate::command::Trail;
use crate::error::Error;
use crate::id::MemberId;
use crate::secret::Digest32;
use crate::store::{Changes, Command, Read, Reads, Snapshot};
use crate::totp::{MOST_TRUSTED, PendingSignIn, TotpDevice, TrustedDevice};
use crate::user::User;

/// On whose word a device is set up.
pub(crate) enum Registering {
    /// The user's, who is signed in.
    ByUser,
    /// That of somebody whose sign-in waits for it, by the digest of its token.
    SigningIn(Digest32),
    /// A member's, who is signed in.
    ByMember(MemberId, Trail),
    /// The tenant's.
    ByTenant,
    /// The tenant's, in the place of one that was lost.
    Replacing(Trail),
}

/// Gives a holder a device that waits for its first code.
pub(crate) struct RegisterTotp {
    pub holder: Holder,
    pub device: TotpDevice,
    pub registering: Registering,
    pub now: Timestamp,
}

impl Command for RegisterTotp {
    type Outcome = Result<(), Error>;

    fn reads(&self) -> Reads {
        let mut wanted = self.holder.reads();
        match &self.registering {
            Registering::SigningIn(token) => {
                wanted.push(Read::Record(PendingSignIn::key_of(self.holder.space, token)));
            }
            Registering::Replacing(_) => {
                wanted.push(Read::owned::<TrustedDevice>(self.holder.key.as_bytes().into(), MOST_TRUSTED));
            }
            Registering::ByUser | Registering::ByMember(..) | Registering::ByTenant => {}
        }
        Reads { scope: self.holder.scope(), wanted }
    }

    fn is_recorded(&self) -> bool {
        matches!(self.registering, Registering::Replacing(_) | Registering::ByMember(..))
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let known = seen.one::<TotpDevice>();
        if let Err(refused) = self.admit(seen, known) {
            return (Err(refused), Changes::none());
        }
        let mut changes = Changes::none();
        let mut device = self.device.clone();
        if let Some(known) = known {
            // A new secret makes no room for guesses.
            device.wrong_guesses.clone_from(&known.wrong_guesses);
        }
        if let (Registering::Replacing(trail), Some(known)) = (&self.registering, known) {
            device.moving = known.moving.restarted();
            (device.algorithm, device.digits) = (known.algorithm, known.digits);
            changes.deletes.extend(seen.records.iter().map(|record| record.key()).filter(is_trusted_device));
            let data = json!({"type": device.moving.as_str()});
            changes.put(trail.line(self.holder.space.tenant, Action::TotpRecovered, self.holder.name(), data));
        }
        if let Registering::ByMember(member, trail) = &self.registering {
            let line = trail.line(self.holder.space.tenant, Action::MemberTotpRegistered, member, json!({}));
            changes.put(line);
        }
        changes.put(device);
        (Ok(()), changes)
    }
}

impl RegisterTotp {
    fn admit(&self, seen: &Snapshot, known: Option<&TotpDevice>) -> Result<(), Error> {
        if self.holder.user.is_some() && seen.one::<User>().is_none() {
            return Err(Error::NotFound("user"));
        }
        if let Registering::SigningIn(_) = self.registering {
            let pending = seen.one::<PendingSignIn>().filter(|pending| pending.is_open(self.now));
            pending.filter(|pending| pending.enrol).ok_or(Error::InvalidMfaToken)?;
        }
        let is_enabled = known.is_some_and(|known| known.enabled_at().is_some());
        match &self.registering {
            Registering::Replacing(_) if known.is_none() => Err(Error::NotFound("authenticator")),
            Registering::Replacing(_) => Ok(()),
            _ if is_enabled => Err(Error::Conflict("an authenticator is in use already; disable it first")),
            _ => Ok(()),
        }
    }
}

fn is_trusted_device(key: &crate::store::Key) -> bool {
    key.kind == crate::store::Kind::TrustedDevice
}
