use otp_core::ManualClock;
use otp_core::message::SendError;
use otp_core::{Clock, MessageId, ProviderId, Random, Secret, SeededRandom, TenantId};

use super::*;
use crate::capture::{Capture, Reply};

fn taking() -> Capture {
    Capture::start(|request| match request.method.as_str() {
        "GET" => Reply::json(401, r#"{"statusCode":400,"name":"restricted_api_key","message":""}"#),
        _ => Reply::json(200, r#"{"id":"49a3999c"}"#),
    })
}

fn own(number: u8, version: u64, url: String) -> OwnProvider {
    let id = ProviderId::from_bytes([number; 16]);
    OwnProvider { id, version, label: format!("mine {number}"), channels: Channel::ALL.into(), url: url.into() }
}

fn resend(number: u8, version: u64, to: &Capture) -> OwnProvider {
    own(number, version, format!("resend:re_hush{number}?endpoint={}", to.url))
}

fn mail(providers: Vec<OwnProvider>) -> Outgoing {
    let (now, random) = (ManualClock::default().now(), &SeededRandom::new(1) as &dyn Random);
    Outgoing {
        id: MessageId::new(now, random),
        tenant: TenantId::new(now, random),
        providers: providers.into(),
        channel: Channel::Email,
        to: "ann@example.org".to_owned(),
        from_name: Some("Acme".to_owned()),
        from_email: Some("noreply@acme.example".to_owned()),
        reply_to: None,
        subject: "Hello".to_owned(),
        text: "Hello".to_owned(),
        html: None,
        code: Some(Secret::from("481920375".to_owned())),
        expires_at: now + std::time::Duration::from_secs(300),
    }
}

/// One installation, whose providers are this capture, with customers' hosts wherever they are.
fn delivery(installation: &Capture) -> Delivery {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    let counts = Counts::default();
    let from: mail::MailFrom = "OTP Auth <noreply@mail.example>".parse().unwrap();
    let url: MailUrl = format!("resend:re_installation?endpoint={}", installation.url).parse().unwrap();
    let built = mail::mailer(&url, &from, Arc::clone(&clock)).unwrap();
    let list = Failover::new(Arc::clone(&clock)).then("resend", Counted::new("resend", built.mailer(), counts.clone()));
    let texts = Failover::new(Arc::clone(&clock));
    let installation = Arc::new(Installation { mail: list, texts, mailbox: None });
    let way = (Guard::anywhere(), Outbound::new().unwrap());
    let own = Own::new(Arc::clone(&installation), from, clock, None, Reach::Anywhere, counts.clone(), move || Ok(way));
    Delivery { installation, own, counts }
}

fn key(capture: &Capture) -> String {
    capture.next().header("authorization").to_owned()
}

#[tokio::test]
async fn each_customers_mail_leaves_by_its_own_provider() {
    let (installation, acme, other) = (taking(), taking(), taking());
    let delivery = delivery(&installation);
    for _ in 0..3 {
        let taken = delivery.send(&mail(vec![resend(1, 1, &acme)])).await.unwrap();
        assert_eq!(taken.provider.as_deref(), Some("mine 1"));
        delivery.send(&mail(vec![resend(2, 1, &other)])).await.unwrap();
        let taken = delivery.send(&mail(Vec::new())).await.unwrap();
        assert_eq!(taken.provider.as_deref(), Some("resend"));
        let keys = [&acme, &other, &installation].map(key);
        assert_eq!(keys, ["Bearer re_hush1", "Bearer re_hush2", "Bearer re_installation"]);
    }
}

#[tokio::test]
async fn a_changed_provider_is_used_as_it_is_now() {
    let (installation, before, after) = (taking(), taking(), taking());
    let delivery = delivery(&installation);
    delivery.send(&mail(vec![resend(1, 1, &before)])).await.unwrap();
    delivery.send(&mail(vec![resend(1, 2, &after)])).await.unwrap();
    assert_eq!((key(&before), key(&after)), ("Bearer re_hush1".to_owned(), "Bearer re_hush1".to_owned()));
}

#[tokio::test]
async fn the_installation_takes_what_a_dead_provider_does_not_only_where_it_is_listed() {
    let installation = taking();
    let dead = Capture::start(|_| Reply::json(401, r#"{"statusCode":401,"name":"invalid_api_key","message":""}"#));
    let delivery = delivery(&installation);
    let alone = delivery.send(&mail(vec![resend(1, 1, &dead)])).await;
    assert_eq!(alone, Err(SendError::Unusable { reason: "Resend: 401, invalid_api_key".to_owned() }));
    let message = mail(vec![resend(1, 1, &dead), own(2, 1, "installation".to_owned())]);
    let handed_over = delivery.hand_over(&message, message.expires_at).await;
    let names: Vec<_> = handed_over.attempts.into_iter().map(|attempt| attempt.provider.unwrap()).collect();
    assert_eq!(names, ["mine 1", "resend"]);
    assert_eq!(key(&installation), "Bearer re_installation", "and only once");
}

#[tokio::test]
async fn mail_of_a_customer_without_a_sender_of_its_own_leaves_by_the_installation_alone() {
    let (installation, acme) = (taking(), taking());
    let delivery = delivery(&installation);
    let message = Outgoing { from_email: None, ..mail(vec![resend(1, 1, &acme)]) };
    match delivery.send(&message).await {
        Err(SendError::Unusable { reason }) => assert!(reason.contains("emailConfig.fromEmail"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let listed = vec![resend(1, 1, &acme), own(2, 1, "installation".to_owned())];
    let taken = delivery.send(&Outgoing { from_email: None, ..mail(listed) }).await.unwrap();
    assert_eq!(taken.provider.as_deref(), Some("resend"));
}

#[tokio::test]
async fn a_probe_sends_nothing_and_says_what_is_wrong() {
    let (installation, acme) = (taking(), taking());
    let delivery = delivery(&installation);
    let dead = Capture::start(|_| Reply::json(403, r#"{"statusCode":403,"name":"invalid_api_key","message":""}"#));
    assert_eq!(delivery.probe(&own(1, 1, "installation".to_owned())).await, Ok(()));
    let wrong = delivery.probe(&resend(2, 1, &dead)).await.unwrap_err();
    assert!(wrong.starts_with("Resend: it does not accept the key") && !wrong.contains("hush"), "{wrong}");
    delivery.probe(&resend(1, 1, &acme)).await.unwrap();
    assert_eq!([&dead, &acme].map(|capture| capture.next().method), ["GET", "GET"]);
}

#[tokio::test]
async fn what_is_counted_names_no_customer() {
    let (installation, acme) = (taking(), taking());
    let delivery = delivery(&installation);
    let mut registry = Registry::with_prefix("otp");
    delivery.register(&mut registry);
    delivery.send(&mail(vec![resend(1, 1, &acme)])).await.unwrap();
    delivery.send(&mail(Vec::new())).await.unwrap();
    delivery.observe();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for line in [
        r#"otp_provider_tries_total{provider="own",channel="email",outcome="taken"} 1"#,
        r#"otp_provider_tries_total{provider="resend",channel="email",outcome="taken"} 1"#,
        r#"otp_provider_circuit{provider="resend",list="mail"} 0"#,
        r#"otp_provider_in_flight{provider="resend",list="mail"} 0"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!text.contains("mine"), "{text}");
}

#[test]
fn of_several_of_a_kind_each_has_a_name() {
    assert_eq!(names(["smtp", "resend", "smtp", "smtp"].into_iter()), ["smtp", "resend", "smtp-2", "smtp-3"]);
}
