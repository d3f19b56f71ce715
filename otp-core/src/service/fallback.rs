//! The turn of messages that waited for the code not to be said.

use super::Service;
use super::worker::Outcome;
use crate::challenge::Challenge;
use crate::command::{ChargeStep, Turn};
use crate::error::Error;
use crate::id::EventId;
use crate::message::{Content, Handover, Message, SendError};
use crate::store::{Key, Read};

impl Service {
    /// Those of the claimed messages that may leave, with what they cost counted. The others are settled.
    pub(super) async fn charged(&self, claimed: Vec<Message>) -> Result<Vec<Message>, Error> {
        let mut leaving = Vec::with_capacity(claimed.len());
        let mut settled = Vec::new();
        for message in claimed {
            match self.turn_of(&message).await? {
                Turn::Now(message) => leaving.push(*message),
                Turn::Never => settled.push(self.settled(message, Outcome::Pointless)),
                Turn::Lost => {}
                Turn::Refused(Error::ChannelGuard(guarded)) => {
                    let reason = format!("channel_guard: {}", guarded.guard.as_str());
                    let outcome = Err(SendError::Permanent { reason });
                    let untried = Handover { attempts: Vec::new(), outcome };
                    settled.push(self.settled(message, Outcome::Tried(untried)));
                }
                Turn::Refused(error) => return Err(error),
            }
        }
        if !settled.is_empty() {
            self.inner.store.settle(settled).await?;
        }
        Ok(leaving)
    }

    async fn turn_of(&self, message: &Message) -> Result<Turn, Error> {
        let Content::Passcode(code) = &message.content else { return Ok(Turn::Now(Box::new(message.clone()))) };
        if code.step.is_none_or(|step| step.charge.is_none()) {
            return Ok(Turn::Now(Box::new(message.clone())));
        }
        let key = Key::new::<Challenge>(message.space.tenant, code.challenge.as_bytes());
        let seen = self.inner.store.read(vec![Read::Record(key)]).await?;
        let Some(challenge) = seen.one::<Challenge>() else { return Ok(Turn::Never) };
        let context = self.tenant_context(message.space.tenant).await?.ok_or(Error::NotFound("customer"))?;
        let (now, bucket) = (self.now(), challenge.bucket);
        let event = EventId::new(now, self.random());
        self.run(ChargeStep { context, now, message: message.clone(), bucket, event }).await
    }
}
