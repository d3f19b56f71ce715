//! Text from customers and end users in every header field, through a real server: none of it becomes a field of its own.

use otp_core::message::{Mailer, Outgoing};
use otp_core::{Random, SeededRandom};

use super::peer::{Peer, Taken};
use super::services::service;
use super::{clock, from, message};
use crate::capture::{Capture, Reply};
use crate::mail::SmtpMailer;

const VECTORS: u64 = 500;
const FIELDS: usize = 6;

/// What ends a line or a field for somebody, what hides that, and what is between.
const PIECES: [&str; 26] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\r\n\r\n",
    "\n\n",
    "\r\n ",
    "\r\n\t",
    "\r\n.\r\n",
    "\u{b}",
    "\u{c}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "Bcc: eve@evil.example",
    "X-Evil: 1",
    "Content-Type: text/html",
    "=?utf-8?q?=0D=0ABcc:_eve@evil.example?=",
    "=?utf-8?b?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=",
    "%0d%0aBcc:eve@evil.example",
    "<eve@evil.example>",
    ", eve@evil.example",
    "\"",
    "\\",
    "é\u{1f511}\u{202e}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// One to six pieces.
fn attack(random: &dyn Random) -> String {
    let bytes: [u8; 7] = random.bytes();
    let count = usize::from(bytes[6]) % 6 + 1;
    bytes[..count].iter().map(|byte| PIECES[usize::from(*byte) % PIECES.len()]).collect()
}

fn with(field: usize, attack: &str, number: u64) -> Outgoing {
    let mail = Outgoing { reply_to: Some("help@acme.example".to_owned()), ..message(number, "ann@example.org") };
    match field {
        0 => Outgoing { subject: format!("Your {attack} code"), ..mail },
        1 => Outgoing { from_name: Some(format!("Acme{attack}")), ..mail },
        2 => Outgoing { from_email: Some(format!("noreply{attack}@acme.example")), ..mail },
        3 => Outgoing { from_email: Some(format!("noreply@acme.example{attack}")), ..mail },
        4 => Outgoing { reply_to: Some(format!("help@acme.example{attack}")), ..mail },
        _ => Outgoing { to: format!("ann@example.org{attack}"), ..mail },
    }
}

#[tokio::test]
#[ignore = "needs python3 with aiosmtpd: run `cargo xtask test`"]
async fn no_text_in_a_header_field_becomes_another_field_or_another_mail() {
    let mut peer = Peer::start(&[]);
    let mailer = SmtpMailer::new(&peer.url("", ""), from(), clock()).unwrap();
    mailer.send(&with(0, "", 0)).await.unwrap();
    let names = peer.next().await.header_names();
    let random = SeededRandom::new(7);
    let mut taken = [0; FIELDS];
    for number in 1..=VECTORS {
        let (field, attack) = (number as usize % FIELDS, attack(&random));
        let mail = with(field, &attack, number);
        if mailer.send(&mail).await.is_err() {
            continue; // refused is as good
        }
        taken[field] += 1;
        let arrived: Taken = peer.next().await;
        assert_eq!(arrived.header_names(), names, "{field} {attack:?}");
        assert_eq!(arrived.header("Message-ID"), format!("<{}@mail.example>", mail.id), "{field} {attack:?}");
        assert_eq!(arrived.to.len(), 1, "{field} {attack:?}: {:?}", arrived.to);
        assert_eq!(arrived.text.as_deref(), Some(mail.text.trim_end()), "{field} {attack:?}");
    }
    // Names and subjects without line breaks are ordinary text, so that not all of it was refused.
    assert!(taken[0] > 0 && taken[1] > 0, "{taken:?}");
    let last = message(VECTORS + 1, "ann@example.org");
    mailer.send(&last).await.unwrap();
    assert_eq!(peer.next().await.header("Message-ID"), format!("<{}@mail.example>", last.id), "a mail within a mail");
}

/// A service gets the text as the value of its one field, or the mail is refused before.
#[tokio::test]
async fn in_a_request_over_http_the_text_is_a_value_among_others() {
    let capture = Capture::start(|_| Reply::json(200, r#"{"id":"49a3999c"}"#));
    let mailer = service("resend:re_hush?", &capture);
    mailer.send(&with(0, "", 0)).await.unwrap();
    let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let plain = capture.next();
    let names = keys(&plain.json());
    let random = SeededRandom::new(8);
    for number in 1..=60 {
        let attack = attack(&random);
        let mail = with(number as usize % FIELDS, &attack, number);
        if mailer.send(&mail).await.is_err() {
            continue;
        }
        let (request, subject) = (capture.next(), mail.subject);
        assert_eq!(request.target, plain.target);
        let body = request.json();
        assert_eq!((keys(&body), &body["subject"]), (names.clone(), &serde_json::json!(subject)), "{attack:?}");
        assert_eq!(body["to"].as_array().map(Vec::len), Some(1), "{attack:?}");
        assert!(body["headers"].as_object().is_some_and(|headers| headers.len() == 2), "{attack:?}");
    }
}
