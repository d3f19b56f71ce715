//! Twilio: what it is sent, beside what its own library sends, and what becomes of its answers.

use std::time::Duration;

use otp_core::message::{Channel, Mailer, Outgoing, Receipt, SendError};
use otp_core::suppression::SuppressionReason;
use serde_json::json;

use super::{CODE, clock, permanent, service, sms, temporary, unusable, whatsapp};
use crate::capture::{Capture, Reply};
use crate::mail::tests::sdks::sdk;
use otp_core::Clock;

const LOGIN: &str = "twilio:AC0123:hush";
const TAKEN: &str = r#"{"sid":"SM1","status":"queued","error_code":null,"error_message":null,"num_segments":"2"}"#;

fn url(options: &str, capture: &Capture) -> String {
    format!("{LOGIN}?{options}&endpoint={}", capture.url)
}

fn taking() -> Capture {
    Capture::start(|_| Reply::json(201, TAKEN))
}

async fn form(options: &str, message: &Outgoing) -> String {
    let capture = taking();
    service(&url(options, &capture)).send(message).await.unwrap();
    String::from_utf8(capture.next().body).unwrap()
}

async fn outcome(status: u16, body: String) -> Result<Receipt, SendError> {
    let capture = Capture::start(move |_| Reply::json(status, &body));
    let outcome = service(&url("from=+14155550100", &capture)).send(&sms()).await;
    if let Err(error) = &outcome {
        let words = format!("{error} {error:?}");
        assert!(!["hush", CODE, "+49"].iter().any(|secret| words.contains(secret)), "{words}");
    }
    outcome
}

fn stopped(reason: &str) -> SendError {
    SendError::Recipient { reason: reason.to_owned(), suppress: SuppressionReason::Stop }
}

fn problem(code: u32) -> String {
    format!(r#"{{"code":{code},"message":"hush +4915112345678 {CODE}","more_info":"","status":400}}"#)
}

#[tokio::test]
async fn a_text_message_is_a_form_that_dies_with_its_code() {
    let capture = taking();
    let mailer = service(&url("from=+14155550100", &capture));
    let receipt = mailer.send(&sms()).await.unwrap();
    assert_eq!(receipt, Receipt { provider_id: Some("SM1".to_owned()), segments: Some(2), ..Receipt::default() });
    let request = capture.next();
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/2010-04-01/Accounts/AC0123/Messages.json");
    assert_eq!(request.header("authorization"), "Basic QUMwMTIzOmh1c2g=");
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    let body = String::from_utf8(request.body).unwrap();
    assert!(body.contains("To=%2B4915112345678") && body.contains("From=%2B14155550100"), "{body}");
    assert!(body.contains("100%25+%2B+safe%0A%40acme.example+%23"), "{body}");
    assert!(body.ends_with("ValidityPeriod=600"), "{body}");
}

#[tokio::test]
async fn validity_stays_in_the_bounds_that_twilio_sets() {
    let from = "from=+14155550100";
    let until = |seconds: u64| Outgoing { expires_at: clock().now() + Duration::from_secs(seconds), ..sms() };
    for (seconds, validity) in [(0, 1), (1, 1), (59, 59), (36_000, 36_000), (86_400, 36_000)] {
        let body = form(from, &until(seconds)).await;
        assert!(body.ends_with(&format!("&ValidityPeriod={validity}")), "{body}");
    }
}

#[tokio::test]
async fn a_channel_without_a_sender_is_not_used() {
    let capture = taking();
    let text_only = service(&url("from=+14155550100", &capture));
    assert_eq!(text_only.send(&whatsapp()).await, Err(unusable("Twilio: OTP_SMS_URL lacks `content=`")));
    let whatsapp_only = service(&url("whatsapp=+14155550100&content=HX1", &capture));
    assert_eq!(whatsapp_only.send(&sms()).await, Err(unusable("Twilio: OTP_SMS_URL lacks `from=` or `service=`")));
    let without_code = Outgoing { code: None, ..whatsapp() };
    let refused = whatsapp_only.send(&without_code).await;
    assert_eq!(refused, Err(permanent("WhatsApp takes messages with a code only")));
    let mail = Outgoing { channel: Channel::Email, ..sms() };
    assert_eq!(text_only.send(&mail).await, Err(permanent("Twilio sends text messages and WhatsApp only")));
    assert!(capture.is_quiet());
}

#[tokio::test]
async fn an_error_code_tells_what_to_do() {
    for code in [21211, 21214, 21217, 21614, 21617, 30004, 30005, 30006, 63003, 63024] {
        assert_eq!(outcome(400, problem(code)).await, Err(permanent(&format!("Twilio: 400, error {code}"))));
    }
    assert_eq!(outcome(400, problem(21610)).await, Err(stopped("Twilio: 400, error 21610")));
    for code in [21212, 21408, 21603, 21606, 21608, 21612, 21660, 30002, 30007, 30034, 63016] {
        assert_eq!(outcome(400, problem(code)).await, Err(unusable(&format!("Twilio: 400, error {code}"))));
    }
    assert_eq!(outcome(401, problem(20003)).await, Err(unusable("Twilio: 401, error 20003")));
    for (status, code) in [(429, 20429), (400, 30001), (400, 30003), (400, 30008), (429, 63018)] {
        assert_eq!(outcome(status, problem(code)).await, Err(temporary(&format!("Twilio: {status}, error {code}"))));
    }
}

#[tokio::test]
async fn an_unknown_error_is_not_the_recipients() {
    assert_eq!(outcome(400, problem(21999)).await, Err(unusable("Twilio: 400, error 21999")));
    assert_eq!(outcome(500, problem(99999)).await, Err(temporary("Twilio: 500, error 99999")));
    assert_eq!(outcome(400, problem(481_920_375)).await, Err(unusable("Twilio: 400")), "no code of Twilio's");
    assert_eq!(outcome(400, "<html>".to_owned()).await, Err(unusable("Twilio: 400")));
    assert_eq!(outcome(502, "<html>".to_owned()).await, Err(temporary("Twilio: 502")));
    let odd = "an answer that is none of its own";
    assert_eq!(outcome(200, "<html>".to_owned()).await, Err(temporary(&format!("Twilio: 200, {odd}"))));
}

#[tokio::test]
async fn a_success_can_be_a_failure() {
    let failed = r#"{"sid":"SM1","status":"failed","error_code":21610,"num_segments":"1"}"#;
    assert_eq!(outcome(201, failed.to_owned()).await, Err(stopped("Twilio: 201, error 21610")));
    let unclear = r#"{"sid":"SM1","status":"undelivered","error_code":null,"num_segments":"1"}"#;
    assert_eq!(outcome(201, unclear.to_owned()).await, Err(unusable("Twilio: 201")));
    let error = r#"{"code":20003,"message":"hush","status":401}"#;
    assert_eq!(outcome(200, error.to_owned()).await, Err(unusable("Twilio: 200, error 20003")));
    let uncounted = r#"{"sid":"SM1","status":"accepted","error_code":null,"num_segments":"0"}"#;
    let receipt = outcome(201, uncounted.to_owned()).await.unwrap();
    assert_eq!(receipt, Receipt { provider_id: Some("SM1".to_owned()), ..Receipt::default() });
}

#[tokio::test]
async fn a_check_looks_at_the_account() {
    for (status, body, wrong) in [
        (200, r#"{"status":"active"}"#, None),
        (200, r#"{"status":"suspended"}"#, Some("suspended or closed")),
        (401, r#"{"code":20003}"#, Some("does not accept SID and token (401)")),
        (404, r#"{"code":20404}"#, Some("does not accept SID and token (404)")),
        (200, "<html>", Some("not as Twilio does")),
    ] {
        let capture = Capture::start(move |_| Reply::json(status, body));
        let found = service(&url("from=+14155550100", &capture)).check().await.map_err(|fault| fault.to_string());
        let request = capture.next();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/2010-04-01/Accounts/AC0123.json"));
        match (found, wrong) {
            (Ok(()), None) => (),
            (Err(words), Some(wrong)) => assert!(words.contains(wrong) && !words.contains("hush"), "{words}"),
            (found, _) => panic!("{status} {body}: {found:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs python3 with twilio: run `cargo xtask test`"]
async fn twilio_gets_what_its_own_library_sends() {
    let (text, to) = (sms().text, sms().to);
    for (options, message, fields) in [
        ("from=+14155550100", sms(), json!({"to": to, "body": text, "from_": "+14155550100", "validity_period": 600})),
        (
            "from=+14155550100&callback=https://otp.example/base",
            sms(),
            json!({
                "to": to,
                "body": text,
                "from_": "+14155550100",
                "validity_period": 600,
                "status_callback":
                    format!("https://otp.example/base/callbacks/twilio/{}?message={}", sms().tenant, sms().id),
            }),
        ),
        ("service=MG1", sms(), json!({"to": to, "body": text, "messaging_service_sid": "MG1", "validity_period": 600})),
        (
            "whatsapp=+14155550101&content=HX1",
            whatsapp(),
            json!({
                "to": format!("whatsapp:{to}"),
                "from_": "whatsapp:+14155550101",
                "content_sid": "HX1",
                "content_variables": json!({"1": CODE}).to_string(),
                "validity_period": 600,
            }),
        ),
        (
            "service=MG1&content=HX1",
            whatsapp(),
            json!({
                "to": format!("whatsapp:{to}"),
                "messaging_service_sid": "MG1",
                "content_sid": "HX1",
                "content_variables": json!({"1": CODE}).to_string(),
                "validity_period": 600,
            }),
        ),
    ] {
        let capture = taking();
        service(&url(options, &capture)).send(&message).await.unwrap();
        let ours = capture.next();
        let account = json!({"account": "AC0123", "key": "hush", "endpoint": capture.url, "fields": fields});
        let theirs = sdk("twilio", &capture, &account);
        assert_eq!((&ours.method, &ours.target), (&theirs.method, &theirs.target));
        for name in ["authorization", "content-type"] {
            assert_eq!(ours.header(name), theirs.header(name), "{name}");
        }
        let pairs = |body: &[u8]| {
            let mut pairs: Vec<_> = url::form_urlencoded::parse(body).into_owned().collect();
            pairs.sort();
            pairs
        };
        assert_eq!(pairs(&ours.body), pairs(&theirs.body), "{options}");
        assert_eq!(ours.body.len(), theirs.body.len(), "the escapes are the same");
    }
}
