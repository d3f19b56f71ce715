//! What requests mean that are signed, and that others are refused.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use otp_core::Secret;
use otp_core::delivery::DeliveryStatus::{Bounced, Complained, Delivered, Failed};
use otp_core::suppression::SuppressionReason::{Complaint, HardBounce, Stop};
use otp_core::webhook::{ReceiverKey, SigningSecret};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::{CUSTOMER, MESSAGE, SECRET, Sent, fate, message, now};
use crate::callbacks::{CallbackVerifier, EventKey, Refused, SesCallbacks, Told, TwilioCallbacks};
use crate::capture::{Capture, Reply};
use crate::outbound::Outbound;

fn secret() -> SigningSecret {
    SigningSecret::parse(SECRET).unwrap()
}

/// Signed as of Svix or of Standard Webhooks.
fn signed(names: [&'static str; 3], body: impl Into<Vec<u8>>) -> Sent {
    let body = body.into();
    let signature = secret().sign("id-1", now(), &body);
    let sent = Sent::new(body).header(names[0], "id-1").header(names[1], now().as_secs().to_string());
    sent.header(names[2], signature)
}

const SVIX: [&str; 3] = ["svix-id", "svix-timestamp", "svix-signature"];
const STANDARD: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

fn resend(event: &str, extra: Value) -> Sent {
    let mut data = json!({
        "email_id": "re-1",
        "to": ["ann@example.org"],
        "subject": "481920375 is your code",
        "tags": {"message_id": MESSAGE, "customer_id": CUSTOMER},
    });
    data.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    signed(SVIX, json!({"type": event, "created_at": "2026-01-31T08:15:00Z", "data": data}).to_string())
}

#[tokio::test]
async fn the_events_of_resend() {
    let verifier = CallbackVerifier::Resend(ReceiverKey::parse(SECRET).unwrap());
    let bounce = |kind: &str| json!({"bounce": {"type": kind, "subType": "General", "message": "ann@example.org"}});
    for (event, extra, told) in [
        ("email.delivered", json!({}), fate("Resend", Delivered, None, None, "re-1")),
        (
            "email.bounced",
            bounce("Permanent"),
            fate("Resend", Bounced, Some(HardBounce), Some("Resend: bounced Permanent General"), "re-1"),
        ),
        (
            "email.bounced",
            bounce("Transient"),
            fate("Resend", Bounced, None, Some("Resend: bounced Transient General"), "re-1"),
        ),
        (
            "email.bounced",
            bounce("ann@example.org 481920375"),
            fate("Resend", Bounced, None, Some("Resend: bounced General"), "re-1"),
        ),
        ("email.suppressed", json!({}), fate("Resend", Bounced, Some(HardBounce), Some("Resend: suppressed"), "re-1")),
        (
            "email.complained",
            json!({}),
            fate("Resend", Complained, Some(Complaint), Some("Resend: complained"), "re-1"),
        ),
        ("email.failed", json!({}), fate("Resend", Failed, None, Some("Resend: failed"), "re-1")),
        (
            "email.delivered",
            json!({"tags": [{"name": "message_id", "value": MESSAGE}, {"name": "customer_id", "value": CUSTOMER}]}),
            fate("Resend", Delivered, None, None, "re-1"),
        ),
        ("email.delivered", json!({"tags": {"message_id": "order-7"}}), Told::Stray),
        ("email.delivered", json!({"tags": null}), Told::Stray),
    ] {
        assert_eq!(resend(event, extra).at(&verifier).await, Ok(vec![told]), "{event}");
    }
    assert_eq!(resend("email.opened", json!({})).at(&verifier).await, Ok(vec![]));
    let of_domain = json!({"type": "domain.created", "data": {"id": "d", "tags": 7}}).to_string();
    assert_eq!(signed(SVIX, of_domain).at(&verifier).await, Ok(vec![]));
    resend("email.delivered", json!({})).is_bound(&verifier, &SVIX).await;
    for garbage in ["<html>502 Bad Gateway</html>", "", "[]", "{}", "{\"type\":\"email.sent\"}", "\u{0}"] {
        assert_eq!(signed(SVIX, garbage).at(&verifier).await, Err(Refused::Unreadable), "{garbage}");
        let unsigned = Sent::new(garbage).at(&verifier).await;
        assert_eq!(unsigned, Err(Refused::Forged), "{garbage}");
    }
}

#[tokio::test]
async fn a_signature_of_svix_is_of_five_minutes_and_one_of_several_will_do() {
    let verifier = CallbackVerifier::Resend(ReceiverKey::parse(SECRET).unwrap());
    let sent = resend("email.delivered", json!({}));
    for (seconds, is_late) in [(299, false), (301, true)] {
        let span = Duration::from_secs(seconds);
        for now in [now() + span, now() - span] {
            let told = Sent { now, ..sent.clone() }.at(&verifier).await;
            assert_eq!(told.is_err(), is_late, "{seconds}");
        }
    }
    let right = sent.headers["svix-signature"].to_str().unwrap().to_owned();
    let other = format!("v1,{}", BASE64_STANDARD.encode([7; 32]));
    for list in [format!("{other} {right}"), format!("v1a,hush v2,hush {right} v1,%")] {
        assert!(sent.clone().header("svix-signature", &list).at(&verifier).await.is_ok(), "{list}");
    }
    for list in [other.clone(), right.replace("v1,", "v1a,"), String::new()] {
        let told = sent.clone().header("svix-signature", &list).at(&verifier).await;
        assert_eq!(told, Err(Refused::Forged), "{list}");
    }
}

#[tokio::test]
async fn the_words_of_a_gateway() {
    let verifier = CallbackVerifier::Gateway(ReceiverKey::parse(SECRET).unwrap());
    let say = |status: &str| {
        let body = json!({
            "messageId": MESSAGE, "customerId": CUSTOMER, "status": status, "id": "g-1", "reason": "no such number"
        });
        signed(STANDARD, body.to_string())
    };
    let named = |words| format!("the gateway: {words} no such number");
    for (status, told, suppress, words) in [
        ("failed", Failed, None, "failed"),
        ("bounced", Bounced, Some(HardBounce), "bounced"),
        ("complained", Complained, Some(Complaint), "complained"),
        ("opted_out", Failed, Some(Stop), "opted out"),
    ] {
        let expected = fate("the gateway", told, suppress, Some(&named(words)), "g-1");
        assert_eq!(say(status).at(&verifier).await, Ok(vec![expected]));
    }
    assert_eq!(say("read").at(&verifier).await, Err(Refused::Unreadable));
    say("delivered").is_bound(&verifier, &STANDARD).await;
    let svix = signed(SVIX, say("delivered").body).at(&verifier).await;
    assert_eq!(svix, Err(Refused::Forged), "the headers have other names");
}

fn sendgrid(pair: &EcdsaKeyPair, events: &str) -> Sent {
    let time = now().as_secs().to_string();
    let signature = pair.sign(&SystemRandom::new(), format!("{time}{events}").as_bytes()).unwrap();
    Sent::new(events)
        .header("x-twilio-email-event-webhook-timestamp", time)
        .header("x-twilio-email-event-webhook-signature", BASE64_STANDARD.encode(signature))
}

/// A key pair, and its public half as SendGrid shows it.
pub(super) fn event_key() -> (EcdsaKeyPair, String) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let head = BASE64_STANDARD.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgA=").unwrap();
    let spki = BASE64_STANDARD.encode([&head, pair.public_key().as_ref()].concat());
    (pair, spki)
}

const SENDGRID: [&str; 2] = ["x-twilio-email-event-webhook-timestamp", "x-twilio-email-event-webhook-signature"];

#[tokio::test]
async fn the_events_of_sendgrid() {
    let (pair, key) = event_key();
    let verifier = CallbackVerifier::SendGrid(EventKey::parse(&key).unwrap());
    let event = |event: &str, extra: Value| {
        let mut of = json!({
            "email": "ann@example.org", "timestamp": 1, "event": event, "sg_event_id": "e", "sg_message_id": "sg-1",
            "message_id": MESSAGE, "customer_id": CUSTOMER
        });
        of.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        of
    };
    let bounce =
        |kind: &str| event("bounce", json!({"type": kind, "status": "5.1.1", "reason": "550 ann@example.org"}));
    let dropped = |reason: &str| event("dropped", json!({"reason": reason}));
    let of = |status, suppress, words| fate("SendGrid", status, suppress, words, "sg-1");
    let events = json!([
        event("processed", json!({})),
        event("delivered", json!({"response": "250 OK"})),
        bounce("bounce"),
        bounce("blocked"),
        dropped("Bounced Address"),
        dropped("Spam Reporting Address"),
        dropped("Spam Content of ann@example.org"),
        event("spamreport", json!({})),
        event("delivered", json!({"message_id": "7"})),
        {"event": 7},
        7,
    ]);
    // As SendGrid ends them.
    let batch = format!("{events}\r\n");
    let expected = vec![
        of(Delivered, None, None),
        of(Bounced, Some(HardBounce), Some("SendGrid: bounce 5.1.1")),
        of(Bounced, None, Some("SendGrid: blocked 5.1.1")),
        of(Bounced, Some(HardBounce), Some("SendGrid: dropped Bounced Address")),
        of(Failed, Some(Complaint), Some("SendGrid: dropped Spam Reporting Address")),
        of(Failed, None, Some("SendGrid: dropped")),
        of(Complained, Some(Complaint), Some("SendGrid: spamreport")),
        Told::Stray,
    ];
    let sent = sendgrid(&pair, &batch);
    assert_eq!(sent.at(&verifier).await, Ok(expected));
    sent.is_bound(&verifier, &SENDGRID).await;
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    assert!(Sent { now: now() + hours(24), ..sent.clone() }.at(&verifier).await.is_ok(), "it is repeated for a day");
    for now in [now() + hours(26), now() - hours(1)] {
        assert_eq!(Sent { now, ..sent.clone() }.at(&verifier).await, Err(Refused::Forged));
    }
    let other = CallbackVerifier::SendGrid(EventKey::parse(&event_key().1).unwrap());
    assert_eq!(sent.at(&other).await, Err(Refused::Forged));
    assert_eq!(sendgrid(&pair, "<html>").at(&verifier).await, Err(Refused::Unreadable));
}

const PUBLIC: &str = "https://otp.example/base";

fn twilio() -> CallbackVerifier {
    let (token, reached_at) = (Secret::from("hush".to_owned()), PUBLIC.parse().unwrap());
    CallbackVerifier::Twilio(TwilioCallbacks { token, reached_at })
}

/// Signed as Twilio does: the URL as it called it, then the fields by name.
fn called(base: &str, fields: &[(&str, &str)]) -> Sent {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    let sent = Sent::new(form.finish());
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let signed: String = sorted.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"hush");
    let tag = hmac::sign(&key, format!("{base}{}{signed}", sent.target).as_bytes());
    sent.header("x-twilio-signature", BASE64_STANDARD.encode(tag))
}

fn of_twilio(told: Told) -> Told {
    match told {
        Told::Fate { report, .. } => Told::Fate { customer: None, report },
        told => told,
    }
}

#[tokio::test]
async fn the_callbacks_of_twilio() {
    let verifier = twilio();
    let status = |status: &str, code: Option<&str>| {
        let mut fields =
            vec![("AccountSid", "AC0123"), ("MessageSid", "SM1"), ("To", "+4915112345678"), ("MessageStatus", status)];
        fields.extend(code.map(|code| ("ErrorCode", code)));
        called(PUBLIC, &fields)
    };
    let of = |told, suppress, words| of_twilio(fate("Twilio", told, suppress, words, "SM1"));
    for (word, code, told) in [
        ("delivered", None, of(Delivered, None, None)),
        ("read", None, of(Delivered, None, None)),
        ("undelivered", Some("30005"), of(Failed, None, Some("Twilio: undelivered error 30005"))),
        ("failed", Some("21610"), of(Failed, Some(Stop), Some("Twilio: failed error 21610"))),
        ("failed", Some(""), of(Failed, None, Some("Twilio: failed"))),
        ("canceled", None, of(Failed, None, Some("Twilio: canceled"))),
    ] {
        assert_eq!(status(word, code).at(&verifier).await, Ok(vec![told]), "{word}");
    }
    for word in ["queued", "sent", "sending", "accepted", "something new"] {
        assert_eq!(status(word, None).at(&verifier).await, Ok(vec![]), "{word}");
    }
    let sent = status("delivered", None);
    sent.is_bound(&verifier, &["x-twilio-signature"]).await;
    let moved = Sent { target: sent.target.replace("B2", "B3"), ..sent.clone() };
    assert_eq!(moved.at(&verifier).await, Err(Refused::Forged), "the URL is signed");
    for base in ["https://otp.example:443/base", PUBLIC] {
        assert!(called(base, &[("MessageStatus", "sent")]).at(&verifier).await.is_ok(), "{base}");
    }
    let elsewhere = called("https://otp.example:8443/base", &[("MessageStatus", "sent")]);
    assert_eq!(elsewhere.at(&verifier).await, Err(Refused::Forged));
    assert_eq!(Sent::new("<html>").at(&verifier).await, Err(Refused::Forged));
    assert_eq!(called(PUBLIC, &[("<html>", "")]).at(&verifier).await, Ok(vec![]));
}

#[tokio::test]
async fn whoever_answers_stop_or_start_is_named() {
    let number = || "+4915112345678".parse().unwrap();
    for (from, kind, told) in [
        ("+4915112345678", "STOP", vec![Told::OptedOut(number())]),
        ("whatsapp:+4915112345678", "START", vec![Told::OptedIn(number())]),
        ("+4915112345678", "HELP", vec![]),
        ("12345", "STOP", vec![]),
    ] {
        let sent = called(PUBLIC, &[("From", from), ("OptOutType", kind), ("Body", kind), ("MessageStatus", "failed")]);
        assert_eq!(sent.at(&twilio()).await, Ok(told), "{from} {kind}");
    }
}

/// What was signed once with a key of which nothing is left but the certificate.
fn notices() -> Vec<Value> {
    serde_json::from_str(include_str!("sns.json")).unwrap()
}

fn sns(reply: impl Fn() -> Reply + Send + Sync + 'static) -> (Capture, CallbackVerifier) {
    let capture = Capture::start(move |_| reply());
    let topic = "arn:aws:sns:eu-central-1:123456789012:mail".parse().unwrap();
    let named = Some(capture.url.parse().unwrap());
    let verifier = SesCallbacks::new(topic, named, Outbound::new().unwrap());
    (capture, CallbackVerifier::Ses(verifier.into()))
}

fn certificate() -> Reply {
    Reply::Answer(200, "", include_str!("sns.pem").to_owned())
}

/// Where the certificate is, is not signed.
fn posted(notice: &Value, certificate_at: &str) -> Sent {
    let mut notice = notice.clone();
    notice["SigningCertURL"] = certificate_at.into();
    Sent::new(notice.to_string())
}

#[tokio::test]
async fn the_events_of_ses_in_both_versions_of_the_signature() {
    let (capture, verifier) = sns(certificate);
    let at = format!("{}/SimpleNotificationService-0.pem", capture.url);
    let expected = fate("Amazon SES", Bounced, Some(HardBounce), Some("Amazon SES: bounce Permanent General"), "ses-1");
    for notice in &notices()[..2] {
        assert_eq!(posted(notice, &at).at(&verifier).await, Ok(vec![expected.clone()]));
        for field in ["Message", "MessageId", "Timestamp", "Type", "Signature", "SignatureVersion", "TopicArn"] {
            let mut forged = notice.clone();
            let mut signs: Vec<char> = forged[field].as_str().unwrap().chars().collect();
            let middle = signs.len() / 2;
            signs[middle] = if signs[middle] == '3' { '4' } else { '3' };
            forged[field] = signs.into_iter().collect::<String>().into();
            assert_eq!(posted(&forged, &at).at(&verifier).await, Err(Refused::Forged), "{field}");
        }
        let mut without = notice.clone();
        without["Subject"] = "Another".into();
        assert_eq!(posted(&without, &at).at(&verifier).await, Err(Refused::Forged));
        let late = Sent { now: now() + Duration::from_secs(26 * 3600), ..posted(notice, &at) };
        assert_eq!(late.at(&verifier).await, Err(Refused::Forged));
    }
    assert_eq!(capture.next().target, "/SimpleNotificationService-0.pem");
    assert!(capture.is_quiet(), "the certificate is kept");
    assert_eq!(Sent::new("<html>").at(&verifier).await, Err(Refused::Forged));
}

#[tokio::test]
async fn certificates_of_others_are_not_even_asked_for() {
    let (capture, verifier) = sns(certificate);
    let other = Capture::start(|_| certificate());
    for at in [
        format!("{}/a.pem", other.url),
        "https://sns.us-east-1.amazonaws.com/a.pem".to_owned(),
        "https://sns.eu-central-1.amazonaws.com.evil.example/a.pem".to_owned(),
        "https://evil.example/sns.eu-central-1.amazonaws.com/a.pem".to_owned(),
        "https://sns.eu-central-1.amazonaws.com@evil.example/a.pem".to_owned(),
        "http://sns.eu-central-1.amazonaws.com/a.pem".to_owned(),
        "https://sns.eu-central-1.amazonaws.com:8443/a.pem".to_owned(),
        format!("{}/a.txt", capture.url),
        "file:///etc/passwd".to_owned(),
        String::new(),
    ] {
        assert_eq!(posted(&notices()[0], &at).at(&verifier).await, Err(Refused::Forged), "{at}");
    }
    assert!(capture.is_quiet() && other.is_quiet());
    let mut subscription = notices()[2].clone();
    subscription["SubscribeURL"] = format!("{}/", other.url).into();
    let told = posted(&subscription, &format!("{}/a.pem", capture.url)).at(&verifier).await;
    assert_eq!(told, Err(Refused::Forged));
    assert!(other.is_quiet());
}

#[tokio::test]
async fn without_the_certificate_it_is_to_be_told_again() {
    for (status, refused) in [(503, Refused::Unavailable), (404, Refused::Forged)] {
        let (capture, verifier) = sns(move || Reply::Answer(status, "", String::new()));
        let told = posted(&notices()[0], &format!("{}/a.pem", capture.url)).at(&verifier).await;
        assert_eq!(told, Err(refused));
    }
    let (capture, verifier) = sns(|| Reply::Answer(200, "", "<html>".to_owned()));
    let told = posted(&notices()[0], &format!("{}/a.pem", capture.url)).at(&verifier).await;
    assert_eq!(told, Err(Refused::Forged));
}

#[test]
fn an_id_is_read_whole() {
    assert_eq!(message().to_string(), MESSAGE);
}
