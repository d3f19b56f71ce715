//! The messages that carry a code: the first, which leaves at once, and those for the case that nobody says the code.

use std::time::Duration;

use super::request_otp::RequestOtp;
use crate::challenge::Challenge;
use crate::id::MessageId;
use crate::message::{Channel, Charge, CodeOf, Content, Message, MessageState, Step};
use crate::secret::Sealed;
use crate::service::Deliver;
use crate::store::Due;
use crate::tenant::Mode;

/// A message for the case that those before did not bring the code back.
pub(crate) struct Fallback {
    /// How long after the first.
    pub after: Duration,
    pub channel: Channel,
    pub address: Sealed,
    pub charge: Option<Charge>,
    pub message: MessageId,
}

impl RequestOtp {
    /// The message, leased to this process from birth: its worker gets it in memory, and if the process dies, the lease
    /// ends and another claims it.
    pub(super) fn message_for(&self, challenge: &Challenge) -> Option<Message> {
        if self.deliver == Deliver::Caller {
            return None;
        }
        let due = Due { at: Some(self.lease.until), lease: Some(self.lease.id) };
        Some(self.message_by(challenge, self.message, self.channel, &self.address, due, None))
    }

    /// Those that are due before the code dies.
    pub(super) fn later_messages(&self, challenge: &Challenge) -> Vec<Message> {
        let in_time = self.fallback.iter().filter(|step| self.now + step.after < challenge.expires_at);
        let message = |step: &Fallback| {
            let due = Due { at: Some(self.now + step.after), lease: None };
            let turn = Step { round: challenge.sends, charge: step.charge };
            self.message_by(challenge, step.message, step.channel, &step.address, due, Some(turn))
        };
        in_time.map(message).collect()
    }

    fn message_by(
        &self,
        challenge: &Challenge,
        id: MessageId,
        channel: Channel,
        address: &Sealed,
        due: Due,
        step: Option<Step>,
    ) -> Message {
        let (state, due) = match self.space.mode {
            Mode::Live => (MessageState::Queued, due),
            Mode::Test => (MessageState::Held, Due::default()),
        };
        Message {
            id,
            space: self.space,
            content: Content::Passcode(CodeOf {
                challenge: challenge.id,
                purpose: challenge.purpose.clone(),
                locale: self.locale.clone(),
                context: challenge.context,
                context_text: self.approves_text.clone(),
                kid: challenge.kid,
                format: challenge.format,
                step,
            }),
            subject: self.subject,
            channel,
            address: address.clone(),
            client: self.client.clone(),
            pointless_at: challenge.expires_at,
            created_at: self.now,
            tries: 0,
            last_error: None,
            attempts: Vec::new(),
            days: self.context.tenant.settings.privacy.message_days,
            state,
            due,
        }
    }
}
