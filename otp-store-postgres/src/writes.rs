//! What several commands want written, as a few statements.

use std::collections::BTreeMap;

use otp_core::Timestamp;
use otp_core::store::{Add, Changes, Key, Kind, Record, Snapshot};
use otp_core::usage::{CounterKey, CounterRange};

use crate::load::counter_keys;
use crate::rows::{self, array, clamp};
use crate::session::Step;
use crate::statements::{Op, Query};

/// What becomes of one row.
enum Write {
    /// It must not exist.
    Create(Record),
    Put(Record),
    Delete,
}

/// What is added to one count, and what it must not be above beforehand.
#[derive(Default)]
struct Sum {
    by: u64,
    base_most: Option<u64>,
}

/// Everything to be written, in the order in which every transaction takes its rows: none waits in a circle.
#[derive(Default)]
pub(crate) struct Writes {
    records: BTreeMap<Key, Write>,
    sums: BTreeMap<CounterKey, Sum>,
}

impl Writes {
    /// Takes a command's changes, unless what it must not meet is known to be there already.
    ///
    /// `base` tells what a count stood at before any of these writes, at least.
    pub fn admit(&mut self, changes: Changes, seen: &Snapshot, base: impl Fn(&CounterKey) -> u64) -> bool {
        let exists = |key: Key| match self.records.get(&key) {
            Some(write) => !matches!(write, Write::Delete),
            None => seen.records.iter().any(|record| record.key() == key),
        };
        let fits = |(index, add): (usize, &Add)| {
            let Some(most) = add.at_most else { return true };
            base(&add.counter).saturating_add(self.added(&changes.adds[..=index], &add.counter)) <= most
        };
        if changes.creates.iter().any(|record| exists(record.key())) || !changes.adds.iter().enumerate().all(fits) {
            return false;
        }
        changes.adds.iter().for_each(|add| self.add(add));
        changes.creates.into_iter().for_each(|record| self.create(record));
        changes.puts.into_iter().for_each(|record| self.put(record));
        changes.deletes.into_iter().for_each(|key| self.delete(key));
        true
    }

    /// Takes changes that nothing can be in the way of: what they create is put.
    pub fn apply(&mut self, changes: Changes) {
        changes.adds.iter().for_each(|add| self.add(&Add { at_most: None, ..*add }));
        changes.creates.into_iter().chain(changes.puts).for_each(|record| self.put(record));
        changes.deletes.into_iter().for_each(|key| self.delete(key));
    }

    /// What is added to a count by all of these writes and by some more.
    fn added(&self, more: &[Add], counter: &CounterKey) -> u64 {
        let more = more.iter().filter(|add| add.counter == *counter);
        more.fold(self.sum(counter), |sum, add| sum.saturating_add(add.by))
    }

    fn add(&mut self, add: &Add) {
        let sum = self.sums.entry(add.counter).or_default();
        sum.by = sum.by.saturating_add(add.by);
        if let Some(most) = add.at_most {
            let base_most = most.saturating_sub(sum.by);
            sum.base_most = Some(sum.base_most.map_or(base_most, |known| known.min(base_most)));
        }
    }

    fn create(&mut self, record: Record) {
        let key = record.key();
        let write = match self.records.get(&key) {
            Some(Write::Delete | Write::Put(_)) => Write::Put(record),
            Some(Write::Create(_)) | None => Write::Create(record),
        };
        self.records.insert(key, write);
    }

    pub fn put(&mut self, record: Record) {
        let key = record.key();
        let write = match self.records.get(&key) {
            Some(Write::Create(_)) => Write::Create(record),
            Some(Write::Put(_) | Write::Delete) | None => Write::Put(record),
        };
        self.records.insert(key, write);
    }

    fn delete(&mut self, key: Key) {
        self.records.insert(key, Write::Delete);
    }

    /// What is written of a record, if anything: the record, or that it is removed.
    pub fn record(&self, key: &Key) -> Option<Option<&Record>> {
        self.records.get(key).map(|write| match write {
            Write::Create(record) | Write::Put(record) => Some(record),
            Write::Delete => None,
        })
    }

    /// What is added to a count.
    pub fn sum(&self, counter: &CounterKey) -> u64 {
        self.sums.get(counter).map_or(0, |sum| sum.by)
    }

    /// What is added to the counts of a range.
    pub fn sums(&self, range: &CounterRange) -> impl Iterator<Item = (CounterKey, u64)> {
        self.sums.range(range.first()..range.end()).map(|(key, sum)| (*key, sum.by))
    }

    /// The statements: kind by kind, keys and counts in their order.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for kind in Kind::ALL {
            self.steps_of(*kind, &mut steps);
        }
        if !self.sums.is_empty() {
            steps.push(self.adds());
            steps.extend(self.guards());
        }
        steps
    }

    fn steps_of(&self, kind: Kind, steps: &mut Vec<Step>) {
        let (mut creates, mut puts, mut deletes) = (Vec::new(), Vec::new(), Vec::new());
        for (key, write) in self.records.iter().filter(|(key, _)| key.kind == kind) {
            match write {
                Write::Create(record) => creates.push(record),
                Write::Put(record) => puts.push(record),
                Write::Delete => deletes.push(*key),
            }
        }
        let mut push = |op, params| steps.push(Step::Call(Query::Of(kind, op), params));
        // What frees an alias goes before what may take it.
        if !deletes.is_empty() {
            push(Op::Delete, rows::keys(&deletes));
        }
        if !puts.is_empty() {
            push(Op::Put, rows::columns(kind, &puts));
        }
        if !creates.is_empty() {
            push(Op::Create, rows::columns(kind, &creates));
        }
    }

    fn adds(&self) -> Step {
        let counters: Vec<CounterKey> = self.sums.keys().copied().collect();
        let sums: Vec<&Sum> = self.sums.values().collect();
        let mut params = counter_keys(&counters);
        params.push(array(&sums, |sum| clamp(sum.by)));
        params.push(array(&counters, |counter| counter.expires_at().map(Timestamp::as_millis)));
        Step::Call(Query::AddTo, params)
    }

    fn guards(&self) -> Option<Step> {
        let most = |sum: &Sum| Some(clamp(sum.base_most?.saturating_add(sum.by)));
        let guarded: Vec<(CounterKey, i64)> =
            self.sums.iter().filter_map(|(counter, sum)| Some((*counter, most(sum)?))).collect();
        if guarded.is_empty() {
            return None;
        }
        let counters: Vec<CounterKey> = guarded.iter().map(|(counter, _)| *counter).collect();
        let mut params = counter_keys(&counters);
        params.push(array(&guarded, |(_, most)| *most));
        Some(Step::Call(Query::Guard, params))
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.sums.is_empty()
    }
}
