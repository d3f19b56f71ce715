//! Mail through a real server: aiosmtpd.

use std::sync::Arc;

use otp_core::message::{Mailer, Outgoing, SendError};
use otp_core::suppression::SuppressionReason;

use super::peer::{Certificates, Peer, server};
use super::{CODE, clock, from, message, permanent, sms, temporary, unusable};
use crate::mail::{Built, MailUrl, SmtpMailer, SmtpUrl, mailer};

fn smtp(server: &SmtpUrl) -> SmtpMailer {
    SmtpMailer::new(server, from(), clock()).unwrap()
}

fn encrypted(tls: &str, certificates: &Certificates) -> Peer {
    let files = certificates.args();
    let mut args = vec!["--tls", tls, "--login", "otp@mail.example:p:/#%+é"];
    args.extend(files.iter().map(String::as_str));
    Peer::start(&args)
}

const LOGIN: &str = "otp%40mail.example:p%3A%2F%23%25+%C3%A9@";

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn a_mail_arrives_with_both_texts_and_says_that_a_program_sent_it() {
    let mut peer = Peer::start(&[]);
    let mail = message(1, "ann@example.org");
    smtp(&peer.url("", "")).send(&mail).await.unwrap();
    let taken = peer.next().await;

    assert_eq!((taken.from.as_str(), &taken.to[..]), ("noreply@mail.example", &["ann@example.org".to_owned()][..]));
    assert_eq!((taken.sender.as_str(), taken.subject.as_str()), ("Acme", "Your sign-in code"));
    assert_eq!(taken.content_type, "multipart/alternative");
    assert_eq!(taken.text.as_deref(), Some(mail.text.trim_end()));
    assert_eq!(taken.html, mail.html);
    assert_eq!(taken.header("Message-ID"), format!("<{}@mail.example>", mail.id));
    assert_eq!(taken.header("Date"), "Sat, 31 Jan 2026 08:15:30 +0000");
    assert_eq!(taken.header("Auto-Submitted"), "auto-generated");
    assert_eq!(taken.header("X-Auto-Response-Suppress"), "All");
    assert!(!taken.encrypted && taken.login.is_none());
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn a_retry_has_the_same_message_id_and_the_connection_is_used_again() {
    let mut peer = Peer::start(&[]);
    let mailer = smtp(&peer.url("", ""));
    let plain = Outgoing { html: None, from_name: None, ..message(2, "ann@example.org") };
    mailer.send(&message(1, "ann@example.org")).await.unwrap();
    mailer.send(&message(1, "ann@example.org")).await.unwrap();
    mailer.send(&plain).await.unwrap();
    let (first, second, other) = (peer.next().await, peer.next().await, peer.next().await);

    assert_eq!(first.header("Message-ID"), second.header("Message-ID"));
    assert_ne!(first.header("Message-ID"), other.header("Message-ID"));
    assert_eq!(first.connection, other.connection);
    assert_eq!((other.content_type.as_str(), other.sender.as_str()), ("text/plain", "OTP Auth"));
    assert_eq!((other.text, other.html), (Some(plain.text.trim_end().to_owned()), None));
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn mails_sent_at_once_all_arrive() {
    let mut peer = Peer::start(&[]);
    let mailer = Arc::new(smtp(&peer.url("", "")));
    let sends = (0..40).map(|number| {
        let mailer = Arc::clone(&mailer);
        tokio::spawn(async move { mailer.send(&message(number, "ann@example.org")).await })
    });
    for send in sends.collect::<Vec<_>>() {
        send.await.unwrap().unwrap();
    }
    let (mut ids, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let taken = peer.next().await;
        ids.push(taken.header("Message-ID").to_owned());
        connections.push(taken.connection);
    }
    for list in [&mut ids, &mut connections] {
        list.sort();
        list.dedup();
    }
    assert_eq!(ids.len(), 40);
    assert!(connections.len() <= 10, "{connections:?}");
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn a_refusal_keeps_its_status_and_nothing_of_the_address() {
    let mut peer = Peer::start(&[]);
    let mailer = smtp(&peer.url("", ""));
    for (to, error) in [
        ("temp451@example.org", temporary("451 4.7.1")),
        ("temp421@example.org", temporary("421 4.7.1")),
        (
            "perm550@example.org",
            SendError::Recipient { reason: "550 5.1.1".to_owned(), suppress: SuppressionReason::HardBounce },
        ),
        ("perm554@example.org", permanent("554 5.1.1")),
    ] {
        assert_eq!(mailer.send(&message(1, to)).await, Err(error), "{to}");
    }
    mailer.send(&message(2, "ann@example.org")).await.unwrap();
    assert_eq!(peer.next().await.to, ["ann@example.org"]);
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn an_address_beyond_ascii_needs_a_server_that_takes_it() {
    let mut peer = Peer::start(&[]);
    smtp(&peer.url("", "")).send(&message(1, "änn@example.org")).await.unwrap();
    assert_eq!(peer.next().await.to, ["änn@example.org"]);

    let old = Peer::start(&["--ascii"]);
    let refused = smtp(&old.url("", "")).send(&message(1, "änn@example.org")).await;
    assert_eq!(refused, Err(permanent("the mail server takes ASCII addresses only")));
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn login_happens_under_either_kind_of_tls() {
    let certificates = Certificates::make();
    for (tls, option) in [("starttls", "starttls"), ("implicit", "required")] {
        let mut peer = encrypted(tls, &certificates);
        let url = peer.url(LOGIN, &format!("?tls={option}&ca={}", certificates.path("ca.pem")));
        let built = mailer(&MailUrl::Smtp(url), &from(), clock()).unwrap();
        assert!(matches!(built, Built::Smtp(_)));
        built.check().await.unwrap();
        built.mailer().send(&message(1, "ann@example.org")).await.unwrap();
        let taken = peer.next().await;
        assert!(taken.encrypted, "{tls}");
        assert_eq!(taken.login.as_deref(), Some("otp@mail.example"), "{tls}");
    }
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn a_wrong_password_is_permanent_and_the_check_says_so() {
    let certificates = Certificates::make();
    let peer = encrypted("starttls", &certificates);
    let url = peer.url("otp%40mail.example:hush@", &format!("?tls=starttls&ca={}", certificates.path("ca.pem")));
    let mailer = smtp(&url);
    let refused = mailer.send(&message(1, "ann@example.org")).await;
    assert_eq!(refused, Err(unusable("logging in at the mail server: 535 5.7.8")));
    let told = mailer.check().await.unwrap_err().to_string();
    assert!(told.starts_with("localhost:") && told.ends_with("535 5.7.8; check user and password"), "{told}");
    assert!(!told.contains("hush"));
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn nothing_is_said_to_a_server_whose_certificate_nobody_trusted() {
    let (certificates, others) = (Certificates::make(), Certificates::make());
    for (tls, option) in [("starttls", "starttls"), ("implicit", "required")] {
        let peer = encrypted(tls, &certificates);
        for ca in [String::new(), format!("&ca={}", others.path("ca.pem"))] {
            let mailer = smtp(&peer.url(LOGIN, &format!("?tls={option}{ca}")));
            let Err(SendError::Temporary { reason, .. }) = mailer.send(&message(1, "ann@example.org")).await else {
                panic!("{tls} with {ca} is no temporary error");
            };
            assert!(reason.contains("invalid peer certificate"), "{reason}");
            let told = mailer.check().await.unwrap_err().to_string();
            assert!(told.contains("`ca=FILE`"), "{told}");
        }
    }
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn a_server_without_the_encryption_asked_for_is_not_used() {
    let plain = Peer::start(&[]);
    let starttls = smtp(&plain.url("otp:hush@", "?tls=starttls"));
    let refused = starttls.send(&message(1, "ann@example.org")).await;
    assert_eq!(refused, Err(temporary("STARTTLS with the mail server: the server does not offer it")));
    let told = starttls.check().await.unwrap_err().to_string();
    assert!(told.contains("write `tls=required`"), "{told}");

    let implicit = smtp(&plain.url("otp:hush@", "?tls=required"));
    assert!(matches!(implicit.send(&message(1, "ann@example.org")).await, Err(SendError::Temporary { .. })));
    let told = implicit.check().await.unwrap_err().to_string();
    assert!(told.ends_with("it does not begin with TLS; try `tls=starttls`"), "{told}");

    let without_login = smtp(&plain.url("otp:hush@", "?tls=none"));
    let refused = without_login.send(&message(1, "ann@example.org")).await;
    let reason = "logging in at the mail server: the server offers neither PLAIN nor LOGIN";
    assert_eq!(refused, Err(temporary(reason)));
}

/// Puts a text into a field of a message.
type Set = fn(&mut Outgoing, String);

/// What someone might write into a field to get a header of their own.
fn injections() -> Vec<String> {
    let breaks = [
        "\r\n", "\n", "\r", "\r\n\r\n", "\0", "\u{b}", "\u{c}", "\u{1c}", "\u{85}", "\u{2028}", "\u{2029}", "%0d%0a",
        "\\r\\n",
    ];
    let tails = ["X-Evil: 1", "Bcc: eve@example.net", " folded: 1", "Subject: other"];
    let mut all: Vec<_> = breaks.iter().flat_map(|cut| tails.map(|tail| format!("Hello{cut}{tail}"))).collect();
    for text in [
        "=?utf-8?q?Hello=0D=0AX-Evil:_1?=",
        "=?utf-8?b?SGVsbG8NClgtRXZpbDogMQ==?=",
        "Eve\" <eve@example.net>, \"",
        "Eve <eve@example.net>",
        "eve@example.net, ann",
        "\"",
        "\\",
        "\\\"",
        "<",
        ">",
        ",",
        ":",
        ";",
        "(comment)",
        "é\r",
        "=?",
        "?=",
    ] {
        all.push(text.to_owned());
    }
    all.push(format!("{} X-Evil: 1", "long ".repeat(400)));
    all.push("é".repeat(998));
    all.push("x".repeat(3000));
    all
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn no_field_of_a_message_can_add_a_header_or_a_recipient() {
    let mut peer = Peer::start(&[]);
    let mailer = smtp(&peer.url("", ""));
    mailer.send(&message(0, "ann@example.org")).await.unwrap();
    let clean = peer.next().await.header_names();

    for text in injections() {
        let fields: [(&str, Set); 5] = [
            ("subject", |mail, text| mail.subject = text),
            ("from_name", |mail, text| mail.from_name = Some(text)),
            ("to", |mail, text| mail.to = text),
            ("to", |mail, text| mail.to = format!("ann{text}@example.org")),
            ("to", |mail, text| mail.to = format!("ann@example.org{text}")),
        ];
        for (field, set) in fields {
            let mut mail = message(1, "ann@example.org");
            set(&mut mail, text.clone());
            match mailer.send(&mail).await {
                Ok(_) => {
                    let taken = peer.next().await;
                    assert_eq!(taken.header_names(), clean, "{field} {text:?}");
                    assert_eq!(taken.to, [mail.to.as_str()], "{field} {text:?}");
                    assert_eq!(taken.sender_addresses, ["noreply@mail.example"], "{field} {text:?}");
                }
                Err(SendError::Permanent { reason }) => {
                    assert!(!reason.contains("Hello") && !reason.contains(CODE), "{reason}");
                }
                Err(error) => panic!("{field} {text:?} is {error}"),
            }
        }
    }
    mailer.send(&message(2, "last@example.org")).await.unwrap();
    assert_eq!(peer.next().await.to, ["last@example.org"], "and nothing else arrived");
}

#[tokio::test]
async fn line_breaks_and_phones_are_refused_before_anything_is_connected() {
    let mailer = smtp(&server("smtp://localhost:1"));
    for (mail, reason) in [
        (sms(1), "this mailer sends e-mail only"),
        (
            Outgoing { subject: "Hello\r\nX-Evil: 1".into(), ..message(1, "ann@example.org") },
            "the subject has a line break or another control character",
        ),
        (
            Outgoing { from_name: Some("Acme\0".into()), ..message(1, "ann@example.org") },
            "the sender's name has a line break or another control character",
        ),
        (
            message(1, "ann@example.org\r\nBcc: eve@example.net"),
            "the recipient's address is none that mail can be sent to",
        ),
    ] {
        assert_eq!(mailer.send(&mail).await, Err(permanent(reason)));
    }
}
