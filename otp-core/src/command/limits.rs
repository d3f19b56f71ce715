//! A tenant is told that a limit was reached.

use super::EventSource;
use crate::clock::Timestamp;
use crate::event::{Event, EventData, Person};
use crate::id::EventId;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot};
use crate::tenant::Space;

/// Tells of a limit, once in its window.
pub(crate) struct TellLimit {
    pub space: Space,
    /// The same for the same limit and window.
    pub event: EventId,
    pub at: Timestamp,
    /// Whoever asked when it was reached.
    pub person: Person,
    pub data: EventData,
}

impl Command for TellLimit {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let key = Key::new::<Event>(self.space.tenant, self.event.as_bytes());
        Reads { scope: Scope::Tenant(self.space.tenant), wanted: vec![Read::Record(key)] }
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let mut changes = Changes::none();
        if seen.one::<Event>().is_none() {
            let source = EventSource { space: self.space, at: self.at, person: Some(&self.person) };
            changes.create(source.event(self.event, self.data.clone()));
        }
        ((), changes)
    }
}
