//! Messages through services over HTTP, from the binary's variables to a code that signs in.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::capture::{Capture, Captured, Reply};
use crate::support::{Place, Server, word};

fn taken() -> Reply {
    Reply::json(200, r#"{"id":"49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}"#)
}

/// The key of the demo customer.
fn key(server: &mut Server) -> String {
    server.read_until("verify-otp");
    word(&server.said, "otp_live_sk_").to_owned()
}

/// The code of a mail, which shows it in groups.
fn code(text: &str) -> String {
    let text = text.replace(' ', "");
    let mut words = text.split(|sign: char| !sign.is_ascii_digit());
    words.find(|word| word.len() == 9).unwrap_or_else(|| panic!("no code in {text}")).to_owned()
}

fn sign_in(server: &Server, key: &str, who: &str, code: &str) {
    let (status, body) = server.post("/auth/verify-otp", key, &format!(r#"{{{who},"otp":"{code}"}}"#));
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("\"token\""), "{body}");
}

#[test]
fn a_code_that_resend_is_handed_signs_in_and_a_dead_key_loses_none() {
    let tries = AtomicUsize::new(0);
    let capture = Capture::start(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::json(401, r#"{"statusCode":401,"name":"missing_api_key","message":"re_hush"}"#),
        _ => taken(),
    });
    let place = Place::new();
    let url = format!("resend:re_hush?endpoint={}", capture.url);
    let mut server = place.start_with(&[("OTP_MAIL_URL", &url), ("OTP_LOG", "trace")]);
    let key = key(&mut server);
    let who = r#""email":"ann@example.org""#;
    assert_eq!(server.post("/auth/request-otp", &key, &format!("{{{who}}}")).0, 200);
    let (refused, mail): (Captured, Captured) = (capture.next(), capture.next());
    assert_eq!(refused, mail, "the same mail, under the same key of idempotency");
    let code = code(mail.json()["text"].as_str().unwrap());
    sign_in(&server, &key, who, &code);
    let finished = server.stop();
    assert_eq!(finished.status, 0);
    assert!(finished.stderr.contains("Resend: 401, missing_api_key"), "{}", finished.stderr);
    for hidden in ["re_hush", &code, "ann@example.org"] {
        assert!(!finished.stderr.contains(hidden), "{hidden}");
    }
}

#[test]
fn check_asks_the_services_and_says_what_is_wrong() {
    let resend = Capture::start(|_| Reply::json(403, r#"{"statusCode":403,"name":"invalid_api_key","message":""}"#));
    let twilio = Capture::start(|_| Reply::json(200, r#"{"status":"active"}"#));
    let mail = format!("resend:re_hush?endpoint={}", resend.url);
    let sms = format!("twilio:AC0123:hush?from=+14155550100&endpoint={}", twilio.url);
    let finished = Place::new().run_with(&["check"], &[("OTP_MAIL_URL", &mail), ("OTP_SMS_URL", &sms)]);
    assert_eq!(finished.status, 1, "{finished:?}");
    let said = &finished.stdout;
    assert!(said.contains("FAIL  mail: OTP_MAIL_URL: Resend: it does not accept the key (403); make one at"), "{said}");
    assert!(said.contains(&format!("ok    text messages: twilio:AC0123?endpoint={}", twilio.url)), "{said}");
    assert!(!said.contains("hush"), "{said}");

    let said = Place::new().run_with(&["check"], &[("OTP_MAIL_URL", "file:mails")]).stdout;
    assert!(said.contains("ok    text messages: none can be sent; set OTP_SMS_URL"), "{said}");
}

#[test]
fn of_two_services_the_second_takes_what_the_first_does_not_and_check_asks_both() {
    let dead = Capture::start(|_| Reply::json(401, r#"{"statusCode":401,"name":"invalid_api_key","message":""}"#));
    let alive = Capture::start(|request| match request.method.as_str() {
        "GET" => Reply::json(200, r#"{"scopes":["mail.send"]}"#),
        _ => Reply::Answer(202, "", String::new()),
    });
    let urls = format!("resend:re_hush?endpoint={} sendgrid:SG.hush?endpoint={}", dead.url, alive.url);
    let place = Place::new();
    let said = place.run_with(&["check"], &[("OTP_MAIL_URL", &urls)]).stdout;
    assert!(said.contains("FAIL  mail: OTP_MAIL_URL: number 1 of 2: Resend: it does not accept the key"), "{said}");
    assert_eq!(alive.next().method, "GET");
    let mut server = place.start_with(&[("OTP_MAIL_URL", &urls)]);
    let key = key(&mut server);
    let who = r#""email":"ann@example.org""#;
    assert_eq!(server.post("/auth/request-otp", &key, &format!("{{{who}}}")).0, 200);
    let mail = alive.next().json();
    let text = mail["content"][0]["value"].as_str().unwrap();
    sign_in(&server, &key, who, &code(text));
}

#[test]
fn the_credentials_of_aws_can_be_in_the_variables_of_aws() {
    let capture = Capture::start(|_| Reply::json(200, r#"{"SendingEnabled":true}"#));
    let url = format!("ses:eu-central-1?endpoint={}", capture.url);
    let aws = [("AWS_ACCESS_KEY_ID", "AKIA0123"), ("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_SESSION_TOKEN", "session")];
    let variables = [&[("OTP_MAIL_URL", url.as_str())][..], &aws].concat();
    let finished = Place::new().run_with(&["check"], &variables);
    assert_eq!(finished.status, 0, "{finished:?}");
    let request = capture.next();
    assert!(request.header("authorization").contains("Credential=AKIA0123/"), "{request:?}");
    assert_eq!(request.header("x-amz-security-token"), "session");
}
