//! Messages whose turn has come, after a while: whether each is still of use, and what it counts.

use super::Service;
use super::worker::Outcome;
use crate::challenge::{Challenge, ChallengeState};
use crate::clock::Timestamp;
use crate::command::{ChargeStep, Turn};
use crate::error::Error;
use crate::id::EventId;
use crate::message::{CodeOf, Content, Handover, Message, SendError};
use crate::notice::NoticeKind;
use crate::signup::Signup;
use crate::store::{Key, Read, Snapshot};
use crate::subject::SubjectKey;
use crate::suppression::Suppression;

impl Service {
    /// Those of the claimed messages that may leave, with what they cost counted. The others are settled: their code was said
    /// or has died meanwhile, nothing is to be sent to their recipient any more, or a guard is against them.
    pub(super) async fn leaving(&self, claimed: Vec<Message>) -> Result<Vec<Message>, Error> {
        let relied_on = claimed.iter().flat_map(|message| self.relies_on(message)).map(Read::Record).collect();
        let seen = self.inner.store.read(relied_on).await?;
        let mut leaving = Vec::with_capacity(claimed.len());
        let mut settled = Vec::new();
        for message in claimed {
            match self.turn_of(&message, &seen).await? {
                Turn::Now(message) => leaving.push(*message),
                Turn::Never => settled.push(self.settled(message, Outcome::Pointless)),
                Turn::Lost => {}
                Turn::Refused(error) => {
                    let reason = match error {
                        Error::ChannelGuard(guarded) => format!("channel_guard: {}", guarded.guard.as_str()),
                        Error::RecipientSuppressed(Some(reason)) => {
                            format!("recipient_suppressed: {}", reason.as_str())
                        }
                        error => return Err(error),
                    };
                    let untried = Handover { attempts: Vec::new(), outcome: Err(SendError::Permanent { reason }) };
                    settled.push(self.settled(message, Outcome::Tried(untried)));
                }
            }
        }
        if !settled.is_empty() {
            self.note_settled(&settled);
            self.inner.store.settle(settled).await?;
        }
        Ok(leaving)
    }

    async fn turn_of(&self, message: &Message, seen: &Snapshot) -> Result<Turn, Error> {
        let now = self.now();
        if now >= message.pointless_at {
            return Ok(Turn::Never);
        }
        let code = match &message.content {
            Content::Passcode(code) => code,
            Content::Notice { .. } if is_awaited(message, seen, now) => return Ok(Turn::Now(message.clone().into())),
            Content::Notice { .. } => return Ok(Turn::Never),
        };
        let Some(challenge) = open_challenge(code, seen) else { return Ok(Turn::Never) };
        if let Some(suppression) = self.suppression_of_message(message, seen).filter(|found| found.holds(now)) {
            return Ok(Turn::Refused(Error::RecipientSuppressed(Some(suppression.reason))));
        }
        if code.step.is_none_or(|step| step.charge.is_none()) {
            return Ok(Turn::Now(message.clone().into()));
        }
        let context = self.tenant_context(message.space.tenant).await?.ok_or(Error::NotFound("customer"))?;
        let (bucket, event) = (challenge.bucket, EventId::new(now, self.random()));
        self.run(ChargeStep { context, now, message: message.clone(), bucket, event }).await
    }

    /// What has to be open still for a message to be of use, and what is against it.
    fn relies_on(&self, message: &Message) -> Vec<Key> {
        match &message.content {
            Content::Passcode(code) => {
                let challenge = Key::new::<Challenge>(message.space.tenant, code.challenge.as_bytes());
                let suppression = self.recipient(message).map(|key| Suppression::key_of(message.space, &key));
                [challenge].into_iter().chain(suppression).collect()
            }
            Content::Notice { notice } if notice.kind == NoticeKind::SignupVerification => {
                vec![Signup::key_of(&message.subject)]
            }
            Content::Notice { .. } => Vec::new(),
        }
    }

    fn suppression_of_message<'a>(&self, message: &Message, seen: &'a Snapshot) -> Option<&'a Suppression> {
        let recipient = self.recipient(message)?;
        seen.all::<Suppression>().find(|found| found.space == message.space && found.subject == recipient)
    }

    /// Whom a message goes to, who need not be the subject of its code. An address that cannot be opened fails when the
    /// message is written.
    fn recipient(&self, message: &Message) -> Option<SubjectKey> {
        let (space, address) = (message.space, self.address_of(message).ok()?);
        Some(SubjectKey::of(&self.tenant_keys(space.tenant), space.mode.byte(), &address))
    }
}

/// The challenge of a code that can still be said; of a step, unless the code was asked for again since.
fn open_challenge<'a>(code: &CodeOf, seen: &'a Snapshot) -> Option<&'a Challenge> {
    let challenge = seen.all::<Challenge>().find(|challenge| challenge.id == code.challenge)?;
    let is_its_turn = code.step.is_none_or(|step| step.round == challenge.sends);
    (is_its_turn && matches!(challenge.state, ChallengeState::Live { .. })).then_some(challenge)
}

fn is_awaited(message: &Message, seen: &Snapshot, now: Timestamp) -> bool {
    match &message.content {
        Content::Notice { notice } if notice.kind == NoticeKind::SignupVerification => {
            let signup = seen.all::<Signup>().find(|signup| signup.subject == message.subject);
            // One that began later has a link and a code of its own.
            signup.is_some_and(|signup| signup.is_open(now) && signup.created_at <= message.created_at)
        }
        _ => true,
    }
}
