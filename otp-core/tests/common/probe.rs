//! A store that can be made to fail, and that remembers what was committed through it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use otp_core::store::{
    Changes, Decide, Item, Kind, Lease, MemoryStore, Place, Read, Reads, Record, Settled, Snapshot, Store, StoreError,
};
use otp_core::{TenantId, Timestamp};

/// How the store fails from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It refuses to take on more.
    Busy,
    /// Nothing can be read or written.
    Unavailable,
    /// Nothing can be written.
    ReadOnly,
    /// The commit is lost, and with it the word of it.
    UnknownLost,
    /// The commit happens, and the word of it is lost.
    UnknownDone,
    /// What was sent cannot be written down.
    Unsettled,
}

#[derive(Default)]
pub struct Probe {
    /// Whether every call waits once before it begins and once before it answers, as a database makes its callers wait.
    pub dawdles: AtomicBool,
    pub inner: MemoryStore,
    pub fault: Mutex<Option<Fault>>,
    pub commits: Mutex<Vec<Changes>>,
    pub reads: AtomicUsize,
    /// Writes that succeed before the disk is gone.
    pub writes_left: Mutex<Option<usize>>,
}

impl Probe {
    pub fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    /// So many writes succeed, and then the disk is gone.
    pub fn fail_after(&self, writes: usize) {
        *self.writes_left.lock().unwrap() = Some(writes);
    }

    pub fn mend(&self) {
        *self.fault.lock().unwrap() = None;
        *self.writes_left.lock().unwrap() = None;
    }

    fn write(&self) -> Result<(), StoreError> {
        match &mut *self.writes_left.lock().unwrap() {
            Some(0) => Err(unavailable()),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap()
    }

    async fn dawdle(&self) {
        let mut has_waited = !self.dawdles.load(Ordering::SeqCst);
        std::future::poll_fn(|context| match std::mem::replace(&mut has_waited, true) {
            true => Poll::Ready(()),
            false => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
    }

    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    pub fn forget_commits(&self) {
        self.commits.lock().unwrap().clear();
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("the disk is gone".into())
}

#[async_trait]
impl Store for Probe {
    async fn transact(&self, reads: Reads, mut decide: Decide) -> Result<(), StoreError> {
        let decided = Arc::new(Mutex::new(Changes::none()));
        let noted = Arc::clone(&decided);
        let spied: Decide = Box::new(move |seen: &Snapshot| {
            let changes = decide(seen);
            *noted.lock().unwrap() = changes.clone();
            changes
        });
        self.write()?;
        match self.fault() {
            Some(Fault::Busy) => return Err(StoreError::Busy),
            Some(Fault::Unavailable | Fault::ReadOnly) => return Err(unavailable()),
            Some(Fault::UnknownLost) => {
                let mut spied = spied;
                spied(&self.inner.read(reads.wanted).await?);
                return Err(StoreError::Unknown("the connection broke".into()));
            }
            _ => {
                self.dawdle().await;
                self.inner.transact(reads, spied).await?;
            }
        }
        let changes = decided.lock().unwrap().clone();
        self.commits.lock().unwrap().push(changes);
        self.dawdle().await;
        match self.fault() {
            Some(Fault::UnknownDone) => Err(StoreError::Unknown("the connection broke".into())),
            _ => Ok(()),
        }
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.fault() {
            Some(Fault::Unavailable) => Err(unavailable()),
            _ => {
                self.dawdle().await;
                self.inner.read(wanted).await
            }
        }
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        match self.fault() {
            Some(Fault::Unavailable | Fault::ReadOnly) => Err(unavailable()),
            _ => self.inner.claim(queue, lease, limit).await,
        }
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        match self.fault() {
            Some(Fault::Unavailable | Fault::ReadOnly | Fault::Unsettled) => Err(unavailable()),
            _ => self.inner.settle(settled).await,
        }
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        match self.fault() {
            Some(Fault::Unavailable | Fault::ReadOnly) => Err(unavailable()),
            _ => self.inner.sweep(now, limit).await,
        }
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.write()?;
        match self.fault() {
            Some(Fault::Unavailable | Fault::ReadOnly) => Err(unavailable()),
            _ => self.inner.forget_counts(tenant, limit).await,
        }
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.inner.inventory(after, limit).await
    }
}
