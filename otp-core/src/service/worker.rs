//! The work behind the requests: messages are sent, what has expired is swept away.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::caller::{SealedClient, place};
use super::hooks::Unsent;
use super::outbox::{OutboxState, Parcel};
use super::{Service, lock};
use crate::clock::Timestamp;
use crate::command::NoteTime;
use crate::error::Error;
use crate::hook::BeforeSend;
use crate::message::{
    Attempt, Channel, CodeOf, Content, Handover, Message, MessageState, Outgoing, Receipt, SendError,
};
use crate::store::{Add, Changes, Due, FromRecord, Kind, Lease, Settled};
use crate::template::{MessageContext, Rendered};
use crate::usage::{Counter, CounterKey, ErrorCategory, Route, Span};

/// A sweep of many rounds notes the time once.
const NOTE_TIME_EVERY: Duration = Duration::from_secs(10);

/// How long a worker has for a message before another may take it: twice what a mailer needs at most.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// Messages sent at the same time by one call.
const CONCURRENT: usize = 16;
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// What a round of sending came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Messages a provider took.
    pub sent: usize,
    /// Messages to be tried again.
    pub retried: usize,
    /// Messages given up.
    pub failed: usize,
    /// Messages that a hook did not let leave.
    pub vetoed: usize,
}

impl AddAssign for Delivered {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.retried += other.retried;
        self.failed += other.failed;
        self.vetoed += other.vetoed;
    }
}

/// What became of a message, to be written down.
pub struct Sent(Option<Settled>);

impl Service {
    pub(super) fn enqueue(&self, message: Message) {
        lock(&self.inner.outbox).push(message);
        (self.inner.on_queued)();
    }

    /// Sends up to `limit` messages that this process holds the lease of, tenants in turn. Touches the store only to write
    /// down what became of them.
    ///
    /// # Errors
    /// [`Error::Store`]; unsettled messages are sent again when their lease has ended.
    pub async fn deliver_fresh(&self, limit: usize) -> Result<Delivered, Error> {
        // Each is taken when there is room for it, so that no place is held by one that waits.
        let parcels = stream::iter(std::iter::from_fn(|| self.next_parcel()).take(limit));
        let sent: Vec<Sent> = parcels.map(|parcel| self.send(parcel)).buffer_unordered(CONCURRENT).collect().await;
        self.settle(sent).await
    }

    /// Sends up to `limit` messages of those this process queued, then up to as many of those to be tried again or left
    /// behind by a process that died.
    ///
    /// # Errors
    /// As [`deliver_fresh`](Self::deliver_fresh).
    pub async fn deliver_pending(&self, limit: usize) -> Result<Delivered, Error> {
        let mut delivered = self.deliver_fresh(limit).await?;
        self.fetch_due(limit).await?;
        delivered += self.deliver_fresh(limit).await?;
        Ok(delivered)
    }

    /// The message whose turn it is, for a program that sends each as a task of its own: [`send`](Self::send), then
    /// [`settle`](Self::settle). `None` when none waits, or when as many are on their way as may be, until one of them ends.
    pub fn next_parcel(&self) -> Option<Parcel> {
        Parcel::next(&self.inner)
    }

    /// Hands a message to the mailer.
    pub async fn send(&self, mut parcel: Parcel) -> Sent {
        let Some(message) = parcel.message.take() else { return Sent(None) };
        if !self.is_in_time(&message) {
            return Sent(None);
        }
        let outcome = self.hand_over(&message).await;
        Sent(outcome.map(|outcome| self.settled(message, outcome)))
    }

    /// Half of the lease is kept for the sending itself. A message that had to wait longer is left to whoever claims it next,
    /// who may be doing so already.
    fn is_in_time(&self, message: &Message) -> bool {
        message.due.at.is_some_and(|until| self.now() + LEASE / 2 < until)
    }

    /// Writes down what became of messages, in one commit.
    ///
    /// # Errors
    /// As [`deliver_fresh`](Self::deliver_fresh).
    pub async fn settle(&self, sent: Vec<Sent>) -> Result<Delivered, Error> {
        let mut settled: Vec<Settled> = sent.into_iter().filter_map(|Sent(settled)| settled).collect();
        let mut delivered = Delivered::default();
        for message in settled.iter().filter_map(|settled| Message::of(&settled.record)) {
            match message.state {
                MessageState::Sent { .. } => delivered.sent += 1,
                MessageState::Queued => delivered.retried += 1,
                MessageState::Vetoed { .. } => delivered.vetoed += 1,
                _ => delivered.failed += 1,
            }
        }
        if !settled.is_empty() {
            self.tell(&mut settled).await?;
            self.note_settled(&settled);
            self.inner.store.settle(settled).await?;
        }
        Ok(delivered)
    }

    pub(super) fn note_settled(&self, settled: &[Settled]) {
        let mut outbox = lock(&self.inner.outbox);
        settled
            .iter()
            .filter_map(|settled| Message::of(&settled.record))
            .for_each(|message| outbox.settled(message, LEASE));
    }

    /// Claims up to `limit` messages that are due, to be tried again or left behind by a process that died, and queues them.
    /// Gives how many were claimed.
    ///
    /// # Errors
    /// As [`deliver_fresh`](Self::deliver_fresh).
    pub async fn fetch_due(&self, limit: usize) -> Result<usize, Error> {
        let lease = Lease { id: self.random().bytes(), now: self.now(), until: self.now() + LEASE };
        let claimed = self.inner.store.claim(Kind::Message, lease, limit).await?;
        let claimed: Vec<Message> = claimed.into_iter().filter_map(Message::take).collect();
        let count = claimed.len();
        let leaving = self.leaving(claimed).await?;
        let mut outbox = lock(&self.inner.outbox);
        leaving.into_iter().for_each(|message| outbox.push(message));
        Ok(count)
    }

    /// How the sending stands.
    pub fn outbox(&self) -> OutboxState {
        lock(&self.inner.outbox).state(self.now())
    }

    async fn hand_over(&self, message: &Message) -> Option<Outcome> {
        let later = |reason: String| {
            let error = SendError::Temporary { reason, retry_after: None };
            Some(Outcome::Tried(Handover::once(self.now(), Err(error))))
        };
        let outgoing = match self.render(message).await {
            Ok(outgoing) => outgoing,
            Err(Unsent::Unreadable(error)) => {
                tracing::error!(message = %message.id, %error, "a message cannot be rendered");
                return later(error.code().to_owned());
            }
            Err(Unsent::Vetoed(reason)) => return Some(Outcome::Vetoed(reason)),
            Err(Unsent::Waits(failure)) => return later(format!("the before-send hook: {failure}")),
        };
        // A hook may have taken its time.
        if !self.is_in_time(message) {
            return None;
        }
        let tried = self.inner.mailer.hand_over(&outgoing, self.now()).await;
        if let Err(error) = &tried.outcome {
            tracing::warn!(message = %message.id, tries = message.tries + 1, %error, "a message was not taken");
        }
        Some(Outcome::Tried(tried))
    }

    async fn render(&self, message: &Message) -> Result<Outgoing, Unsent> {
        match &message.content {
            Content::Passcode(code) => self.code_message(message, code).await,
            Content::Notice { notice } => Ok(self.notice_message(message, notice)?),
        }
    }

    async fn code_message(&self, message: &Message, carried: &CodeOf) -> Result<Outgoing, Unsent> {
        let tenant = self.tenant_context(message.space.tenant).await?.ok_or(Error::NotFound("customer"))?;
        let keys = &tenant.keys;
        let open = |what: &[u8], sealed| keys.open_text(&place(what, &message.subject), sealed);
        let to = open(b"address", &message.address)?;
        let approving = carried.context_text.as_ref().map(|sealed| open(b"context", sealed)).transpose()?;
        let client = SealedClient::open(keys, &message.subject, message.client.as_ref())?;
        let code = carried.derivation(message.space, &message.subject).code(keys).ok_or(crate::secret::CannotOpen)?;
        let audience = tenant.audience(&carried.purpose, carried.locale.as_ref());
        let about = BeforeSend {
            message: message.id,
            space: message.space,
            channel: message.channel,
            to: &to,
            purpose: &carried.purpose,
            locale: carried.locale.as_ref(),
            context: approving.as_deref(),
        };
        let worded = self.worded(&tenant, &about).await?;
        let templates = worded.as_ref().unwrap_or(&tenant.templates);
        // Of a message that waited for its turn, the code has not so long to live any more.
        let written_at = if carried.step.is_some() { self.now() } else { message.created_at };
        let context = MessageContext {
            expires_in_minutes: message.pointless_at.since(written_at).as_secs().div_ceil(60) as u32,
            context: approving,
            request_ip: client.ip.map(|ip| ip.to_string()),
            ..tenant.message(&audience, code.clone(), &to, message.created_at)
        };
        let (subject, text, html) = match message.channel {
            Channel::Email => {
                let Rendered { subject, html, text } = templates.mail(&context, &audience)?;
                (subject, text, Some(html))
            }
            Channel::Sms | Channel::Whatsapp => (String::new(), templates.sms(&context, &audience)?, None),
        };
        let email = &tenant.tenant.settings.email;
        Ok(Outgoing {
            id: message.id,
            tenant: message.space.tenant,
            channel: message.channel,
            to,
            from_name: Some(email.from_name.clone().unwrap_or(context.app_name)),
            providers: Arc::clone(&tenant.providers),
            from_email: tenant.sender(self.now()).map(|address| address.display().to_owned()),
            reply_to: email.reply_to.clone(),
            subject,
            text,
            html,
            code: Some(code),
            expires_at: message.pointless_at,
        })
    }

    /// The message as it stands after a try, and what is written with it.
    pub(super) fn settled(&self, mut message: Message, outcome: Outcome) -> Settled {
        let now = self.now();
        let lease = message.due.lease.unwrap_or_default();
        let mut also = Changes::none();
        message.due = Due::default();
        let tried = match outcome {
            Outcome::Tried(Handover { attempts, outcome }) => {
                message.tries += u32::from(!attempts.is_empty());
                Attempt::note(&mut message.attempts, attempts);
                outcome
            }
            Outcome::Vetoed(reason) => {
                self.vetoed(&mut message, &mut also, reason);
                return Settled { record: message.into(), lease, also };
            }
            Outcome::Pointless => {
                message.state = MessageState::Expired { at: now };
                return Settled { record: message.into(), lease, also };
            }
        };
        match tried {
            Ok(Receipt { provider_id, segments, .. }) => {
                message.state = MessageState::Sent { at: now, provider_id, segments };
                let sent = match message.channel {
                    Channel::Email => Counter::EmailsSent,
                    Channel::Sms => Counter::SmsSent,
                    Channel::Whatsapp => Counter::WhatsappSent,
                };
                // A notice is no tenant's use.
                if !is_notice(&message) {
                    also.adds.push(Add::one(CounterKey::at(message.space, sent, Span::Hour, now)));
                }
            }
            Err(error) => self.refused(&mut message, &mut also, error, now),
        }
        Settled { record: message.into(), lease, also }
    }

    fn refused(&self, message: &mut Message, also: &mut Changes, error: SendError, now: Timestamp) {
        let backoff = Duration::from_secs(1 << message.tries.min(6)).min(LONGEST_BACKOFF);
        if let SendError::Recipient { suppress, .. } = &error
            && !is_notice(message)
        {
            match self.address_of(message) {
                Ok(address) => also.put(self.suppression_by(message, &address, *suppress, None)),
                Err(error) => tracing::error!(message = %message.id, %error, "a recipient cannot be suppressed"),
            }
        }
        let (reason, again_at) = match error {
            SendError::Permanent { reason } | SendError::Recipient { reason, .. } => (reason, None),
            SendError::Temporary { reason, retry_after } => (reason, Some(now + retry_after.unwrap_or(backoff))),
            SendError::Unusable { reason } => (reason, Some(now + backoff)),
        };
        message.last_error = Some(reason.clone());
        match again_at.filter(|again| *again < message.pointless_at) {
            Some(again) => message.due = Due { at: Some(again), lease: None },
            None => {
                message.state = MessageState::Failed { at: now, reason: reason.clone() };
                if is_notice(message) {
                    return; // the log tells of it: it is no tenant's message, so it is no tenant's event
                }
                let category = ErrorCategory::EmailDelivery;
                for failed in [Counter::MessagesFailed(message.channel), Counter::Errors(category, delivery())] {
                    also.adds.push(Add::one(CounterKey::at(message.space, failed, Span::Hour, now)));
                }
                self.note_error(message.space, category, "message_failed", delivery());
                self.note_trouble(message.space);
                also.put(self.message_failed(message, reason, now));
            }
        }
    }

    /// Removes up to `limit` records that have expired; gives how many. Call it until it gives less than `limit`, every
    /// minute or so: it also notes the time, for whoever starts with a clock that is behind.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sweep(&self, limit: usize) -> Result<usize, Error> {
        let now = self.now();
        if now >= self.inner.caches.noted_time() + NOTE_TIME_EVERY {
            self.run(NoteTime { now }).await?;
            self.inner.caches.note_time(now);
        }
        Ok(self.inner.store.sweep(self.now(), limit).await?)
    }
}

/// Where messages that fail are told of, among the routes.
fn delivery() -> Route {
    Route::named("delivery")
}

fn is_notice(message: &Message) -> bool {
    matches!(message.content, Content::Notice { .. })
}

pub(super) enum Outcome {
    Tried(Handover),
    Vetoed(String),
    Pointless,
}
