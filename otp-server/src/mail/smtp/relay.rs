//! Connections to one mail server, kept for the next mail.
//!
//! lettre has a pool of its own, but it takes a connection back whose command was cut off by a timeout. The late answer is
//! then read as that of the next mail, and a mail counts as sent that was not. Here such a connection is closed.

use std::fs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::ServerFault;
use super::fault::{Cause, Fault, Step};
use crate::mail::{Login, MailSetupError, SmtpTls, SmtpUrl};
use crate::outbound::Guard;

/// How long a server has for what.
#[derive(Clone, Copy, Debug)]
pub(in crate::mail) struct Patience {
    /// For each step of opening a connection.
    pub(in crate::mail) open: Duration,
    /// From `MAIL` to the answer that the mail is taken. Some servers scan it first, and whoever leaves sends it twice.
    pub(in crate::mail) send: Duration,
    /// How long a connection without work is kept.
    pub(in crate::mail) idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { open: Duration::from_secs(10), send: Duration::from_secs(30), idle: Duration::from_secs(60) }
    }
}

/// How long a connection counts as in use after it was.
const WARM: Duration = Duration::from_secs(1);

pub(super) struct Relay {
    host: String,
    port: u16,
    encryption: Encryption,
    login: Option<Login>,
    hello: ClientId,
    patience: Patience,
    guard: Guard,
    places: Semaphore,
    parked: Arc<Parked>,
}

enum Encryption {
    Implicit(TlsParameters),
    StartTls(TlsParameters),
    None,
}

impl Relay {
    pub(super) fn new(server: &SmtpUrl, patience: Patience, guard: Guard) -> Result<Self, MailSetupError> {
        let encryption = match server.tls {
            SmtpTls::Implicit => Encryption::Implicit(tls(server)?),
            SmtpTls::StartTls => Encryption::StartTls(tls(server)?),
            SmtpTls::None => Encryption::None,
        };
        Ok(Self {
            host: server.host.clone(),
            port: server.port,
            encryption,
            login: server.login.clone(),
            hello: ClientId::default(),
            patience,
            guard,
            places: Semaphore::new(server.connections),
            parked: Arc::new(Parked { idle: patience.idle, state: Mutex::default() }),
        })
    }

    pub(super) async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), Fault> {
        let _place = self.places.acquire().await.expect("the semaphore is never closed");
        if let Some(mut connection) = self.parked.unpark_warm() {
            match within(self.patience.send, Step::Send, connection.send(envelope, mail)).await {
                Err(fault) if fault.is_end_of_connection() => {}
                sent => return sent.map(|_| self.parked.park(connection)),
            }
        }
        let mut connection = match self.reuse().await {
            Some(connection) => connection,
            None => self.open().await?,
        };
        within(self.patience.send, Step::Send, connection.send(envelope, mail)).await?;
        self.parked.park(connection);
        Ok(())
    }

    pub(super) async fn check(&self) -> Result<(), ServerFault> {
        let opened = self.open().await;
        let mut connection = opened.map_err(|fault| ServerFault::new(format!("{}:{}", self.host, self.port), fault))?;
        leave(&mut connection, self.patience.open).await;
        Ok(())
    }

    /// The connection used last, if it still answers. If it does not, the others are older and go too.
    async fn reuse(&self) -> Option<AsyncSmtpConnection> {
        let mut connection = self.parked.unpark()?;
        if timeout(self.patience.open, connection.test_connected()).await == Ok(true) {
            return Some(connection);
        }
        self.parked.state().connections.clear();
        None
    }

    async fn open(&self) -> Result<AsyncSmtpConnection, Fault> {
        let mut connection = self.connect().await?;
        if let Encryption::StartTls(tls) = &self.encryption {
            if !connection.can_starttls() {
                leave(&mut connection, self.patience.open).await;
                return Err(Fault { step: Step::StartTls, cause: Cause::NoStartTls });
            }
            within(self.patience.open, Step::StartTls, connection.starttls(tls.clone(), &self.hello)).await?;
        }
        if let Some(Login { user, password }) = &self.login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            within(self.patience.open, Step::Login, connection.auth(DEFAULT_MECHANISMS, &credentials)).await?;
        }
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Fault> {
        let fault = |cause| Fault { step: Step::Connect, cause };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let found = timeout(self.patience.open, self.guard.find(&host, self.port)).await;
        let addresses = found.map_err(|_| fault(Cause::Silent))?.map_err(|error| fault(error.into()))?;
        if let Encryption::Implicit(tls) = &self.encryption {
            let tls = Some(tls.clone());
            let connecting = AsyncSmtpConnection::connect_tokio1(&addresses[..], None, &self.hello, tls, None);
            return within(self.patience.open, Step::Connect, connecting).await;
        }
        let connected = timeout(self.patience.open, TcpStream::connect(&addresses[..])).await;
        let stream = connected.map_err(|_| fault(Cause::Silent))?.map_err(|error| fault(Cause::of_io(&error)))?;
        // lettre writes the end of a mail by itself, and it would wait for the server's delayed acknowledgement of the mail.
        stream.set_nodelay(true).map_err(|error| fault(Cause::of_io(&error)))?;
        let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello);
        within(self.patience.open, Step::Connect, greeting).await
    }
}

fn tls(server: &SmtpUrl) -> Result<TlsParameters, MailSetupError> {
    let mut tls = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca {
        let pem = fs::read(path).map_err(|source| MailSetupError::CaFile { path: path.clone(), source })?;
        let has_one = pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----");
        let certificates = Certificate::from_pem(&pem).ok().filter(|_| has_one);
        tls = tls.add_root_certificate(certificates.ok_or(MailSetupError::CaForm { path: path.clone() })?);
    }
    tls.build().map_err(MailSetupError::Tls)
}

async fn within<T>(patience: Duration, step: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Fault> {
    match timeout(patience, work).await {
        Ok(done) => done.map_err(|error| Fault::of(step, error)),
        Err(_) => Err(Fault { step, cause: Cause::Silent }),
    }
}

/// `QUIT`, if the server is quick to answer it.
async fn leave(connection: &mut AsyncSmtpConnection, patience: Duration) {
    let _ = timeout(patience, connection.abort()).await;
}

/// Connections without work, each with the time until which it is kept.
struct Parked {
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The one used last is at the end, and used first.
    connections: Vec<(Instant, AsyncSmtpConnection)>,
    /// Whether a task looks after them.
    tended: bool,
}

impl Parked {
    fn park(self: &Arc<Self>, connection: AsyncSmtpConnection) {
        if connection.has_broken() {
            return;
        }
        let mut state = self.state();
        state.connections.push((Instant::now() + self.idle, connection));
        if !state.tended {
            state.tended = true;
            tokio::spawn(tend(Arc::downgrade(self), self.idle));
        }
    }

    /// One that was used a moment ago, and need not be asked whether it is still there.
    fn unpark_warm(&self) -> Option<AsyncSmtpConnection> {
        let (now, mut state) = (Instant::now(), self.state());
        let last = state.connections.pop_if(|(until, _)| now + self.idle < *until + WARM);
        last.map(|(_, connection)| connection)
    }

    fn unpark(&self) -> Option<AsyncSmtpConnection> {
        self.state().connections.pop().map(|(_, connection)| connection)
    }

    /// Takes those out that were without work for too long. `None` when all are gone, and with them the task.
    fn idle(&self) -> Option<Vec<AsyncSmtpConnection>> {
        let mut state = self.state();
        if state.connections.is_empty() {
            state.tended = false;
            return None;
        }
        let now = Instant::now();
        let idle = state.connections.extract_if(.., |(until, _)| *until <= now);
        Some(idle.map(|(_, connection)| connection).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that nobody uses, so that the server need not.
async fn tend(parked: Weak<Parked>, idle: Duration) {
    loop {
        sleep(idle).await;
        let Some(connections) = parked.upgrade().and_then(|parked| parked.idle()) else { return };
        for mut connection in connections {
            leave(&mut connection, idle).await;
        }
    }
}
