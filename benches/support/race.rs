//! Many callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::runtime::Runtime;

use crate::child::own_cpu;
use crate::run::Run;

/// Whether a tenth of the time has to do.
pub fn is_quick() -> bool {
    std::env::var_os("OTP_BENCH_QUICK").is_some()
}

/// Lets so many tasks make the calls of these numbers.
pub fn race<F, A>(runtime: &Runtime, callers: usize, calls: std::ops::Range<usize>, act: F) -> Run
where
    F: Fn(usize) -> A + Clone + Send + 'static,
    A: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicUsize::new(calls.start));
    let caller = |_| {
        let (next, act, end) = (Arc::clone(&next), act.clone(), calls.end);
        runtime.spawn(async move {
            let mut spans = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return spans;
                }
                let started = Instant::now();
                act(number).await;
                spans.push(started.elapsed());
            }
        })
    };
    let (started, cpu) = (Instant::now(), own_cpu());
    let callers: Vec<_> = (0..callers).map(caller).collect();
    let ended = callers.into_iter().map(|caller| runtime.block_on(caller).expect("a caller that does not panic"));
    let spans = ended.flatten().collect();
    Run { calls: calls.len(), took: started.elapsed(), cpu: own_cpu() - cpu, spans, commits: 0 }
}
