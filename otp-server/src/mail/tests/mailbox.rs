//! The built-in mailbox and its pages.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use otp_core::message::{Mailer, Outgoing};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{CODE, clock, from, in_time, message, sms};
use crate::mail::{MailUrl, Mailbox, mailer, routes};

const SCRIPT: &str = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'";

fn mailbox() -> (Arc<Mailbox>, Router) {
    let mailbox = Arc::new(Mailbox::new(from(), clock()));
    (Arc::clone(&mailbox), routes(mailbox))
}

fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).header("host", "localhost:8080").body(Body::empty()).unwrap()
}

async fn answer(router: &Router, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = in_time(body.collect()).await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.into()).unwrap())
}

async fn list(router: &Router) -> Vec<Value> {
    let (status, headers, body) = answer(router, request(Method::GET, "/dev/mailbox/messages")).await;
    assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &"application/json".parse().unwrap()));
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_last_two_hundred_are_listed_newest_first() {
    let clock = clock();
    let mailbox = Arc::new(Mailbox::new(from(), clock.clone()));
    let router = routes(Arc::clone(&mailbox));
    for number in 0..203 {
        mailbox.send(&message(number, &format!("ann{number}@example.org"))).await.unwrap();
        clock.advance(Duration::from_secs(1));
    }
    let mails = list(&router).await;
    assert_eq!(mails.len(), 200);
    assert_eq!((&mails[0]["to"], &mails[199]["to"]), (&json!("ann202@example.org"), &json!("ann3@example.org")));
    let newest = message(202, "");
    assert_eq!(
        mails[0],
        json!({
            "id": newest.id,
            "channel": "email",
            "to": "ann202@example.org",
            "from": "Acme <noreply@mail.example>",
            "subject": newest.subject,
            "text": newest.text,
            "hasHtml": true,
            "code": CODE,
            "receivedAt": "2026-01-31T08:18:52.123Z",
            "expiresAt": "2026-01-31T08:25:30.123Z",
        })
    );
}

#[tokio::test]
async fn other_channels_are_kept_too_and_a_repeat_once() {
    let (mailbox, router) = mailbox();
    mailbox.send(&sms(1)).await.unwrap();
    mailbox.send(&Outgoing { from_name: None, ..message(2, "ann@example.org") }).await.unwrap();
    mailbox.send(&sms(1)).await.unwrap();
    let mails = list(&router).await;
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0]["sms"], json!({"encoding": "GSM-7", "segments": 1}), "its parts are counted");
    assert!(mails[1].get("sms").is_none());
    assert_eq!(
        (&mails[0]["channel"], &mails[0]["from"], &mails[0]["hasHtml"]),
        (&json!("sms"), &json!("Acme"), &json!(false))
    );
    assert_eq!(mails[1]["from"], "OTP Auth <noreply@mail.example>");
}

#[tokio::test]
async fn deleting_empties_it() {
    let (mailbox, router) = mailbox();
    mailbox.send(&message(1, "ann@example.org")).await.unwrap();
    let (status, ..) = answer(&router, request(Method::DELETE, "/dev/mailbox/messages")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(list(&router).await.is_empty() && mailbox.mails().is_empty());
}

#[tokio::test]
async fn a_script_in_a_mail_stays_text_or_in_a_sandbox() {
    let (mailbox, router) = mailbox();
    let (_, _, page_before) = answer(&router, request(Method::GET, "/dev/mailbox")).await;
    let mail = Outgoing {
        from_name: Some(SCRIPT.into()),
        subject: SCRIPT.into(),
        text: SCRIPT.into(),
        html: Some(SCRIPT.into()),
        code: Some(SCRIPT.to_owned().into()),
        ..message(1, SCRIPT)
    };
    mailbox.send(&mail).await.unwrap();

    let (_, headers, page) = answer(&router, request(Method::GET, "/dev/mailbox")).await;
    assert_eq!(page, page_before, "no mail is a part of the page");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "srcdoc"] {
        assert!(!page.contains(sink), "the page uses {sink}");
    }

    let (_, headers, _) = answer(&router, request(Method::GET, "/dev/mailbox/messages")).await;
    assert_eq!(
        (&headers["x-content-type-options"], &headers["cache-control"]),
        (&"nosniff".parse().unwrap(), &"no-store".parse().unwrap())
    );
    let listed = &list(&router).await[0];
    for field in ["to", "subject", "text", "code"] {
        assert_eq!(listed[field], SCRIPT);
    }

    let path = format!("/dev/mailbox/messages/{}/html", mail.id);
    let (status, headers, html) = answer(&router, request(Method::GET, &path)).await;
    assert_eq!((status, html.as_str()), (StatusCode::OK, SCRIPT));
    let policy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    assert_eq!(headers["content-security-policy"], policy);
}

#[tokio::test]
async fn html_that_is_not_there_is_not_found() {
    let (mailbox, router) = mailbox();
    mailbox.send(&sms(1)).await.unwrap();
    for id in [sms(1).id.to_string(), sms(2).id.to_string(), "x".to_owned()] {
        let (status, ..) = answer(&router, request(Method::GET, &format!("/dev/mailbox/messages/{id}/html"))).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn only_loopback_hosts_are_answered() {
    let (_mailbox, router) = mailbox();
    let ask = |path: &'static str, uri: String, hosts: &[&'static str]| {
        let mut request = Request::builder().uri(format!("{uri}{path}"));
        for host in hosts {
            request = request.header("host", *host);
        }
        answer(&router, request.body(Body::empty()).unwrap())
    };
    for path in ["/dev/mailbox", "/dev/mailbox/messages"] {
        for host in [
            "localhost",
            "LocalHost:8080",
            "otp.localhost:80",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert_eq!(ask(path, String::new(), &[host]).await.0, StatusCode::OK, "{host}");
            assert_eq!(ask(path, format!("http://{host}"), &[]).await.0, StatusCode::OK, "HTTP/2 {host}");
        }
        for host in [
            "example.org",
            "example.org:8080",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "examplelocalhost",
            "192.168.1.5:8080",
            "0.0.0.0",
            "[::]",
            "[2001:db8::1]:80",
            "localhost:80.example.org",
            "localhost@example.org",
            "",
            ":8080",
            "[",
            "localhost:8080:80",
        ] {
            let (status, headers, body) = ask(path, String::new(), &[host]).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{host}");
            assert_eq!(headers["content-type"], "application/problem+json");
            assert!(!body.contains(CODE) && body.contains("127.0.0.1"), "{body}");
        }
        assert_eq!(ask(path, String::new(), &[]).await.0, StatusCode::FORBIDDEN, "no host");
        assert_eq!(ask(path, String::new(), &["localhost", "example.org"]).await.0, StatusCode::FORBIDDEN, "two hosts");
        assert_eq!(ask(path, "http://localhost".into(), &["example.org"]).await.0, StatusCode::FORBIDDEN);
        assert_eq!(ask(path, "http://example.org".into(), &["localhost"]).await.0, StatusCode::FORBIDDEN);
    }
    let (status, ..) = answer(
        &router,
        Request::delete("/dev/mailbox/messages").header("host", "example.org").body(Body::empty()).unwrap(),
    )
    .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

/// The events of an open stream.
struct Events(Body);

impl Events {
    async fn open(router: &Router) -> Self {
        let response = router.clone().oneshot(request(Method::GET, "/dev/mailbox/events")).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(response.into_body())
    }

    async fn next(&mut self) -> Option<String> {
        let frame = in_time(self.0.frame()).await?.unwrap();
        Some(String::from_utf8(frame.into_data().unwrap().into()).unwrap())
    }
}

#[tokio::test]
async fn whoever_watches_sees_mails_arrive_and_go() {
    let (mailbox, router) = mailbox();
    let (mut one, mut other) = (Events::open(&router).await, Events::open(&router).await);
    mailbox
        .send(&Outgoing { text: "line\n\nevent: emptied\r\n".into(), ..message(1, "ann@example.org") })
        .await
        .unwrap();
    let event = one.next().await.unwrap();
    let data = event.strip_prefix("event: mail\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
    assert_eq!(serde_json::from_str::<Value>(data).unwrap(), list(&router).await[0]);
    assert_eq!(other.next().await, Some(event));
    mailbox.clear();
    assert_eq!(one.next().await.unwrap(), "event: emptied\ndata: null\n\n");
}

#[tokio::test]
async fn whoever_falls_behind_is_told_to_look_again() {
    let (mailbox, router) = mailbox();
    let mut events = Events::open(&router).await;
    for number in 0..100 {
        mailbox.send(&message(number, "ann@example.org")).await.unwrap();
    }
    assert_eq!(events.next().await.unwrap(), "event: behind\ndata: null\n\n");
    assert!(events.next().await.unwrap().starts_with("event: mail\n"));
}

#[tokio::test]
async fn closing_ends_the_streams_and_nothing_else() {
    let built = mailer(&MailUrl::Mailbox, &from(), clock()).unwrap();
    let mailbox = Arc::clone(built.mailbox().unwrap());
    let router = routes(Arc::clone(&mailbox));
    let mut open = Events::open(&router).await;
    mailbox.close();
    assert_eq!(open.next().await, None);
    assert_eq!(Events::open(&router).await.next().await, None);
    built.mailer().send(&message(1, "ann@example.org")).await.unwrap();
    built.check().await.unwrap();
    assert_eq!(list(&router).await.len(), 1);
}
