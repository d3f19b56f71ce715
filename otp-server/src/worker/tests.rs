use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use otp_core::domain::{Lookup, Resolver};
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::store::MemoryStore;
use otp_core::{Address, Clock, KeyRing, ManualClock, Mode, NewTenant, OtpRequest, SystemRandom};
use tokio::sync::Semaphore;

use super::*;
use crate::callbacks::Callbacks;
use crate::http::AppOptions;

/// As many as a tenant may ask for in a day, or fewer.
const MESSAGES: usize = 20;

/// Tells when a message arrives, and takes it when it is let.
struct Gate {
    arrived: Notify,
    let_through: Semaphore,
    taken: AtomicUsize,
}

impl Gate {
    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Mailer for Gate {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        self.arrived.notify_one();
        assert!(!message.to.starts_with("boom"), "a mailer with a bug");
        self.let_through.acquire().await.unwrap().forget();
        self.taken.fetch_add(1, Ordering::SeqCst);
        Ok(Receipt::default())
    }
}

struct Setup {
    gate: Arc<Gate>,
    service: Service,
    caller: otp_core::Caller,
    workers: Workers,
}

async fn start() -> Setup {
    let gate = Gate { arrived: Notify::new(), let_through: Semaphore::new(0), taken: AtomicUsize::new(0) };
    let gate = Arc::new(gate);
    let wake = Arc::new(Notify::new());
    let queued = Arc::clone(&wake);
    let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom))
        .mailer(Arc::clone(&gate))
        .on_queued(move || queued.notify_one())
        .build();
    let tenant = service.create_tenant(NewTenant::named("Acme", "ops@acme.com")).await.unwrap();
    let caller = service.program(tenant.id, Mode::Live).await.unwrap();
    let workers = Workers::start(service.clone(), Wakes { queued: wake, ..Wakes::default() }, app(&service));
    Setup { gate, service, caller, workers }
}

fn app(service: &Service) -> Arc<App> {
    let admin_token = otp_core::secret::Digest32::of(b"x");
    App::new(AppOptions {
        service: service.clone(),
        admin_token,
        trusted_proxies: Vec::new(),
        callbacks: Callbacks::default(),
    })
}

impl Setup {
    async fn request(&self, address: &str) {
        let address = Address::Email(address.parse().unwrap());
        self.service.request_otp(&self.caller, OtpRequest::to(address)).await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_message_does_not_hold_up_the_next_ones() {
    let setup = start().await;
    for number in 0..MESSAGES {
        setup.request(&format!("user{number}@example.org")).await;
        setup.gate.arrived.notified().await; // although none before it was taken
    }
    assert_eq!(setup.gate.taken(), 0);
    setup.gate.let_through.add_permits(MESSAGES);
    setup.workers.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_what_is_being_sent() {
    let setup = start().await;
    setup.request("ann@example.org").await;
    setup.gate.arrived.notified().await;
    let gate = Arc::clone(&setup.gate);
    let stopping = tokio::spawn(setup.workers.stop());
    gate.let_through.add_permits(1);
    stopping.await.unwrap();
    assert_eq!(gate.taken(), 1);
}

#[tokio::test]
async fn a_panic_ends_no_loop_for_good() {
    let setup = start().await;
    for number in 0..MESSAGES {
        setup.request(&format!("boom{number}@example.org")).await;
        setup.gate.arrived.notified().await;
    }
    setup.gate.let_through.add_permits(1);
    setup.request("ann@example.org").await;
    setup.gate.arrived.notified().await;
    setup.workers.stop().await;
    assert_eq!(setup.gate.taken(), 1);
}

/// Tells when it is asked.
struct Asked(Arc<Notify>);

#[async_trait]
impl Resolver for Asked {
    async fn txt(&self, _name: &str) -> Lookup {
        self.0.notify_one();
        Lookup::NotFound
    }
}

#[tokio::test]
async fn domains_that_are_due_are_looked_up_and_stopping_waits_for_it() {
    let (asked, clock) = (Arc::new(Notify::new()), Arc::new(ManualClock::default()));
    let service = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom))
        .resolver(Asked(Arc::clone(&asked)))
        .clock(Arc::clone(&clock))
        .build();
    let new = NewTenant { plan: Some("pro".to_owned()), ..NewTenant::named("Acme", "ops@acme.com") };
    let tenant = service.create_tenant(new).await.unwrap();
    let caller = service.program(tenant.id, Mode::Live).await.unwrap();
    let added = service.add_domain(&caller, "acme.com", None).await.unwrap().value.domain;
    clock.advance(Duration::from_secs(60));
    let workers = Workers::start(service.clone(), Wakes::default(), app(&service));
    asked.notified().await;
    workers.stop().await;
    assert_eq!(service.domain(&caller, &added.name).await.unwrap().checked_at, Some(clock.now()));
}
