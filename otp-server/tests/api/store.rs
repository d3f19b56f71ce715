//! A store that fails, or waits, when told to.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use otp_core::store::{
    Decide, Item, Kind, Lease, MemoryStore, Place, Read, Reads, Record, Settled, Snapshot, Store, StoreError,
};
use otp_core::{TenantId, Timestamp};
use tokio::sync::Semaphore;

/// How the store fails from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It takes on no more work.
    Busy,
    /// It cannot be reached.
    Unavailable,
    /// The commit happens, and the word of it is lost.
    Unknown,
    /// What it holds makes no sense.
    Corrupt,
}

/// Holds up whatever is to be committed.
#[derive(Clone)]
pub struct Gate {
    pub entered: Arc<Semaphore>,
    pub open: Arc<Semaphore>,
}

impl Gate {
    /// Waits until something is held up.
    pub async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// Lets one through.
    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

#[derive(Default)]
pub struct TestStore {
    pub inner: MemoryStore,
    fault: Mutex<Option<Fault>>,
    gate: Mutex<Option<Gate>>,
}

impl TestStore {
    pub fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    pub fn mend(&self) {
        *self.fault.lock().unwrap() = None;
    }

    /// From now on every commit waits to be let through.
    pub fn hold(&self) -> Gate {
        let gate = Gate { entered: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) };
        *self.gate.lock().unwrap() = Some(gate.clone());
        gate
    }

    pub fn release(&self) {
        *self.gate.lock().unwrap() = None;
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap()
    }

    fn readable(&self) -> Result<(), StoreError> {
        match self.fault() {
            Some(Fault::Unavailable) => Err(StoreError::Unavailable("the disk /dev/secret is gone".into())),
            Some(Fault::Corrupt) => Err(StoreError::Corrupt("row 17 of challenge".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for TestStore {
    async fn transact(&self, reads: Reads, decide: Decide) -> Result<(), StoreError> {
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.entered.add_permits(1);
            gate.open.acquire().await.unwrap().forget();
        }
        self.readable()?;
        match self.fault() {
            Some(Fault::Busy) => return Err(StoreError::Busy),
            _ => self.inner.transact(reads, decide).await?,
        }
        match self.fault() {
            Some(Fault::Unknown) => Err(StoreError::Unknown("the connection broke".into())),
            _ => Ok(()),
        }
    }

    async fn read(&self, wanted: Vec<Read>) -> Result<Snapshot, StoreError> {
        self.readable()?;
        self.inner.read(wanted).await
    }

    async fn claim(&self, queue: Kind, lease: Lease, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.readable()?;
        self.inner.claim(queue, lease, limit).await
    }

    async fn settle(&self, settled: Vec<Settled>) -> Result<usize, StoreError> {
        self.readable()?;
        self.inner.settle(settled).await
    }

    async fn sweep(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.readable()?;
        self.inner.sweep(now, limit).await
    }

    async fn forget_counts(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.readable()?;
        self.inner.forget_counts(tenant, limit).await
    }

    async fn inventory(&self, after: Option<Place>, limit: usize) -> Result<Vec<Item>, StoreError> {
        self.readable()?;
        self.inner.inventory(after, limit).await
    }
}
