//! The turn of a message has come that waited for the code not to be said: whether it may leave, and what it counts.

use std::sync::Arc;

use super::guards::Guards;
use crate::challenge::{Challenge, ChallengeState};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::EventId;
use crate::message::{Charge, Content, Message, Step};
use crate::service::TenantContext;
use crate::store::{Changes, Command, Key, Read, Reads, Scope, Snapshot, Stored};
use crate::subject::BucketKey;

/// Counts a message before it leaves: a try after that counts nothing more.
pub(crate) struct ChargeStep {
    pub context: Arc<TenantContext>,
    pub now: Timestamp,
    /// As this worker has claimed it.
    pub message: Message,
    pub bucket: BucketKey,
    pub event: EventId,
}

/// Whether a message may leave.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It may; here it is, counted.
    Now(Box<Message>),
    /// The code was said meanwhile, or asked for again.
    Never,
    /// Somebody else has the message.
    Lost,
    /// A guard is against it.
    Refused(Error),
}

impl Command for ChargeStep {
    type Outcome = Turn;

    fn reads(&self) -> Reads {
        let mut wanted = vec![Read::Record(self.message.key())];
        if let Some((key, _, charge)) = self.waits() {
            wanted.push(Read::Record(key));
            wanted.extend(self.guards(charge).reads());
        }
        Reads { scope: Scope::Subject(self.message.space.tenant, self.bucket), wanted }
    }

    fn decide(&self, seen: &Snapshot) -> (Turn, Changes) {
        let Some((_, step, charge)) = self.waits() else {
            return (Turn::Now(Box::new(self.message.clone())), Changes::none());
        };
        if !seen.one::<Message>().is_some_and(|known| known.due == self.message.due) {
            return (Turn::Lost, Changes::none());
        }
        let is_turn = |challenge: &&Challenge| {
            matches!(challenge.state, ChallengeState::Live { .. }) && challenge.sends == step.round
        };
        let Some(challenge) = seen.one::<Challenge>().filter(is_turn) else { return (Turn::Never, Changes::none()) };
        let guards = self.guards(charge);
        if let Err(refused) = guards.admit(seen) {
            return (Turn::Refused(refused), guards.tell(seen, self.event));
        }
        let mut changes = Changes { adds: guards.adds(seen).into(), ..Changes::none() };
        changes.put(challenge.charged(charge));
        let mut message = self.message.clone();
        if let Content::Passcode(code) = &mut message.content {
            code.step = Some(Step { charge: None, ..step });
        }
        changes.put(message.clone());
        (Turn::Now(Box::new(message)), changes)
    }
}

impl ChargeStep {
    /// The challenge, the step and what it counts against, if it has not been counted.
    fn waits(&self) -> Option<(Key, Step, Charge)> {
        let Content::Passcode(code) = &self.message.content else { return None };
        let step = code.step?;
        let key = Key::new::<Challenge>(self.message.space.tenant, code.challenge.as_bytes());
        Some((key, step, step.charge?))
    }

    fn guards(&self, charge: Charge) -> Guards<'_> {
        Guards { settings: &self.context.tenant.settings, space: self.message.space, now: self.now, charge }
    }
}
