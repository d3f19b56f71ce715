//! A tenant is told of what goes wrong.

use std::sync::Arc;

use super::EventSource;
use crate::alarm::Alarm;
use crate::call::RecentErrors;
use crate::clock::Timestamp;
use crate::id::EventId;
use crate::notice::{About, Stationery};
use crate::service::TenantContext;
use crate::store::{Changes, Command, Read, Reads, Scope, Snapshot};
use crate::tenant::{Mode, Space};

/// Raises those alarms of a space that were not raised lately; the outcome is how many. When each was is in the record of
/// the space, so that of several servers one raises it.
pub(crate) struct RaiseAlarms {
    pub context: Arc<TenantContext>,
    pub space: Space,
    pub now: Timestamp,
    /// Each with what its event and its mail are made with.
    pub alarms: Vec<(Alarm, EventId, Stationery)>,
}

impl Command for RaiseAlarms {
    type Outcome = usize;

    fn reads(&self) -> Reads {
        let recent = Read::Record(RecentErrors::key_of(self.space));
        Reads { scope: Scope::Tenant(self.space.tenant), wanted: vec![recent] }
    }

    fn decide(&self, seen: &Snapshot) -> (usize, Changes) {
        let mut recent = seen.one().cloned().unwrap_or_else(|| RecentErrors::none(self.space));
        let is_due = |(alarm, ..): &&(Alarm, EventId, Stationery)| !recent.rests(alarm.kind(), self.now);
        let due: Vec<_> = self.alarms.iter().filter(is_due).collect();
        if due.is_empty() {
            return (0, Changes::none());
        }
        let mut changes = Changes::none();
        for (alarm, event, stationery) in &due {
            recent.alarms.insert(alarm.kind(), self.now);
            self.tell(alarm, *event, stationery, &mut changes);
        }
        changes.put(recent);
        (due.len(), changes)
    }
}

impl RaiseAlarms {
    fn tell(&self, alarm: &Alarm, event: EventId, stationery: &Stationery, changes: &mut Changes) {
        if let Some(data) = alarm.event() {
            changes.put(EventSource { space: self.space, at: self.now, person: None }.event(event, data));
        }
        // Whoever tries things out is there to see what happens.
        if self.space.mode == Mode::Test {
            return;
        }
        let tenant = &self.context.tenant;
        // Without its master key nothing can be mailed, and the event is told all the same.
        if let Ok(contact) = tenant.contact(&self.context.keys) {
            let about = About { tenant: tenant.id, name: tenant.name.clone() };
            let envelope = stationery.envelope(self.context.installation.clone(), &contact);
            changes.put(envelope.around(&alarm.notice(about)));
        }
    }
}
