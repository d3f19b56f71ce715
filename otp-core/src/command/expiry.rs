//! A tenant is told of keys that end.

use super::keys::key_event;
use crate::api_key::ApiKey;
use crate::clock::Timestamp;
use crate::event::EventData;
use crate::id::{EventId, KeyId, TenantId};
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot};

/// Tells of those of these keys that end soon and were not told of; the outcome is how many. That they were is in their
/// records: of several servers one tells.
pub(crate) struct WarnOfKeys {
    pub tenant: TenantId,
    /// Each with the id that its event gets.
    pub keys: Vec<(KeyId, EventId)>,
    pub now: Timestamp,
}

impl Command for WarnOfKeys {
    type Outcome = usize;

    fn reads(&self) -> Reads {
        let read = |(key, _): &(KeyId, EventId)| Read::Record(Key::new::<ApiKey>(self.tenant, key.as_bytes()));
        Reads { scope: Scope::Tenant(self.tenant), wanted: self.keys.iter().map(read).collect() }
    }

    fn decide(&self, seen: &Snapshot) -> (usize, Changes) {
        // What servers cached of the keys stays true: the mark is of no use to them.
        let (mut changes, mut told) = (Changes::none(), 0);
        for key in seen.all::<ApiKey>().filter(|key| key.is_expiring(self.now)) {
            let event = self.keys.iter().find(|(id, _)| *id == key.id).map(|(_, event)| *event);
            let (Some(event), Some(expires_at)) = (event, key.ends_at()) else { continue };
            let data = EventData::ApiKeyExpiring {
                key_id: key.id,
                key_type: key.key_type,
                mode: key.mode,
                name: key.name.clone(),
                expires_at,
            };
            changes.put(key_event(event, key, self.now, data));
            changes.put(ApiKey { end_is_known: true, ..key.clone() });
            told += 1;
        }
        (told, changes)
    }
}
