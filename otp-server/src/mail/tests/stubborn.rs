//! Mail servers that misbehave in ways that no honest one can be made to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use otp_core::message::{Mailer, SendError};
use otp_core::suppression::SuppressionReason;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::peer::server;
use super::{CODE, clock, from, in_time, message, permanent, temporary};
use crate::mail::smtp::Patience;
use crate::mail::{MailSetupError, SmtpMailer};

/// What a server answers to the end of a mail; `None` is nothing, with the connection left open.
type Answers = fn(connection: usize) -> Option<&'static str>;

/// What a server saw, and over which connection.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Mail(usize),
    Quit(usize),
}

/// Takes everything and answers a mail as it is told to.
async fn start(answers: Answers) -> (SocketAddr, mpsc::UnboundedReceiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (sender, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(converse(stream, connection, answers, sender.clone()));
        }
    });
    (addr, seen)
}

async fn converse(stream: TcpStream, connection: usize, answers: Answers, seen: mpsc::UnboundedSender<Seen>) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 stubborn.test\r\n").await.unwrap();
    let (mut line, mut in_mail) = (String::new(), false);
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let answer = match line.trim_end() {
            "." => {
                in_mail = false;
                let _ = seen.send(Seen::Mail(connection));
                answers(connection)
            }
            _ if in_mail => None,
            "DATA" => {
                in_mail = true;
                Some("354 go on")
            }
            "QUIT" => {
                let _ = seen.send(Seen::Quit(connection));
                Some("221 bye")
            }
            _ => Some("250 stubborn.test"),
        };
        if let Some(answer) = answer {
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
        line.clear();
    }
}

fn mailer(addr: SocketAddr, patience: Patience) -> SmtpMailer {
    SmtpMailer::with_patience(&server(&format!("smtp://{addr}")), from(), clock(), patience).unwrap()
}

fn short() -> Patience {
    let short = Duration::from_millis(200);
    Patience { open: short, send: short, idle: Duration::from_secs(3600) }
}

#[tokio::test]
async fn a_connection_that_owes_an_answer_is_not_used_again() {
    let (addr, mut seen) = start(|connection| (connection > 0).then_some("250 taken")).await;
    let mailer = mailer(addr, short());
    let late = mailer.send(&message(1, "ann@example.org")).await;
    assert_eq!(late, Err(temporary("handing over the mail: no answer in time")));
    mailer.send(&message(1, "ann@example.org")).await.unwrap();
    mailer.send(&message(2, "ann@example.org")).await.unwrap();
    for connection in [0, 1, 1] {
        assert_eq!(in_time(seen.recv()).await, Some(Seen::Mail(connection)));
    }
}

#[tokio::test]
async fn a_send_that_is_given_up_leaves_no_connection_behind() {
    let (addr, mut seen) = start(|connection| (connection > 0).then_some("250 taken")).await;
    let mailer = Arc::new(mailer(addr, Patience::default()));
    let sending = tokio::spawn({
        let mailer = Arc::clone(&mailer);
        async move { mailer.send(&message(1, "ann@example.org")).await }
    });
    assert_eq!(in_time(seen.recv()).await, Some(Seen::Mail(0)));
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    mailer.send(&message(1, "ann@example.org")).await.unwrap();
    assert_eq!(in_time(seen.recv()).await, Some(Seen::Mail(1)));
}

/// A server may close a connection at any time: the next mail goes over another one at once.
#[tokio::test]
async fn a_connection_that_ended_costs_no_mail_a_retry() {
    for end in [None, Some("421 4.7.0 too many mails")] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (sender, mut seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse_once(stream, connection, end, sender.clone()));
            }
        });
        let mailer = mailer(addr, short());
        for connection in 0..3_usize {
            mailer.send(&message(connection as u64, "ann@example.org")).await.unwrap();
            assert_eq!(in_time(seen.recv()).await, Some(Seen::Mail(connection)));
        }
    }
}

/// Takes one mail; then says so, or nothing, and closes the connection.
async fn converse_once(
    stream: TcpStream,
    connection: usize,
    end: Option<&'static str>,
    seen: mpsc::UnboundedSender<Seen>,
) {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 brief.test\r\n").await.unwrap();
    let (mut line, mut in_mail, mut is_over) = (String::new(), false, false);
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let answer = match line.trim_end() {
            _ if is_over => end,
            "." => {
                (in_mail, is_over) = (false, true);
                let _ = seen.send(Seen::Mail(connection));
                Some("250 taken")
            }
            _ if in_mail => None,
            "DATA" => {
                in_mail = true;
                Some("354 go on")
            }
            _ => Some("250 brief.test"),
        };
        if let Some(answer) = answer {
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
        if is_over && (end.is_none() || answer == end) {
            return;
        }
        line.clear();
    }
}

#[tokio::test]
async fn idle_connections_are_closed() {
    let (addr, mut seen) = start(|_| Some("250 taken")).await;
    let mailer = mailer(addr, Patience { idle: Duration::from_millis(1), ..Patience::default() });
    mailer.send(&message(1, "ann@example.org")).await.unwrap();
    assert_eq!(in_time(seen.recv()).await, Some(Seen::Mail(0)));
    assert_eq!(in_time(seen.recv()).await, Some(Seen::Quit(0)));
    mailer.send(&message(2, "ann@example.org")).await.unwrap();
    assert_eq!(in_time(seen.recv()).await, Some(Seen::Mail(1)));
    assert_eq!(in_time(seen.recv()).await, Some(Seen::Quit(1)));
}

fn gone(reason: &str) -> SendError {
    SendError::Recipient { reason: reason.to_owned(), suppress: SuppressionReason::HardBounce }
}

#[tokio::test]
async fn an_answer_that_tells_all_is_cut_down_to_its_status() {
    let answers: [(Answers, SendError); 7] = [
        (|_| Some("550 <ann@example.org> 481920375"), permanent("550")),
        (|_| Some("550-5.1.1 ann@example.org\r\n550 5.1.1 481920375"), gone("550 5.1.1")),
        (|_| Some("552 4.8.1"), permanent("552 4.8.1")),
        (|_| Some("452 4.2.2.1 ann@example.org"), temporary("452")),
        (|_| Some("450 4.481920375.1"), temporary("450")),
        (|_| Some("451 481920375"), temporary("451")),
        (
            |_| Some("481920375 ann@example.org"),
            temporary("handing over the mail: the server has no address, or does not speak SMTP"),
        ),
    ];
    for (answer, error) in answers {
        let (addr, _seen) = start(answer).await;
        let refused = mailer(addr, Patience::default()).send(&message(1, "ann@example.org")).await;
        assert_eq!(refused, Err(error.clone()));
        assert!(!error.to_string().contains(CODE) && !error.to_string().contains("ann"));
    }
}

#[tokio::test]
async fn a_silent_or_absent_server_is_temporary_and_the_check_names_it() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer_of_silent = mailer(silent.local_addr().unwrap(), short());
    let unanswered = mailer_of_silent.send(&message(1, "ann@example.org")).await;
    assert_eq!(unanswered, Err(temporary("connecting to the mail server: no answer in time")));
    let told = mailer_of_silent.check().await.unwrap_err().to_string();
    assert!(told.contains(&silent.local_addr().unwrap().to_string()) && told.contains("firewall"), "{told}");

    let addr = silent.local_addr().unwrap();
    drop(silent);
    let absent = mailer(addr, Patience::default());
    let Err(SendError::Temporary { reason, .. }) = absent.send(&message(1, "ann@example.org")).await else {
        panic!("an absent server is no temporary error");
    };
    assert!(reason.starts_with("connecting to the mail server: Connection refused"), "{reason}");
    let told = absent.check().await.unwrap_err().to_string();
    assert!(told.ends_with("; check host and port"), "{told}");
}

#[test]
fn a_certificate_file_that_is_none_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
    std::fs::write(&empty, "hello").unwrap();
    let build = |path: &std::path::Path| {
        let url = server(&format!("smtps://localhost?ca={}", path.display()));
        SmtpMailer::new(&url, from(), clock()).err().unwrap()
    };
    assert!(matches!(build(&missing), MailSetupError::CaFile { path, .. } if path == missing));
    assert!(matches!(build(&empty), MailSetupError::CaForm { path } if path == empty));
}
