//! The time is noted, so that a server that starts with its clock set back does not revive what has expired.

use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::store::{Add, Changes, Command, Read, Reads, Scope, Snapshot};
use crate::usage::CounterKey;

/// Notes that it is at least `now`.
pub(crate) struct NoteTime {
    pub now: Timestamp,
}

impl Command for NoteTime {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let installation = Scope::Tenant(TenantId::INSTALLATION);
        Reads { scope: installation, wanted: vec![Read::Counter(CounterKey::LATEST_TIME)] }
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        let now = u64::try_from(self.now.as_millis()).unwrap_or(0);
        let by = now.saturating_sub(seen.counter(&CounterKey::LATEST_TIME));
        let mut changes = Changes::none();
        if by > 0 {
            // Of two servers that note at once, the guard makes the later one look again.
            changes.adds.push(Add { counter: CounterKey::LATEST_TIME, by, at_most: Some(now) });
        }
        ((), changes)
    }
}
