//! An event that happens again and again is told once in its window.

use crate::event::Event;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot, Stored};

/// Tells of an event whose id is the same for all that happens in the window, unless it has been told.
pub(crate) struct TellOnce(pub Event);

impl TellOnce {
    /// Where it is, once it has been told.
    pub fn key(&self) -> Key {
        self.0.key()
    }
}

impl Command for TellOnce {
    type Outcome = ();

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.0.space.tenant), wanted: vec![Read::Record(self.key())] }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = Changes::none();
        if seen.one::<Event>().is_none() {
            changes.create(self.0.clone());
        }
        ((), changes)
    }
}
