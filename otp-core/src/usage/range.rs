//! All windows of one counter between two times.

use super::{Bucket, Counter, CounterKey, ErrorCategory, Route, Span};
use crate::clock::Timestamp;
use crate::message::Channel;
use crate::tenant::Space;

/// The counts of one counter of one space over one span, with every part there is, whose windows begin at `from` or later
/// and before `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CounterRange {
    first: CounterKey,
    end: CounterKey,
}

impl CounterRange {
    /// The part of the counter does not matter.
    pub fn new(space: Space, counter: Counter, span: Span, from: Timestamp, until: Timestamp) -> Self {
        let at = |starts_at: Timestamp| CounterKey {
            space,
            counter: lowest(counter),
            span,
            starts_at: starts_at.max(EPOCH),
        };
        Self { first: at(from), end: at(until.max(from)) }
    }

    /// The lowest key that can be in it. Those in it are not below this, and below [`end`](Self::end).
    pub fn first(&self) -> CounterKey {
        self.first
    }

    /// The lowest key behind it.
    pub fn end(&self) -> CounterKey {
        self.end
    }

    /// Whether a key is in it.
    pub fn contains(&self, key: &CounterKey) -> bool {
        (self.first..self.end).contains(key)
    }
}

/// What is before has no count, and would sort behind the rest.
const EPOCH: Timestamp = Timestamp::from_millis(0);

fn lowest(counter: Counter) -> Counter {
    match counter {
        Counter::RequestsFrom(_) => Counter::RequestsFrom([0; 16]),
        Counter::GuessesFrom(_) => Counter::GuessesFrom([0; 16]),
        Counter::PrefixSends(_) => Counter::PrefixSends([0; 16]),
        Counter::PrefixLogins(_) => Counter::PrefixLogins([0; 16]),
        Counter::PrefixOff(_) => Counter::PrefixOff([0; 16]),
        Counter::MessagesFailed(_) => Counter::MessagesFailed(Channel::Email),
        Counter::PhoneRequests(_) => Counter::PhoneRequests(Channel::Email),
        Counter::PhoneLogins(_) => Counter::PhoneLogins(Channel::Email),
        Counter::RouteMicros(_) => Counter::RouteMicros(Route::ALL),
        Counter::ResponseTimes(..) => Counter::ResponseTimes(Bucket::of(std::time::Duration::ZERO), Route::ALL),
        Counter::Errors(..) => Counter::Errors(ErrorCategory::Validation, Route::ALL),
        counter => counter,
    }
}
