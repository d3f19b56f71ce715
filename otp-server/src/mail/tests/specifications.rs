//! Our requests before what the services say of themselves in OpenAPI. Resend's document is in no registry; its library speaks
//! for it.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use otp_core::message::{Channel, Mailer, Outgoing};
use serde_json::{Value, json};

use super::sdks::script;
use super::{clock, message, services, sms};
use crate::capture::{Capture, Captured, Reply};

/// What is wrong with a request by this document.
fn problems(document: &str, path: &str, request: &Captured, body: &str) -> Vec<String> {
    let folder = std::env::var_os("OTP_TEST_SPECIFICATIONS").map(PathBuf::from);
    let folder =
        folder.expect("OTP_TEST_SPECIFICATIONS names the documents: run `cargo xtask test`, which fetches them");
    let told = json!({
        "method": request.method,
        "path": path,
        "content_type": request.header("content-type"),
        "body": body,
    });
    let mut process = script("accepts.py").arg(folder.join(document)).stderr(Stdio::inherit()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(told.to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "run `cargo xtask test`, which installs openapi-schema-validator");
    String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// The request is accepted, and is not with a field too many or with this one missing.
fn assert_accepted_as_json(document: &str, path: &str, request: &Captured, needed: &str) {
    let wrong = |body: &Value| problems(document, path, request, &body.to_string());
    let body = request.json();
    assert_eq!(wrong(&body), [""; 0]);
    let with = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut changed = body.clone();
        change(changed.as_object_mut().unwrap());
        changed
    };
    assert_ne!(wrong(&with(&|body| drop(body.insert("surplus".to_owned(), json!(1))))), [""; 0]);
    assert_ne!(wrong(&with(&|body| drop(body.remove(needed)))), [""; 0]);
}

fn mail() -> Outgoing {
    Outgoing { reply_to: Some("help@acme.example".to_owned()), ..message(1, "ann+otp@example.org") }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the services' OpenAPI documents: run `cargo xtask test`"]
async fn sendgrid_asks_for_what_it_is_sent() {
    let capture = Capture::start(|_| Reply::Answer(202, "", String::new()));
    services::service("sendgrid:hush?", &capture).send(&mail()).await.unwrap();
    let request = capture.next();
    let path = request.target.strip_prefix("/v3").unwrap();
    assert_accepted_as_json("sendgrid.com.json", path, &request, "personalizations");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the services' OpenAPI documents: run `cargo xtask test`"]
async fn ses_asks_for_what_it_is_sent() {
    let capture = Capture::start(|_| Reply::json(200, r#"{"MessageId":"1"}"#));
    let url = "ses:eu-central-1?access-key-id=AKIA&secret-access-key=hush&configuration-set=otp&";
    services::service(url, &capture).send(&mail()).await.unwrap();
    let request = capture.next();
    assert_accepted_as_json("sesv2.json", &request.target, &request, "Content");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the services' OpenAPI documents: run `cargo xtask test`"]
async fn twilio_asks_for_what_it_is_sent() {
    let capture = Capture::start(|_| Reply::json(201, r#"{"sid":"SM1","status":"queued"}"#));
    let options = "from=%2B14155550100&whatsapp=%2B14155550100&content=HX0123456789abcdef0123456789abcdef";
    let url = format!("twilio:AC0123:hush?{options}&endpoint={}", capture.url);
    let service = crate::sms::mailer(&url.parse().unwrap(), clock()).unwrap().expect("it is not the mailbox");
    for channel in [Channel::Sms, Channel::Whatsapp] {
        service.send(&Outgoing { channel, ..sms(1) }).await.unwrap();
        let request = capture.next();
        let body = String::from_utf8(request.body.clone()).unwrap();
        let wrong = |body: &str| problems("twilio_api_v2010.json", &request.target, &request, body);
        assert_eq!(wrong(&body), [""; 0], "{channel:?}");
        assert_ne!(wrong(&format!("{body}&Surplus=1")), [""; 0]);
        assert_ne!(wrong(&body.replacen("To=", "Too=", 1)), [""; 0]);
    }
}
