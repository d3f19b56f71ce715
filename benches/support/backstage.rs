//! A server without its routes: the engine and what works behind the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::secret::Digest32;
use otp_core::service::Builder;
use otp_core::store::Store;
use otp_core::{Caller, KeyRing, Mode, NewTenant, OtpRequest, Service, SystemRandom};
use otp_server::callbacks::Callbacks;
use otp_server::http::{App, AppOptions};
use otp_server::worker::{Wakes, Workers};

use crate::arrivals::Peer;
use crate::run::{Run, TURNS};
use crate::world::address;

/// Messages of the other tenant, for each of the one that is measured.
const OTHERS: usize = 2;

/// A turn of neighbours is so much shorter than others.
const SHORT: usize = 20;

/// The engine, and what wakes its workers.
pub struct Backstage {
    /// The engine.
    pub service: Service,
    wakes: Wakes,
    /// Every message goes to somebody else: nobody is sent two in a row.
    asked: AtomicUsize,
}

impl Backstage {
    /// One on an empty store, set up as needed.
    pub fn new(store: impl Store, set_up: impl FnOnce(Builder) -> Builder) -> Self {
        let wakes = Wakes::default();
        let Wakes { queued, told } = wakes.clone();
        let builder = set_up(Service::builder(store, KeyRing::generate(&SystemRandom)).mailer(Taken));
        let builder = builder.on_queued(move || queued.notify_one()).on_delivery(move || told.notify_one());
        Self { service: builder.build(), wakes, asked: AtomicUsize::new(0) }
    }

    /// A tenant without quotas.
    pub async fn tenant(&self) -> Caller {
        let new = NewTenant { plan: Some("enterprise".to_owned()), ..NewTenant::named("Acme", "ops@acme.com") };
        let created = self.service.create_tenant(new).await.expect("a tenant");
        self.service.program(created.id, Mode::Live).await.expect("the tenant is active")
    }

    /// Somebody asks for a code.
    pub async fn request(&self, caller: &Caller) {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let request = OtpRequest::to(address("user", number));
        self.service.request_otp(caller, request).await.expect("a code is queued");
    }

    /// Sends what is queued, so that nobody has to do so while something else is measured.
    pub async fn send_mails(&self) {
        while self.service.deliver_fresh(1_000).await.expect("they are sent").sent > 0 {}
    }

    /// How long each of some messages, or its event, took to arrive, one after another.
    pub async fn one_by_one(&self, peer: &mut Peer, caller: &Caller, count: usize) -> Run {
        let mut run = Run::default();
        for _ in 0..count {
            let started = Instant::now();
            self.request(caller).await;
            let span = peer.wait_for(1).await - started;
            run.add(Run { calls: 1, took: span, spans: vec![span], ..Run::default() });
        }
        run
    }

    /// Starts the workers.
    pub fn work(&self) -> Workers {
        let app = App::new(AppOptions {
            service: self.service.clone(),
            admin_token: Digest32::of(b"x"),
            trusted_proxies: Vec::new(),
            callbacks: Callbacks::default(),
        });
        Workers::start(self.service.clone(), self.wakes.clone(), Arc::clone(&app))
    }
}

/// Takes every message.
struct Taken;

#[async_trait]
impl Mailer for Taken {
    async fn send(&self, _message: &Outgoing) -> Result<Receipt, SendError> {
        Ok(Receipt::default())
    }
}

/// Two tenants on one server, of which one is measured.
pub struct Neighbours {
    server: Backstage,
    peer: Peer,
    measured: Caller,
    other: Caller,
    _workers: Workers,
    run: Run,
}

impl Neighbours {
    /// The peer is where the messages of the measured one arrive.
    pub fn new(server: Backstage, peer: Peer, measured: Caller, other: Caller) -> Self {
        let workers = server.work();
        Self { server, peer, measured, other, _workers: workers, run: Run::default() }
    }

    /// What both came to, by short turns: it is the disk that most of the slowest wait for, and its pace changes by the second.
    pub async fn compare(mut both: [Self; 2], count: usize) -> [Run; 2] {
        for neighbours in &mut both {
            neighbours.turn(count / SHORT).await;
            neighbours.run = Run::default();
        }
        for _ in 0..TURNS * SHORT {
            for neighbours in &mut both {
                neighbours.turn(count / SHORT).await;
            }
        }
        both.map(|neighbours| neighbours.run)
    }

    async fn turn(&mut self, count: usize) {
        for _ in 0..count {
            for _ in 0..OTHERS {
                self.server.request(&self.other).await;
            }
            self.run.add(self.server.one_by_one(&mut self.peer, &self.measured, 1).await);
        }
    }
}
