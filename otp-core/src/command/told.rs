//! A command whose events are sent to the endpoints that want to hear of them: they are put into the outbox by its commit.

use std::sync::Arc;

use crate::store::{Changes, Command, Reads, Scope, Snapshot};
use crate::webhook::Subscribers;

pub(crate) struct Told<C> {
    pub command: C,
    /// Those of the tenant that it is about.
    pub subscribers: Arc<Subscribers>,
}

impl<C: Command> Command for Told<C> {
    /// With whether there is something to send.
    type Outcome = (C::Outcome, bool);

    fn reads(&self) -> Reads {
        self.command.reads()
    }

    fn is_recorded(&self) -> bool {
        self.command.is_recorded()
    }

    fn recorded_in(&self) -> Scope {
        self.command.recorded_in()
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let (outcome, mut changes) = self.command.decide(seen);
        let is_any = self.subscribers.address(&mut changes);
        ((outcome, is_any), changes)
    }
}
