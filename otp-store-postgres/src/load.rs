//! What several commands want to read, as a few statements; and what each of them then sees.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use otp_core::store::{CorruptRecord, Key, Kind, Read, Record, SmallBytes, Snapshot, StoreError};
use otp_core::usage::{CounterKey, CounterRange};
use tokio_postgres::Row;

use crate::error::Broken;
use crate::rows::{self, Bytes, array, clamp};
use crate::session::{Answers, Param, Session, Step};
use crate::statements::{Op, Query};
use crate::writes::Writes;

/// Sorts behind every id there is.
const BEHIND_ALL: [u8; 33] = [0xff; 33];

/// Owner, the id to stay below, and how many at most.
type Page = (SmallBytes, Option<SmallBytes>, usize);

/// Everything to be read, each thing once.
#[derive(Default)]
pub(crate) struct Load {
    keys: BTreeMap<Kind, Vec<Key>>,
    aliases: BTreeMap<Kind, Vec<SmallBytes>>,
    pages: BTreeMap<Kind, Vec<Page>>,
    counters: Vec<CounterKey>,
    ranges: Vec<CounterRange>,
}

impl Load {
    pub fn of<'a>(wanted: impl IntoIterator<Item = &'a Read>) -> Self {
        let (mut keys, mut aliases, mut pages) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut counters, mut ranges) = (BTreeSet::new(), BTreeSet::new());
        for read in wanted {
            match read {
                Read::Record(key) => {
                    keys.insert(*key);
                }
                Read::Alias(kind, alias) if kind.shape().alias => {
                    aliases.insert((*kind, *alias));
                }
                Read::Owned { kind, owner, before, limit } if kind.shape().owner => {
                    pages.insert((*kind, (*owner, *before, *limit)));
                }
                Read::Counter(key) => {
                    counters.insert(*key);
                }
                Read::Counters(range) => {
                    ranges.insert(*range);
                }
                Read::Alias(..) | Read::Owned { .. } => {}
            }
        }
        let keys = keys.into_iter().map(|key| (key.kind, key));
        Self {
            keys: by_kind(keys),
            aliases: by_kind(aliases),
            pages: by_kind(pages),
            counters: counters.into_iter().collect(),
            ranges: ranges.into_iter().collect(),
        }
    }

    /// The statements, in an order that [`found`](Self::found) knows.
    pub fn steps(&self) -> Vec<Step> {
        let keys = self.keys.iter().map(|(kind, keys)| Step::Call(Query::Of(*kind, Op::Find), rows::keys(keys)));
        let aliases = self.aliases.iter().map(|(kind, aliases)| {
            Step::Call(Query::Of(*kind, Op::FindAlias), vec![array(aliases, |alias| Bytes(*alias))])
        });
        let pages = self.pages.iter().map(|(kind, pages)| {
            let before = |(_, before, _): &Page| before.map_or(BEHIND_ALL.to_vec(), |id| id.as_slice().to_vec());
            let params = vec![
                array(pages, |(owner, ..)| Bytes(*owner)),
                array(pages, before),
                array(pages, |page| clamp(page.2 as u64)),
            ];
            Step::Call(Query::Of(*kind, Op::Page), params)
        });
        let mut steps: Vec<Step> = keys.chain(aliases).chain(pages).collect();
        if !self.counters.is_empty() {
            steps.push(Step::Call(Query::Counts, counter_keys(&self.counters)));
        }
        if !self.ranges.is_empty() {
            let key = |key: CounterKey| counter_keys_of(&key).1;
            let params = vec![
                array(&self.ranges, |range| counter_keys_of(&range.first()).0),
                array(&self.ranges, |range| key(range.first())),
                array(&self.ranges, |range| key(range.end())),
            ];
            steps.push(Step::Call(Query::CountRanges, params));
        }
        steps
    }

    /// What the statements found.
    pub fn found(self, answers: Answers) -> Result<Found, Broken> {
        let mut found = Found::default();
        let mut answers = answers.into_iter();
        for (kind, _) in self.keys {
            for row in answers.next().unwrap_or_default() {
                found.take(kind, &row)?;
            }
        }
        for (kind, _) in self.aliases {
            for row in answers.next().unwrap_or_default() {
                let alias = SmallBytes::try_from_slice(rows::last(&row)?)?;
                let key = found.take(kind, &row)?;
                found.aliases.insert((kind, alias), key);
            }
        }
        for (kind, pages) in self.pages {
            let mut listed = vec![Vec::new(); pages.len()];
            for row in answers.next().unwrap_or_default() {
                let number: i64 = rows::last(&row)?;
                listed[number as usize - 1].push(found.take(kind, &row)?);
            }
            for (page, mut keys) in pages.into_iter().zip(listed) {
                keys.sort_unstable_by_key(|key| Reverse((key.id, key.tenant)));
                found.pages.insert((kind, page), keys);
            }
        }
        if !self.counters.is_empty() {
            let counts = answers.next().unwrap_or_default();
            found.counts = counts.iter().map(count).collect::<Result<_, _>>()?;
        }
        if !self.ranges.is_empty() {
            let counts = answers.next().unwrap_or_default();
            let counts = counts.iter().map(count).collect::<Result<Vec<_>, _>>()?;
            // A count that this program does not know is left out.
            found.ranged =
                counts.iter().filter_map(|(key, value)| Some((CounterKey::from_bytes(key)?, *value))).collect();
        }
        Ok(found)
    }
}

/// Reads what stands there at one moment: one statement sees that by itself, several in one transaction.
pub(crate) async fn read(session: &mut Session, wanted: Arc<[Read]>) -> Result<Found, Broken> {
    let load = Load::of(&*wanted);
    let mut steps = load.steps();
    if steps.len() < 2 {
        return load.found(session.look(steps).await?);
    }
    steps.insert(0, Step::BeginSnapshot);
    steps.push(Step::Commit);
    let mut answers = session.look(steps).await?;
    load.found(answers.split_off(1))
}

fn by_kind<T>(things: impl IntoIterator<Item = (Kind, T)>) -> BTreeMap<Kind, Vec<T>> {
    let mut sorted: BTreeMap<Kind, Vec<T>> = BTreeMap::new();
    for (kind, thing) in things {
        sorted.entry(kind).or_default().push(thing);
    }
    sorted
}

/// A counter's key is kept as its tenant and the rest of it.
pub(crate) fn counter_keys(counters: &[CounterKey]) -> Vec<Param> {
    let (tenant, rest) =
        (|counter: &CounterKey| counter_keys_of(counter).0, |counter: &CounterKey| counter_keys_of(counter).1);
    vec![array(counters, tenant), array(counters, rest)]
}

pub(crate) fn counter_keys_of(counter: &CounterKey) -> (Bytes, Vec<u8>) {
    let tenant = counter.tenant();
    (rows::tenant(tenant), counter.to_bytes()[tenant.as_bytes().len()..].to_vec())
}

pub(crate) fn count(row: &Row) -> Result<(Vec<u8>, u64), Broken> {
    let (mut key, rest): (Vec<u8>, &[u8]) =
        (row.try_get(0).map_err(Broken::corrupt)?, row.try_get(1).map_err(Broken::corrupt)?);
    key.extend_from_slice(rest);
    let value: i64 = row.try_get(2).map_err(Broken::corrupt)?;
    Ok((key, u64::try_from(value).unwrap_or(0)))
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    records: HashMap<Key, Result<Record, Arc<CorruptRecord>>>,
    aliases: HashMap<(Kind, SmallBytes), Key>,
    pages: HashMap<(Kind, Page), Vec<Key>>,
    counts: HashMap<Vec<u8>, u64>,
    /// What all ranges that were read hold.
    ranged: BTreeMap<CounterKey, u64>,
}

impl Found {
    fn take(&mut self, kind: Kind, row: &Row) -> Result<Key, Broken> {
        let key = rows::key(kind, row)?;
        self.records.insert(key, rows::record(kind, row)?.map_err(Arc::new));
        Ok(key)
    }

    /// What the reads of one command see, after what is yet to be written.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if one of its records cannot be read; that does not concern other commands.
    pub fn seen(&self, wanted: &[Read], writes: &Writes) -> Result<Snapshot, StoreError> {
        let mut seen = Snapshot::default();
        for read in wanted {
            match read {
                Read::Record(key) => seen.records.extend(self.record(key, writes)?),
                Read::Alias(kind, alias) => {
                    if let Some(key) = self.aliases.get(&(*kind, *alias)) {
                        seen.records.extend(self.record(key, writes)?);
                    }
                }
                Read::Owned { kind, owner, before, limit } => {
                    let page = self.pages.get(&(*kind, (*owner, *before, *limit)));
                    for key in page.into_iter().flatten() {
                        seen.records.extend(self.record(key, writes)?);
                    }
                }
                Read::Counter(key) => seen.counters.push((*key, self.count(key).saturating_add(writes.sum(key)))),
                Read::Counters(range) => seen.counters.extend(self.counts(range, writes)),
            }
        }
        Ok(seen)
    }

    fn record(&self, key: &Key, writes: &Writes) -> Result<Option<Record>, StoreError> {
        if let Some(written) = writes.record(key) {
            return Ok(written.cloned());
        }
        match self.records.get(key) {
            Some(Ok(record)) => Ok(Some(record.clone())),
            Some(Err(corrupt)) => Err(StoreError::Corrupt(Box::new(Arc::clone(corrupt)))),
            None => Ok(None),
        }
    }

    fn counts(&self, range: &CounterRange, writes: &Writes) -> BTreeMap<CounterKey, u64> {
        let stored = self.ranged.range(range.first()..range.end());
        let mut counts: BTreeMap<_, _> = stored.map(|(key, value)| (*key, *value)).collect();
        for (key, sum) in writes.sums(range) {
            let count = counts.entry(key).or_default();
            *count = count.saturating_add(sum);
        }
        counts
    }

    /// A count, if it was read; zero if it was never added to.
    pub fn count(&self, key: &CounterKey) -> u64 {
        self.counts.get(&key.to_bytes()).copied().unwrap_or(0)
    }
}
