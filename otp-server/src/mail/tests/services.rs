//! Mail through services that take it over HTTP: what they are sent, and what becomes of their answers.

use std::sync::Arc;
use std::time::Duration;

use otp_core::Clock;
use otp_core::message::{Mailer, Outgoing, Receipt, SendError};
use serde_json::json;

use super::{CODE, clock, from, message, permanent, sms, temporary, unusable};
use crate::capture::{Capture, Reply};
use crate::mail::{Built, MailUrl, mailer};
use crate::provider::HttpMailer;

const RESEND: &str = "resend:re_hush?";
const SENDGRID: &str = "sendgrid:SG.hush?";
const SES: &str = "ses:eu-central-1?access-key-id=AKIA&secret-access-key=hush&session-token=session&";

pub(super) fn service(url: &str, capture: &Capture) -> Arc<HttpMailer> {
    let url: MailUrl = format!("{url}endpoint={}", capture.url).parse().unwrap();
    match mailer(&url, &from(), clock()).unwrap() {
        Built::Http(mailer) => mailer,
        _ => panic!("{url} is no service"),
    }
}

fn answering(reply: fn() -> Reply) -> Capture {
    Capture::start(move |_| reply())
}

fn mail() -> Outgoing {
    Outgoing { reply_to: Some("help@acme.example".to_owned()), ..message(1, "ann@example.org") }
}

fn receipt(id: &str) -> Receipt {
    Receipt { provider_id: Some(id.to_owned()), ..Receipt::default() }
}

/// What becomes of a mail that the service at `url` answers so.
async fn outcome(url: &str, status: u16, headers: &'static str, body: &str) -> Result<Receipt, SendError> {
    let body = body.to_owned();
    let capture = Capture::start(move |_| Reply::Answer(status, headers, body.clone()));
    let outcome = service(url, &capture).send(&mail()).await;
    if let Err(error) = &outcome {
        let words = format!("{error} {error:?}");
        assert!(!["hush", CODE, "ann@"].iter().any(|secret| words.contains(secret)), "{words}");
    }
    outcome
}

#[tokio::test]
async fn resend_is_sent_a_mail_with_a_key_by_which_it_knows_a_repeat() {
    let capture = answering(|| Reply::json(200, r#"{"id":"49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}"#));
    let mailer = service(RESEND, &capture);
    let mail = mail();
    assert_eq!(mailer.send(&mail).await, Ok(receipt("49a3999c-0ce1-4ea6-ab68-afcd6dc2e794")));
    mailer.send(&mail).await.unwrap();
    let (request, repeat) = (capture.next(), capture.next());
    assert_eq!(request, repeat);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/emails"));
    assert_eq!(request.header("authorization"), "Bearer re_hush");
    assert_eq!(request.header("idempotency-key"), mail.id.to_string());
    assert_eq!(request.header("content-type"), "application/json");
    assert!(request.header("user-agent").starts_with("otp-server/"));
    assert_eq!(
        request.json(),
        json!({
            "from": "Acme <noreply@mail.example>",
            "to": ["ann@example.org"],
            "subject": mail.subject,
            "text": mail.text,
            "html": mail.html,
            "reply_to": "help@acme.example",
            "headers": {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"},
            "tags": [
                {"name": "message_id", "value": mail.id},
                {"name": "customer_id", "value": mail.tenant},
            ],
        })
    );
    mailer
        .send(&Outgoing { html: None, reply_to: None, from_name: Some("Acme, Inc.".to_owned()), ..mail })
        .await
        .unwrap();
    let plain = capture.next().json();
    assert_eq!(plain["from"], "\"Acme, Inc.\" <noreply@mail.example>");
    assert!(plain.get("html").is_none() && plain.get("reply_to").is_none());
}

#[tokio::test]
async fn sendgrid_is_told_to_track_nothing() {
    let capture = answering(|| Reply::Answer(202, "X-Message-Id: 14c5d75ce93.dfd.64b469\r\n", String::new()));
    let mail = mail();
    assert_eq!(service(SENDGRID, &capture).send(&mail).await, Ok(receipt("14c5d75ce93.dfd.64b469")));
    let request = capture.next();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/v3/mail/send"));
    assert_eq!(request.header("authorization"), "Bearer SG.hush");
    assert_eq!(
        request.json(),
        json!({
            "personalizations": [{
                "to": [{"email": "ann@example.org"}],
                "custom_args": {"message_id": mail.id, "customer_id": mail.tenant},
            }],
            "from": {"email": "noreply@mail.example", "name": "Acme"},
            "reply_to": {"email": "help@acme.example"},
            "subject": mail.subject,
            "content": [{"type": "text/plain", "value": mail.text}, {"type": "text/html", "value": mail.html}],
            "headers": {
                "Auto-Submitted": "auto-generated",
                "X-Auto-Response-Suppress": "All",
                "Message-ID": format!("<{}@mail.example>", mail.id),
            },
            "tracking_settings": {
                "click_tracking": {"enable": false, "enable_text": false},
                "open_tracking": {"enable": false},
            },
        })
    );
}

#[tokio::test]
async fn what_is_no_mail_is_not_asked_for() {
    let capture = answering(|| Reply::json(200, r#"{"id":"1"}"#));
    for url in [RESEND, SENDGRID, SES] {
        let mailer = service(url, &capture);
        assert_eq!(mailer.send(&sms(1)).await, Err(permanent("this mailer sends e-mail only")));
        for (mail, reason) in [
            (message(1, "ann"), "the recipient's address is none that mail can be sent to"),
            (
                message(1, "ann@example.org\r\nBcc: eve@example.org"),
                "the recipient's address is none that mail can be sent to",
            ),
            (
                Outgoing { subject: "a\r\nBcc: eve@example.org".to_owned(), ..mail() },
                "the subject has a line break or another control character",
            ),
            (
                Outgoing { from_name: Some("a\nb".to_owned()), ..mail() },
                "the sender's name has a line break or another control character",
            ),
            (
                Outgoing { reply_to: Some("a@b.example\r\nX: y".to_owned()), ..mail() },
                "the address for answers is none that mail can be sent to",
            ),
        ] {
            assert_eq!(mailer.send(&mail).await, Err(permanent(reason)), "{url}");
        }
    }
    assert!(capture.is_quiet());
}

#[tokio::test]
async fn a_dead_credential_or_quota_is_not_the_messages_fault() {
    let resend = |name: &str| format!(r#"{{"statusCode":1,"name":"{name}","message":"hush ann@example.org {CODE}"}}"#);
    for (status, name) in [
        (401, "missing_api_key"),
        (401, "restricted_api_key"),
        (403, "invalid_api_key"),
        (403, "suspended_api_key"),
        (403, "validation_error"),
        (404, "not_found"),
        (429, "daily_quota_exceeded"),
        (429, "monthly_quota_exceeded"),
        (200, "invalid_api_key"),
    ] {
        let reason = format!("Resend: {status}, {name}");
        assert_eq!(outcome(RESEND, status, "", &resend(name)).await, Err(unusable(&reason)));
    }
    let sendgrid = r#"{"errors":[{"message":"ann@example.org","field":"from","help":null}]}"#;
    assert_eq!(outcome(SENDGRID, 400, "", sendgrid).await, Err(unusable("SendGrid: 400, from")));
    for status in [401, 403, 404, 405] {
        assert_eq!(outcome(SENDGRID, status, "", "").await, Err(unusable(&format!("SendGrid: {status}"))));
    }
    for (status, headers, name) in [
        (403, "x-amzn-errortype: SignatureDoesNotMatch\r\n", "SignatureDoesNotMatch"),
        (403, "x-amzn-errortype: InvalidClientTokenId:http://internal.amazon.com/x/\r\n", "InvalidClientTokenId"),
        (400, "x-amzn-errortype: com.amazonaws.sesv2#AccountSuspendedException\r\n", "AccountSuspendedException"),
        (400, "x-amzn-errortype: MailFromDomainNotVerifiedException\r\n", "MailFromDomainNotVerifiedException"),
        (400, "x-amzn-errortype: SendingPausedException\r\n", "SendingPausedException"),
        (400, "x-amzn-errortype: MessageRejected\r\n", "MessageRejected"),
        (400, "x-amzn-errortype: LimitExceededException\r\n", "LimitExceededException"),
    ] {
        let reason = format!("Amazon SES: {status}, {name}");
        let body = format!(r#"{{"message":"Email address is not verified: ann@example.org {CODE}"}}"#);
        assert_eq!(outcome(SES, status, headers, &body).await, Err(unusable(&reason)));
    }
    let in_body = r#"{"__type":"com.amazonaws.sesv2#NotFoundException"}"#;
    assert_eq!(outcome(SES, 404, "", in_body).await, Err(unusable("Amazon SES: 404, NotFoundException")));
}

#[tokio::test]
async fn what_passes_is_waited_for_as_long_as_the_service_asks() {
    let after = |reason: &str, seconds: u64| {
        Err(SendError::Temporary { reason: reason.to_owned(), retry_after: Some(Duration::from_secs(seconds)) })
    };
    let body = |name: &str| format!(r#"{{"statusCode":1,"name":"{name}","message":""}}"#);
    let limited = body("rate_limit_exceeded");
    let reason = "Resend: 429, rate_limit_exceeded";
    assert_eq!(outcome(RESEND, 429, "Retry-After: 7\r\nratelimit-reset: 3\r\n", &limited).await, after(reason, 7));
    assert_eq!(outcome(RESEND, 429, "ratelimit-reset: 3\r\n", &limited).await, after(reason, 3));
    assert_eq!(outcome(RESEND, 429, "", &limited).await, Err(temporary(reason)));
    assert_eq!(outcome(RESEND, 429, "Retry-After: soon\r\n", &limited).await, Err(temporary(reason)));
    let name = "concurrent_idempotent_requests";
    assert_eq!(outcome(RESEND, 409, "", &body(name)).await, Err(temporary(&format!("Resend: 409, {name}"))));
    assert_eq!(outcome(RESEND, 503, "Retry-After: 20\r\n", "<html>").await, after("Resend: 503", 20));
    assert_eq!(outcome(RESEND, 500, "ratelimit-reset: 3\r\n", "").await, Err(temporary("Resend: 500")));

    assert_eq!(clock().now().as_secs(), 1_769_847_330);
    let reset = "X-RateLimit-Reset: 1769847340\r\n";
    let SendError::Temporary { retry_after: Some(left), .. } = outcome(SENDGRID, 429, reset, "").await.unwrap_err()
    else {
        panic!("it is told when to come back");
    };
    assert!(left > Duration::from_secs(9) && left <= Duration::from_secs(10), "{left:?}");
    let past = "X-RateLimit-Reset: 1769847000\r\n";
    assert_eq!(outcome(SENDGRID, 429, past, "").await, Err(temporary("SendGrid: 429")));
    let throttled = "x-amzn-errortype: TooManyRequestsException\r\n";
    let reason = "Amazon SES: 429, TooManyRequestsException";
    assert_eq!(outcome(SES, 429, throttled, "").await, Err(temporary(reason)));
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up() {
    for (status, name) in
        [(422, "validation_error"), (422, "missing_required_field"), (409, "invalid_idempotent_request")]
    {
        let body = format!(r#"{{"statusCode":1,"name":"{name}","message":"{CODE}"}}"#);
        assert_eq!(outcome(RESEND, status, "", &body).await, Err(permanent(&format!("Resend: {status}, {name}"))));
    }
    let body = format!(r#"{{"name":"{CODE}"}}"#);
    assert_eq!(
        outcome(RESEND, 422, "", &body).await,
        Err(permanent("Resend: 422")),
        "a name that is not known is not told"
    );
    let to = r#"{"errors":[{"message":"Does not contain a valid address.","field":"personalizations.0.to.0.email"}]}"#;
    assert_eq!(outcome(SENDGRID, 400, "", to).await, Err(permanent("SendGrid: 400")));
    assert_eq!(outcome(SENDGRID, 413, "", "").await, Err(permanent("SendGrid: 413")));
    let header = "x-amzn-errortype: BadRequestException\r\n";
    assert_eq!(outcome(SES, 400, header, "").await, Err(permanent("Amazon SES: 400, BadRequestException")));
}

#[tokio::test]
async fn a_success_that_is_none_of_the_services_own_is_none() {
    let odd = "an answer that is none of its own";
    for (url, name) in [(RESEND, "Resend"), (SENDGRID, "SendGrid"), (SES, "Amazon SES")] {
        for (status, body) in [
            (200, "<html>Welcome to the network of Hotel Hush</html>"),
            (200, ""),
            (200, "[]"),
            (200, "{\"id\":7}"),
            (204, ""),
            (200, &"x".repeat(70_000)),
        ] {
            assert_eq!(
                outcome(url, status, "", body).await,
                Err(temporary(&format!("{name}: {status}, {odd}"))),
                "{body:.50}"
            );
        }
        let redirect = "Location: https://hush.example/\r\n";
        let reason = format!("{name}: 302, a redirect, which is not followed");
        assert_eq!(outcome(url, 302, redirect, "").await, Err(unusable(&reason)));
    }
    assert_eq!(outcome(RESEND, 200, "", r#"{"id":"line\nbreak"}"#).await, Ok(Receipt::default()));
    let told = outcome(SENDGRID, 202, "", r#"{"errors":[]}"#).await;
    assert_eq!(told, Err(temporary(&format!("SendGrid: 202, {odd}"))));
}

#[tokio::test]
async fn a_check_sends_nothing_and_says_what_to_do() {
    type Case = (&'static str, &'static str, u16, &'static str, &'static str, Option<&'static str>);
    let cases: [Case; 14] = [
        (RESEND, "/domains", 200, "", r#"{"data":[]}"#, None),
        (RESEND, "/domains", 401, "", r#"{"name":"restricted_api_key"}"#, None),
        (RESEND, "/domains", 403, "", r#"{"name":"invalid_api_key"}"#, Some("make one at https://resend.com")),
        (RESEND, "/domains", 200, "", "<html>", Some("check `endpoint=`")),
        (SENDGRID, "/v3/scopes", 200, "", r#"{"scopes":["a","mail.send"]}"#, None),
        (SENDGRID, "/v3/scopes", 200, "", r#"{"scopes":["a"]}"#, Some("may not send mail; make one")),
        (SENDGRID, "/v3/scopes", 401, "", "", Some("does not accept the key (401); make one")),
        (SENDGRID, "/v3/scopes", 500, "", "", Some("answers 500")),
        (SES, "/v2/email/account", 200, "", r#"{"SendingEnabled":true}"#, None),
        (SES, "/v2/email/account", 200, "", r#"{"SendingEnabled":false}"#, Some("is paused")),
        (SES, "/v2/email/account", 403, "x-amzn-errortype: AccessDeniedException\r\n", "", None),
        (SES, "/v2/email/account", 403, "x-amzn-errortype: InvalidSignatureException\r\n", "", Some("set the clock")),
        (
            SES,
            "/v2/email/account",
            403,
            "x-amzn-errortype: InvalidClientTokenId\r\n",
            "",
            Some("check it and its secret"),
        ),
        (SES, "/v2/email/account", 404, "", "", Some("check the region")),
    ];
    for (url, path, status, headers, body, wrong) in cases {
        let capture = Capture::start(move |_| Reply::Answer(status, headers, body.to_owned()));
        let found = service(url, &capture).check().await.map_err(|fault| fault.to_string());
        let request = capture.next();
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", path));
        match (found, wrong) {
            (Ok(()), None) => (),
            (Err(words), Some(wrong)) => {
                assert!(words.contains(wrong) && !words.contains("hush"), "{words}");
            }
            (found, _) => panic!("{url} {status} {body}: {found:?}"),
        }
    }
}
