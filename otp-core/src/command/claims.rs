//! A session that has begun gets the claims that its tokens are to hold, or ends without them.

use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::SessionId;
use crate::secret::Sealed;
use crate::session::{EndReason, Session};
use crate::store::{Changes, Command, Read, Reads, Scope, Snapshot};
use crate::subject::BucketKey;
use crate::tenant::Space;

pub(crate) struct NoteClaims {
    pub space: Space,
    pub bucket: BucketKey,
    pub session: SessionId,
    /// The claims, sealed; `None` where they are a must and could not be had.
    pub told: Option<Sealed>,
    pub now: Timestamp,
}

impl Command for NoteClaims {
    type Outcome = Result<Sealed, Error>;

    fn reads(&self) -> Reads {
        let scope = Scope::Subject(self.space.tenant, self.bucket);
        Reads { scope, wanted: vec![Read::Record(Session::key_of(self.space.tenant, self.session))] }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = Changes::none();
        // It was ended while the question was asked.
        let Some(session) = seen.one::<Session>().filter(|session| session.is_open(self.now)) else {
            return (Err(Error::HookFailed), changes);
        };
        // The same call, made twice at a time, asked twice: both answer with what was noted first.
        if let Some(noted) = &session.claims {
            return (Ok(noted.clone()), changes);
        }
        let mut session = session.clone();
        let outcome = match &self.told {
            Some(told) => {
                session.claims = Some(told.clone());
                Ok(told.clone())
            }
            None => {
                session.end(self.now, EndReason::HookFailed);
                Err(Error::HookFailed)
            }
        };
        changes.put(session);
        (outcome, changes)
    }
}
