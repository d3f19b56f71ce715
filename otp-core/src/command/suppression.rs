//! Recipients are put on the list of those that nothing is sent to, and taken off it.

use serde_json::json;

use super::Trail;
use crate::audit::Action;
use crate::store::{Changes, Command, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::{BucketKey, SubjectKey};
use crate::suppression::{Suppression, SuppressionReason};
use crate::tenant::Space;

/// The trail names nobody: its lines outlive the recipient's erasure.
const TARGET: &str = "suppression";

/// Puts a recipient on the list of those that nothing is sent to.
pub(crate) struct Suppress {
    pub bucket: BucketKey,
    pub suppression: Suppression,
    /// Of whoever does it for the tenant; without one it is the recipient, who does not undo what is there already.
    pub trail: Option<Trail>,
}

impl Command for Suppress {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let Suppression { space, subject, .. } = &self.suppression;
        let wanted = vec![Read::Record(Suppression::key_of(*space, subject))];
        Reads { scope: Scope::Subject(space.tenant, self.bucket), wanted }
    }

    fn is_recorded(&self) -> bool {
        self.trail.is_some()
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        if self.trail.is_none() && seen.one::<Suppression>().is_some_and(Suppression::is_lasting) {
            return ((), Changes::none());
        }
        let mut changes = Changes::none();
        if let Some(trail) = &self.trail {
            let data = json!({"reason": self.suppression.reason});
            changes.put(trail.line(self.suppression.space.tenant, Action::SuppressionAdded, TARGET, data));
        }
        changes.put(self.suppression.clone());
        ((), changes)
    }
}

/// Takes a recipient off the list.
pub(crate) struct Unsuppress {
    pub space: Space,
    pub subject: SubjectKey,
    pub bucket: BucketKey,
    /// Of whoever does it for the tenant; without one it is the recipient, who takes back a STOP and nothing else.
    pub trail: Option<Trail>,
}

impl Command for Unsuppress {
    type Outcome = bool;

    fn reads(&self) -> Reads {
        let wanted = vec![Read::Record(Suppression::key_of(self.space, &self.subject))];
        Reads { scope: Scope::Subject(self.space.tenant, self.bucket), wanted }
    }

    fn is_recorded(&self) -> bool {
        self.trail.is_some()
    }

    fn decide(&self, seen: &Snapshot) -> (bool, Changes) {
        let may_go = |found: &&Suppression| self.trail.is_some() || found.reason == SuppressionReason::Stop;
        let Some(found) = seen.one::<Suppression>().filter(may_go) else { return (false, Changes::none()) };
        let mut changes = Changes { deletes: vec![found.key()], ..Changes::none() };
        if let Some(trail) = &self.trail {
            let data = json!({"reason": found.reason});
            changes.put(trail.line(self.space.tenant, Action::SuppressionRemoved, TARGET, data));
        }
        (true, changes)
    }
}
