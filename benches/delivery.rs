//! How fast mail leaves: 10,000 queued mails over 16 connections beside a bare loop of lettre over as many; one mail on an idle
//! server, from the request to the end of its `DATA`; and the mails of one tenant beside another whose provider hangs.
//!
//! `cargo bench --profile fast -p otp-server -p otp-benches --bench delivery`, with `OTP_BENCH_QUICK=1` in a tenth of the time.

#![allow(clippy::disallowed_methods)] // measures real time

use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use lettre::address::Envelope;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use otp_benches::arrivals::Peer;
use otp_benches::backstage::{Backstage, Neighbours};
use otp_benches::race::is_quick;
use otp_benches::row::{Row, percent, time};
use otp_core::message::{Failover, Mailer, Outgoing, Receipt, SendError};
use otp_core::store::MemoryStore;
use otp_core::{SystemClock, TenantId};
use otp_server::mail::{MailUrl, SmtpMailer};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const MAILS: usize = 10_000;
const CONNECTIONS: usize = 16;
/// Of a mail of the bare loop, which is as large as those of the built-in template.
const LINES: usize = 90;
const SINGLE: usize = 500;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    let scaled = |count: usize| if is_quick() { count / 10 } else { count };
    runtime.block_on(async {
        queued(scaled(MAILS)).await;
        single(scaled(SINGLE)).await;
        beside(scaled(SINGLE)).await;
    });
}

fn server(mailer: impl Mailer) -> Backstage {
    Backstage::new(MemoryStore::new(), |builder| builder.mailer(mailer))
}

fn smtp(sink: &Peer) -> SmtpMailer {
    let Ok(MailUrl::Smtp(server)) = sink.smtp_url().parse() else { panic!("{} is no mail server", sink.smtp_url()) };
    let from = "OTP Auth <noreply@example.com>".parse().expect("a sender");
    SmtpMailer::new(&server, from, Arc::new(SystemClock::default())).expect("no TLS is needed")
}

async fn queued(mails: usize) {
    let mut sink = Peer::mail_server();
    let (waiting, prompt) = (bare(&mut sink, mails / 10, false).await * 10, bare(&mut sink, mails, true).await);
    let server = server(smtp(&sink));
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
async fn bare(sink: &mut Peer, mails: usize, is_prompt: bool) -> Duration {
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

async fn single(mails: usize) {
    let mut sink = Peer::mail_server();
    let server = server(smtp(&sink));
    let caller = server.tenant().await;
    let workers = server.work();
    let run = server.one_by_one(&mut sink, &caller, mails).await;
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

/// Two tenants, one with a provider of its own.
async fn neighbours(hangs: bool) -> Neighbours {
    let (sink, own) = (Peer::mail_server(), Arc::new(OnceLock::new()));
    let provider = Failover::new(SystemClock::default()).then("own", Provider { hangs });
    let server = server(Split { own: Arc::clone(&own), provider, smtp: smtp(&sink) });
    let (acme, other) = (server.tenant().await, server.tenant().await);
    let _ = own.set(other.space().tenant);
    Neighbours::new(server, sink, acme, other)
}

async fn beside(mails: usize) {
    let both = [neighbours(true).await, neighbours(false).await];
    let [with, without] = Neighbours::compare(both, mails).await.map(|run| run.quantile(0.99));
    let row = Row::new("the same beside a tenant whose provider hangs", format!("p99 {}", time(with)));
    row.against(format!("whose provider works {}", time(without)), percent(with.as_secs_f64(), without.as_secs_f64()))
        .print();
}
