//! Messages as their tenant sees them: what was sent to whom, and what became of it.

use std::sync::Arc;

use super::caller::place;
use super::context::TenantContext;
use super::otp::identify;
use super::{Caller, Page, Service, cursor};
use crate::clock::Timestamp;
use crate::delivery::{DeliveryStatus, MessageReport, MessageStatus};
use crate::error::Error;
use crate::event::{Event, EventData};
use crate::id::MessageId;
use crate::message::{Attempt, AttemptOutcome, Channel, Content, Message, MessageState};
use crate::secret::TenantKeys;
use crate::store::{FromRecord, Key, Kind, Read, SmallBytes};
use crate::subject::Address;

/// Entries looked at by one read.
const CHUNK: usize = 200;
/// Reads of one call: a filter that fits nothing does not look through everything.
const READS: usize = 5;

/// Which messages are wanted.
#[derive(Clone, Debug, Default)]
pub struct MessageQuery {
    /// To whom. They are found by the events about them, which are kept as long.
    pub recipient: Option<Address>,
    /// How they stand.
    pub status: Option<MessageStatus>,
    /// How they travel.
    pub channel: Option<Channel>,
    /// Queued at this time or later.
    pub from: Option<Timestamp>,
    /// Queued before this time.
    pub to: Option<Timestamp>,
}

/// A message, as the tenant sees it.
#[derive(Clone, Debug)]
pub struct MessageView {
    /// Identifier.
    pub id: MessageId,
    /// How it travels.
    pub channel: Channel,
    /// Whom to.
    pub recipient: String,
    /// What the code in it is for.
    pub purpose: Option<String>,
    /// How it stands.
    pub status: MessageStatus,
    /// Who told what became of it, or else who took it, where that is known.
    pub provider: Option<String>,
    /// The provider's id of it.
    pub provider_id: Option<String>,
    /// Tries so far.
    pub tries: u32,
    /// The tries themselves, as far as they are remembered.
    pub attempts: Vec<Attempt>,
    /// What the provider said last, of a message that did not arrive or not at once.
    pub last_error: Option<String>,
    /// The parts of a text message, where the provider counted them.
    pub segments: Option<u32>,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When a provider took it.
    pub sent_at: Option<Timestamp>,
    /// When it is known to have arrived.
    pub delivered_at: Option<Timestamp>,
    /// When it is known not to arrive, or to be unwanted.
    pub failed_at: Option<Timestamp>,
}

impl MessageView {
    fn of(message: &Message, report: Option<&MessageReport>, keys: &TenantKeys) -> Result<Self, Error> {
        let (sent_at, provider_id, segments) = match &message.state {
            MessageState::Sent { at, provider_id, segments } => (Some(*at), provider_id.clone(), *segments),
            _ => (None, None, None),
        };
        let given_up = match &message.state {
            MessageState::Failed { at, .. } | MessageState::Vetoed { at, .. } | MessageState::Expired { at } => {
                Some(*at)
            }
            _ => None,
        };
        let took = |attempt: &&Attempt| attempt.outcome == AttemptOutcome::Taken;
        let taken_by = || message.attempts.iter().rev().find(took)?.provider.clone();
        let told_at = report.map(|report| (report.at, report.status));
        let failed_at = told_at.map(|(at, status)| (status != DeliveryStatus::Delivered).then_some(at));
        Ok(Self {
            id: message.id,
            channel: message.channel,
            recipient: keys.open_text(&place(b"address", &message.subject), &message.address)?,
            purpose: match &message.content {
                Content::Passcode(code) => Some(code.purpose.clone()),
                Content::Notice { .. } => None,
            },
            status: MessageStatus::of(message, report),
            provider: report.map(|report| report.provider.clone()).or_else(taken_by),
            provider_id: report.and_then(|report| report.provider_id.clone()).or(provider_id),
            tries: message.tries,
            attempts: message.attempts.clone(),
            last_error: report.and_then(|report| report.reason.clone()).or_else(|| message.last_error.clone()),
            segments,
            created_at: message.created_at,
            sent_at,
            delivered_at: report.and_then(|report| report.delivered_at),
            failed_at: failed_at.unwrap_or(given_up),
        })
    }
}

/// Where messages are looked for: an owner's list, and a place in it for each.
struct Source {
    owner: SmallBytes,
    /// The events of somebody, which name their messages; without it the messages themselves.
    by_events: bool,
}

impl Service {
    /// The caller's messages, newest first. A page can have fewer entries than were asked for, or none, and another behind
    /// it: a call looks at a thousand. It has all messages of a request that asked for several, also where the last of them
    /// are more than were asked for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a cursor that was not given out for this list, [`Error::SecretKeyRequired`],
    /// [`Error::Store`].
    pub async fn messages(
        &self,
        caller: &Caller,
        query: &MessageQuery,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<MessageView>, Error> {
        let context = self.managed(caller).await?;
        let source = match &query.recipient {
            Some(recipient) => Source { owner: identify(caller, recipient).0.as_bytes().into(), by_events: true },
            None => Source { owner: caller.space.owner(), by_events: false },
        };
        let mut place = cursor::read::<MessageId>(&context.keys, &source.owner, cursor)?;
        place = place.or_else(|| query.to.map(MessageId::first_at));
        let mut items = Vec::new();
        for _ in 0..READS {
            let entries = self.entries(caller, &source, place).await?;
            let is_last = entries.len() < CHUNK;
            for (entry, messages) in entries {
                place = Some(entry);
                if query.from.is_some_and(|from| messages.iter().any(|(message, _)| message.created_at < from)) {
                    return Ok(Page { items, next: None });
                }
                for (message, report) in messages {
                    if query.fits(&message, report.as_ref()) {
                        items.push(MessageView::of(&message, report.as_ref(), &context.keys)?);
                    }
                }
                if items.len() >= limit {
                    let next = cursor::behind(&context.keys, &source.owner, entry);
                    return Ok(Page { items, next: Some(next) });
                }
            }
            if is_last {
                return Ok(Page { items, next: None });
            }
        }
        let next = place.map(|place| cursor::behind(&context.keys, &source.owner, place));
        Ok(Page { items, next })
    }

    /// One of the caller's messages.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for messages of other tenants and of the other mode; [`Error::SecretKeyRequired`],
    /// [`Error::Store`].
    pub async fn message(&self, caller: &Caller, id: MessageId) -> Result<MessageView, Error> {
        let context: Arc<TenantContext> = self.managed(caller).await?;
        let found = self.with_reports(caller, vec![(id, vec![id])]).await?.pop();
        let (message, report) = found.and_then(|(_, mut found)| found.pop()).ok_or(Error::NotFound("message"))?;
        MessageView::of(&message, report.as_ref(), &context.keys)
    }

    /// The next entries of a list, each with its message if it is one or names one.
    async fn entries(&self, caller: &Caller, source: &Source, before: Option<MessageId>) -> Result<Entries, Error> {
        let (owner, before) = (source.owner, before.map(|place| place.as_bytes().into()));
        if source.by_events {
            let seen =
                self.inner.store.read(vec![Read::Owned { kind: Kind::Event, owner, before, limit: CHUNK }]).await?;
            let told = seen.all::<Event>().map(|event| (MessageId::from_bytes(*event.id.as_bytes()), asked_for(event)));
            return self.with_reports(caller, told.collect()).await;
        }
        let seen =
            self.inner.store.read(vec![Read::Owned { kind: Kind::Message, owner, before, limit: CHUNK }]).await?;
        let all = seen.all::<Message>().map(|message| (message.id, vec![message.id])).collect();
        self.with_reports(caller, all).await
    }

    async fn with_reports(&self, caller: &Caller, wanted: Vec<(MessageId, Vec<MessageId>)>) -> Result<Entries, Error> {
        let key = |id: &MessageId| Key::new::<Message>(caller.space.tenant, id.as_bytes());
        let keys = wanted.iter().flat_map(|(_, ids)| ids).map(key);
        let reads = keys.flat_map(|key| [key, MessageReport::key_of(&key)]).map(Read::Record).collect();
        let seen = self.inner.store.read(reads).await?;
        let (mut messages, mut reports) = (std::collections::HashMap::new(), std::collections::HashMap::new());
        for record in seen.records {
            let id = record.key().id;
            match MessageReport::of(&record) {
                Some(report) => drop(reports.insert(id, report.clone())),
                None => drop(Message::take(record).map(|message| messages.insert(id, message))),
            }
        }
        let mut found = |id: MessageId| {
            let id: SmallBytes = id.as_bytes().into();
            let message: Message = messages.remove(&id)?;
            (message.space == caller.space).then(|| (message, reports.remove(&id)))
        };
        let found = wanted.into_iter().map(|(place, ids)| (place, ids.into_iter().filter_map(&mut found).collect()));
        Ok(found.collect())
    }
}

/// Places in a list, each with the messages that it stands for.
type Entries = Vec<(MessageId, Vec<(Message, Option<MessageReport>)>)>;

impl MessageQuery {
    fn fits(&self, message: &Message, report: Option<&MessageReport>) -> bool {
        self.status.is_none_or(|status| status == MessageStatus::of(message, report))
            && self.channel.is_none_or(|channel| channel == message.channel)
            && self.to.is_none_or(|to| message.created_at < to)
    }
}

/// The messages that were queued when the event was written; events that tell of their fate would name them again.
fn asked_for(event: &Event) -> Vec<MessageId> {
    match event.data {
        EventData::OtpRequested { .. } => event.messages().collect(),
        _ => Vec::new(),
    }
}
