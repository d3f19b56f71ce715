//! Names that point to the public net when they are judged and to this machine when they are connected to.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ChildStdin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use otp_core::ManualClock;
use otp_core::destination::NotPublic;
use tokio::net::TcpListener;

use super::*;
use crate::dns::Dns;
use crate::mail::{MailUrl, SmtpMailer};

/// dnslib, as `xtask/peers/rebinding.py` says.
struct NameServer {
    port: u16,
    process: Child,
    _input: ChildStdin,
}

impl NameServer {
    fn start() -> Self {
        let python = std::env::var_os("OTP_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/peers/rebinding.py");
        let mut process =
            Command::new(&python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse();
        let port = port.unwrap_or_else(|_| panic!("{} has no dnslib: run `cargo xtask test`", python.display()));
        let input = process.stdin.take().unwrap();
        Self { port, process, _input: input }
    }

    fn dns(&self) -> Dns {
        Dns::of(Some(SocketAddr::from(([127, 0, 0, 1], self.port)))).unwrap()
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Counts who comes to a port of this machine.
async fn canary() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, seen)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs dnslib: run `cargo xtask test`"]
async fn no_byte_reaches_this_machine_whatever_the_dns_says_next() {
    let server = NameServer::start();
    let (port, seen) = canary().await;
    let guarded = Outbound::guarded(Guard::public(server.dns())).unwrap();
    let hasty = Outbound { deadline: Duration::from_millis(200), ..guarded };
    let send = |number: usize| {
        let host = ["rebind.test", "REBIND.test.", "mixed.test", "here.test"][number % 4];
        let (hasty, url) = (hasty.clone(), format!("http://{host}:{port}/"));
        async move { hasty.send(get(&url)).await.map(|answer| answer.status).unwrap_err() }
    };
    let errors: Vec<_> = stream::iter(0..1_000).map(send).buffer_unordered(50).collect().await;
    assert_eq!(seen.load(Ordering::SeqCst), 0, "somebody came");
    let refused = errors.iter().filter(|error| **error == Unanswered::NotPublic(NotPublic)).count();
    assert!((500..1_000).contains(&refused), "{refused} were refused for where they led, the others led nowhere");
}

/// A mail server of a tenant's is connected to by the same guard.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs dnslib: run `cargo xtask test`"]
async fn no_mail_server_of_this_machine_is_reached_whatever_the_dns_says_next() {
    let server = NameServer::start();
    let (port, seen) = canary().await;
    let mailer = |host: &str, guard: Guard| {
        let Ok(MailUrl::Smtp(url)) = format!("smtp://{host}:{port}?tls=none").parse() else { panic!("{host}") };
        let from = "OTP Auth <noreply@mail.example>".parse().unwrap();
        SmtpMailer::within(&url, from, Arc::new(ManualClock::default()), guard).unwrap()
    };
    for number in 0..100 {
        let host = ["rebind.test", "REBIND.test.", "mixed.test", "here.test", "127.0.0.1", "[::1]"][number % 6];
        let mailer = mailer(host, Guard::public(server.dns()));
        let checked = tokio::time::timeout(Duration::from_millis(200), mailer.check()).await;
        assert!(!matches!(checked, Ok(Ok(()))), "{host}");
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "somebody came");
    let operators = mailer("127.0.0.1", Guard::anywhere());
    let _ = tokio::time::timeout(Duration::from_millis(200), operators.check()).await;
    assert_eq!(seen.load(Ordering::SeqCst), 1, "the operator's own may");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_the_url_is_judged_without_the_dns() {
    let (port, seen) = canary().await;
    let nobody = Dns::of(Some(SocketAddr::from(([127, 0, 0, 1], 1)))).unwrap();
    let guarded = Outbound::guarded(Guard::public(nobody)).unwrap();
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "a.localhost", "169.254.169.254"] {
        for scheme in ["http", "https"] {
            let error = guarded.send(get(&format!("{scheme}://{host}:{port}/"))).await.unwrap_err();
            assert_eq!(error, Unanswered::NotPublic(NotPublic), "{scheme}://{host}");
        }
    }
    assert_eq!(seen.load(Ordering::SeqCst), 0, "somebody came");
    assert!(client().send(get(&format!("http://127.0.0.1:{port}/"))).await.is_err(), "it accepts and says nothing");
    assert_eq!(seen.load(Ordering::SeqCst), 1, "the operator's own may");
}
