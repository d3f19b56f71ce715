//! Fairness: each endpoint has a lane of its own, so that one that does not answer holds up nobody else.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Delivery;
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::EndpointId;
use crate::store::LeaseId;

/// Requests to one endpoint at a time.
const AT_ONCE: usize = 4;
/// Requests in all that this process has open.
const IN_ALL: usize = 256;
/// Deliveries that wait in memory for one endpoint while it is not known how fast it takes them; more of them wait in the store.
const UNKNOWN: usize = 2_048;
/// As many as leave in so long wait there once it is known, which is a twelfth of their lease.
const PATIENCE: Duration = Duration::from_secs(5);
/// But no more than these, and in all.
const QUEUED: usize = 4_096;
const QUEUED_IN_ALL: usize = 32_768;
/// Clocks tell no less.
const SHORTEST: Duration = Duration::from_millis(1);
/// The soonest and the latest that one that has to wait in the store is looked at again.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(60);
/// An endpoint is quick that holds a place for no longer, by what is known of it: that answers within a tenth of a second.
const QUICK: Duration = Duration::from_millis(100 / AT_ONCE as u64);
/// How much faster than its rate an endpoint may be served for a moment.
const BURST: Duration = Duration::from_secs(1);

/// A delivery on its way out, with what it tells of.
#[derive(Debug)]
pub(crate) struct Departure {
    /// The delivery, under a lease of this process.
    pub delivery: Delivery,
    /// Whether it is its event that the lease is on: it leaves the outbox when the delivery is first written down.
    pub is_first: bool,
    /// Its event; none, if it is made up or gone.
    pub event: Option<Arc<Event>>,
    /// When that was read.
    pub read_at: Timestamp,
}

impl Departure {
    /// The delivery, the lease, and the event if it is what the lease is on.
    pub fn split(self) -> (Delivery, LeaseId, Option<Arc<Event>>) {
        let lease = self.delivery.due.lease.unwrap_or_default();
        (self.delivery, lease, self.event.filter(|_| self.is_first))
    }
}

#[derive(Default)]
struct Lane {
    active: usize,
    queue: VecDeque<Departure>,
    /// About how long one delivery holds the lane, once one has.
    pace: Option<Duration>,
    /// When one began or ended last.
    moved_at: Timestamp,
    /// When the next one that has to wait is looked at.
    slot: Timestamp,
    /// The theoretical arrival time of the rate (GCRA).
    arrival: Timestamp,
}

#[derive(Default)]
struct State {
    lanes: HashMap<EndpointId, Lane>,
    active: usize,
    queued: usize,
}

/// The lanes of this process.
#[derive(Clone, Default)]
pub(crate) struct Lanes(Arc<Mutex<State>>);

/// What becomes of a delivery that was claimed.
pub(crate) enum Entered {
    /// It is sent now.
    Begins(Turn),
    /// It is sent when another one of its endpoint is done.
    Waits,
    /// It goes back to the store until then.
    Later(Departure, Timestamp),
}

/// Where there is a place for one more.
enum Place {
    /// Among the requests that are open.
    Free,
    /// In memory, behind others.
    Queue,
    /// In the store, until then.
    Later(Timestamp),
}

/// A place in the lane of an endpoint, and the delivery that holds it. Dropped, it is free again.
pub(crate) struct Turn {
    lanes: Lanes,
    endpoint: EndpointId,
    first: Option<Departure>,
    has_left: bool,
}

impl Lanes {
    /// Finds a delivery its place, where its endpoint takes so many requests in a second.
    pub fn enter(&self, departure: Departure, per_second: Option<u32>, now: Timestamp) -> Entered {
        let mut state = self.lock();
        let endpoint = departure.delivery.endpoint;
        match state.place(endpoint, per_second, now) {
            Place::Later(at) => Entered::Later(departure, at),
            Place::Queue => {
                state.queued += 1;
                state.lane(endpoint).queue.push_back(departure);
                Entered::Waits
            }
            Place::Free => {
                state.active += 1;
                let lane = state.lane(endpoint);
                (lane.active, lane.moved_at) = (lane.active + 1, now);
                lane.arrival = per_second.map_or(lane.arrival, |rate| lane.arrival.max(now) + between(rate));
                Entered::Begins(Turn { lanes: self.clone(), endpoint, first: Some(departure), has_left: false })
            }
        }
    }

    /// When one more delivery to an endpoint is looked at, if there is no place for it now.
    pub fn later(&self, endpoint: EndpointId, per_second: Option<u32>, now: Timestamp) -> Option<Timestamp> {
        match self.lock().place(endpoint, per_second, now) {
            Place::Later(at) => Some(at),
            Place::Queue | Place::Free => None,
        }
    }

    /// Whether an endpoint is known to answer quickly, now too.
    pub fn is_quick(&self, endpoint: EndpointId, now: Timestamp) -> bool {
        let state = self.lock();
        let lane = state.lanes.get(&endpoint);
        lane.and_then(|lane| lane.pace(now)).is_some_and(|pace| pace <= QUICK)
    }

    /// Forgets what waits.
    pub fn release(&self) {
        let mut state = self.lock();
        state.lanes.values_mut().for_each(|lane| lane.queue.clear());
        state.queued = 0;
    }

    /// Deliveries that wait in memory and move: not those of an endpoint that none leaves for.
    pub fn moving(&self, now: Timestamp) -> usize {
        let state = self.lock();
        state.lanes.values().filter(|lane| lane.stalled(now).is_none()).map(|lane| lane.queue.len()).sum()
    }

    /// Requests that are open now.
    #[cfg(test)]
    pub fn active(&self, endpoint: EndpointId) -> usize {
        self.lock().lanes.get(&endpoint).map_or(0, |lane| lane.active)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// How long one delivery holds the lane, as far as is known: one that none leaves for a while is no faster than that.
    fn pace(&self, now: Timestamp) -> Option<Duration> {
        self.pace.max(self.stalled(now).map(|still| still / AT_ONCE as u32))
    }

    /// For how long none has left it, if that is long.
    fn stalled(&self, now: Timestamp) -> Option<Duration> {
        let still = now.since(self.moved_at);
        (self.active == AT_ONCE && still > SOONEST).then_some(still)
    }

    /// Whether one more that waits in memory would be sent soon.
    fn has_room(&self, now: Timestamp) -> bool {
        let waiting = self.queue.len();
        match self.pace(now) {
            Some(pace) => waiting < QUEUED && pace * waiting as u32 <= PATIENCE,
            None => waiting < UNKNOWN,
        }
    }

    /// One after another, as fast as they can be sent. Behind those that wait in memory only where these stand still: they may
    /// leave faster than the first of them did.
    fn next_slot(&mut self, every: Duration, now: Timestamp) -> Timestamp {
        let ahead = self.stalled(now).map_or(Duration::ZERO, |_| every * self.queue.len() as u32);
        self.slot = (self.slot.max(now + SOONEST + ahead) + every).min(now + LATEST);
        self.slot
    }
}

impl State {
    fn lane(&mut self, endpoint: EndpointId) -> &mut Lane {
        self.lanes.entry(endpoint).or_default()
    }

    fn place(&mut self, endpoint: EndpointId, per_second: Option<u32>, now: Timestamp) -> Place {
        let (is_full, has_memory) = (self.active >= IN_ALL, self.queued < QUEUED_IN_ALL);
        let lane = self.lane(endpoint);
        if let Some(rate) = per_second.filter(|_| lane.arrival > now + BURST) {
            return Place::Later(lane.next_slot(between(rate), now));
        }
        if !is_full && lane.active < AT_ONCE {
            return Place::Free;
        }
        // What waits in memory is sent as soon as there is room, which is no way to keep to a rate.
        if lane.active > 0 && has_memory && lane.has_room(now) && per_second.is_none() {
            return Place::Queue;
        }
        let pace = lane.pace(now).unwrap_or_default();
        Place::Later(lane.next_slot(pace, now))
    }

    fn pop(&mut self, endpoint: EndpointId) -> Option<Departure> {
        let next = self.lanes.get_mut(&endpoint)?.queue.pop_front();
        self.queued -= usize::from(next.is_some());
        next
    }

    fn leave(&mut self, endpoint: EndpointId) {
        self.active = self.active.saturating_sub(1);
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        lane.active = lane.active.saturating_sub(1);
        if lane.active == 0 {
            // Nobody is left to send what waits in memory: its lease ends, and it is claimed again.
            self.queued -= lane.queue.len();
            lane.queue.clear();
        }
        if self.lanes.len() > 4 * IN_ALL {
            self.lanes.retain(|_, lane| lane.active > 0);
        }
    }
}

impl Turn {
    /// The delivery to send now; `None` at the end, when the place is free.
    pub fn next(&mut self) -> Option<Departure> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let mut state = self.lanes.lock();
        let next = state.pop(self.endpoint);
        if next.is_none() && !self.has_left {
            self.has_left = true;
            state.leave(self.endpoint);
        }
        next
    }

    /// The delivery to send after the one that is under way, if any waits. The place is kept.
    pub fn ahead(&mut self) -> Option<Departure> {
        self.lanes.lock().pop(self.endpoint)
    }

    /// Notes how long a delivery took that ends now.
    pub fn took(&self, time: Duration, now: Timestamp) {
        let mut state = self.lanes.lock();
        if let Some(lane) = state.lanes.get_mut(&self.endpoint) {
            let pace = time.max(SHORTEST) / AT_ONCE as u32;
            lane.moved_at = now;
            lane.pace = Some(lane.pace.map_or(pace, |known| (known * 3 + pace) / 4));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.has_left {
            self.lanes.lock().leave(self.endpoint);
        }
    }
}

/// What is between two requests, of so many in a second.
fn between(rate: u32) -> Duration {
    Duration::from_secs(1) / rate
}
