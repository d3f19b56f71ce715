//! How fast mail leaves: 10,000 queued mails over 16 connections beside a bare loop of lettre over as many; one mail on an idle
//! server, from the request to the end of its `DATA`; and the mails of one tenant beside another whose provider hangs.
//!
//! `cargo bench --profile fast -p otp-server -p otp-benches --bench delivery`, with `OTP_BENCH_QUICK=1` in a tenth of the time.

#![allow(clippy::disallowed_methods)] // measures real time

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use otp_benches::race::is_quick;
use otp_benches::row::{Row, percent, time};
use otp_benches::run::{Run, TURNS};
use otp_benches::sink::Sink;
use otp_benches::world::address;
use otp_core::message::{Failover, Mailer, Outgoing, Receipt, SendError};
use otp_core::secret::Digest32;
use otp_core::store::MemoryStore;
use otp_core::{Caller, KeyRing, Mode, NewTenant, OtpRequest, Service, SystemClock, SystemRandom, TenantId};
use otp_server::callbacks::Callbacks;
use otp_server::http::{App, AppOptions};
use otp_server::mail::{MailUrl, SmtpMailer};
use otp_server::worker::{Wakes, Workers};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

const MAILS: usize = 10_000;
const CONNECTIONS: usize = 16;
/// Of a mail of the bare loop, which is as large as those of the built-in template.
const LINES: usize = 90;
const SINGLE: usize = 500;
/// Messages of the tenant with a provider of its own, for each of the other one's.
const OTHERS: usize = 2;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let scaled = |count: usize| if is_quick() { count / 10 } else { count };
    runtime.block_on(async {
        queued(scaled(MAILS)).await;
        single(scaled(SINGLE)).await;
        beside(scaled(SINGLE)).await;
    });
}

/// Everything but HTTP.
struct Server {
    service: Service,
    wake: Arc<Notify>,
    /// Every mail goes to somebody else: nobody is sent two in a row.
    asked: AtomicUsize,
}

impl Server {
    fn with(mailer: impl Mailer) -> Self {
        let wake = Arc::new(Notify::new());
        let queued = Arc::clone(&wake);
        let builder = Service::builder(MemoryStore::new(), KeyRing::generate(&SystemRandom)).mailer(mailer);
        Self { service: builder.on_queued(move || queued.notify_one()).build(), wake, asked: AtomicUsize::new(0) }
    }

    async fn tenant(&self) -> Caller {
        let new = NewTenant { plan: Some("enterprise".to_owned()), ..NewTenant::named("Acme", "ops@acme.com") };
        let created = self.service.create_tenant(new).await.expect("a tenant");
        self.service.program(created.id, Mode::Live).await.expect("the tenant is active")
    }

    async fn request(&self, caller: &Caller) {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let request = OtpRequest::to(address("user", number));
        self.service.request_otp(caller, request).await.expect("a code is queued");
    }

    fn work(&self) -> Workers {
        let app = App::new(AppOptions {
            service: self.service.clone(),
            admin_token: Digest32::of(b"x"),
            trusted_proxies: Vec::new(),
            callbacks: Callbacks::default(),
        });
        let wakes = Wakes { queued: Arc::clone(&self.wake), ..Wakes::default() };
        Workers::start(self.service.clone(), wakes, app)
    }
}

fn smtp(sink: &Sink) -> SmtpMailer {
    let Ok(MailUrl::Smtp(server)) = sink.url().parse() else { panic!("{} is no mail server", sink.url()) };
    let from = "OTP Auth <noreply@example.com>".parse().expect("a sender");
    SmtpMailer::new(&server, from, Arc::new(SystemClock::default())).expect("no TLS is needed")
}

async fn queued(mails: usize) {
    let mut sink = Sink::start();
    let (waiting, prompt) = (bare(&mut sink, mails / 10, false).await * 10, bare(&mut sink, mails, true).await);
    let server = Server::with(smtp(&sink));
    let caller = server.tenant().await;
    for _ in 0..mails {
        server.request(&caller).await;
    }
    let started = Instant::now();
    let workers = server.work();
    let took = sink.wait_for(mails).await - started;
    workers.stop().await;
    let rate = |took: Duration| mails as f64 / took.as_secs_f64();
    for (name, bare) in [("bare lettre", waiting), ("bare lettre with TCP_NODELAY", prompt)] {
        Row::new(format!("{mails} queued mails, {CONNECTIONS} connections"), format!("{:.0}/s", rate(took)))
            .against(format!("{name} {:.0}/s", rate(bare)), percent(rate(took), rate(bare)))
            .print();
    }
}

/// Mails of the same size, by a loop on each connection. lettre's own connections wait for the acknowledgement of a mail before
/// they send its end.
async fn bare(sink: &mut Sink, mails: usize, is_prompt: bool) -> Duration {
    let line = format!("{}\r\n", "x".repeat(70));
    let mail: Arc<str> = format!("Subject: Your code\r\n\r\n{}", line.repeat(LINES)).into();
    let started = Instant::now();
    for number in 0..CONNECTIONS {
        let (mail, server) = (Arc::clone(&mail), sink.address);
        let share = mails / CONNECTIONS + usize::from(number < mails % CONNECTIONS);
        tokio::spawn(async move {
            let hello = ClientId::default();
            let stream = TcpStream::connect(server).await.expect("it listens");
            stream.set_nodelay(is_prompt).expect("a socket");
            let mut connection =
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await.expect("a greeting");
            let [from, to] = ["noreply@example.com", "ann@example.org"].map(|text| text.parse().expect("an address"));
            let envelope = Envelope::new(Some(from), vec![to]).expect("an envelope");
            for _ in 0..share {
                connection.send(&envelope, mail.as_bytes()).await.expect("it takes everything");
            }
        });
    }
    sink.wait_for(mails).await - started
}

/// How long each of some mails took, one after another.
async fn one_by_one(server: &Server, sink: &mut Sink, caller: &Caller, mails: usize) -> Run {
    let mut run = Run::default();
    for _ in 0..mails {
        let started = Instant::now();
        server.request(caller).await;
        let span = sink.wait_for(1).await - started;
        run.add(Run { calls: 1, took: span, spans: vec![span], ..Run::default() });
    }
    run
}

async fn single(mails: usize) {
    let mut sink = Sink::start();
    let server = Server::with(smtp(&sink));
    let caller = server.tenant().await;
    let workers = server.work();
    let run = one_by_one(&server, &mut sink, &caller, mails).await;
    workers.stop().await;
    Row::new("a mail on an idle server, from the request to its end", format!("p50 {}", time(run.quantile(0.5))))
        .print();
}

/// Hands the mails of one tenant to a provider of its own, and what others send to a mail server.
struct Split {
    own: Arc<OnceLock<TenantId>>,
    provider: Failover,
    smtp: SmtpMailer,
}

/// Takes a message at once, or never.
struct Provider {
    hangs: bool,
}

#[async_trait]
impl Mailer for Provider {
    async fn send(&self, _message: &Outgoing) -> Result<Receipt, SendError> {
        if self.hangs { pending().await } else { Ok(Receipt::default()) }
    }
}

#[async_trait]
impl Mailer for Split {
    async fn send(&self, message: &Outgoing) -> Result<Receipt, SendError> {
        match self.own.get() == Some(&message.tenant) {
            true => self.provider.send(message).await,
            false => self.smtp.send(message).await,
        }
    }
}

/// Two tenants on one server, one with a provider of its own.
struct Neighbours {
    sink: Sink,
    server: Server,
    acme: Caller,
    other: Caller,
    _workers: Workers,
    run: Run,
}

impl Neighbours {
    async fn new(hangs: bool) -> Self {
        let (sink, own) = (Sink::start(), Arc::new(OnceLock::new()));
        let provider = Failover::new(SystemClock::default()).then("own", Provider { hangs });
        let server = Server::with(Split { own: Arc::clone(&own), provider, smtp: smtp(&sink) });
        let (acme, other) = (server.tenant().await, server.tenant().await);
        let _ = own.set(other.space().tenant);
        let workers = server.work();
        Self { sink, server, acme, other, _workers: workers, run: Run::default() }
    }

    async fn turn(&mut self, mails: usize) {
        for _ in 0..mails {
            for _ in 0..OTHERS {
                self.server.request(&self.other).await;
            }
            self.run.add(one_by_one(&self.server, &mut self.sink, &self.acme, 1).await);
        }
    }
}

async fn beside(mails: usize) {
    let mut both = [Neighbours::new(true).await, Neighbours::new(false).await];
    for neighbours in &mut both {
        neighbours.turn(mails / 10).await;
        neighbours.run = Run::default();
    }
    for _ in 0..TURNS {
        for neighbours in &mut both {
            neighbours.turn(mails).await;
        }
    }
    let [with, without] = both.map(|neighbours| neighbours.run.quantile(0.99));
    let row = Row::new("the same beside a tenant whose provider hangs", format!("p99 {}", time(with)));
    row.against(format!("whose provider works {}", time(without)), percent(with.as_secs_f64(), without.as_secs_f64()))
        .print();
}
