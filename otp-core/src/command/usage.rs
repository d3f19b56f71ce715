//! What is counted without an act of its own: calls, errors, visits, bytes.

use crate::call::{CallError, RECENT, RecentErrors, StorageUse};
use crate::clock::Timestamp;
use crate::id::TenantId;
use crate::store::{Add, Changes, Command, Read, Reads, Scope, Snapshot, Stored};
use crate::tenant::Space;
use crate::usage::{REPORTED, Span};
use crate::visit::{Visit, Visitors};

/// Adds to counts, of whichever tenants.
pub(crate) struct AddCounts(pub Vec<Add>);

impl Command for AddCounts {
    type Outcome = ();

    fn reads(&self) -> Reads {
        // Counts need no scope.
        Reads { scope: Scope::Tenant(StorageUse::INSTALLATION), wanted: Vec::new() }
    }

    fn decide(&self, _seen: &Snapshot) -> ((), Changes) {
        ((), Changes { adds: self.0.clone(), ..Changes::none() })
    }
}

/// Writes down errors of a space, newest first.
pub(crate) struct NoteErrors {
    pub space: Space,
    pub errors: Vec<CallError>,
}

impl Command for NoteErrors {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let noted = Read::Record(RecentErrors::key_of(self.space));
        Reads { scope: Scope::Tenant(self.space.tenant), wanted: vec![noted] }
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        let mut recent = seen.one().cloned().unwrap_or_else(|| RecentErrors::none(self.space));
        let known = std::mem::replace(&mut recent.errors, self.errors.clone());
        recent.errors.extend(known);
        recent.errors.sort_by_key(|error| std::cmp::Reverse(error.at));
        recent.errors.truncate(RECENT);
        let mut changes = Changes::none();
        changes.put(recent);
        ((), changes)
    }
}

/// Folds visits of one space and day. A visit that somebody else folded meanwhile changes nothing.
pub(crate) struct FoldVisits {
    pub space: Space,
    pub day: Timestamp,
    pub visits: Vec<Visit>,
}

impl Command for FoldVisits {
    type Outcome = ();

    fn reads(&self) -> Reads {
        let folded = Read::Record(Visitors::key_of(self.space, self.day));
        Reads { scope: Scope::Tenant(self.space.tenant), wanted: vec![folded] }
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        let nobody = || Visitors::new(self.space, self.day);
        let mut visitors = seen.one::<Visitors>().cloned().unwrap_or_else(nobody);
        self.visits.iter().for_each(|visit| visitors.people.insert(visit.digest));
        let mut changes = Changes { deletes: self.visits.iter().map(Stored::key).collect(), ..Changes::none() };
        changes.put(visitors);
        ((), changes)
    }
}

/// Takes on the measuring of a day, unless somebody has.
pub(crate) struct BeginMeasuring {
    pub now: Timestamp,
}

impl Command for BeginMeasuring {
    type Outcome = bool;

    fn reads(&self) -> Reads {
        let begun = Read::Record(StorageUse::key_of(StorageUse::INSTALLATION));
        Reads { scope: Scope::Tenant(StorageUse::INSTALLATION), wanted: vec![begun] }
    }

    fn decide(&self, seen: &Snapshot) -> (bool, Changes) {
        let today = Span::Day.start(self.now);
        let is_begun = |begun: &StorageUse| begun.measured.last().is_some_and(|(at, _)| *at >= today);
        if seen.one::<StorageUse>().is_some_and(is_begun) {
            return (false, Changes::none());
        }
        let mut changes = Changes::none();
        changes.put(StorageUse { tenant: StorageUse::INSTALLATION, measured: vec![(self.now, 0)] });
        (true, changes)
    }
}

/// Writes down what a tenant's records take.
pub(crate) struct NoteStorage {
    pub tenant: TenantId,
    pub at: Timestamp,
    pub bytes: u64,
}

impl Command for NoteStorage {
    type Outcome = ();

    fn reads(&self) -> Reads {
        Reads { scope: Scope::Tenant(self.tenant), wanted: vec![Read::Record(StorageUse::key_of(self.tenant))] }
    }

    fn decide(&self, seen: &Snapshot) -> ((), Changes) {
        let mut measured = seen.one::<StorageUse>().map(|known| known.measured.clone()).unwrap_or_default();
        measured.retain(|(at, _)| *at + REPORTED > self.at);
        measured.push((self.at, self.bytes));
        let mut changes = Changes::none();
        changes.put(StorageUse { tenant: self.tenant, measured });
        ((), changes)
    }
}
