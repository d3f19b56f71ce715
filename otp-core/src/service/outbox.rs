//! Messages in memory that wait to be sent, and who is next: tenants take turns.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::{Inner, lock};
use crate::clock::Timestamp;
use crate::id::{MessageId, TenantId};
use crate::message::Message;

/// Messages that wait in memory; more of them wait in the store until their lease ends.
const MOST: usize = 10_000;
/// Messages on their way at a time.
const PLACES: usize = 128;
/// Places that a tenant has whatever the others do. It may have more while half of all are free, so that one whose provider
/// hangs does not take the last.
const OF_A_TENANT: usize = 16;

#[derive(Default)]
pub(super) struct Outbox {
    lanes: HashMap<TenantId, Lane>,
    /// Tenants with messages that wait, each once, the next one first.
    turns: VecDeque<TenantId>,
    waiting: usize,
    in_flight: usize,
    /// When messages were queued that have not been sent yet, and until when that is believed: another process may have
    /// taken one that was to be tried again. Identifiers sort by time.
    unsent: BTreeMap<MessageId, (Timestamp, Timestamp)>,
}

#[derive(Default)]
struct Lane {
    messages: VecDeque<Message>,
    in_flight: usize,
}

/// How the sending stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxState {
    /// Messages that wait in memory.
    pub waiting: usize,
    /// Messages on their way to a provider.
    pub in_flight: usize,
    /// When the oldest was queued that this process knows of and that has not been sent; also of those to be tried again.
    pub oldest: Option<Timestamp>,
}

/// A message whose turn it is. It has its place among those on their way until it is dropped.
pub struct Parcel {
    pub(super) message: Option<Message>,
    tenant: TenantId,
    inner: Arc<Inner>,
}

impl Parcel {
    /// The message that is next, if there is one, and a place free.
    pub(super) fn next(inner: &Arc<Inner>) -> Option<Self> {
        let message = lock(&inner.outbox).take()?;
        Some(Self { tenant: message.space.tenant, message: Some(message), inner: Arc::clone(inner) })
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        lock(&self.inner.outbox).leave(self.tenant);
    }
}

impl Outbox {
    /// Queues a message. When there is no room, the newest of the longest lane goes: it is not lost, its lease ends, and it is
    /// claimed from the store.
    pub fn push(&mut self, message: Message) {
        let tenant = message.space.tenant;
        if self.unsent.len() < MOST {
            let believed_until = message.due.at.unwrap_or(message.pointless_at);
            self.unsent.insert(message.id, (message.created_at, believed_until));
        }
        let lane = self.lanes.entry(tenant).or_default();
        if lane.messages.is_empty() {
            self.turns.push_back(tenant);
        }
        lane.messages.push_back(message);
        self.waiting += 1;
        if self.waiting > MOST {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        let longest = self.lanes.iter_mut().max_by_key(|(_, lane)| lane.messages.len());
        let Some((tenant, lane)) = longest else { return };
        let tenant = *tenant;
        lane.messages.pop_back();
        self.waiting -= 1;
        if lane.messages.is_empty() {
            self.turns.retain(|turn| *turn != tenant);
        }
    }

    /// Takes messages out whose records are gone.
    pub fn forget(&mut self, is_gone: impl Fn(&Message) -> bool) {
        for lane in self.lanes.values_mut() {
            let unsent = &mut self.unsent;
            lane.messages.retain(|message| {
                let is_gone = is_gone(message);
                if is_gone {
                    unsent.remove(&message.id);
                }
                !is_gone
            });
        }
        self.lanes.retain(|_, lane| lane.in_flight > 0 || !lane.messages.is_empty());
        self.waiting = self.lanes.values().map(|lane| lane.messages.len()).sum();
        let lanes = &self.lanes;
        self.turns.retain(|tenant| lanes.get(tenant).is_some_and(|lane| !lane.messages.is_empty()));
    }

    fn take(&mut self) -> Option<Message> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let lane = self.lanes.get_mut(&tenant)?;
            let is_free = self.in_flight < PLACES && (lane.in_flight < OF_A_TENANT || self.in_flight < PLACES / 2);
            let message = if is_free { lane.messages.pop_front() } else { None };
            if !lane.messages.is_empty() {
                self.turns.push_back(tenant);
            }
            if let Some(message) = message {
                lane.in_flight += 1;
                self.in_flight += 1;
                self.waiting -= 1;
                return Some(message);
            }
        }
        None
    }

    fn leave(&mut self, tenant: TenantId) {
        self.in_flight -= 1;
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            lane.in_flight -= 1;
            if lane.in_flight == 0 && lane.messages.is_empty() {
                self.lanes.remove(&tenant);
            }
        }
    }

    /// Notes what became of a message: sent or given up, or to be tried again.
    pub fn settled(&mut self, message: &Message, lease: Duration) {
        match message.due.at {
            Some(again) if self.unsent.len() < MOST => {
                self.unsent.insert(message.id, (message.created_at, again + lease));
            }
            _ => {
                self.unsent.remove(&message.id);
            }
        }
    }

    pub fn state(&mut self, now: Timestamp) -> OutboxState {
        self.unsent.retain(|_, (_, believed_until)| now < *believed_until);
        let oldest = self.unsent.first_key_value().map(|(_, (queued_at, _))| *queued_at);
        OutboxState { waiting: self.waiting, in_flight: self.in_flight, oldest }
    }
}
