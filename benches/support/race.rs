//! Many callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::load::Latencies;

/// Whether a tenth of the time has to do.
pub fn is_quick() -> bool {
    std::env::var_os("OTP_BENCH_QUICK").is_some()
}

/// Lets so many tasks make the calls; gives how long each took.
pub fn race<F, A>(runtime: &Runtime, callers: usize, calls: usize, act: F) -> (Duration, Latencies)
where
    F: Fn(usize) -> A + Clone + Send + 'static,
    A: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let caller = |_| {
        let (next, act) = (Arc::clone(&next), act.clone());
        runtime.spawn(async move {
            let mut spans = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return spans;
                }
                let started = Instant::now();
                act(number).await;
                spans.push(started.elapsed());
            }
        })
    };
    let started = Instant::now();
    let callers: Vec<_> = (0..callers).map(caller).collect();
    let ended = callers.into_iter().map(|caller| runtime.block_on(caller).expect("a caller that does not panic"));
    let spans: Vec<Duration> = ended.flatten().collect();
    (started.elapsed(), Latencies::new(spans))
}
