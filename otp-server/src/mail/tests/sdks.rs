//! Our requests beside those of the services' own libraries, and Amazon SES as moto plays it.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use otp_core::Clock;
use otp_core::message::{Mailer, Outgoing};
use serde_json::{Value, json};

use super::services::service;
use super::{clock, from, message};
use crate::capture::{Capture, Captured, Reply};
use crate::mail::{Built, MailUrl, mailer, mime};

pub(super) fn script(name: &str) -> Command {
    let python = std::env::var_os("OTP_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/peers").join(name));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What the library of a service sends for this message.
pub(crate) fn sdk(service: &str, capture: &Capture, message: &Value) -> Captured {
    let mut process = script("sdk.py").arg(service).spawn().unwrap();
    process.stdin.take().unwrap().write_all(message.to_string().as_bytes()).unwrap();
    assert!(process.wait().unwrap().success(), "run `cargo xtask test`, which installs the libraries");
    capture.next()
}

fn mail() -> Outgoing {
    Outgoing { reply_to: Some("help@acme.example".to_owned()), ..message(1, "ann+otp@example.org") }
}

/// The parts of it that a library is given.
fn parts(mail: &Outgoing, capture: &Capture, headers: Value) -> Value {
    json!({
        "key": "hush",
        "endpoint": capture.url,
        "id": mail.id,
        "customer": mail.tenant,
        "sender": "noreply@mail.example",
        "sender_name": "Acme",
        "to": mail.to,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "reply_to": "help@acme.example",
        "headers": headers,
    })
}

fn assert_same(ours: &Captured, theirs: &Captured, headers: &[&str]) {
    assert_eq!((&ours.method, &ours.target), (&theirs.method, &theirs.target));
    for name in headers {
        assert_eq!(ours.header(name), theirs.header(name), "{name}");
    }
    assert_eq!(ours.json(), theirs.json());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 with resend: run `cargo xtask test`"]
async fn resend_gets_what_its_own_library_sends() {
    let capture = Capture::start(|_| Reply::json(200, r#"{"id":"1"}"#));
    let mail = mail();
    service("resend:hush?", &capture).send(&mail).await.unwrap();
    let ours = capture.next();
    let headers = json!({"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"});
    let theirs = sdk("resend", &capture, &parts(&mail, &capture, headers));
    assert_same(&ours, &theirs, &["authorization", "content-type", "idempotency-key"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 with sendgrid: run `cargo xtask test`"]
async fn sendgrid_gets_what_its_own_library_sends() {
    let capture = Capture::start(|_| Reply::Answer(202, "", String::new()));
    let mail = mail();
    service("sendgrid:hush?", &capture).send(&mail).await.unwrap();
    let ours = capture.next();
    let id = format!("<{}@mail.example>", mail.id);
    let headers = json!({"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "Message-ID": id});
    let theirs = sdk("sendgrid", &capture, &parts(&mail, &capture, headers));
    assert_same(&ours, &theirs, &["authorization", "content-type"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 with boto3: run `cargo xtask test`"]
async fn ses_gets_what_its_own_library_sends_and_signs() {
    let capture = Capture::start(|_| Reply::json(200, r#"{"MessageId":"1"}"#));
    let mail = mail();
    let url = "ses:eu-central-1?access-key-id=AKIA&secret-access-key=hush&session-token=session&configuration-set=otp&";
    service(url, &capture).send(&mail).await.unwrap();
    let ours = capture.next();
    let raw = BASE64_STANDARD.encode(mime::mail(&mail, &from(), clock().now()).unwrap().formatted());
    let theirs = sdk(
        "ses",
        &capture,
        &json!({
            "endpoint": capture.url,
            "region": "eu-central-1",
            "access_key_id": "AKIA",
            "key": "hush",
            "session_token": "session",
            "to": mail.to,
            "mail": raw,
            "id": mail.id,
            "customer": mail.tenant,
            "configuration_set": "otp",
        }),
    );
    assert_same(&ours, &theirs, &["host", "x-amz-security-token", "content-type"]);
    let names = |request: &Captured| {
        request.header("authorization").split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap().to_owned()
    };
    assert_eq!(names(&ours), names(&theirs));
}

/// A mail server of Amazon's that checks signatures; it ends with its standard input.
struct Moto {
    process: Child,
    told: Value,
}

impl Moto {
    fn start() -> Self {
        let mut process = script("ses.py").arg("noreply@mail.example").stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).expect("run `cargo xtask test`, which installs moto");
        Self { process, told }
    }

    fn said(&self, name: &str) -> &str {
        self.told[name].as_str().unwrap()
    }

    fn mailer(&self, secret: &str) -> Built {
        let [region, id, endpoint] = ["region", "id", "endpoint"].map(|name| self.said(name));
        let url = format!("ses:{region}?access-key-id={id}&secret-access-key={secret}&endpoint={endpoint}");
        let clock = std::sync::Arc::new(otp_core::SystemClock::default()); // signatures of another time are refused
        mailer(&url.parse::<MailUrl>().unwrap(), &from(), clock).unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 with moto: run `cargo xtask test`"]
async fn ses_takes_a_mail_whose_request_is_signed_and_no_other() {
    let moto = Moto::start();
    let secret = moto.said("secret").replace('/', "%2F");
    let sender = moto.mailer(&secret);
    let receipt = sender.mailer().send(&mail()).await.unwrap();
    assert!(receipt.provider_id.is_some());

    let wrong = moto.mailer("hush");
    let refused = wrong.mailer().send(&mail()).await.unwrap_err().to_string();
    assert!(refused.starts_with("unusable: Amazon SES: 403"), "{refused}");
    let stranger = Outgoing { from_email: Some("noreply@elsewhere.example".to_owned()), ..mail() };
    let refused = sender.mailer().send(&stranger).await.unwrap_err().to_string();
    assert_eq!(refused, "unusable: Amazon SES: 400, MessageRejected");
}
