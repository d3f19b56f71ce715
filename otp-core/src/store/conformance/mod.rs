//! The conformance suite: what every [`Store`] has to do, as tests.
//!
//! Whoever writes a store says how a database is opened, and gets one named test of each case:
//!
//! ```
//! use std::sync::Arc;
//! use otp_core::store::conformance::Fixture;
//! use otp_core::store::{MemoryStore, Store};
//!
//! struct InMemory;
//!
//! impl Fixture for InMemory {
//!     async fn open(&self) -> Arc<dyn Store> {
//!         Arc::new(MemoryStore::new())
//!     }
//!
//!     fn is_durable(&self) -> bool {
//!         false
//!     }
//! }
//!
//! otp_core::conformance_tests!(InMemory);
//! ```
//!
//! Each case gets a fixture of its own. The cases are plain functions too, for a harness that runs them in another way:
//! in a loop, with faults, with other seeds ([`random_commands`]).

#![allow(clippy::unwrap_used)] // tests, though of somebody else

mod commits;
mod engine;
mod queue;
mod random_commands;
mod rows;
mod samples;
mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

pub use commits::*;
pub use engine::*;
pub use queue::*;
pub use random_commands::*;
pub use rows::*;

use super::Store;

/// Something that runs beside others to its end.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One database of one test, and what its futures run on.
pub trait Fixture {
    /// Opens the database. The first time it is empty; when it is opened again, after everybody has let go of the store,
    /// it is as that left it.
    fn open(&self) -> impl Future<Output = Arc<dyn Store>> + Send;

    /// Whether the database outlives the store; without, [`open`](Self::open) may give an empty one every time.
    fn is_durable(&self) -> bool {
        true
    }

    /// Runs a test. A store that needs a runtime overrides this and [`spawn`](Self::spawn) with those of its runtime.
    fn block_on<F: Future>(&self, test: F) -> F::Output {
        block_on(test)
    }

    /// Runs something beside the test, which may block its thread meanwhile.
    fn spawn(&self, task: Task) {
        thread::spawn(move || block_on(task));
    }
}

/// Makes one `#[test]` of every case. The expression makes a [`Fixture`](crate::store::conformance::Fixture), anew for
/// each. Attributes behind it, such as `#[ignore = "..."]`, are put on every test.
#[macro_export]
macro_rules! conformance_tests {
    (@case $fixture:expr, [$(#[$attribute:meta])*], $case:ident) => {
        #[test]
        $(#[$attribute])*
        fn $case() {
            let fixture = $fixture;
            $crate::store::conformance::Fixture::block_on(&fixture, $crate::store::conformance::$case(&fixture));
        }
    };
    (@cases $fixture:expr, $attributes:tt, $($case:ident)*) => {
        $($crate::conformance_tests! { @case $fixture, $attributes, $case })*
    };
    ($fixture:expr $(, #[$attribute:meta])*) => {
        $crate::conformance_tests! { @cases $fixture, [$(#[$attribute])*],
            a_commit_is_all_or_nothing
            a_create_that_exists_makes_the_command_decide_again
            an_impossible_command_gives_up
            guards_are_exact_under_racers
            no_update_is_lost_under_racers
            a_panic_or_failure_harms_no_neighbour
            a_dropped_command_is_done_or_not
            what_was_acknowledged_survives
            every_kind_of_record_comes_back_as_it_was
            no_row_crosses_tenants
            lists_are_newest_first_and_paged
            an_alias_finds_its_record_and_moves_with_it
            time_comes_from_the_caller_only
            due_records_are_claimed_earliest_first
            each_record_is_claimed_once_by_racing_workers
            an_expired_lease_returns
            a_stale_lease_cannot_settle
            what_is_settled_stays_settled
            each_kind_has_a_queue_of_its_own
            what_left_a_queue_is_gone_wherever_it_stood
            a_sweep_removes_what_expired_and_no_more
            the_counts_of_a_tenant_are_forgotten_and_no_others
            everything_is_in_the_inventory_once
            the_inventory_goes_by_tenant_or_by_id
            a_range_of_counts_is_its_windows_and_no_others
            random_commands_agree_with_memory
            one_passcode_has_one_winner
            wrong_guesses_never_pass_the_limit
            first_sign_ins_make_one_user
            a_quota_is_exact_under_racers
            deciding_twice_is_harmless
        }
    };
}

/// Polls a future on this thread until it is done.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    struct InMemory;

    impl Fixture for InMemory {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(MemoryStore::new())
        }

        fn is_durable(&self) -> bool {
            false
        }
    }

    crate::conformance_tests!(InMemory);
}
