//! How many different users a period saw.

use std::collections::{BTreeMap, HashMap};

use super::Service;
use super::worker::LEASE;
use crate::clock::Timestamp;
use crate::command::FoldVisits;
use crate::error::Error;
use crate::period::{Period, Window};
use crate::sketch::Sketch;
use crate::store::{FromRecord, Kind, Lease, Read, SmallBytes};
use crate::tenant::Space;
use crate::usage::Span;
use crate::visit::{Visit, Visitors};

/// Visits that are read at once.
const PAGE: usize = 5_000;
/// Days that are read at once: of a busy space each can be a hundred kilobytes.
const DAYS: usize = 16;

/// The users of a period, and of each of its windows.
pub(super) struct Unique {
    pub whole: Option<u64>,
    pub windows: Vec<Option<u64>>,
}

impl Service {
    /// Folds up to `limit` visits of hours that are over; gives how many. Call it until it gives zero, every minute or so.
    ///
    /// # Errors
    /// [`Error::Store`]; what was not folded is folded later, and by whomever.
    pub async fn fold_visits(&self, limit: usize) -> Result<usize, Error> {
        let lease = Lease { id: self.random().bytes(), now: self.now(), until: self.now() + LEASE };
        let claimed = self.inner.store.claim(Kind::Visit, lease, limit).await?;
        let count = claimed.len();
        let mut days: BTreeMap<(Space, Timestamp), Vec<Visit>> = BTreeMap::new();
        for visit in claimed.into_iter().filter_map(Visit::take) {
            days.entry((visit.space, visit.day)).or_default().push(visit);
        }
        for ((space, day), visits) in days {
            self.run(FoldVisits { space, day, visits }).await?;
        }
        Ok(count)
    }

    /// Exact while no window, and not the whole, has more than [`EXACT`](crate::sketch::EXACT); `None` where the windows are
    /// no whole days.
    pub(super) async fn unique_users(&self, space: Space, period: &Period) -> Result<Unique, Error> {
        let is_of_days = [period.from(), period.until()].into_iter().all(|border| Span::Day.start(border) == border);
        if !is_of_days {
            return Ok(Unique { whole: None, windows: vec![None; period.windows.len()] });
        }
        let sketch = |window: &Window| window.is_of_days().then(Sketch::default);
        let mut windows: Vec<Option<Sketch>> = period.windows.iter().map(sketch).collect();
        let mut whole = Sketch::default();
        let mut note = |day: Timestamp, people: &Sketch| {
            whole.merge(people);
            let window = period.window_of(day).and_then(|window| windows[window].as_mut());
            window.into_iter().for_each(|window| window.merge(people));
        };
        // In this order: what is folded meanwhile was seen before, and twice is as good as once.
        for (day, people) in self.unfolded(space, period).await? {
            note(day, &people);
        }
        for days in days(period).chunks(DAYS) {
            let wanted = days.iter().map(|day| Read::Record(Visitors::key_of(space, *day)));
            let seen = self.inner.store.read(wanted.collect()).await?;
            seen.all::<Visitors>().for_each(|visitors| note(visitors.day, &visitors.people));
        }
        let windows = windows.into_iter().map(|sketch| sketch.map(|sketch| sketch.count())).collect();
        Ok(Unique { whole: Some(whole.count()), windows })
    }

    async fn unfolded(&self, space: Space, period: &Period) -> Result<HashMap<Timestamp, Sketch>, Error> {
        let mut days: HashMap<Timestamp, Sketch> = HashMap::new();
        let mut before: Option<SmallBytes> = None;
        loop {
            let page = Read::Owned { kind: Kind::Visit, owner: space.owner(), before, limit: PAGE };
            let seen = self.inner.store.read(vec![page]).await?;
            let Some(last) = seen.records.last() else { return Ok(days) };
            before = Some(last.key().id);
            let within = |visit: &&Visit| period.from() <= visit.day && visit.day < period.until();
            for visit in seen.all::<Visit>().filter(within) {
                days.entry(visit.day).or_default().insert(visit.digest);
            }
        }
    }
}

fn days(period: &Period) -> Vec<Timestamp> {
    let next = |day: &Timestamp| Some(Span::Day.end(*day));
    std::iter::successors(Some(period.from()), next).take_while(|day| *day < period.until()).collect()
}
