//! A gateway of the operator's own.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use otp_core::{Clock, Secret};
use serde_json::json;

use super::{CODE, clock, permanent, service, sms, temporary, unusable, whatsapp};
use crate::capture::{Capture, Reply};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn url(capture: &Capture) -> String {
    format!("gateway:{}/send?user=7&secret={SECRET}", capture.url)
}

async fn outcome(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Result<Receipt, SendError> {
    let capture = Capture::start(move |_| reply());
    service(&url(&capture)).send(&sms()).await
}

#[tokio::test]
async fn a_gateway_gets_the_message_as_json_and_a_signature() {
    let capture = Capture::start(|_| Reply::json(200, r#"{"id":"x-1","segments":2}"#));
    let mailer = service(&url(&capture));
    let receipt = mailer.send(&sms()).await.unwrap();
    assert_eq!(receipt, Receipt { provider_id: Some("x-1".to_owned()), segments: Some(2), ..Receipt::default() });
    let request = capture.next();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/send?user=7"));
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("webhook-id"), sms().id.to_string());
    assert_eq!(request.header("webhook-timestamp"), clock().now().as_secs().to_string());
    assert!(request.header("webhook-signature").starts_with("v1,"));
    assert_eq!(
        request.json(),
        json!({
            "messageId": sms().id,
            "customerId": sms().tenant,
            "channel": "sms",
            "to": "+4915112345678",
            "text": sms().text,
            "expiresAt": sms().expires_at.to_string(),
        })
    );
    mailer.send(&whatsapp()).await.unwrap();
    assert_eq!(capture.next().json()["channel"], "whatsapp");
}

#[tokio::test]
async fn the_status_tells_what_to_do() {
    for status in [200, 201, 202, 204] {
        assert_eq!(outcome(move || Reply::Answer(status, "", String::new())).await, Ok(Receipt::default()));
    }
    for status in [408, 425, 500, 502, 503, 504] {
        let reason = format!("the gateway: {status}");
        assert_eq!(outcome(move || Reply::Answer(status, "", CODE.to_owned())).await, Err(temporary(&reason)));
    }
    for status in [401, 403, 404, 405, 410] {
        let reason = format!("the gateway: {status}");
        assert_eq!(outcome(move || Reply::Answer(status, "", CODE.to_owned())).await, Err(unusable(&reason)));
    }
    for status in [400, 413, 422] {
        let reason = format!("the gateway: {status}");
        assert_eq!(outcome(move || Reply::Answer(status, "", CODE.to_owned())).await, Err(permanent(&reason)));
    }
    let told = outcome(|| Reply::Answer(429, "Retry-After: 30\r\n", String::new())).await;
    let retry_after = Some(Duration::from_secs(30));
    assert_eq!(told, Err(SendError::Temporary { reason: "the gateway: 429".to_owned(), retry_after }));
}

#[tokio::test]
async fn a_check_sees_whether_it_answers() {
    for (status, is_well) in [(200, true), (405, true), (401, true), (500, false)] {
        let capture = Capture::start(move |_| Reply::Answer(status, "", String::new()));
        assert_eq!(service(&url(&capture)).check().await.is_ok(), is_well, "{status}");
        assert_eq!(capture.next().method, "HEAD");
    }
    let nowhere =
        service(&format!("gateway:http://127.0.0.1:1/?secret={SECRET}")).check().await.unwrap_err().to_string();
    assert!(nowhere.contains("cannot be connected to") && nowhere.contains("firewall"), "{nowhere}");
}

/// What a receiver of Standard Webhooks has in its hands is what it needs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 with standardwebhooks: run `cargo xtask test`"]
async fn the_library_of_standard_webhooks_accepts_the_signature() {
    let capture = Capture::start(|_| Reply::json(200, "{}"));
    let url: crate::sms::SmsUrl = url(&capture).parse().unwrap();
    let now = std::sync::Arc::new(otp_core::SystemClock::default()); // the library takes the time from the system
    crate::sms::mailer(&url, now).unwrap().unwrap().send(&sms()).await.unwrap();
    let request = capture.next();
    let python = std::env::var_os("OTP_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let verify = |body: &[u8]| {
        let headers: std::collections::BTreeMap<_, _> = request.headers.iter().cloned().collect();
        let given = json!({"secret": SECRET, "headers": headers, "body": BASE64_STANDARD.encode(body)});
        let script = "import base64, json, sys\nfrom standardwebhooks.webhooks import Webhook\ngiven = json.load(sys.stdin)\n\
                      Webhook(given['secret']).verify(base64.b64decode(given['body']), given['headers'])";
        let mut process =
            Command::new(&python).args(["-c", script]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
        process.wait_with_output().unwrap()
    };
    let accepted = verify(&request.body);
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    let mut forged = request.body.clone();
    forged.extend(b" ");
    let refused = String::from_utf8(verify(&forged).stderr).unwrap();
    assert!(refused.contains("WebhookVerificationError"), "{refused}");
}

#[tokio::test]
async fn the_code_alone_is_not_sent() {
    let capture = Capture::start(|_| Reply::json(200, "{}"));
    let message = Outgoing { code: Some(Secret::from("hush".to_owned())), ..sms() };
    service(&url(&capture)).send(&message).await.unwrap();
    assert!(!String::from_utf8(capture.next().body).unwrap().contains("hush"));
}
