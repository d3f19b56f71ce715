//! A command whose lines of the audit trail take their place in the chain.

use std::time::Duration;

use crate::audit::{AuditHead, chain};
use crate::error::Error;
use crate::secret::TenantKeys;
use crate::store::{Changes, Command, Read, Reads, Record, Snapshot};

pub(crate) struct Chained<C> {
    pub command: C,
    /// The keys of the tenant, if the command [is recorded](Command::is_recorded).
    pub keys: Option<TenantKeys>,
    /// For how long its lines are kept.
    pub kept_for: Duration,
}

impl<C: Command> Command for Chained<C> {
    type Outcome = Result<C::Outcome, Error>;

    fn reads(&self) -> Reads {
        let mut reads = self.command.reads();
        if let Some(keys) = &self.keys {
            reads.wanted.push(Read::Record(AuditHead::key_of(&self.command.recorded_in(), keys)));
        }
        reads
    }

    fn decide(&self, seen: &Snapshot) -> (Self::Outcome, Changes) {
        let (outcome, mut changes) = self.command.decide(seen);
        let Some(keys) = &self.keys else {
            let is_line = |record: &Record| matches!(record, Record::Audit(_));
            debug_assert!(!changes.puts.iter().any(is_line), "a command that writes the trail has to say so");
            return (Ok(outcome), changes);
        };
        match chain::link(&self.command.recorded_in(), keys, self.kept_for, seen, &mut changes) {
            Ok(()) => (Ok(outcome), changes),
            Err(error) => (Err(error.into()), Changes::none()),
        }
    }
}
